package topology

import (
	"github.com/binnacle-mesh/binnacle/topology/pair"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

func sample(h *pair.Half) signal.Sample {
	return signal.Sample{Bucket: signal.BucketOf(h.Duration()), Outcome: h.Outcome(), TLS: h.TLS()}
}

// count counts a half that has just come on a route.
func (t *Topology) count(h *pair.Half, r routeID) {
	h.SetRoute(r)
	rt := &t.edges.routes[r]
	rt.last = t.now
	e := t.edges.list[rt.edge]
	w := slotOf(h)
	if e.acc[w] == nil {
		e.acc[w] = new(signal.Acc)
	}
	e.acc[w].Add(&t.cursor, sample(h))
	e.weigh(h)
	if h.Refers.IsZero() {
		e.begins(h)
		t.rooted(e, h)
	}
	e.last = t.now
	if !e.dirty {
		t.markEdgeDirty(rt.edge)
	}
	t.exemplify(e, h)
}

// uncount takes a half off its route, as if it had never been counted there.
func (t *Topology) uncount(h *pair.Half) {
	id := t.edges.routes[h.Route()].edge
	e := t.edges.list[id]
	e.acc[slotOf(h)].Remove(&t.cursor, t.cursorAt(t.tick-h.Age(t.tick)), sample(h))
	e.unweigh(h)
	if h.Refers.IsZero() {
		e.beginsNoMore(h)
	}
	if e.slow.span == h.Span && e.slow.trace == h.Trace {
		e.slow = exemplar{}
	}
	if f := e.failed; f != nil && f.span == h.Span && f.trace == h.Trace {
		e.failed = nil
	}
	t.emptyEdge(id)
	t.markEdgeDirty(id)
}

// move counts a half on another route, at the time at which it came.
func (t *Topology) move(h *pair.Half, r routeID) {
	h.Clear(pair.Presumed)
	if r == h.Route() {
		return
	}
	from, to := t.edges.routes[h.Route()].edge, t.edges.routes[r].edge
	t.edges.routes[r].last = t.now
	if from == to {
		h.SetRoute(r)
		return
	}
	t.uncount(h)
	h.SetRoute(r)
	t.countPast(h)
}

// countPast counts a half on the route that it has, at the time at which it
// came.
func (t *Topology) countPast(h *pair.Half) {
	rt := &t.edges.routes[h.Route()]
	rt.last = t.now
	e := t.edges.list[rt.edge]
	w := slotOf(h)
	if e.acc[w] == nil {
		e.acc[w] = new(signal.Acc)
	}
	tick := t.tick - h.Age(t.tick)
	e.acc[w].AddPast(&t.cursor, t.cursorAt(tick), sample(h))
	e.weigh(h)
	if h.Refers.IsZero() {
		e.begins(h)
	}
	e.last = max(e.last, tick*signal.Tick)
	t.markEdgeDirty(rt.edge)
	t.exemplify(e, h)
}

// cursorAt is the cursor of a tick in the past. Halves that are moved one after the
// other came at the same tick more often than not.
func (t *Topology) cursorAt(tick int64) *signal.Cursor {
	if t.back.Tick() != tick {
		t.back = signal.At(tick)
	}
	return &t.back
}
