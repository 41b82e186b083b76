package health

import (
	"math"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/baseline"
)

// The problem: an incident must be named within seconds and stay named for as long as it lasts, hours too; and a service that is
// called four times a second and is well must not be named in a month.
//
// The rule, once a second for each edge and each node:
//
//  1. The shortest of the windows that holds Telling requests is looked at (10 s, 1 min, 5 min).
//  2. It is ill where a share of errors, of refusals or of slow requests is above its bound AND that many of so few
//     requests would be chance less than once in a hundred thousand (see beyond). Slow is a request that took longer than
//     DegradedLatency times the usual p90, and LatencyFloor longer: one in ten does not, by itself, exceed the p90.
//  3. What is ill in two looks in a row is so from the first of them on. It stays so until
//     half of the bound has not been reached for Calm.
//  4. What had its usual traffic and has none, though its source is busy, is cut off.
//  5. The usual is learned while nothing is suspected, and frozen otherwise. What is slow for
//     Adopted is so usually. More than FailingErrors is never usual, nor more than twice Throttled.
//
// Not chosen: comparing with the time just before (in a minute that is the incident); z-scores (latencies have no normal
// distribution, and few requests no spread).

// What the rule is built on.
const (
	// Telling is how many requests a window must hold to be looked at alone.
	Telling = 12
	// Calm is for how long what is ill must be well to be called so.
	Calm = 5 * time.Second
	// Adopted is after how long slowness is what is usual.
	Adopted = 24 * time.Hour
	// look is the time between two looks, at least.
	look = time.Second
)

// The windows that a Watch is given.
const (
	Short   = iota // 10 s
	Middle         // 1 min
	Long           // 5 min
	Windows = 3
)

var seconds = [Windows]int64{10, 60, 300} //nolint:gochecknoglobals // immutable

// Times is a distribution of durations, in milliseconds.
type Times interface {
	Count() float64
	Quantile(q float64) float64 // 0 of an empty one
	Above(ms float64) float64   // how many took longer
	Mean() float64              // 0 of an empty one
}

// A Window is the traffic of one.
type Window struct {
	Requests, Errors, Throttled float64
	Rate                        float64 // requests a second
	// Times is read during the call only, and only of the windows that are looked at: it may be worked out when it is asked.
	Times Times
}

// Figures are what was found at the last look, for sentences and for blame: see package blame.
type Figures struct {
	Now
	Usual baseline.Usual
}

// Now is what a look finds.
type Now struct {
	Rate              float64 // requests a second
	P90, Mean         float64 // milliseconds; 0 where it was well, until Measure
	Errors, Throttled float64 // shares of the requests
}

// Watch watches one edge or node. The zero Watch knows nothing.
type Watch struct {
	At        int64 // Unix nanoseconds of the last look
	Kind      telemetry.Ailment
	Since     int64 // Unix nanoseconds; where Kind is none, when it became well
	Severe    bool
	now       Now   // at the last look
	suspected int64 // since when what is not called ill looks so
	silent    int64 // since when its silence is no chance
	unwell    int64 // when half the bound was last reached
	sampled   int64 // when the last sample was due
	first     int64 // when it was first looked at
	base      *baseline.Baseline
}

// Figures are those of the last look.
func (w *Watch) Figures() Figures { return Figures{Now: w.now, Usual: w.usual(w.At)} }

// Rate is how many requests a second the last look saw, and how many are usual.
func (w *Watch) Rate() (now, usual float64) { return w.now.Rate, w.usual(w.At).Rate }

// Expected says that there is usually traffic.
func (w *Watch) Expected() bool { return w.usual(w.At).Least > 0 }

// Measure finds out how long requests take of what is well, which a look does not.
func (w *Watch) Measure(ws *[Windows]Window) { w.now.measure(&ws[telling(ws)]) }

func (f *Now) measure(t *Window) {
	if t.Times != nil && t.Times.Count() > 0 {
		f.P90, f.Mean = t.Times.Quantile(Quantile), t.Times.Mean()
	}
}

// telling is the shortest window that tells by itself.
func telling(ws *[Windows]Window) int {
	for i := range ws {
		if ws[i].Requests >= Telling {
			return i
		}
	}
	return Long
}

// Look judges the windows at Unix nanoseconds now, and learns from them. busy is the activity of who sends the
// traffic as a part of its usual, 0 where it is unknown or none: see Silent.
func (w *Watch) Look(c *Config, now int64, ws *[Windows]Window) {
	w.At = now
	if ws[Short].Requests > 0 {
		w.silent = 0
	}
	if w.first == 0 {
		w.first, w.sampled = now, now
	}
	u := w.usual(now)
	at := telling(ws)
	t := &ws[at]
	w.now = Now{Rate: ws[Short].Rate}
	if ws[Short].Requests == 0 && u.Least*float64(seconds[Short]) < Telling {
		w.now.Rate = ws[Middle].Rate // ten seconds without any are nothing unusual
	}
	if t.Requests > 0 {
		w.now.Errors, w.now.Throttled = t.Errors/t.Requests, t.Throttled/t.Requests
	}
	if w.Kind == telemetry.AilmentCutOff {
		if ws[Short].Requests == 0 {
			return
		}
		w.become(telemetry.AilmentNone, now)
	}
	w.weigh(c, now, t, at, &u)
	if w.Kind != telemetry.AilmentNone {
		w.now.measure(t)
	}
	w.learn(now, ws)
}

// weigh moves the state by one window.
func (w *Watch) weigh(c *Config, now int64, t *Window, at int, u *baseline.Usual) {
	kind, severe := c.Ill(t, u)
	if w.Kind == telemetry.AilmentNone {
		// A window that reaches back into what is over tells nothing new.
		if over := w.Since; over > 0 && now-over < (seconds[at]+int64(Calm/time.Second))*1e9 {
			kind = telemetry.AilmentNone
		}
		switch {
		case kind == telemetry.AilmentNone:
			w.suspected = 0
		case w.suspected == 0:
			w.suspected = now
		case now-w.suspected < int64(look): // looks may come closer to each other
		default:
			since := w.suspected
			w.become(kind, since)
			w.Severe, w.unwell = severe, now
		}
		return
	}
	if kind != telemetry.AilmentNone {
		w.Kind, w.Severe, w.unwell = kind, severe, now // it may turn from slow to failing
		return
	}
	if c.still(w.Kind, t, u) {
		w.unwell = now
	}
	switch {
	case now-w.unwell >= int64(Calm):
		w.become(telemetry.AilmentNone, now)
	case w.Kind == telemetry.AilmentSlow && now-w.Since >= int64(Adopted):
		w.base = nil
		w.become(telemetry.AilmentNone, now)
	}
}

func (w *Watch) become(k telemetry.Ailment, at int64) {
	w.Kind, w.Since, w.Severe, w.suspected, w.silent = k, at, false, 0, 0
	if w.base != nil {
		w.base.Discard()
	}
}

// Silent tells an edge that it has no request in the last 10 s, while its source is busy: by what part of its usual. The minute
// before counts where the edge is a slow one.
func (w *Watch) Silent(now int64, ws *[Windows]Window, busy float64) {
	u := w.usual(now)
	if w.Kind != telemetry.AilmentNone || u.Samples < 3 {
		return
	}
	quiet := float64(seconds[Short])
	if ws[Middle].Requests == 0 {
		quiet = float64(seconds[Middle])
	}
	if ws[Short].Requests > 0 || silence(u.Least*quiet*min(busy, 1)) >= chance {
		w.silent = 0
		return
	}
	if w.silent == 0 {
		w.silent = now
		return
	}
	if now-w.silent >= int64(2*look) {
		w.become(telemetry.AilmentCutOff, w.silent)
		w.Severe = true
	}
}

// learn takes a sample where one is due, and its window has nothing of an illness.
func (w *Watch) learn(now int64, ws *[Windows]Window) {
	if w.base == nil {
		w.base = new(baseline.Baseline)
	}
	window, every := w.base.Window()
	if w.Kind != telemetry.AilmentNone || w.suspected != 0 || w.silent != 0 || now-w.sampled < every*1e9 || now-max(w.Since, w.first) < window*1e9 {
		return
	}
	at := Short
	for at < Long && seconds[at] < window {
		at++
	}
	t := &ws[at]
	w.sampled = now
	s := baseline.Sample{Requests: t.Requests, Rate: t.Requests / float64(seconds[at])}
	if t.Requests > 0 {
		s.Errors, s.Refused = t.Errors/t.Requests, t.Throttled/t.Requests
	}
	if t.Times != nil && t.Times.Count() > 0 {
		s.P50, s.P90, s.Mean = t.Times.Quantile(0.5), t.Times.Quantile(Quantile), t.Times.Mean()
	}
	w.base.Add(now/1e9, s)
}

func (w *Watch) usual(now int64) baseline.Usual {
	if w.base == nil {
		return baseline.Usual{}
	}
	return w.base.Usual(now / 1e9)
}

// Ill judges one window against the usual, and says whether it is as bad as failing.
func (c *Config) Ill(t *Window, u *baseline.Usual) (kind telemetry.Ailment, severe bool) {
	n := t.Requests
	if n == 0 {
		return telemetry.AilmentNone, false
	}
	if bar := c.errorBar(u); t.Errors >= bar*n && beyond(t.Errors, n, bar/2) {
		return telemetry.AilmentFailing, t.Errors >= c.FailingErrors*n
	}
	if bound := c.slow(u, c.DegradedLatency); bound > 0 && t.Times != nil {
		if all := t.Times.Count(); beyond(t.Times.Above(bound), all, 1-Quantile) {
			return telemetry.AilmentSlow, t.Times.Quantile(Quantile) >= c.slow(u, c.FailingLatency)
		}
	}
	if bar := c.refusalBar(u); t.Throttled >= bar*n && beyond(t.Throttled, n, bar/2) {
		return telemetry.AilmentThrottled, false
	}
	return telemetry.AilmentNone, false
}

// errorBar is the share of errors from which on it is ill: twice the usual, within bounds. What has always failed is ill as well.
func (c *Config) errorBar(u *baseline.Usual) float64 {
	return min(max(c.DegradedErrors, 2*u.Errors), max(c.DegradedErrors, c.FailingErrors))
}

// refusalBar is the share of refusals from which on it is throttled.
func (c *Config) refusalBar(u *baseline.Usual) float64 {
	return min(max(c.Throttled, 2*u.Refused), 2*c.Throttled)
}

// still says that half of what made it ill is there.
func (c *Config) still(kind telemetry.Ailment, t *Window, u *baseline.Usual) bool {
	switch kind {
	case telemetry.AilmentFailing:
		return t.Errors >= max(1, c.errorBar(u)*t.Requests/2)
	case telemetry.AilmentSlow:
		bound := c.slow(u, math.Sqrt(c.DegradedLatency))
		return t.Times != nil && bound > 0 && t.Times.Above(bound) >= max(1, 2*(1-Quantile)*t.Times.Count())
	case telemetry.AilmentThrottled:
		return t.Throttled >= max(1, c.refusalBar(u)*t.Requests/2)
	default:
		return false
	}
}

// slow is what a request takes, in milliseconds, that is times slower than nine of ten used to be; 0 where that is not known.
func (c *Config) slow(u *baseline.Usual, times float64) float64 {
	if u.P90 <= 0 || u.Requests < BaselineEnough {
		return 0
	}
	floor := float64(c.LatencyFloor) / 1e6
	return max(u.P90*max(times, u.Spread*u.Spread), u.P90+floor*(times-1), floor)
}
