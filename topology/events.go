package topology

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/annals"
)

// The problem: an operator wants to know what has happened, and not only how things are: who calls whom for the first time, what vanished, which version
// came, which services call each other in a circle now, who fell ill.
//
// The form: every five seconds all edges and endpoints are held against what is known (package annals), outside the way of spans. What is
// new, and has been there for a while, is told. How judgements turned is in the chronicle already, and is read out of it.
// Both are kept, by Save and by Annals, so that what was told is told once; what is derived again behind a checkpoint has the times that it had.
//
// Not chosen: to tell when an edge is made (it may be provisional, and the way of spans would pay); snapshots that are compared (they know
// nothing of what the graph forgot).

const (
	eventsEvery = int64(5 * time.Second)
	// settles is how long, beyond the wait for the other half, an edge must be there: what is provisional has gone then.
	settles = int64(5 * time.Second)
	// settlesUnknown is that of an edge to what only has a name: it may turn out to be a service.
	settlesUnknown = int64(2 * time.Minute)
	// mostFresh is how many of the latest events those who follow may be behind.
	mostFresh = 256
	// mostWalked is how many edges are walked in one look to find circles; what is left waits for the next.
	mostWalked = 200_000
	// young is for how long a node's maker shares what may be told of it.
	young = int64(time.Hour)
	// annalsTimes is how many times what the live graph holds the annals do.
	annalsTimes = 2
)

// events are what was told of late, and what is to be looked at. They are guarded by the topology's lock.
type events struct {
	annals   *annals.Annals
	received int64 // when something was last consumed
	running  bool  // since the state was last loaded there was a look
	from     int64 // what was due before, the process before has told
	looked   int64 // the latest look
	fresh    []telemetry.GraphEvent
	told     uint64 // ever, by this process; the latest of them are fresh
	counts   [telemetry.EventKinds]uint64
	circles  []*edge // that are new, and may close one
}

func (c Config) annals() annals.Config {
	return annals.Config{Vanishes: c.VanishedAfter, Pairs: annalsTimes * c.MaxEdges, Nodes: annalsTimes * c.MaxNodes}
}

// resume notes, at the first look since the state was loaded, up to when the process before had been told.
func (ev *events) resume(now int64) {
	if !ev.running {
		ev.running, ev.from = true, now
	}
}

// tell keeps an event, and passes it on to those who follow unless the process before has.
func (t *Topology) tell(e telemetry.GraphEvent, due int64) {
	ev := &t.events
	if e.Kind < telemetry.EventCulprit { // the others are in the chronicle, and beside the findings
		ev.annals.Tell(e)
	}
	if due <= ev.from {
		return
	}
	ev.counts[e.Kind]++
	ev.told++
	if len(ev.fresh) >= mostFresh {
		ev.fresh = append(ev.fresh[:0:0], ev.fresh[mostFresh/4:]...)
	}
	ev.fresh = append(ev.fresh, e)
	t.hub.wake()
}

// happen looks for what has happened.
func (t *Topology) happen(before int64) {
	if t.now/eventsEvery == before/eventsEvery {
		return
	}
	a := t.events.annals
	a.Begin(t.now, t.events.received)
	for _, e := range t.strangers() {
		t.introduce(e)
	}
	t.editions()
	for _, v := range a.End() {
		t.vanish(&v)
	}
	t.closeCircles()
	t.events.looked = t.now
}

// strangers are the edges that the annals do not know, in the order of their beginning, and then of their ids. Those that are known are noted there.
func (t *Topology) strangers() (out []*edge) {
	ns, a := &t.nodes, t.events.annals
	for _, e := range t.edges.list {
		if e == nil || e.overflow || e.src == nowhere {
			continue
		}
		if e.kin.Remembered() {
			if a.Seen(e.kin, e.last) {
				t.comeBack(e)
			}
			continue
		}
		src, dst := ns.list[e.src], ns.list[e.dst]
		if ours(src.key) || ours(dst.key) {
			continue
		}
		if e.kin = a.Known(pairNumber(src, dst)); e.kin != nil {
			if a.Seen(e.kin, e.last) {
				t.comeBack(e)
			}
			continue
		}
		if t.now >= t.due(e) {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(x, y *edge) int {
		return cmp.Or(cmp.Compare(x.first, y.first), strings.Compare(t.drawnID(x), t.drawnID(y)))
	})
	return out
}

func pairNumber(src, dst *node) uint64 { return mix(src.hash, dst.hash) }

// due is when an edge is told of that is new.
func (t *Topology) due(e *edge) int64 {
	wait := int64(t.cfg.PairWait) + settles
	if t.nodes.list[e.dst].key.Kind == telemetry.NodeUnknown || t.nodes.list[e.src].key.Kind == telemetry.NodeUnknown {
		wait = max(wait, settlesUnknown)
	}
	return e.first + wait
}

// introduce has the annals know an edge, and tells of it where it is news.
func (t *Topology) introduce(e *edge) {
	src, dst := t.nodes.list[e.src], t.nodes.list[e.dst]
	a, number := t.events.annals, pairNumber(src, dst)
	if e.kin = a.Known(number); e.kin != nil { // the edge of another protocol has just been met
		a.Seen(e.kin, e.last)
		return
	}
	kin, news := a.Add(annals.Sight{
		Number: number, Source: src.drawnID(), Target: dst.drawnID(), First: e.first, Last: e.last, Junk: t.floods(src) || t.floods(dst),
	})
	e.kin = kin
	if news && a.Afford(t.payers(src, dst)...) {
		t.tell(t.dependency(e, "for the first time"), t.due(e))
		t.events.circles = append(t.events.circles, e)
	}
}

// comeBack tells of an edge that had vanished.
func (t *Topology) comeBack(e *edge) {
	if t.events.annals.Afford(t.payers(t.nodes.list[e.src], t.nodes.list[e.dst])...) {
		x := t.dependency(e, "again, after it had vanished")
		x.Kind, x.At = telemetry.EventDependency, e.last
		t.tell(x, t.now)
	}
}

// payers are those in whose name news is told: the caller, and who made nodes that are young.
func (t *Topology) payers(src, dst *node) []string {
	out := []string{src.drawnID()}
	for _, n := range [...]*node{src, dst} {
		if t.now-n.since < young && n.maker != "" && n.maker != out[0] && !slices.Contains(out, n.maker) {
			out = append(out, n.maker)
		}
	}
	return out
}

func (t *Topology) dependency(e *edge, how string) telemetry.GraphEvent {
	src, dst := t.nodes.list[e.src], t.nodes.list[e.dst]
	total := e.total()
	x := telemetry.GraphEvent{
		Kind: telemetry.EventDependency, At: e.first, Service: src.drawnID(), Nodes: []string{src.drawnID(), dst.drawnID()}, Edges: []string{t.drawnID(e)},
		Says: fmt.Sprintf("%s calls %s %s", src.drawnID(), dst.drawnID(), how),
		Evidence: []string{
			"the first request came at " + moment(e.first),
			fmt.Sprintf("%d requests since, of which %d failed, over %s", total.Requests, total.Errors, e.protocol),
		},
	}
	if dst.key.Kind == telemetry.NodeExternal {
		x.Kind = telemetry.EventOutside
		x.Says = fmt.Sprintf("%s calls %s, outside the mesh, %s", src.drawnID(), dst.key.Name, how)
		if others := dst.callers - 1; others > 0 {
			x.Evidence = append(x.Evidence, fmt.Sprintf("%d others call it as well", others))
		} else {
			x.Evidence = append(x.Evidence, "nobody else calls it")
		}
	}
	for _, of := range [...]*exemplar{e.failed, &e.slow} {
		if of != nil && of.at != 0 && x.TraceID == (telemetry.TraceID{}) {
			x.TraceID = of.trace
		}
	}
	return x
}

func moment(ns int64) string { return time.Unix(0, ns).UTC().Format("2006-01-02 15:04:05Z") }

// editions looks for versions in which nodes were not seen before, and notes where nodes run.
func (t *Topology) editions() {
	a, ns := t.events.annals, &t.nodes
	type sight struct {
		node    *node
		version string
		seen    int64
	}
	for id, n := range ns.list {
		if n != nil && id != nowhere && n.cluster != "" && n.reported >= t.events.looked {
			a.Place(n.hash, n.drawnID(), n.cluster, n.reported)
		}
	}
	var all []sight
	for i := range ns.endpoints {
		ep := &ns.endpoints[i]
		if ep.is.Version == "" || ep.seen < t.events.looked {
			continue
		}
		if n := ns.list[ep.node]; n != nil && !ours(n.key) {
			all = append(all, sight{n, ep.is.Version, ep.seen})
		}
	}
	slices.SortFunc(all, func(x, y sight) int {
		return cmp.Or(cmp.Compare(x.seen, y.seen), strings.Compare(x.node.drawnID(), y.node.drawnID()), strings.Compare(x.version, y.version))
	})
	for _, s := range all {
		id := s.node.drawnID()
		before, news := a.Version(s.node.hash, id, s.version, s.seen)
		if !news {
			continue
		}
		if t.floods(s.node) {
			a.Junk()
			continue
		}
		if !a.Afford(id) {
			continue
		}
		t.tell(telemetry.GraphEvent{
			Kind: telemetry.EventVersion, At: s.seen, Service: id, Nodes: []string{id}, Version: s.version,
			Says:     fmt.Sprintf("%s runs in version %s, which was not seen before", id, s.version),
			Evidence: []string{"known before, the latest last: " + strings.Join(before[max(0, len(before)-maxVersions):], ", ")},
		}, s.seen)
	}
}

func (t *Topology) vanish(v *annals.Vanished) {
	if !t.events.annals.Afford(v.Source) {
		return
	}
	t.tell(telemetry.GraphEvent{
		Kind: telemetry.EventVanished, At: t.now, Service: v.Source, Nodes: []string{v.Source, v.Target},
		Says: fmt.Sprintf("%s does not call %s any more: no request for %s in which others were heard", v.Source, v.Target, v.Silent.Round(time.Minute)),
		Evidence: []string{
			fmt.Sprintf("seen from %s to %s", moment(v.First), moment(v.Last)),
			fmt.Sprintf("before, it was never silent for longer than %s", max(v.Gap, time.Minute).Round(time.Minute)),
		},
	}, t.now)
}

// closeCircles looks whether calls that are new close a circle: whether who is called calls the caller, be it through others. If the caller
// called it through others before, the circle was there before.
func (t *Topology) closeCircles() {
	ev := &t.events
	left := mostWalked
	for len(ev.circles) > 0 && left > 0 {
		e := ev.circles[0]
		ev.circles = ev.circles[1:]
		id, ok := t.edges.byKey[edgeKey{e.src, e.dst, e.protocol}]
		if !ok || t.edges.list[id] != e {
			continue // it has gone since
		}
		back := t.way(e.dst, e.src, nil, &left)
		if e.src != e.dst && (back == nil || t.way(e.src, e.dst, e, &left) != nil) {
			continue
		}
		x := telemetry.GraphEvent{Kind: telemetry.EventCycle, At: e.first, Service: t.nodes.list[e.src].drawnID(), Edges: []string{t.drawnID(e)}, Nodes: []string{t.nodes.list[e.src].drawnID()}}
		for _, b := range back {
			x.Nodes = append(x.Nodes, t.nodes.list[b.src].drawnID())
			x.Edges = append(x.Edges, t.drawnID(b))
		}
		x.Says = fmt.Sprintf("%d services call each other in a circle: %s, %s", len(x.Nodes), strings.Join(x.Nodes, ", "), x.Nodes[0])
		if len(x.Nodes) == 1 {
			x.Says = x.Service + " calls itself"
		}
		x.Evidence = []string{fmt.Sprintf("it is closed by the call of %s by %s, first seen at %s", t.nodes.list[e.dst].drawnID(), x.Service, moment(e.first))}
		t.tell(x, t.due(e))
	}
	if len(ev.circles) == 0 {
		ev.circles = nil
	}
}

// way is the shortest way from one node to another, without an edge; nil where there is none, or they are the same. It takes what it walks from left, and
// gives up where nothing is.
func (t *Topology) way(from, to nodeID, without *edge, left *int) []*edge {
	if from == to {
		return nil
	}
	by := map[nodeID]*edge{from: nil}
	for next := []nodeID{from}; len(next) > 0; next = next[1:] {
		for _, e := range t.nodes.list[next[0]].out {
			if *left--; *left < 0 {
				return nil
			}
			if _, seen := by[e.dst]; seen || e == without || e.overflow || ours(t.nodes.list[e.dst].key) {
				continue
			}
			by[e.dst] = e
			if e.dst == to {
				var out []*edge
				for at := to; at != from; at = by[at].src {
					out = append(out, by[at])
				}
				slices.Reverse(out)
				return out
			}
			next = append(next, e.dst)
		}
	}
	return nil
}

// Clusters are where nodes run or ran, of each the cluster that was known last, "" where none is.
func (t *Topology) Clusters(nodes []telemetry.Node) []string {
	out := make([]string, len(nodes))
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, key := range nodes {
		if n := t.nodes.list[t.nodes.byKey[key]]; n.key == key {
			out[i] = n.cluster
		}
		if out[i] == "" {
			out[i] = t.events.annals.Cluster(hashOf(key))
		}
	}
	return out
}

// Annals is the part of the state that Save leaves out: what is remembered of dependencies and versions, and what was told. It is saved and loaded beside
// the rest, at the same position.
func (t *Topology) Annals() *Annals { return &Annals{t} }

// Annals are saved and loaded as a Topology is.
type Annals struct{ t *Topology }

// Save writes them.
func (a *Annals) Save(w io.Writer) error {
	a.t.mu.Lock()
	b := a.t.events.annals.Append(nil)
	a.t.mu.Unlock()
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("save annals: %w", err)
	}
	return nil
}

// Prepare is as Topology.Prepare.
func (a *Annals) Prepare(r io.Reader) (use func(), err error) {
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		return nil, fmt.Errorf("load annals: %w", err)
	}
	read, err := annals.Read(b.Bytes(), a.t.cfg.annals())
	if err != nil {
		return nil, err
	}
	return func() {
		a.t.mu.Lock()
		defer a.t.mu.Unlock()
		a.t.events.annals = read
		for _, e := range a.t.edges.list {
			if e != nil {
				e.kin = nil
			}
		}
	}, nil
}
