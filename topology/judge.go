package topology

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/blame"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// The looks say what is ill; once a second it is found out whose doing that is (package blame), and what is found is what the map,
// the API and the chronicle show until the next time: an edge's or a node's health is that of its judgement.
//
// The work is in proportion to what is ill: the edges that are ill, those that ill nodes call, and their ends.

// verdict is what is ill, and what was last found of it.
type verdict struct {
	illNodes map[nodeID]bool // may hold such as have become well, or gone
	illEdges map[edgeID]bool
	nodes    []nodeID // that have a judgement
	edges    []edgeID
	culprits []string
	past     chronicle
}

func (v *verdict) init() {
	*v = verdict{illNodes: map[nodeID]bool{}, illEdges: map[edgeID]bool{}, culprits: []string{}}
}

func (v *verdict) unwell(id edgeID)     { v.illEdges[id] = true }
func (v *verdict) unwellNode(id nodeID) { v.illNodes[id] = true }

// judgement is how a node or an edge was last judged, and is shown.
type judgement struct {
	telemetry.Judged
	from int64 // Unix nanoseconds: since when in this way
}

// is is what is shown of it: nothing of one that is well.
func (j *judgement) is() telemetry.Judged {
	if j == nil {
		return telemetry.Judged{}
	}
	return j.Judged
}

// health is how one fares whose last minute held requests. What is ill is so until it is known to be well, and be it that
// nobody calls it.
func (j *judgement) health(requests uint64) telemetry.Health {
	switch {
	case j != nil:
		return j.Health
	case requests == 0:
		return telemetry.HealthIdle
	default:
		return telemetry.HealthOK
	}
}

// judgedASecond is how many ill nodes and edges are judged in a second, about; of more, all are judged every second, third and so on second.
const judgedASecond = 5_000

// court is what is brought before blame.Judge, in the order of the ids: what is found does not depend on places.
type court struct {
	nodes []nodeID
	edges []edgeID
}

// judge finds out whose doing it is that nodes are ill. before is when there was a look before this one.
func (t *Topology) judge(before int64) {
	v := &t.observant.verdict
	every := int64(1e9) * int64(1+(len(v.nodes)+len(v.edges))/judgedASecond)
	if t.now/every == before/every {
		return
	}
	if v.past.began == 0 {
		v.past.began = t.now
	}
	c := t.summon()
	if len(c.nodes)+len(v.nodes)+len(v.edges) == 0 {
		t.noteShared(nil)
		return
	}
	found := blame.Judge(t.evidence(&c))
	t.announce(c, found)
	t.noteShared(found.Shared)
}

// evidence describes the nodes and edges of a court. What calls explain is compared in one window: that by which the caller is described.
func (t *Topology) evidence(c *court) ([]blame.Node, []blame.Edge) {
	place := make(map[nodeID]int, len(c.nodes))
	by := make([]int, len(c.nodes)) // the window of each node
	nodes, edges := make([]blame.Node, len(c.nodes)), make([]blame.Edge, len(c.edges))
	var asked survey
	for i, id := range c.nodes {
		place[id] = i
		n := t.nodes.list[id]
		nodes[i] = blame.Node{ID: n.drawnID(), Name: n.key.Name, Before: n.judged.by(n)}
		if n.watch.Kind == telemetry.AilmentNone {
			nodes[i].Figures.Rate = t.rate(n)
			continue
		}
		ws := t.nodeWindows(n)
		nodes[i].Patient, by[i] = t.patient(&n.watch, n.since, &ws)
	}
	for i, id := range c.edges {
		e := t.edges.list[id]
		edges[i].Source, edges[i].Target = place[e.src], place[e.dst]
		if e.watch.Kind == telemetry.AilmentNone {
			continue
		}
		ws := t.edgeWindows(e)
		var at int
		if edges[i].Patient, at = t.patient(&e.watch, e.first, &ws); t.nodes.list[e.dst].watch.Kind == telemetry.AilmentNone {
			by[place[e.dst]] = max(by[place[e.dst]], at) // it is taken for as ill as the edge
		}
	}
	for i, id := range c.edges {
		e := t.edges.list[id]
		ws := t.edgeWindows(e)
		edges[i].Below = t.figures(&e.watch, &ws, by[edges[i].Source])
		edges[i].Told = e.meanTimes(signal.TenSeconds + signal.Window(by[edges[i].Source]))
		if e.watch.Kind == telemetry.AilmentNone {
			edges[i].Figures = edges[i].Below
		}
	}
	for i := range nodes {
		if k := nodes[i].Kind; k != telemetry.AilmentThrottled && k != telemetry.AilmentCutOff && nodes[i].Figures.Rate > 0 {
			nodes[i].All = t.common(&asked, by[i])
		}
	}
	return nodes, edges
}

// by is the id of whom a node was last judged ill by, "" where it was well.
func (j *judgement) by(n *node) string {
	switch {
	case j == nil:
		return ""
	case j.Because == "":
		return n.drawnID()
	default:
		return j.Because
	}
}

// patient describes what is ill and has been there since Unix nanoseconds since, and says by which window.
func (t *Topology) patient(w *health.Watch, since int64, ws *[health.Windows]health.Window) (blame.Patient, int) {
	at := w.Telling(t.now, ws)
	f := t.figures(w, ws, at)
	return blame.Patient{Kind: w.Kind, Tail: w.InTail(), Since: w.Since, Age: time.Duration(max(0, t.now-w.Since)), Known: time.Duration(max(0, t.now-since)), Severe: w.Severe(&t.cfg.Health, &f), Figures: f}, at
}

// figures are those of a window, with what is late of it.
func (t *Topology) figures(w *health.Watch, ws *[health.Windows]health.Window, at int) health.Figures {
	f := w.Figures(t.now, ws, at)
	f.Late, f.Beyond = w.Late(&t.cfg.Health, t.now, &ws[at])
	return f
}

// freezeEvery is how often, in nanoseconds, it is found out who is to learn nothing: less than health.Watch.Hold holds.
const freezeEvery = 5e9

// freeze has those learn nothing that call what is ill, directly or not: their durations and errors are not their own. What has been ill for
// longer than health.Adopted holds nobody, who would else not learn for months.
func (t *Topology) freeze(before int64) {
	if t.now/freezeEvery == before/freezeEvery {
		return
	}
	v := &t.observant.verdict
	held := map[nodeID]bool{}
	var ids []nodeID
	add := func(id nodeID) {
		if !held[id] {
			held[id] = true
			ids = append(ids, id)
		}
	}
	young := func(w *health.Watch) bool {
		return w.Kind != telemetry.AilmentNone && t.now-w.Since < int64(health.Adopted)
	}
	for id := range v.illEdges {
		if e := t.edges.list[id]; e != nil && young(&e.watch) {
			add(e.src) // one that is ill has a source with a name
		}
	}
	for id := range v.illNodes {
		if n := t.nodes.list[id]; n != nil && young(&n.watch) {
			add(id)
		}
	}
	for len(ids) > 0 {
		n := t.nodes.list[ids[len(ids)-1]]
		ids = ids[:len(ids)-1]
		n.watch.Hold(t.now)
		for _, e := range n.in {
			if e.src != nowhere && !e.fromUnknown {
				e.watch.Hold(t.now)
				add(e.src)
			}
		}
	}
}

// summon lists what is ill, and what those call that are.
func (t *Topology) summon() court {
	v := &t.observant.verdict
	caller := t.nodes.byKey[callerNode()]
	nodes, edges := map[nodeID]bool{}, map[edgeID]bool{}
	add := func(id edgeID) {
		e := t.edges.list[id]
		edges[id], nodes[e.src], nodes[e.dst] = true, true, true
	}
	suspects := map[nodeID]bool{}
	var ask []nodeID // whose calls are to be looked at
	suspect := func(id nodeID) {
		if !suspects[id] {
			suspects[id] = true
			ask = append(ask, id)
		}
	}
	for id := range v.illNodes {
		if n := t.nodes.list[id]; n == nil || n.watch.Kind == telemetry.AilmentNone {
			delete(v.illNodes, id)
			continue
		}
		nodes[id] = true
		suspect(id)
	}
	for id := range v.illEdges {
		e := t.edges.list[id]
		if e == nil || e.watch.Kind == telemetry.AilmentNone {
			delete(v.illEdges, id)
			continue
		}
		suspect(e.dst)
		add(id)
	}
	for ; len(ask) > 0; ask = ask[1:] {
		for _, e := range t.nodes.list[ask[0]].out {
			if e.src == caller {
				continue
			}
			add(t.edges.byKey[edgeKey{e.src, e.dst, e.protocol}])
			if e.watch.Doubtful(&t.cfg.Health, t.now) {
				suspect(e.dst) // it may explain what its caller is ill of before it is itself called ill
			}
		}
	}
	c := court{nodes: slices.Collect(maps.Keys(nodes)), edges: slices.Collect(maps.Keys(edges))}
	t.sortNodes(c.nodes)
	t.sortEdges(c.edges)
	return c
}

func (t *Topology) sortNodes(ids []nodeID) {
	slices.SortFunc(ids, func(a, b nodeID) int { return t.compareDrawn(a, b) })
}

func (t *Topology) sortEdges(ids []edgeID) {
	slices.SortFunc(ids, func(a, b edgeID) int {
		x, y := t.edges.list[a], t.edges.list[b]
		return cmp.Or(strings.Compare(t.drawnID(x), t.drawnID(y)), t.compareDrawn(x.src, y.src), t.compareDrawn(x.dst, y.dst))
	})
}

// compareDrawn orders nodes by their ids. A service may be called "unknown", and has the id then of what has no name.
func (t *Topology) compareDrawn(a, b nodeID) int {
	x, y := t.nodes.list[a], t.nodes.list[b]
	return cmp.Or(strings.Compare(x.drawnID(), y.drawnID()), cmp.Compare(x.key.Kind, y.key.Kind))
}

// announce has the new judgements shown, and the old no longer.
func (t *Topology) announce(c court, found blame.Verdict) {
	v := &t.observant.verdict
	oldNodes, oldEdges := v.nodes, v.edges
	v.nodes, v.edges = nil, nil
	judgedNodes, judgedEdges := make(map[nodeID]bool, len(c.nodes)), make(map[edgeID]bool, len(c.edges))
	for i, id := range c.nodes {
		if found.Nodes[i].Kind != telemetry.AilmentNone {
			judgedNodes[id] = true
			v.nodes = append(v.nodes, id)
			t.judgeNode(id, found.Nodes[i])
		}
	}
	for i, id := range c.edges {
		if found.Edges[i].Kind != telemetry.AilmentNone {
			judgedEdges[id] = true
			v.edges = append(v.edges, id)
			t.judgeEdge(id, found.Edges[i])
		}
	}
	for _, id := range oldNodes {
		if !judgedNodes[id] && t.nodes.list[id] != nil {
			t.judgeNode(id, telemetry.Judged{})
		}
	}
	for _, id := range oldEdges {
		if !judgedEdges[id] && t.edges.list[id] != nil {
			t.judgeEdge(id, telemetry.Judged{})
		}
	}
	if !slices.Equal(v.culprits, found.Culprits) {
		v.culprits = found.Culprits
		t.pub.changed, t.pub.judged = true, true
	}
}

func (t *Topology) judgeNode(id nodeID, j telemetry.Judged) {
	if n := t.nodes.list[id]; n.judged.is() != j {
		was := n.judged.is()
		t.observant.verdict.past.turn(&n.judged, n.drawnID(), false, j, t.now)
		t.turned(n.drawnID(), &was, &j)
		t.markNodeDirty(id)
		t.pub.changed = true
	}
}

func (t *Topology) judgeEdge(id edgeID, j telemetry.Judged) {
	if e := t.edges.list[id]; e.judged.is() != j {
		t.observant.verdict.past.turn(&e.judged, t.drawnID(e), true, j, t.now)
		t.markEdgeDirty(id)
		t.pub.changed = true
	}
}

// recall lists again what is ill and judged, when a state has been loaded.
func (t *Topology) recall() {
	v := &t.observant.verdict
	var all telemetry.Judgements
	all.Nodes = map[string]telemetry.Judged{}
	for id, n := range t.nodes.list {
		if n == nil || id == nowhere {
			continue
		}
		if n.watch.Kind != telemetry.AilmentNone {
			v.unwellNode(nodeID(id)) //nolint:gosec // an index
		}
		if n.judged != nil {
			v.nodes = append(v.nodes, nodeID(id)) //nolint:gosec // an index
			all.Nodes[n.drawnID()] = n.judged.Judged
		}
	}
	for id, e := range t.edges.list {
		if e == nil {
			continue
		}
		if e.watch.Kind != telemetry.AilmentNone {
			v.unwell(edgeID(id)) //nolint:gosec // an index
		}
		if e.judged != nil {
			v.edges = append(v.edges, edgeID(id)) //nolint:gosec // an index
		}
	}
	t.sortNodes(v.nodes)
	t.sortEdges(v.edges)
	v.culprits = all.Culprits()
}
