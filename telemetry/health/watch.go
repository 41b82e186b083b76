package health

import (
	"math"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/baseline"
)

// The problem: an incident must be named within seconds and stay named for as long as it lasts, hours too; and a service that is
// called four times a second and is well must not be named in a month. All edges and nodes are looked at every second, so a look must cost next
// to nothing where nothing is wrong.
//
// The rule, once a second for each edge and each node:
//
//  1. A look takes in what came since the last one: requests, how many of them failed, were refused, were slow. Slow is a request
//     that took longer than DegradedLatency times the usual p90, and LatencyFloor longer.
//  2. Each of the three has a trial (see trial), which says whether the share is ill beyond chance, and when that is over. Of several
//     that are, failing counts before slow and slow before throttled. A fourth is the tail's: see tail.go.
//  3. What had its usual traffic and has none, though its source is busy, is cut off.
//  4. The usual is learned while nothing is doubtful, and frozen otherwise, and while what it calls is ill: see Hold. What is slow for
//     Adopted is so usually. More than FailingErrors is never usual, nor more than twice Throttled.
//
// Not chosen: comparing with the time just before (in a minute that is the incident); z-scores (latencies have no normal
// distribution, and few requests no spread).

// What the rule is built on.
const (
	// Calm is for how long at least what is ill must be well to be called so.
	Calm = 10 * time.Second
	// Adopted is after how long slowness is what is usual.
	Adopted = 24 * time.Hour
	// idle is for how long, in seconds, what was seen is believed of what is not called any more.
	idle = 300
)

// A Step is what came between two looks. Slow are the requests that took longer than Bound, Late those that took longer than Tail times that.
type Step struct{ Requests, Errors, Throttled, Slow, Late float64 }

// Watch watches one edge or node. The zero Watch knows nothing.
type Watch struct {
	At     int64 // Unix nanoseconds of the last look
	Since  int64 // Unix nanoseconds; where Kind is none, since when it is well
	base   *baseline.Baseline
	trials *[trials]trial // nil where all are calm and have counted nothing
	silent uint32         // since when its silence is no chance; this and the following in Unix seconds, 0: not
	heard  uint32         // when there were last requests
	next   uint32         // when the next sample is due
	held   uint32         // when it was last to learn nothing
	Kind   telemetry.Ailment
	tail   tail
}

// Look takes in what came from from to now, both Unix nanoseconds.
func (w *Watch) Look(c *Config, from, now int64, s Step) {
	at := unix(now)
	w.At = now
	if w.Since == 0 {
		w.Since, w.next = now, at+10
	}
	if s.Requests > 0 {
		w.silent = 0
		if w.Kind == telemetry.AilmentCutOff {
			w.become(telemetry.AilmentNone, now)
		}
		if at-w.heard > idle && w.Kind == telemetry.AilmentNone {
			w.trials, w.tail = nil, tail{} // what it did so long ago says nothing of now
		}
		w.heard = at
	} else if w.Kind != telemetry.AilmentNone && w.Kind != telemetry.AilmentCutOff && at-w.heard >= idle {
		w.trials, w.tail = nil, tail{}
		w.become(telemetry.AilmentNone, now)
	}
	w.weigh(c, from, now, s)
	if w.Kind == telemetry.AilmentSlow && now-w.Since >= int64(Adopted) {
		w.base, w.trials, w.tail = nil, nil, tail{}
		w.become(telemetry.AilmentNone, now)
	}
}

// Open says that there is something to weigh even where nothing has come.
func (w *Watch) Open() bool { return w.Kind != telemetry.AilmentNone || w.trials != nil }

// kinds are what the trials find.
var kinds = [trials]telemetry.Ailment{failing: telemetry.AilmentFailing, slow: telemetry.AilmentSlow, throttled: telemetry.AilmentThrottled} //nolint:gochecknoglobals // immutable

// weigh puts what came before the trials.
func (w *Watch) weigh(c *Config, from, now int64, s Step) {
	bad := [trials]float64{failing: s.Errors, slow: s.Slow, throttled: s.Throttled}
	if w.trials == nil && bad == [trials]float64{} && (s.Late == 0 && w.tail.none() || s.Requests == 0 && !w.tail.ill()) {
		return
	}
	u := w.Usual(now)
	bars := c.shares(&u)
	at := unix(now)
	began := at
	kind := telemetry.AilmentNone
	if begins := w.tail.weigh(&u, unix(from), at, s); w.tail.ill() {
		kind, began = telemetry.AilmentSlow, min(began, begins)
	}
	if w.trials == nil && worth(&bars, &bad, s.Requests) {
		w.trials = new([trials]trial)
	}
	if w.trials != nil {
		kind, began = w.try(&bars, &bad, s.Requests, unix(from), at, kind, began)
	}
	w.turn(kind, int64(began)*1e9, now)
}

// try puts what came before the trials; kind and began are what the tail's has found.
func (w *Watch) try(bars *[trials]shares, bad *[trials]float64, requests float64, from, at uint32, kind telemetry.Ailment, began uint32) (found telemetry.Ailment, since uint32) {
	counted := false
	for i, of := range bars {
		t := &w.trials[i]
		was := t.state
		t.take(requests, bad[i], of, from, at)
		counted = counted || *t != trial{}
		if t.state != ill {
			continue
		}
		if found == telemetry.AilmentNone {
			found = kinds[i]
		}
		if was != ill {
			began = min(began, t.began)
		}
	}
	if !counted {
		w.trials = nil
	}
	if kind != telemetry.AilmentNone && (found == telemetry.AilmentNone || found == telemetry.AilmentThrottled) {
		found = kind
	}
	return found, began
}

// turn has it be ill in a way, since a time.
func (w *Watch) turn(kind telemetry.Ailment, began, now int64) {
	switch {
	case w.Kind == telemetry.AilmentCutOff || kind == w.Kind:
	case w.Kind == telemetry.AilmentNone:
		w.become(kind, began)
	case kind == telemetry.AilmentNone:
		w.become(kind, now)
	default:
		w.Kind = kind // it is ill as it was, in another way
	}
}

// worth says that there is anything to count.
func worth(bars *[trials]shares, bad *[trials]float64, requests float64) bool {
	for i := range bars {
		if bad[i] > bars[i].start()*requests {
			return true
		}
	}
	return false
}

func (w *Watch) become(k telemetry.Ailment, at int64) {
	w.Kind, w.Since, w.silent = k, at, 0
	if w.base != nil {
		w.base.Discard()
	}
}

// Silent tells an edge that nothing has come for so many seconds, of which ten or sixty are believed, while its source is
// busy: by what part of its usual.
func (w *Watch) Silent(now, quiet int64, busy float64) {
	u := w.Usual(now)
	if w.Kind != telemetry.AilmentNone || u.Samples < 3 {
		return
	}
	at := unix(now)
	switch {
	case silence(u.Least*float64(believed(quiet))*min(busy, 1)) >= hush:
		w.silent = 0
	case w.silent == 0:
		w.silent = at
	case at-w.silent >= 2:
		w.become(telemetry.AilmentCutOff, int64(w.silent)*1e9)
	default:
	}
}

// Expected says that so many seconds without traffic would be no chance, were its source as busy as ever: Silent is to be asked.
func (w *Watch) Expected(now, quiet int64) bool {
	return w.base != nil && w.Kind == telemetry.AilmentNone && silence(w.base.Usual(now/1e9).Least*float64(believed(quiet))) < hush
}

// believed is how long a silence counts for: at few lengths only, since each that is tried may come about by chance.
func believed(quiet int64) int64 {
	switch {
	case quiet >= seconds[Middle]:
		return seconds[Middle]
	case quiet >= seconds[Short]:
		return seconds[Short]
	default:
		return 0
	}
}

// Usual is what is usual at Unix nanoseconds now.
func (w *Watch) Usual(now int64) baseline.Usual {
	if w.base == nil {
		return baseline.Usual{}
	}
	return w.base.Usual(now / 1e9)
}

// Bound is how long a request takes, in milliseconds, that is slow; 0 where that is not known.
func (w *Watch) Bound(c *Config, now int64) float64 {
	if w.base == nil {
		return 0
	}
	u := w.base.Usual(now / 1e9)
	return c.slow(&u, c.DegradedLatency)
}

// shares are what the trials tell apart. What has always failed is ill as well: what is usual has a bound.
func (c *Config) shares(u *baseline.Usual) [trials]shares {
	errors := min(max(c.DegradedErrors, 2*u.Errors), max(c.DegradedErrors, c.FailingErrors))
	refused := min(max(c.Throttled, 2*u.Refused), 2*c.Throttled)
	return [trials]shares{
		failing:   {errors / 2, errors},
		slow:      {1 - Quantile, 1.25 * (1 - Quantile)},
		throttled: {refused / 2, refused},
	}
}

// slow is what a request takes, in milliseconds, that is times slower than nine of ten used to be, and slower than nine of ten may be by chance
// where little is known of them; 0 where that is not known.
func (c *Config) slow(u *baseline.Usual, times float64) float64 {
	if u.P90 <= 0 || u.Requests < BaselineEnough {
		return 0
	}
	floor := float64(c.LatencyFloor) / 1e6
	return max(u.P90*max(times, u.Spread), u.P90+floor*(times-1), floor)
}

// unix is a time in whole seconds.
func unix(ns int64) uint32 { return uint32(max(0, min(ns/1e9, math.MaxUint32))) } //nolint:gosec // bounded
