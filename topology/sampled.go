package topology

import (
	"errors"
	"fmt"
	"math"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/pair"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// The problem: what an edge's witnesses count is how many requests they told of. Spans that were sampled tell of fewer than there were, each side by its own sampler's
// share, and logs are not sampled. How many requests were there, and how sure is that?
//
// The form: beside each count, the spans that stand for more than themselves are summed with what they stand for (package signal, Sampled). A witness' estimate
// is what it told of, each span counted for as many requests as it stands for. An edge none of whose spans does has no estimate: its figures
// are exact as they are, and nothing here costs or changes anything.
//
// The rule for the edge, of which samplers keep different shares of the traces on its two sides. A half of which the other side was not kept may be
// counted elsewhere: a callee's at the unknown client, a caller's, if it does not name whom it calls, at the unknown callee. But samplers that decide by the trace
// keep of any trace on the one side what they keep on the other, and more where they keep more. So
//
//	of the side that keeps less, each span's other half is there, and its estimate is of all that took the edge; that of the other side
//	may be of a part;
//	logs, which are not sampled, go before spans;
//	where another has seen more by far more than both error bars (five standard errors), the one before has lost what the other has
//	not, and it is the other's;
//	there were no fewer than the requests that were told of.
//
// What an edge shows as its requests, rates and shares stays what was told of, on every surface alike; the estimate stands beside it under a name of its
// own. It is an edge's: those of a node's edges do not add up where what the callee's sampler kept alone is at the unknown client.
//
// Not chosen: the witness with the smallest error bar (it is the side that keeps more, and may see a part); for a pair of halves the greater of their two weights (a
// weight would change when halves meet, and what stays alone at the unknown client would still be counted twice).

// sampled sums an edge's spans that stand for more than themselves, as account.acc counts all.
type sampled [slots]*signal.Sampled

// account is what was counted between two ends.
type account struct {
	acc     [slots]*signal.Acc // see figures.go
	sampled *sampled           // nil where no span stands for more than itself
}

// weigh notes for how many requests a half that has just been counted stands.
func (c *account) weigh(h *pair.Half) {
	if w := h.Weight(); w != 0 {
		c.of(slotOf(h)).Add(w, h.Trace)
	}
}

// unweigh takes back what weigh did.
func (c *account) unweigh(h *pair.Half) {
	if w := h.Weight(); w != 0 {
		c.of(slotOf(h)).Remove(w, h.Trace)
	}
}

func (c *account) of(slot int) *signal.Sampled {
	if c.sampled == nil {
		c.sampled = new(sampled)
	}
	if c.sampled[slot] == nil {
		c.sampled[slot] = new(signal.Sampled)
	}
	return c.sampled[slot]
}

// checkSampled proves that of what was counted in a place no more spans are sampled than there are, and none of a log.
func (c *account) checkSampled(slot int) error {
	s := c.sampledIn(slot)
	switch {
	case s == nil:
		return nil
	case slot == int(telemetry.ClientLog) || slot == int(telemetry.ServerLog):
		return errors.New("log entries are not sampled")
	case c.acc[slot] == nil || s.Spans > c.acc[slot].Total().Requests:
		return fmt.Errorf("%d sampled spans among fewer", s.Spans)
	}
	return nil
}

// sampledIn is what is summed in a place, nil if there is nothing.
func (c *account) sampledIn(slot int) *signal.Sampled {
	if c.sampled == nil || c.sampled[slot] == nil || c.sampled[slot].Spans == 0 {
		return nil
	}
	return c.sampled[slot]
}

// take adds what was counted elsewhere, which is to go.
func (c *account) take(o *account) {
	for slot, a := range o.acc {
		switch {
		case a == nil:
		case c.acc[slot] == nil:
			c.acc[slot] = a
		default:
			c.acc[slot].Merge(a)
		}
		if s := o.sampledIn(slot); s != nil {
			c.of(slot).Merge(s)
		}
	}
}

// What appendSlot begins with: nothing was counted, or was, or was of spans of which some stand for more than themselves.
const (
	slotEmpty = iota
	slotCounted
	slotSampled
)

// appendSlot writes what was counted in a place.
func (c *account) appendSlot(dst []byte, slot int) []byte {
	a, s := c.acc[slot], c.sampledIn(slot)
	switch {
	case a == nil:
		return append(dst, slotEmpty)
	case s == nil:
		return a.Append(append(dst, slotCounted))
	default:
		return s.Append(a.Append(append(dst, slotSampled)))
	}
}

// The certainty of an error bar, and of one witness having seen what another has not, in standard errors.
const (
	certain = 1.96 // 95 %
	farOff  = 5
)

// sampledBy is what is summed of each witness, nil where there is nothing.
func (c *account) sampledBy() (of [telemetry.Witnesses]*signal.Sampled) {
	of[telemetry.ClientSpan], of[telemetry.ServerSpan] = c.sampledIn(int(telemetry.ClientSpan)), c.sampledIn(int(telemetry.ServerSpan))
	if alone := c.sampledIn(aloneSlot); alone != nil {
		both := *alone
		if s := of[telemetry.ServerSpan]; s != nil {
			both.Merge(s)
		}
		of[telemetry.ServerSpan] = &both
	}
	return of
}

// estimate is how many requests there were of which told are known, nil where all that were counted stand for themselves.
func (c *account) estimate(told uint64, witnessed *[telemetry.Witnesses]uint64) *telemetry.Estimate {
	of := c.sampledBy()
	if of == ([telemetry.Witnesses]*signal.Sampled{}) {
		return nil
	}
	e := &telemetry.Estimate{}
	by := func(w telemetry.Witness) (g guess) {
		g.by, g.Requests = w, float64(witnessed[w])
		if s := of[w]; s != nil {
			g.Requests += s.Requests() - float64(s.Spans)
			g.Within, g.variance = s.Within(certain), s.Variance()
		}
		return g
	}
	first, second := by(telemetry.ClientSpan), by(telemetry.ServerSpan)
	e.ClientSpan, e.ServerSpan = first.Estimated, second.Estimated
	// Whose mean weight is the greater, keeps less.
	heavy, other := second.Requests*float64(witnessed[telemetry.ClientSpan]), first.Requests*float64(witnessed[telemetry.ServerSpan])
	if heavy > other || heavy == other && second.Requests > first.Requests {
		first, second = second, first
	}
	best := by(telemetry.ServerLog)
	for _, g := range [...]guess{by(telemetry.ClientLog), first, second} {
		if best.Requests == 0 || g.Requests > best.Requests+farOff*math.Sqrt(g.variance+best.variance) {
			best = g
		}
	}
	e.By, e.Requests, e.Within = best.by, max(best.Requests, float64(told)), best.Within
	return e
}

// guess is what a witness says of how many requests there were.
type guess struct {
	telemetry.Estimated
	by       telemetry.Witness
	variance float64
}
