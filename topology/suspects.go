package topology

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/blame"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// Who is suspected (blame.Suspects), worked out when somebody asks.
//
// The problem: every node must be looked at, in windows of minutes, which for ten thousand takes longer than spans may be held up.
//
// The form: the lock is held for some edges at a time. First all nodes are gone through, and those remembered that are ill or changed; then the edges of
// these. What changes in between is of a later moment, which a suspicion bears; a node that has gone meanwhile is left out.

const (
	// edgesAtOnce is how many edges are gone through under one lock, about: a millisecond's.
	edgesAtOnce = 100
	// fewSuspect is how many requests tell of a change in a minute; of fewer, five minutes are taken.
	fewSuspect = 30
)

// inquiry is what has been found so far.
type inquiry struct {
	nodes  []nodeID
	doubts []blame.Doubt
	window []int          // by which each is described
	place  map[string]int // by id
	edges  []blame.Edge
}

// Suspects lists who is ill or has changed for the worse beyond what varies, those first who are most likely to be the cause. It does not change the
// graph, and may be called at any time, by several at once.
func (t *Topology) Suspects() []telemetry.Suspect {
	q := inquiry{place: map[string]int{}}
	for from := nodeID(1); from != nowhere; {
		from = t.suspectNodes(&q, from)
	}
	for i, some := 0, len(q.nodes); i < some; {
		i = t.suspectEdges(&q, i, some)
	}
	return blame.Suspects(q.doubts, q.edges)
}

// suspectNodes goes through some nodes from one on, and returns the next, nowhere when all have been.
func (t *Topology) suspectNodes(q *inquiry, from nodeID) (next nodeID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for edges := 0; int(from) < len(t.nodes.list); from++ {
		n := t.nodes.list[from]
		if n == nil || from == nowhere || len(n.in) == 0 {
			continue
		}
		if edges += len(n.in); edges > edgesAtOnce && edges > len(n.in) {
			return from
		}
		if n.judged == nil && !n.called(t.now-quiet) {
			continue
		}
		if d, window := t.doubtOf(n); d.Judged.Kind != telemetry.AilmentNone || d.Kind != telemetry.AilmentNone || loses(&d) {
			q.add(from, &d, window)
		}
	}
	return nowhere
}

func loses(d *blame.Doubt) bool {
	part, _ := d.Loses()
	return part > 0
}

func (q *inquiry) add(id nodeID, d *blame.Doubt, window int) int {
	if at, ok := q.place[d.ID]; ok {
		return at
	}
	q.place[d.ID] = len(q.doubts)
	q.nodes, q.doubts, q.window = append(q.nodes, id), append(q.doubts, *d), append(q.window, window)
	return len(q.doubts) - 1
}

// doubtOf describes a node, by the window that tells most.
func (t *Topology) doubtOf(n *node) (d blame.Doubt, window int) {
	d.ID, d.Name = n.drawnID(), n.key.Name
	d.Judged = n.judged.is().Judgement
	ws := t.nodeWindows(n)
	d.Vary = n.watch.Vary()
	if n.watch.Kind != telemetry.AilmentNone {
		d.Patient, window = t.patient(&n.watch, n.since, &ws)
		d.Requests = ws[window].Requests
		return d, window
	}
	window = health.Middle
	if ws[window].Requests < fewSuspect {
		window = health.Long
	}
	d.Requests, d.Figures = ws[window].Requests, n.watch.Figures(t.now, &ws, window)
	return d, window
}

// suspectEdges goes through the calls of some of those that are suspected, from the i-th on, and returns the next.
func (t *Topology) suspectEdges(q *inquiry, i, some int) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	caller := t.nodes.byKey[callerNode()]
	for edges := 0; i < some; i++ {
		id := q.nodes[i]
		if int(id) >= len(t.nodes.list) {
			continue
		}
		n := t.nodes.list[id]
		if n == nil || n.drawnID() != q.doubts[i].ID || id == caller {
			continue
		}
		if edges += len(n.out); edges > edgesAtOnce && edges > len(n.out) {
			return i
		}
		for _, e := range n.out {
			if e.watch.Kind == telemetry.AilmentNone && t.now-e.last > quiet {
				continue
			}
			p := t.nodes.list[e.dst]
			d := blame.Doubt{Node: blame.Node{ID: p.drawnID(), Name: p.key.Name}, Judged: p.judged.is().Judgement}
			be := blame.Edge{Source: i, Target: q.add(e.dst, &d, health.Middle)}
			ws := t.edgeWindows(e)
			be.Below = e.watch.Figures(t.now, &ws, q.window[i])
			be.Figures, be.Told = be.Below, e.meanTimes(signal.TenSeconds+signal.Window(q.window[i])) //nolint:gosec // one of three
			if e.watch.Kind != telemetry.AilmentNone {
				be.Patient, _ = t.patient(&e.watch, e.first, &ws)
			}
			q.edges = append(q.edges, be)
		}
	}
	return i
}
