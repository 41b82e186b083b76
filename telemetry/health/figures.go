package health

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/baseline"
)

// What is ill is described by the windows that everybody sees: a trial says that it is, a window how it is now.

// The windows that figures are of.
const (
	Short   = iota // 10 s
	Middle         // 1 min
	Long           // 5 min
	Windows = 3
)

var seconds = [Windows]int64{10, 60, 300} //nolint:gochecknoglobals // immutable

const (
	// telling is how many requests, and describing how many bad ones, a window should hold to be described by.
	telling    = 12
	describing = 10
)

// Times is a distribution of durations, in milliseconds.
type Times interface {
	Count() float64
	Quantile(q float64) float64 // 0 of an empty one
	Mean() float64              // 0 of an empty one
	Above(ms float64) float64   // how many took longer
}

// A Window is the traffic of one.
type Window struct {
	Requests, Errors, Throttled float64
	Rate                        float64 // requests a second
	// Times is read during the call only, and only of the windows that are looked at: it may be worked out when it is asked.
	Times Times
}

// Figures are what something does now, beside its usual, for sentences and for blame: see package blame.
type Figures struct {
	Now
	Usual baseline.Usual
}

// Now is what a window holds.
type Now struct {
	Rate              float64 // requests a second
	P90, Mean         float64 // milliseconds
	Errors, Throttled float64 // shares of the requests
	Late              float64 // and of those that took longer than Beyond; see Watch.Late
	Beyond            float64 // milliseconds
}

// Telling is the window by which what is ill is best described: the shortest that holds enough of it, none that reaches far back behind its
// beginning, unless the others are empty.
func (w *Watch) Telling(now int64, ws *[Windows]Window) int {
	age := (now - w.Since) / 1e9
	at := Short
	for i := range ws {
		if i > Short && seconds[i] > age && ws[at].Requests > 0 {
			break
		}
		at = i
		enough := ws[i].Requests >= telling
		switch w.Kind {
		case telemetry.AilmentFailing:
			enough = enough && ws[i].Errors >= describing
		case telemetry.AilmentThrottled:
			enough = enough && ws[i].Throttled >= describing
		case telemetry.AilmentSlow:
			enough = enough && (!w.InTail() || ws[i].Requests*tailShare >= describing)
		default:
		}
		if enough {
			break
		}
	}
	return at
}

// Figures are those of one window.
func (w *Watch) Figures(now int64, ws *[Windows]Window, at int) Figures {
	t := &ws[at]
	f := Figures{Now: Now{Rate: t.Rate}, Usual: w.Usual(now)}
	if t.Requests > 0 {
		f.Errors, f.Throttled = t.Errors/t.Requests, t.Throttled/t.Requests
	}
	if t.Times != nil && t.Times.Count() > 0 {
		f.P90, f.Mean = t.Times.Quantile(Quantile), t.Times.Mean()
	}
	if w.stopped(&f.Usual, ws) {
		f.Rate = 0
	}
	return f
}

// stopped says that it is not called any more: there was no request in a minute, or in ten seconds where that is unusual.
func (w *Watch) stopped(u *baseline.Usual, ws *[Windows]Window) bool {
	return ws[Short].Requests == 0 && (w.Kind == telemetry.AilmentCutOff || ws[Middle].Requests == 0 || u.Least*float64(seconds[Short]) >= telling)
}

// Rate is how many requests a second there are: in ten seconds, or in a minute where ten seconds without any are nothing unusual.
func (w *Watch) Rate(now int64, ws *[Windows]Window) float64 {
	if u := w.Usual(now); ws[Short].Requests == 0 && !w.stopped(&u, ws) {
		return ws[Middle].Rate
	}
	return ws[Short].Rate
}

// Severe says that it is as bad as failing, by its figures.
func (w *Watch) Severe(c *Config, f *Figures) bool {
	switch w.Kind {
	case telemetry.AilmentFailing:
		return w.trials != nil && w.trials[failing].share() >= c.FailingErrors
	case telemetry.AilmentSlow:
		bound := c.slow(&f.Usual, c.FailingLatency)
		return bound > 0 && f.P90 >= bound
	case telemetry.AilmentCutOff:
		return true
	default:
		return false
	}
}
