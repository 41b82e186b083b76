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
// tick has all of them. Of an edge that has had no traffic since, its time is read and no more; of one that has, the seconds since (glance.go);
// windows are added up of what is ill, once a second and by whoever judges, and of what is to be learned from, which is
// most often every ten minutes. Where there are more than looksASecond edges the second becomes two, three and so on:
// the work in a second has a bound. What has had no traffic
// for six minutes and is well is left alone. What is looked at when is a function of the times given to
// Tick and of what Save keeps, so that a graph that was loaded judges as the one that was saved would have.
//
// Not chosen: a snapshot under the lock that is judged outside (to copy the windows costs more than to read them); looking
// when something arrives (silence is an illness, too, and recovery); a list of what had traffic (to write it costs the spans more than to read a time costs the looks).

// observant is what the looks need, of which nothing is kept but the memory.
type observant struct {
	edge, node [health.Windows]durations
	one        [1]*edge
	rests      [len(known) + 1]rest
	verdict    verdict
}

const (
	// looksASecond is how many edges are looked at in a second, about.
	looksASecond = 100_000
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
	turn := uint32(10 * (1 + t.edges.live/looksASecond)) //nolint:gosec // ticks, bounded by MaxEdges
	now := t.now / signal.Tick
	passed, at := now-before/signal.Tick, uint32(now%int64(turn)) //nolint:gosec // below turn
	for id, phase := range t.nodes.phases {
		if int64((at+uint32(phase)%turn)%turn) >= passed {
			continue
		}
		if n := t.nodes.list[id]; n != nil && id != nowhere && len(n.in) > 0 {
			t.lookAt(nodeID(id), n) //nolint:gosec // an index
		}
	}
}

// lookAt judges a node and the edges that lead to it.
func (t *Topology) lookAt(id nodeID, n *node) {
	stretch := signal.Between(n.watch.At, t.now)
	slower := t.slowFrom(&n.watch)
	var all, waits signal.Taken
	stirs, named := n.watch.Kind != telemetry.AilmentNone, false
	for _, e := range n.in {
		since := t.now - e.last
		if e.src == nowhere {
			if since <= quiet {
				stirs = true
				came := e.glance(t.tick, &stretch, slower, slower)
				waits.Add(&came)
			}
			continue
		}
		named = named || !e.fromUnknown
		if since > quiet && e.watch.Kind == telemetry.AilmentNone {
			continue
		}
		stirs = true
		var came signal.Taken
		if e.last >= stretch.Began() {
			slow := slower
			if !e.fromUnknown {
				slow = t.slowFrom(&e.watch)
			}
			came = e.glance(t.tick, &stretch, slow, slower)
			all.Add(&came)
		}
		if !e.fromUnknown { // that is no caller, and what it shows comes and goes
			t.lookAtEdge(e, max(stretch.Began(), e.first), since, stepOf(&came, came.Slow, came.Late))
		}
	}
	if !stirs {
		return
	}
	s := stepOf(&all, all.Slower, all.Later)
	if part := n.unnamed(named); part > 0 && waits.Requests > 0 {
		s.Requests += part * float64(waits.Requests)
		s.Errors += part * float64(waits.Errors)
		s.Throttled += part * float64(waits.Throttled)
		s.Slow += part * float64(waits.Slower)
		s.Late += part * float64(waits.Later)
	}
	n.watch.Look(&t.cfg.Health, max(stretch.Began(), n.since), t.now, s)
	if n.watch.Kind != telemetry.AilmentNone {
		t.observant.verdict.unwellNode(id)
	} else if due := n.watch.Due(&t.cfg.Health, t.now); due >= 0 {
		ws := t.nodeWindows(n)
		n.watch.Learn(&t.cfg.Health, t.now, &ws, due)
	}
}

// lookAtEdge judges an edge, by what came on it from from on; since is how long ago it last had traffic.
func (t *Topology) lookAtEdge(e *edge, from, since int64, came health.Step) {
	w := &e.watch
	if came.Requests > 0 || w.Open() {
		w.Look(&t.cfg.Health, from, t.now, came)
	}
	if silence := since / 1e9; silence >= 10 && w.Expected(t.now, silence) {
		w.Silent(t.now, silence, t.busy(e))
	}
	if w.Kind != telemetry.AilmentNone {
		t.observant.verdict.unwell(t.edges.byKey[edgeKey{e.src, e.dst, e.protocol}])
	} else if due := w.Due(&t.cfg.Health, t.now); due >= 0 {
		ws := t.edgeWindows(e)
		w.Learn(&t.cfg.Health, t.now, &ws, due)
	}
}

// edgeWindows are those of an edge. They are good until it is called again.
func (t *Topology) edgeWindows(e *edge) [health.Windows]health.Window {
	sums := e.allSums(t.tick)
	t.observant.one[0] = e
	return t.windows(&t.observant.edge, &sums, t.observant.one[:], nil)
}

// nodeWindows are those of a node's inbound traffic. They are good until it is called again.
func (t *Topology) nodeWindows(n *node) [health.Windows]health.Window {
	var sums [signal.Windows]signal.Sums
	hidden := false
	for _, e := range n.in {
		if e.src == nowhere {
			hidden = hidden || t.now-e.last <= quiet
			continue
		}
		if t.now-e.last > quiet {
			continue
		}
		of := e.allSums(t.tick)
		for w := range of {
			sums[w] = plus(sums[w], of[w])
		}
	}
	rests := &t.observant.rests
	*rests = [len(known) + 1]rest{}
	some := 0
	if hidden {
		total, _, settled := inboundTotal(n.in)
		some = t.shareRest(n.in, &sums, total, settled, rests)
		for i := range rests[:some] {
			for w := range sums {
				sums[w] = plus(sums[w], rests[i].sums[w])
			}
		}
	}
	return t.windows(&t.observant.node, &sums, n.in, rests[:some])
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
func (d *durations) Mean() float64              { return d.gathered().Mean() }
func (d *durations) Above(ms float64) float64   { return d.gathered().Above(ms) }

// busy is the activity of an edge's source as a part of its usual: of what it is asked; of one that nobody asks, of what it
// asks others.
func (t *Topology) busy(e *edge) float64 {
	src := t.nodes.list[e.src]
	if usual := src.watch.Usual(t.now).Rate; usual > 0 {
		return t.rate(src) / usual
	}
	var now, usual float64
	for _, o := range src.out {
		if o != e {
			o.advance(t.tick)
			now += float64(o.sums(signal.TenSeconds).Requests) / signal.Seconds(signal.TenSeconds, t.now)
			usual += o.watch.Usual(t.now).Rate
		}
	}
	if usual > 0 {
		return now / usual
	}
	return 0
}

// rate is how many requests a second a node has. It is found out once a tick at most: many edges of one source may be silent.
func (t *Topology) rate(n *node) float64 {
	if n.rated != t.now {
		ws := t.nodeWindows(n)
		n.rate, n.rated = n.watch.Rate(t.now, &ws), t.now
	}
	return n.rate
}
