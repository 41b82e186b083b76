package topology

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// The problem: a node shows the golden signals of its inbound traffic, and the
// edges that lead to it show theirs. The two must agree, at every moment, also while
// halves wait on the edge from nowhere, which is not drawn. To add that edge to
// the drawn ones counts requests twice: where a log entry has not met its span yet, the
// span's half is on a drawn edge, and the entry's on the hidden one. To leave it out
// shows nothing of a node of which nothing else is known.
//
// The rule, for each window:
//
//	A node's traffic is the sum of its inbound edges as they are drawn. If a
//	witness of the node's own side, its spans or its proxy's log, has seen more requests in all,
//	hidden ones included, what it has seen beyond that sum is added: these are
//	requests that no drawn edge counts by any witness.
//
// So a node on which nothing waits shows exactly what its edges sum to, and one
// on which something waits never counts a request twice: each witness reports it once.
//
// Not chosen: the best witness of the node's sums (a caller with spans and one with
// logs alone would not add up); leaving out what waits where anything is drawn (where
// callees export their spans before their callers do, all nodes would lag).

// renderInbound renders the inbound traffic of a node, of which the drawn edges
// have been rendered. tr, which is empty, is left with its sums and distributions.
func (t *Topology) renderInbound(in []*edge, tr *traffic) (windows [signal.Windows]shown) {
	hidden := false
	for _, e := range in {
		if e.src == nowhere {
			hidden = true
			continue
		}
		e.gather(tr, t.now)
		for w := range windows {
			v, of := &windows[w], &e.drawn.windows[w]
			v.rate += of.rate
			v.errors += of.errors
			v.throttled += of.throttled
		}
	}
	if hidden {
		t.addHidden(in, tr, &windows)
	}
	for w := range windows {
		windows[w].finish(&tr.dist[w])
	}
	return windows
}

// addHidden adds what a witness of the callee's side saw beyond what is drawn.
func (t *Topology) addHidden(in []*edge, tr *traffic, windows *[signal.Windows]shown) {
	first := t.now
	var seen [signal.Windows][telemetry.Witnesses]signal.Sums
	for _, e := range in {
		first = min(first, e.first)
		for w := range seen {
			for _, by := range calleeSide {
				if a := e.acc[by]; a != nil {
					a.Advance(t.tick)
					s := a.Sums(signal.Window(w))
					to := &seen[w][by]
					to.Requests += s.Requests
					to.Errors += s.Errors
					to.Throttled += s.Throttled
				}
			}
		}
	}
	for w := range signal.Window(signal.Windows) {
		best := telemetry.ServerSpan
		if seen[w][telemetry.ServerLog].Requests > seen[w][best].Requests {
			best = telemetry.ServerLog
		}
		s, drawn := &seen[w][best], &tr.sums[w]
		if s.Requests <= drawn.Requests {
			continue
		}
		more := s.Requests - drawn.Requests
		failed := min(more, s.Errors-min(s.Errors, drawn.Errors))
		refused := min(more-failed, s.Throttled-min(s.Throttled, drawn.Throttled))
		per := perSecond(w, first, t.now)
		windows[w].rate += float64(more) * per
		windows[w].errors += float64(failed) * per
		windows[w].throttled += float64(refused) * per
		drawn.Requests, drawn.Errors, drawn.Throttled = s.Requests, drawn.Errors+failed, drawn.Throttled+refused
		tr.dist[w].Reset()
		for _, e := range in {
			if a := e.acc[best]; a != nil {
				a.AddTo(&tr.dist[w], w)
			}
		}
	}
}

// calleeSide are the witnesses that see all of a node's inbound traffic, or none.
var calleeSide = [...]telemetry.Witness{telemetry.ServerSpan, telemetry.ServerLog} //nolint:gochecknoglobals // immutable
