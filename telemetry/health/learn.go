package health

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/baseline"
)

// holding is for how many seconds Hold holds.
const holding = 15

// Hold has nothing learned for some seconds, because what it calls is ill: who waits for nobody any more is fast, and would be
// called slow when all is well again; who calls what fails has errors that are not its own.
func (w *Watch) Hold(now int64) {
	at := unix(now)
	if at-w.held > holding && w.base != nil {
		w.base.Discard()
	}
	w.held = at
}

// Due says which window is to be learned from, -1: none now. It is cheap where none is.
func (w *Watch) Due(c *Config, now int64) int {
	at := unix(now)
	if at < w.next || w.Since == 0 || w.Kind != telemetry.AilmentNone || w.silent != 0 || w.held != 0 && at-w.held <= holding {
		return -1
	}
	window, _ := w.period()
	if now-w.Since < window*1e9 || w.Doubtful(c, now) {
		return -1
	}
	i := Short
	for i < Long && seconds[i] < window {
		i++
	}
	return i
}

func (w *Watch) period() (window, every int64) {
	if w.base == nil {
		var none baseline.Baseline
		return none.Window()
	}
	return w.base.Window()
}

// Doubtful says that what was seen of late is hardly chance, be it enough to call it ill or not.
func (w *Watch) Doubtful(c *Config, now int64) bool {
	if w.trials == nil && w.tail.none() {
		return false
	}
	u := w.Usual(now)
	if of, ok := tailShares(&u); ok && w.tail.doubtful(of) {
		return true
	}
	if w.trials == nil {
		return false
	}
	for i, s := range c.shares(&u) {
		if w.trials[i].doubtful(s) {
			return true
		}
	}
	return false
}

// Learn takes a sample of the window that is due.
func (w *Watch) Learn(c *Config, now int64, ws *[Windows]Window, due int) {
	defer func() {
		_, every := w.period()
		w.next = unix(now) + uint32(every) //nolint:gosec // some minutes
	}()
	t := &ws[due]
	if w.base == nil {
		if t.Requests < 2 {
			return // most of what is called once is never called again, and is to take no memory
		}
		w.base = new(baseline.Baseline)
	}
	s := baseline.Sample{Rate: t.Requests / float64(seconds[due])}
	if t.Requests > 0 {
		s.Errors, s.Refused = t.Errors/t.Requests, t.Throttled/t.Requests
	}
	if t.Times != nil && t.Times.Count() > 0 {
		s.P90, s.Mean = t.Times.Quantile(Quantile), t.Times.Mean()
		if w.Usual(now).Timed >= tailSamples { // its bound has settled
			share, beyond := w.Late(c, now, t)
			s.Late, s.Judged = share, beyond > 0
		}
	}
	w.base.Add(now/1e9, s)
}
