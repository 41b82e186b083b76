package topology

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// The problem: each edge and node must be looked at once a second by the rule of package health, whether anybody watches the
// map or not, without holding up the spans.
//
// The form: a node is looked at with the edges that lead to it, at a tenth of the second that its name's hash gives, so that no
// tick has all of them. Where there are more than looksASecond edges the second becomes two, three and so on:
// the work in a second has a bound. Of each edge three sums are read, and the durations of one window. What has had no traffic
// for six minutes and is well is left alone. What is looked at when is a function of the times given to
// Tick and of what Save keeps, so that a graph that was loaded judges as the one that was saved would have.
//
// Not chosen: a snapshot under the lock that is judged outside (to copy the windows costs more than to read them); looking
// when something arrives (silence is an illness, too, and recovery).

// observant is what the looks need, of which nothing is kept but the memory.
type observant struct {
	edge, node [health.Windows]durations
	verdict    verdict
}

const (
	// looksASecond is how many edges are looked at in a second, about.
	looksASecond = 10_000
	// quiet is after how long without traffic what is well is not looked at: the windows have been seen empty.
	quiet = 360e9
	// keepCutOff is for how long an edge is remembered that was cut off, whatever ForgetAfter says.
	keepCutOff = 6 * 3600e9
)

// SetHealth changes the rule by which edges and nodes are judged, from the next look on.
func (t *Topology) SetHealth(rule health.Config) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cfg.Health = rule
}

// look has those nodes judged, with the edges that lead to them, whose turn came after the time before, which is the latest at which there was a look.
func (t *Topology) look(before int64) {
	turn := int64(10 * (1 + t.edges.live/looksASecond)) // ticks
	now, last := t.now/signal.Tick, before/signal.Tick
	for id, n := range t.nodes.list {
		if n == nil || id == nowhere || len(n.in) == 0 {
			continue
		}
		if at := int64(n.hash % uint64(turn)); (now+at)/turn != (last+at)/turn { //nolint:gosec // turn is above 0
			t.lookAt(nodeID(id)) //nolint:gosec // an index
		}
	}
}

// lookAt judges a node and the edges that lead to it.
func (t *Topology) lookAt(id nodeID) {
	n := t.nodes.list[id]
	if n.watch.Kind == telemetry.AilmentNone && !n.stirs(t.now) {
		return
	}
	o := &t.observant
	caller := t.nodes.byKey[callerNode()]
	var sums [signal.Windows]signal.Sums
	hidden := false
	for i, e := range n.in {
		if e.src == nowhere {
			hidden = hidden || t.now-e.last <= quiet
			continue
		}
		if t.now-e.last > quiet && e.watch.Kind == telemetry.AilmentNone {
			continue
		}
		of := e.allSums(t.tick)
		for w := range of {
			sums[w] = plus(sums[w], of[w])
		}
		if e.src == caller {
			continue // it is no caller, and what it shows comes and goes
		}
		ws := t.windows(&o.edge, &of, n.in[i:i+1], nil)
		e.watch.Look(&t.cfg.Health, t.now, &ws)
		if of[signal.TenSeconds].Requests == 0 && e.watch.Expected() {
			e.watch.Silent(t.now, &ws, t.busy(e))
		}
		if e.watch.Kind != telemetry.AilmentNone {
			o.verdict.unwell(t.edges.byKey[edgeKey{e.src, e.dst, e.protocol}])
		}
	}
	var rests [len(known) + 1]rest
	some := 0
	if hidden {
		total, _, settled := inboundTotal(n.in)
		some = t.shareRest(n.in, &sums, total, settled, &rests)
		for i := range rests[:some] {
			for w := range sums {
				sums[w] = plus(sums[w], rests[i].sums[w])
			}
		}
	}
	ws := t.windows(&o.node, &sums, n.in, rests[:some])
	n.watch.Look(&t.cfg.Health, t.now, &ws)
	if n.watch.Kind != telemetry.AilmentNone {
		o.verdict.unwellNode(id)
	}
}

// stirs says that there is anything to be seen of what leads to a node.
func (n *node) stirs(now int64) bool {
	for _, e := range n.in {
		if now-e.last <= quiet || e.watch.Kind != telemetry.AilmentNone {
			return true
		}
	}
	return false
}

// windows are what the rule sees of these sums, and of the durations of edges and rests. They are good until it is called again
// with the same memory.
func (t *Topology) windows(memory *[health.Windows]durations, sums *[signal.Windows]signal.Sums, edges []*edge, rests []rest) (ws [health.Windows]health.Window) {
	for i := range ws {
		w := signal.TenSeconds + signal.Window(i)
		s := &sums[w]
		d := &memory[i]
		d.window, d.tick, d.edges, d.rests, d.known = w, t.tick, edges, rests, false
		ws[i] = health.Window{
			Requests: float64(s.Requests), Errors: float64(s.Errors), Throttled: float64(s.Throttled),
			Rate: float64(s.Requests) / signal.Seconds(w, t.now), Times: d,
		}
	}
	return ws
}

// durations are those of a window of edges and rests. They are gathered when something is asked of them.
type durations struct {
	window signal.Window
	tick   int64
	edges  []*edge
	rests  []rest
	known  bool
	dist   signal.Dist
}

func (d *durations) gathered() *signal.Dist {
	if d.known {
		return &d.dist
	}
	d.known = true
	d.dist.Reset()
	for _, e := range d.edges {
		if e.src != nowhere {
			e.advance(d.tick)
			e.addTimes(&d.dist, d.window)
		}
	}
	for i := range d.rests {
		d.rests[i].addTimes(&d.dist, d.window)
	}
	return &d.dist
}

func (d *durations) Count() float64             { return d.gathered().Count() }
func (d *durations) Quantile(q float64) float64 { return d.gathered().Quantile(q) }
func (d *durations) Above(ms float64) float64   { return d.gathered().Above(ms) }
func (d *durations) Mean() float64              { return d.gathered().Mean() }

// busy is the activity of an edge's source as a part of its usual: of what it is asked; of one that nobody asks, of what it
// asks others.
func (t *Topology) busy(e *edge) float64 {
	src := t.nodes.list[e.src]
	if now, usual := src.watch.Rate(); usual > 0 {
		return now / usual
	}
	var now, usual float64
	for _, o := range src.out {
		if o != e {
			n, u := o.watch.Rate()
			now, usual = now+n, usual+u
		}
	}
	if usual > 0 {
		return now / usual
	}
	return 0
}
