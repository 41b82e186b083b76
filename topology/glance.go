package topology

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// The problem: of each edge that has had traffic it must be known every second how many requests came since the last look, and how many of them
// failed, were refused or were slow. Each request must be among them once: twice the evidence is no evidence. And it must cost so
// little that fifty thousand edges can be looked at.
//
// The form: the whole seconds of the accumulators that are over (signal.Stretch): some columns of some rows, and no window is added up. A
// window takes whoever saw most in it; for a second that would count a request twice, in the second in which the caller's span
// came and in the one in which the callee's did, which exporters send seconds later. So it is one witness who is asked: who saw most in the last
// five minutes, and of those who saw about as many always the same.
//
// What a node is asked beyond its known edges waits at nowhere, or ends at the unknown client: see inbound.go. Of what waits, as much is counted as
// is known to end there: where no caller is known all of it, else the share of orphans.

// steady says that of two witnesses the other saw so many more that he is asked.
func steady(one, other uint64) bool { return other <= one+one/16 }

// asked are the accumulators of the witness that is asked.
func (e *edge) asked(tick int64) (of [2]*signal.Acc) {
	var n [slots]uint64
	some := 0
	for _, a := range e.acc {
		if a != nil {
			of[0] = a
			some++
		}
	}
	if some == 1 {
		return of
	}
	for i, a := range e.acc {
		if a != nil {
			n[i] = a.Lately(tick)
		}
	}
	pick := func(client, server telemetry.Witness) telemetry.Witness {
		if steady(n[client], n[server]) {
			return client
		}
		return server
	}
	spans, logs := pick(telemetry.ClientSpan, telemetry.ServerSpan), pick(telemetry.ClientLog, telemetry.ServerLog)
	of = [2]*signal.Acc{e.acc[spans]}
	all := n[spans]
	if n[aloneSlot] > n[spans]/16 { // fewer may yet be met, and are then the client's
		of[1] = e.acc[aloneSlot]
		all += n[aloneSlot]
	}
	if !steady(all, n[logs]) {
		return [2]*signal.Acc{e.acc[logs]}
	}
	return of
}

// glance is what came on an edge in a stretch; slow and slower are buckets above which a request is slow for the edge, and for its node.
func (e *edge) glance(tick int64, s *signal.Stretch, slow, slower int) (t signal.Taken) {
	for _, a := range e.asked(tick) {
		if a != nil {
			more := a.In(s, slow, slower)
			t.Add(&more)
		}
	}
	return t
}

// slowFrom is the bucket above which a request is slow.
func (t *Topology) slowFrom(w *health.Watch) int {
	ms := w.Bound(&t.cfg.Health, t.now)
	if ms <= 0 {
		return signal.Buckets
	}
	return signal.BucketOf(int64(ms * 1e6))
}

// unnamed is what part of what waits at nowhere has no caller with a name.
func (n *node) unnamed(named bool) float64 {
	switch {
	case !named:
		return 1
	case n.orphaned == 0:
		return 0
	default:
		return float64(n.orphaned) / float64(n.met+n.orphaned)
	}
}

// stepOf is what the rule takes in.
func stepOf(t *signal.Taken, slow, late uint64) health.Step {
	return health.Step{Requests: float64(t.Requests), Errors: float64(t.Errors), Throttled: float64(t.Throttled), Slow: float64(slow), Late: float64(late)}
}
