package blame

import (
	"math"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
)

// Who is first.
//
// The problem: several are ill by themselves, in different ways, and one line of the list is read first. "Slow" must not stand before
// "refused" because of what it is called: a service that answers a quarter of a second late is not worse than one of which every second request is turned away.
// And what has failed for as long as anybody remembers is not why somebody was called out of bed.
//
// The scale: what part of a request is lost on the average, beyond the usual, by whatever it is, from 0 to 1:
//
//	failing    the share that fails: no answer is all of a request
//	throttled  the share that is refused. That the limit does its work makes it less grave for the service (it is never called failing), and not for who asked
//	cut off    all
//	slow       d/(d+1 s), where d is how much longer a request takes on the average: who waits a second longer has lost half of what he came for
//
// Of a culprit its own kind counts whole; of the other kinds what its calls do not explain counts as well. So one that is slow and refuses loses
// nothing of its rank by being called slow, and one that only passes refusals on gains none by them.
//
//	score = loss * reach * novelty
//
// Reach is 1, and one half more for each doubling of those that suffer: that many suffer decides among what is about as bad, and does not lift what is
// hardly ill above what is dead, since who is called from deep below always has many callers. Novelty is 1 in the first hour, then a half, a quarter after three hours, an eighth
// after seven. What has been ill for a day counts a thousandth, as does what has been there for a quarter of an hour and was never known to be well, be it
// that nobody calls it often enough for its illness to last: it is shown, below all that is new.
//
// How certain it is does not count: nobody is named before chance is ruled out (package health).
//
// Invariants: the score of a culprit does not fall when its errors, its refusals or its lateness grow; whatever is added to the mesh that is well and does not
// belong to it changes nothing; in the first hour nothing ranks below what is old.
//
// Not chosen: a table of weights of the kinds (the quota's culprit lost its place to whoever was a little slow); requests lost a second (a busy gateway that is a little late
// would stand before a payment service that is dead); times by how much slower it is (2 ms are ten times 0.2 ms, and nobody notices).

const (
	// half is by how many milliseconds a request must be late to be half lost.
	half = 1000
	// slightest is what the least of what is ill counts, and aged what is old counts of what it would as new. The first is more than the second by so much
	// that no reach makes up for it.
	slightest = 0.01
	aged      = 0.001
	// unproven is for how long what was never known to be well is taken for new, and proof how many healthy requests make it known to be.
	unproven = 15 * time.Minute
	proof    = 5
)

// loss is what part of a request is lost on the average, beyond the usual, by errors, refusals and lateness: each from 0 to 1.
type loss struct{ failed, refused, late float64 }

func lossOf(p *Patient) loss {
	f := &p.Figures
	l := loss{failed: share01(f.Errors - f.Usual.Errors), refused: share01(f.Throttled - f.Usual.Refused)}
	if f.Usual.Mean > 0 {
		l.late = belated(f.Mean - f.Usual.Mean)
	}
	return l
}

// belated is what a request loses that takes so many milliseconds longer.
func belated(ms float64) float64 {
	if ms <= 0 {
		return 0
	}
	return ms / (ms + half)
}

func share01(f float64) float64 { return min(max(f, 0), 1) }

// by is what is lost by one kind.
func (l loss) by(k telemetry.Ailment) float64 {
	switch k {
	case telemetry.AilmentFailing:
		return l.failed
	case telemetry.AilmentThrottled:
		return l.refused
	case telemetry.AilmentSlow:
		return l.late
	case telemetry.AilmentCutOff:
		return 1
	default:
		return 0
	}
}

// worse says that p is worse than q.
func worse(p, q *Patient) bool { return lossOf(p).by(p.Kind) > lossOf(q).by(q.Kind) }

// harm is what a culprit's requests lose: all of its own kind, and of the others what its calls do not explain.
func (c *court) harm(n int) float64 {
	p := &c.nodes[n].Patient
	l := lossOf(p)
	own := c.ownLoss(n, l)
	switch p.Kind {
	case telemetry.AilmentFailing:
		own.failed = l.failed
	case telemetry.AilmentThrottled:
		own.refused = l.refused
	case telemetry.AilmentSlow:
		own.late = l.late
	default:
		return l.by(p.Kind)
	}
	return 1 - (1-own.failed)*(1-own.refused)*(1-own.late)
}

// ownLoss is what of a loss a node's calls do not explain.
func (c *court) ownLoss(n int, l loss) loss {
	f := &c.nodes[n].Figures
	if f.Rate <= 0 {
		return loss{}
	}
	var below loss
	waits := 0.0
	for _, e := range c.out[n] {
		if c.edges[e].Target == n {
			continue
		}
		p := c.edges[e].called()
		below.failed += failed(p) / f.Rate
		below.refused += refused(p) / f.Rate
		waits += late(p) / f.Rate
	}
	own := loss{failed: share01(l.failed - below.failed - below.refused), refused: share01(l.refused - below.refused)}
	if l.late > 0 {
		own.late = belated(f.Mean - f.Usual.Mean - waits)
	}
	return own
}

// score ranks who loses so much, and has so many that suffer by it.
func score(p *Patient, lost float64, victims int) float64 {
	return threeDigits(max(lost, slightest) * reach(victims) * p.novelty())
}

func reach(victims int) float64 { return 1 + math.Log2(float64(1+victims))/2 }

// threeDigits rounds what is above 0, so that it does not change without cause.
func threeDigits(f float64) float64 {
	unit := math.Pow(10, 2-math.Floor(math.Log10(f)))
	return math.Round(f*unit) / unit
}

// novelty is how new an illness is, from 1 down.
func (p *Patient) novelty() float64 {
	if p.old() {
		return aged
	}
	return math.Exp2(-math.Floor(math.Log2(1 + max(0, p.Age.Hours()))))
}

// old says that an illness is no news.
func (p *Patient) old() bool { return p.Age >= health.Adopted || p.Known >= unproven && !p.knownWell() }

// knownWell says that it was known to be well. What is cut off was, or it would not be missed; what fails was if half of what it was asked used to go well.
func (p *Patient) knownWell() bool {
	u := &p.Figures.Usual
	switch p.Kind {
	case telemetry.AilmentCutOff:
		return true
	case telemetry.AilmentFailing:
		return u.Requests >= proof && u.Errors < 0.5
	case telemetry.AilmentThrottled:
		return u.Requests >= proof && u.Refused < 0.5
	default:
		return u.Requests >= proof
	}
}

// ever says so of what is no news.
func ever(p *Patient) string {
	switch {
	case !p.old():
		return ""
	case !p.knownWell():
		return "; it was never known to be well"
	default:
		return "; it has been so for more than a day"
	}
}
