package topology

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/pair"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// expire makes halves final whose wait is over at tick. It is called before
// the present moves to tick, while their ages can still be worked out.
func (t *Topology) expire(tick int64) {
	wait := int64(t.cfg.PairWait) / signal.Tick
	passed := tick - t.tick
	ahead := 0
	for r := t.pending.Oldest(); r != 0; r = t.pending.Oldest() {
		if ahead == 0 {
			ahead = prefetchAhead
			t.prefetched += t.pending.PrefetchOldest(ahead)
		}
		ahead--
		h := t.pending.At(r)
		if passed < wait && h.Age(t.tick)+passed < wait {
			return
		}
		t.finish(h)
		t.pending.Pop()
	}
}

// finish makes a half final.
func (t *Topology) finish(h *pair.Half) {
	if h.Has(pair.Void) {
		if h.Has(pair.Inner) {
			t.stats.Inner++
		} else {
			t.stats.Void++
		}
		return
	}
	if h.Witness().Side() == telemetry.SideServer && (t.far(h) == nowhere || h.Has(pair.Presumed)) {
		t.orphan(h)
	}
	if !h.Has(pair.Paired) && !h.Has(pair.Named) {
		t.stats.Lone++
	}
	if h.Witness() == telemetry.ClientSpan || !h.Has(pair.Emitted) { // or else nothing is missing
		t.keep(h)
	}
	t.emit(h)
}

// Orphans. A server half names a caller that was never heard of. Either nobody
// there sends telemetry (a browser, a load balancer that begins traces), and then the
// caller belongs on the graph; or its half was lost (sampled away, dropped by
// an exporter, cut off by a restart), and then its request is most often on the edge of a caller whose
// side saw it. So orphans are the unknown client's for good where they are the rule: where no caller
// was ever met, or where they are more than one in twenty. Where they are the exception they stay on the edge
// from nowhere, of which the unknown client's shows no more than what no other edge does (inbound.go). Observations name
// the unknown client in both cases.
const (
	fewOrphans  = 20
	orphanShare = 20 // one in so many
	callerFades = 1 << 16
)

func (t *Topology) orphan(h *pair.Half) {
	near := t.near(h)
	n := t.nodes.of(near)
	n.orphaned++
	p := t.edges.routes[h.Route()].protocol
	switch {
	case n.met == 0 || n.orphaned >= fewOrphans && n.orphaned*orphanShare > n.met+n.orphaned:
		t.move(h, t.route(t.anyone(), near, p))
	case h.Has(pair.Presumed):
		t.move(h, t.route(nowhere, near, p))
	default:
	}
	n.fade()
}

// presumed is where a server half is counted whose caller may still be heard of:
// nowhere; or at the unknown client, so that its edge shows what is going on now and not only
// what ten seconds ago was made final, where that is how all have ended so far and no
// other caller is in sight.
func (t *Topology) presumed(h *pair.Half, near endpointID) endpointID {
	if n := t.nodes.of(near); n.met > 0 || n.orphaned == 0 || n.callers > 0 {
		return nowhere
	}
	h.Set(pair.Presumed)
	return t.anyone()
}

// metCaller notes that a server half of n found its caller.
func (t *Topology) metCaller(n *node) {
	n.met++
	n.fade()
}

// fade lets what was long ago weigh less.
func (n *node) fade() {
	if n.met+n.orphaned >= callerFades {
		n.met, n.orphaned = (n.met+1)/2, n.orphaned/2
	}
}

// forget removes what has not been seen for ForgetAfter: edges, routes that
// no one takes, endpoints of old versions, services that have fallen silent.
func (t *Topology) forget() {
	es, ns := &t.edges, &t.nodes
	old := t.now - int64(t.cfg.ForgetAfter)
	used := make([]bool, len(ns.endpoints))
	for id := 1; id < len(es.list); id++ {
		e := es.list[id]
		switch {
		case e == nil:
		case e.last <= old && (e.watch.Kind != telemetry.AilmentCutOff || t.now-e.watch.Since > keepCutOff):
			t.removeEdge(edgeID(id)) //nolint:gosec // an index
		default:
			t.forgetRoutes(e, old, used)
		}
	}
	for id := 1; id < len(ns.list); id++ {
		n := ns.list[id]
		if n == nil {
			continue
		}
		if n.reporter && n.reported <= old && n.edges == 0 {
			n.reporter = false
			ns.loose = append(ns.loose, nodeID(id)) //nolint:gosec // an index
		}
		t.forgetVariants(nodeID(id), old, used) //nolint:gosec // an index
	}
}

// forgetVariants lets those endpoints of a node go that no route uses and that were not seen of late.
func (t *Topology) forgetVariants(id nodeID, old int64, used []bool) {
	ns := &t.nodes
	n := ns.list[id]
	kept := n.variants[:1]
	for _, ep := range n.variants[1:] {
		if used[ep] || ns.endpoints[ep].seen > old {
			kept = append(kept, ep)
			continue
		}
		ns.removeEndpoint(ep)
		t.markNodeDirty(id)
	}
	n.variants = kept
}

// forgetRoutes lets those routes of an edge go that nobody has taken of late, and notes the ends of the others in used.
func (t *Topology) forgetRoutes(e *edge, old int64, used []bool) {
	es := &t.edges
	at := &e.routes
	for r := *at; r != 0; r = *at {
		rt := &es.routes[r]
		if rt.last <= old {
			*at = rt.next
			e.routeCount--
			t.dropRoute(r)
			continue
		}
		if used != nil {
			used[rt.src], used[rt.dst] = true, true
		}
		at = &rt.next
	}
}
