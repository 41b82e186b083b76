package aggregator

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
)

// Grouped graphs.
//
// The problem: a graph of versions, or of namespaces, must say the same as that of services: as many requests, and of the same witnesses. If each edge of
// the grouped graph chose its witness by itself, they would not add up.
//
// The way: the graph of services is drawn, and each of its edges chooses what it shows. What it shows is divided by the details of its ends, which the
// series have, or summed, by the groups of its ends; histograms add up without loss, so that quantiles are as good as any. A node has what its inbound edges have, those within
// its group too.

// An ofEnds is what is seen of an edge between two details of its ends.
type ofEnds struct {
	edge     *drawnEdge
	src, dst string
}

// Grouped is the graph from from to to as Graph has it, with nodes that stand for groups. Requests of which nobody could tell the detail are those of the
// service itself. Health is that of the worst member; of versions, workloads and apps it is judged by what they show of the range.
func (r *GraphReader) Grouped(ctx context.Context, from, to time.Time, by telemetry.Grouping) (*telemetry.Graph, error) {
	bill := newGraphBill(ctx)
	src, dst := detailsOf(by)
	split := map[ofEnds]*parts{}
	d, err := r.draw(ctx, bill, from, to, func(d *drawing, ls labels.Labels, inc increase) error {
		key := ofEnds{edge: d.edgeOf(ls)}
		if src != "" {
			key.src, key.dst = ls.Get(src), ls.Get(dst)
		}
		p := split[key]
		if p == nil {
			p = &parts{}
			split[key] = p
			if err := bill.part(); err != nil {
				return err
			}
		}
		s := &p.alone
		if !aloneIn(ls) {
			s = &p.witnesses[witnessOf(ls)]
		}
		counted := seenOf(ls, inc)
		s.add(&counted)
		return nil
	})
	if err != nil {
		return nil, err
	}
	g, err := r.whole(d, to, bill)
	if err != nil || by == telemetry.GroupService {
		return g, err
	}
	x := grouping{d: d, by: by, nodes: map[string]*groupNode{}, edges: map[string]*groupEdge{}, members: map[string]*telemetry.GraphNode{}, whole: map[string]*telemetry.GraphEdge{}}
	for i := range g.Nodes {
		x.members[g.Nodes[i].ID] = &g.Nodes[i]
	}
	for i := range g.Edges {
		x.whole[g.Edges[i].ID] = &g.Edges[i]
	}
	// In the order of the edges: sums of floats depend on it.
	for _, key := range slices.SortedFunc(maps.Keys(split), func(a, b ofEnds) int {
		return cmp.Or(strings.Compare(a.edge.id, b.edge.id), strings.Compare(a.src, b.src), strings.Compare(a.dst, b.dst))
	}) {
		x.add(key, split[key])
		if err := bill.one(); err != nil {
			return nil, err
		}
	}
	return x.graph(g), nil
}

// detailsOf are the labels by which ends are divided, "" where they are not.
func detailsOf(by telemetry.Grouping) (src, dst string) {
	switch by {
	case telemetry.GroupApp:
		return canonical.SourceApp, canonical.DestinationApp
	case telemetry.GroupWorkload:
		return canonical.SourceWorkload, canonical.DestinationWorkload
	case telemetry.GroupVersion:
		return canonical.SourceVersion, canonical.DestinationVersion
	default:
		return "", ""
	}
}

// grouping is a grouped graph while it is put together.
type grouping struct {
	d       *drawing
	by      telemetry.Grouping
	nodes   map[string]*groupNode
	edges   map[string]*groupEdge
	members map[string]*telemetry.GraphNode // of the graph of services
	whole   map[string]*telemetry.GraphEdge
}

type groupNode struct {
	is      telemetry.GraphNode
	inbound seen
	calls   bool
}

type groupEdge struct {
	is    telemetry.GraphEdge
	shown seen
	seen  telemetry.WitnessCounts
}

// divides says that services are divided by what they show, and not put together.
func (x *grouping) divides() bool { return x.by >= telemetry.GroupApp }

// end is the group of a node of which a detail is known.
func (x *grouping) end(id, detail string) *groupNode {
	m := x.members[id]
	is := telemetry.GraphNode{ID: m.ID, Name: m.Name, Namespace: m.Namespace, Cluster: m.Cluster, Kind: m.Kind, System: m.System, Versions: m.Versions, Health: m.Health, Judgement: m.Judgement}
	if m.Kind == telemetry.NodeService {
		named := func(kind, name string) {
			is = telemetry.GraphNode{ID: kind + ":" + cmp.Or(name, "-"), Name: name, Kind: m.Kind, Versions: []string{}}
		}
		within := func(kind string) {
			is.Name = cmp.Or(detail, m.Name)
			is.ID = kind + ":" + strings.TrimPrefix(m.Namespace+"/"+is.Name, "/")
			is.Versions, is.Judgement = []string{}, telemetry.Judgement{}
		}
		switch x.by {
		case telemetry.GroupCluster:
			named("cluster", m.Cluster)
			is.Cluster = m.Cluster
		case telemetry.GroupNamespace:
			named("namespace", m.Namespace)
			is.Namespace = m.Namespace
		case telemetry.GroupApp:
			within("app")
		case telemetry.GroupWorkload:
			within("workload")
		case telemetry.GroupVersion:
			is.Versions, is.Judgement = []string{}, telemetry.Judgement{}
			if detail != "" {
				is.ID, is.Versions = m.ID+"@"+detail, []string{detail}
			}
		default:
		}
	}
	n := x.nodes[is.ID]
	if n == nil {
		n = &groupNode{is: is}
		x.nodes[is.ID] = n
	}
	n.is.LastSeen = max(n.is.LastSeen, m.LastSeen)
	if !x.divides() {
		n.is.Health = max(n.is.Health, m.Health)
	}
	return n
}

// add counts what an edge of services shows between two details of its ends.
func (x *grouping) add(key ofEnds, p *parts) {
	e := key.edge
	best := p.witnesses[e.best]
	shown := seen{}
	shown.add(&best)
	if e.best.Evidence() == telemetry.EvidenceSpan {
		shown.add(&p.alone)
	}
	if shown.requests == 0 && e.shown.requests > 0 {
		return // what another witness saw
	}
	src, dst := x.end(e.source.id, key.src), x.end(e.target.id, key.dst)
	of := x.whole[e.id]
	id := edgeID(src.is.ID, dst.is.ID, e.protocol)
	to := x.edges[id]
	if to == nil {
		to = &groupEdge{is: telemetry.GraphEdge{ID: id, Source: src.is.ID, Target: dst.is.ID, Protocol: of.Protocol, MTLS: of.MTLS, Exemplars: of.Exemplars, FirstSeen: of.FirstSeen, LastSeen: of.LastSeen}}
		x.edges[id] = to
	}
	to.is.FirstSeen, to.is.LastSeen = min(to.is.FirstSeen, of.FirstSeen), max(to.is.LastSeen, of.LastSeen)
	if to.is.MTLS != of.MTLS {
		to.is.MTLS = -1 // of several that differ nothing is said
	}
	to.shown.add(&shown)
	to.seen.ClientSpan += whole(p.witnesses[telemetry.ClientSpan].requests)
	to.seen.ServerSpan += whole(p.witnesses[telemetry.ServerSpan].requests + p.alone.requests)
	to.seen.ClientLog += whole(p.witnesses[telemetry.ClientLog].requests)
	to.seen.ServerLog += whole(p.witnesses[telemetry.ServerLog].requests)
	dst.inbound.add(&shown)
	src.calls = true
	if !x.divides() {
		to.is.Health = max(to.is.Health, of.Health)
		if of.Judgement.Score > to.is.Judgement.Score {
			to.is.Judgement = of.Judgement
		}
	}
}

// graph is what was grouped.
func (x *grouping) graph(of *telemetry.Graph) *telemetry.Graph {
	g := &telemetry.Graph{Time: of.Time, Origin: of.Origin, Nodes: []telemetry.GraphNode{}, Edges: []telemetry.GraphEdge{}, Culprits: []string{}, Findings: of.Findings, Incomplete: of.Incomplete}
	for _, id := range slices.Sorted(maps.Keys(x.edges)) {
		e := x.edges[id]
		e.is.Windows = map[string]telemetry.Signals{rangeWindow: x.d.signals(&e.shown)}
		e.is.Totals = telemetry.Totals{Requests: whole(e.shown.requests), Errors: whole(e.shown.errors), Throttled: whole(e.shown.throttled)}
		e.is.Witnesses = e.seen
		if x.divides() {
			e.is.Health = x.judge(&e.shown)
		}
		g.Edges = append(g.Edges, e.is)
	}
	for _, id := range slices.Sorted(maps.Keys(x.nodes)) {
		n := x.nodes[id]
		n.is.Windows = map[string]telemetry.Signals{rangeWindow: x.d.signals(&n.inbound)}
		if x.divides() && n.is.Kind == telemetry.NodeService {
			if n.is.Health = x.judge(&n.inbound); n.is.Health == telemetry.HealthIdle && n.calls {
				n.is.Health = telemetry.HealthOK
			}
		}
		g.Nodes = append(g.Nodes, n.is)
	}
	for _, id := range of.Culprits {
		if _, ok := x.nodes[id]; ok {
			g.Culprits = append(g.Culprits, id)
		}
	}
	return g
}

// judge is the health by what was seen in the range alone: of parts nobody knows what is usual.
func (x *grouping) judge(s *seen) telemetry.Health {
	return x.d.rule.Judge(health.Traffic{Requests: s.requests, Errors: s.errors, Throttled: s.throttled})
}
