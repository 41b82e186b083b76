package aggregator

import (
	"cmp"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/bucket"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
)

// rangeWindow is the name of a past graph's one window.
const rangeWindow = "range"

// msec is a millisecond, in which the series store counts time, in nanoseconds.
const msec = 1_000_000

// maxVersions is how many versions of a node are shown.
const maxVersions = 8

// drawing is a past graph while it is put together.
type drawing struct {
	seconds  float64
	rule     *health.Config
	nodes    map[string]*drawnNode
	edges    map[string]*drawnEdge
	compares bool // the time before is wanted of some edges: see summarize
	damaged  []telemetry.Damage
	judged   telemetry.Judgements
	known    bool // judged is what was judged
}

func newDrawing(seconds float64, rule *health.Config) *drawing {
	return &drawing{seconds: seconds, rule: rule, nodes: map[string]*drawnNode{}, edges: map[string]*drawnEdge{}}
}

// seen is what one witness saw, or what is shown of several.
type seen struct {
	requests, errors, throttled float64
	latency                     *histogram.FloatHistogram
}

func (s *seen) add(o *seen) {
	s.requests += o.requests
	s.errors += o.errors
	s.throttled += o.throttled
	switch {
	case o.latency == nil:
	case s.latency == nil:
		s.latency = o.latency.Copy()
	default:
		// All histograms have one schema, and the sum cannot fail.
		_, _, _, _ = s.latency.Add(o.latency)
	}
}

type drawnNode struct {
	id       string
	node     telemetry.Node
	system   string
	versions map[string]*parties
	inbound  seen
	before   seen // inbound, in the time before the range
	last     int64
	calls    bool
	made     float64 // its own requests to others
	compared bool
}

// parties are the requests in which a version had a part, by the witness that told of them: as caller, then as callee.
type parties [2 * telemetry.Witnesses]float64

type drawnEdge struct {
	id             string
	source, target *drawnNode
	protocol       string
	witnesses      [telemetry.Witnesses]seen
	alone          seen              // what servers' spans alone saw; it is in no witness'
	best           telemetry.Witness // that saw the most, of equals the first: see summarize
	shown          seen              // what it saw, of spans those that are alone too
	before         seen              // the same, in the time before the range
	compared       bool              // before is wanted
	secured, mtls  float64           // requests of which the security is known, and those under mutual TLS
	first, last    int64
	slowest, error *telemetry.Exemplar
}

// add takes in what a canonical series counted.
func (d *drawing) add(ls labels.Labels, inc increase) {
	s := seenOf(ls, inc)
	src := d.node(ls, &sourceEnd, inc.last, s.requests)
	dst := d.node(ls, &destinationEnd, inc.last, s.requests)
	e := d.edge(src, dst, ls.Get(canonical.Protocol))
	if aloneIn(ls) {
		e.alone.add(&s)
	} else {
		e.witnesses[witnessOf(ls)].add(&s)
	}
	if tls := ls.Get(canonical.TLS); tls != "" {
		e.secured += s.requests
		if tls == telemetry.TLSMutual.String() {
			e.mtls += s.requests
		}
	}
	if e.first == 0 || inc.first < e.first {
		e.first = inc.first
	}
	e.last = max(e.last, inc.last)
}

// seenOf is what a canonical series counted.
func seenOf(ls labels.Labels, inc increase) seen {
	s := seen{requests: inc.count(), latency: inc.hist}
	switch ls.Get(canonical.Outcome) {
	case telemetry.OutcomeError.String():
		s.errors = s.requests
	case telemetry.OutcomeThrottled.String():
		s.throttled = s.requests
	}
	return s
}

func aloneIn(ls labels.Labels) bool { return ls.Get(canonical.Alone) != "" }

func witnessOf(ls labels.Labels) telemetry.Witness {
	side, evidence := telemetry.SideClient, telemetry.EvidenceSpan
	if ls.Get(canonical.Side) == telemetry.SideServer.String() {
		side = telemetry.SideServer
	}
	if ls.Get(canonical.Evidence) == telemetry.EvidenceLog.String() {
		evidence = telemetry.EvidenceLog
	}
	return telemetry.WitnessOf(side, evidence)
}

// The labels of an edge's ends.
var sourceEnd, destinationEnd = canonical.Ends() //nolint:gochecknoglobals // immutable

func nodeOf(ls labels.Labels, end *canonical.End) telemetry.Node {
	n := telemetry.Node{Name: ls.Get(end.Name), Namespace: ls.Get(end.Namespace), Cluster: ls.Get(end.Cluster)}
	kind := ls.Get(end.Kind)
	for k := telemetry.NodeUnknown; k <= telemetry.NodeClient; k++ {
		if k.String() == kind {
			n.Kind = k
		}
	}
	return n
}

func (d *drawing) node(ls labels.Labels, end *canonical.End, last int64, requests float64) *drawnNode {
	key := nodeOf(ls, end)
	id := key.ID()
	n := d.nodes[id]
	if n == nil {
		n = &drawnNode{id: id, node: key, versions: map[string]*parties{}}
		d.nodes[id] = n
	}
	n.last = max(n.last, last)
	n.system = cmp.Or(n.system, ls.Get(end.System))
	if v := ls.Get(end.Version); v != "" {
		p := n.versions[v]
		if p == nil {
			p = &parties{}
			n.versions[v] = p
		}
		at := int(witnessOf(ls))
		if end == &destinationEnd {
			at += telemetry.Witnesses
		}
		p[at] += requests
	}
	return n
}

// protocolOf is the protocol that a label names.
func protocolOf(name string) telemetry.Protocol {
	for p := telemetry.ProtocolUnknown; p <= telemetry.ProtocolMessaging; p++ {
		if p.String() == name {
			return p
		}
	}
	return telemetry.ProtocolUnknown
}

func edgeID(source, target, protocol string) string { return source + ">" + target + "|" + protocol }

func (d *drawing) edge(src, dst *drawnNode, protocol string) *drawnEdge {
	id := edgeID(src.id, dst.id, protocol)
	e := d.edges[id]
	if e == nil {
		e = &drawnEdge{id: id, source: src, target: dst, protocol: protocol}
		d.edges[id] = e
	}
	return e
}

// edgeOf is the edge that a canonical series is of, nil if the range has none such.
func (d *drawing) edgeOf(ls labels.Labels) *drawnEdge {
	return d.edges[edgeID(nodeOf(ls, &sourceEnd).ID(), nodeOf(ls, &destinationEnd).ID(), ls.Get(canonical.Protocol))]
}

// example takes in a series' exemplars: the edge keeps the slowest, and the
// latest that failed.
func (d *drawing) example(r exemplar.QueryResult) {
	ls := r.SeriesLabels
	e := d.edgeOf(ls)
	if e == nil {
		return
	}
	failed := ls.Get(canonical.Outcome) == telemetry.OutcomeError.String()
	for _, x := range r.Exemplars {
		trace, err := telemetry.ParseTraceID(x.Labels.Get("trace_id"))
		if err != nil {
			continue // it points nowhere
		}
		span, err := telemetry.ParseSpanID(x.Labels.Get("span_id"))
		if err != nil {
			span = telemetry.SpanID{} // the trace is still worth showing
		}
		t := telemetry.Exemplar{TraceID: trace, SpanID: span, Duration: int64(math.Round(x.Value * 1e9)), Error: failed, Time: x.Ts * msec}
		if e.slowest == nil || t.Duration > e.slowest.Duration {
			e.slowest = &t
		}
		if failed && (e.error == nil || t.Time > e.error.Time) {
			e.error = &t
		}
	}
}

// graph is what was drawn. pause is called after each edge and node, and ends it by its error.
func (d *drawing) graph(now int64, pause func() error) (*telemetry.Graph, error) {
	g := &telemetry.Graph{Time: now * msec, Origin: telemetry.OriginSeries, Nodes: make([]telemetry.GraphNode, 0, len(d.nodes)), Edges: make([]telemetry.GraphEdge, 0, len(d.edges))}
	for _, e := range d.edges {
		g.Edges = append(g.Edges, d.graphEdge(e))
		if err := pause(); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(g.Edges, func(a, b telemetry.GraphEdge) int { return cmp.Compare(a.ID, b.ID) })
	for _, n := range d.nodes {
		g.Nodes = append(g.Nodes, d.graphNode(n))
		if err := pause(); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(g.Nodes, func(a, b telemetry.GraphNode) int { return cmp.Compare(a.ID, b.ID) })
	g.Culprits = slices.DeleteFunc(d.judged.Culprits(), func(id string) bool { return d.nodes[id] == nil })
	return g, nil
}

func (d *drawing) graphNode(n *drawnNode) telemetry.GraphNode {
	versions := make([]string, 0, len(n.versions))
	for v := range n.versions {
		versions = append(versions, v)
	}
	slices.Sort(versions)
	if len(versions) > maxVersions {
		versions = versions[:maxVersions]
	}
	judged := d.judged.Nodes[n.id]
	verdict := d.judge(judged, &n.inbound, &n.before)
	if verdict == telemetry.HealthIdle && n.calls {
		verdict = telemetry.HealthOK // nobody calls it, but it calls
	}
	return telemetry.GraphNode{
		ID: n.id, Name: n.node.Name, Namespace: n.node.Namespace, Cluster: n.node.Cluster, Kind: n.node.Kind,
		System: n.system, Versions: versions, Health: verdict, Judgement: judged.Judgement,
		Windows: map[string]telemetry.Signals{rangeWindow: d.signals(&n.inbound)}, LastSeen: n.last * msec,
	}
}

func (d *drawing) graphEdge(e *drawnEdge) telemetry.GraphEdge {
	b := &e.shown
	judged := d.judged.Edges[e.id]
	g := telemetry.GraphEdge{
		ID: e.id, Source: e.source.id, Target: e.target.id, Protocol: protocolOf(e.protocol), Health: d.judge(judged, b, &e.before), Judgement: judged.Judgement,
		Windows: map[string]telemetry.Signals{rangeWindow: d.signals(b)},
		Totals:  telemetry.Totals{Requests: whole(b.requests), Errors: whole(b.errors), Throttled: whole(b.throttled)},
		Witnesses: telemetry.WitnessCounts{
			ClientSpan: whole(e.witnesses[telemetry.ClientSpan].requests), ServerSpan: whole(e.witnesses[telemetry.ServerSpan].requests + e.alone.requests),
			ClientLog: whole(e.witnesses[telemetry.ClientLog].requests), ServerLog: whole(e.witnesses[telemetry.ServerLog].requests),
		},
		MTLS: -1, FirstSeen: e.first * msec, LastSeen: e.last * msec,
	}
	if e.secured > 0 {
		g.MTLS = e.mtls / e.secured
	}
	if e.slowest != nil {
		g.Exemplars = append(g.Exemplars, *e.slowest)
	}
	if e.error != nil && e.error != e.slowest {
		g.Exemplars = append(g.Exemplars, *e.error)
	}
	return g
}

func whole(f float64) uint64 { return uint64(math.Round(f)) }

func (d *drawing) signals(s *seen) telemetry.Signals {
	out := telemetry.Signals{Rate: s.requests / d.seconds, ErrorRate: s.errors / d.seconds, ThrottledRate: s.throttled / d.seconds}
	if s.requests > 0 {
		q := [...]float64{quantile(s.latency, 0.5), quantile(s.latency, 0.9), quantile(s.latency, 0.99)}
		out.P50, out.P90, out.P99 = &q[0], &q[1], &q[2]
	}
	return out
}

// quantile is in milliseconds, the middle of the bucket that holds it, as the live graph has it: see topology/signal.
func quantile(h *histogram.FloatHistogram, q float64) float64 {
	rank := max(1, math.Ceil(q*math.Round(h.Count))) - h.ZeroCount
	ms := zeroThreshold * 1000
	for it := h.PositiveBucketIterator(); rank > 0.5 && it.Next(); { // counts are whole, but for what sums of floats are off
		if b := it.At(); b.Count > 0 {
			ms = bucket.Middle(b.Index) * 1000
			rank -= b.Count
		}
	}
	return ms
}
