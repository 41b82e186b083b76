package health

import (
	"math"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/baseline"
)

// The problem: where three requests in a hundred wait for a second (a lock, a retry, one bad replica of thirty, a collection of garbage) nine of ten are as fast as
// ever, and the trial of what is slow never sees it.
//
// The form: a trial of its own, of the requests that take Tail times as long as what is slow (four times the usual p90, as a rule), held against the share of those that is
// usual. So far out little comes about by a busier hour, in which all are a third slower; and what is usually there is known, since it is learned.
//
//	calm       as in a trial
//	suspected  as in a trial. What comes in the next tailGap seconds counts for nothing: late requests come together, and one stall is not to confirm itself.
//	ill        when what came after that, for as long at least, is as ill, and more than three such requests by chance
//	calm       when what came after that is not: a stall that was over. An illness ends as in a trial
//
// Nothing is said before the usual share is known from tailKnown requests, of a usual of two minutes.
//
// Not chosen: counting with the trial of what is slow, at another share (its bound is so near to the p90 that a third more load triples those beyond it).

// Tail is by how many times what is late takes longer than what is slow.
const Tail = 2

const (
	tailGap     = 10 // seconds
	tailKnown   = 500.0
	tailSamples = 12
	tailShare   = 0.02 // from which share on it is ill
	tailOdd     = 3    // and by how many times the usual share, as far as that is known
	tailFew     = 3
	tailChance  = 1e-3
	tailOver    = 0.02
)

// tail is the trial of what is late. The zero tail is calm.
type tail struct{ trial }

func (t *tail) none() bool { return t.trial == trial{} }
func (t *tail) ill() bool  { return t.state == ill }

// tailShares are what it tells apart; ok is false where what is usual is not known.
func tailShares(u *baseline.Usual) (s shares, ok bool) {
	if u.Timed < tailSamples || u.Judged < tailKnown {
		return s, false
	}
	k := u.Late * u.Judged
	s.usual = (k + 2*math.Sqrt(k+1) + 2) / u.Judged // as high as it may be, by what was seen
	s.bad = max(tailShare, tailOdd*s.usual)
	return s, s.bad < 1-Quantile
}

// weigh takes in a step, and says since when it is ill, where it was not before; else now.
func (t *tail) weigh(u *baseline.Usual, from, now uint32, s Step) (began uint32) {
	of, ok := tailShares(u)
	switch {
	case !ok:
		if t.state != ill {
			t.trial = trial{}
		}
		return now
	case t.state == ill:
		t.endure(s.Requests, s.Late, of, from, now)
		return now
	case t.state == calm:
		t.take(s.Requests, s.Late, of, from, now)
		return now
	case now < t.asked+tailGap:
		return now
	}
	t.m += float32(s.Requests)
	t.j += float32(s.Late)
	m, j := float64(t.m), float64(t.j)
	switch {
	case fewer(j, m, of.bad) < tailOver, now-t.asked > oldest:
		t.trial = trial{}
	case now >= t.asked+2*tailGap && j >= tailFew && j >= of.bad*m && chanceOf(j, m, of.usual) < tailChance:
		began = t.began
		t.n, t.k, t.m, t.j, t.state = t.m, t.j, 0, 0, ill
		return began
	}
	return now
}

// InTail says that it is slow, and that only few of its requests are.
func (w *Watch) InTail() bool {
	return w.Kind == telemetry.AilmentSlow && w.tail.ill() && (w.trials == nil || w.trials[slow].state != ill)
}

// Late is the share of a window's requests that are late, and how long such a one takes, in milliseconds, at least; 0 where that is not known.
func (w *Watch) Late(c *Config, now int64, t *Window) (share, beyond float64) {
	if beyond = Tail * w.Bound(c, now); beyond <= 0 || t.Times == nil {
		return 0, beyond
	}
	if n := t.Times.Count(); n > 0 {
		share = t.Times.Above(beyond) / n
	}
	return share, beyond
}
