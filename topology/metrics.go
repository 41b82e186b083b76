package topology

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/annals"
)

// Stats is what the topology has done since it was made.
type Stats struct {
	Paired       uint64 // halves that met another
	Lone         uint64 // halves that became final without
	Void         uint64 // spans that reported a hop once more
	Inner        uint64 // spans that turned out to be on no hop
	Linked       uint64 // messages that consumers' spans link to, each a half
	Implied      uint64 // callee's halves that only a call further down tells of
	Late         uint64 // halves whose other half came after the wait
	Early        uint64 // halves made final before their time, for want of room
	Observations uint64
	Pending      int // halves that wait now
	Edges, Nodes int
	Ill          int                          // nodes and edges that are judged ill
	Culprits     int                          // of these, nodes that are so by themselves
	Forgotten    uint64                       // judgements that past graphs do not know any more
	Events       [telemetry.EventKinds]uint64 // told by this process
	Annals       annals.Stats
	LateHeld     int    // spans that were alone and are remembered
	Floods       int    // who makes very many names
	Unfound      uint64 // findings that there was no room for
	Evicted      Evicted
	LeftOut      LeftOut
	Dropped      Dropped
}

// Evicted counts what made room: it is counted at overflow.
type Evicted struct{ Edges, Nodes uint64 }

// LeftOut counts by reason what is not counted by design: nothing is lost.
type LeftOut struct {
	Duplicates uint64 // the same half again, as senders that must deliver at least once have it
	ProxyCalls uint64 // a proxy's own calls, unless Config.ProxyCalls
}

// Dropped counts by reason what a limit, or a name that nobody knows, has cost:
// it is counted, but with less detail.
type Dropped struct {
	Edges      uint64 // routes counted on an overflow edge
	Nodes      uint64 // times that a name was counted at an overflow node
	Variants   uint64 // counted at a node without version, workload and principal
	Late       uint64 // spans that were alone and are no longer remembered, before their time
	Throttlers uint64 // throttling reported for names that are on no edge
}

// Stats reads the counters.
func (t *Topology) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.stats
	s.Pending, s.Edges, s.Nodes, s.LateHeld = t.pending.Len(), t.edges.live, t.nodes.live, t.lates.held
	v := &t.observant.verdict
	s.Ill, s.Culprits, s.Forgotten = len(v.nodes)+len(v.edges), len(v.culprits), v.past.lost
	s.Events, s.Annals = t.events.counts, t.events.annals.Stats()
	s.Floods, s.Unfound = len(t.whoFloods()), t.doubts.book.Left()
	return s
}

// Register has r collect the counters.
func (t *Topology) Register(r prometheus.Registerer) error {
	return r.Register(collector{
		t: t,
		halves: prometheus.NewDesc("binnacle_topology_halves_total",
			"Halves of hops by what became of them: paired, lone, void (the same hop once more), inner (a span on no hop), linked (a message that a consumer links to), implied (the callee's, told of by a call further down), early (final for want of room), late (met after the wait).", []string{"fate"}, nil),
		observations:    prometheus.NewDesc("binnacle_topology_observations_total", "Requests passed on to the aggregator.", nil, nil),
		pending:         prometheus.NewDesc("binnacle_topology_pending_halves", "Halves that wait for their other half.", nil, nil),
		late:            prometheus.NewDesc("binnacle_topology_late_halves", "Spans that were alone when the wait was over, and are remembered in case that their other half comes.", nil, nil),
		edges:           prometheus.NewDesc("binnacle_topology_edges", "Edges of the live graph.", nil, nil),
		nodes:           prometheus.NewDesc("binnacle_topology_nodes", "Nodes of the live graph.", nil, nil),
		ill:             prometheus.NewDesc("binnacle_topology_ill", "Nodes and edges of the live graph that are judged ill.", nil, nil),
		culprits:        prometheus.NewDesc("binnacle_topology_culprits", "Nodes of the live graph that are ill by themselves.", nil, nil),
		forgotten:       prometheus.NewDesc("binnacle_topology_judgements_forgotten_total", "Judgements that are over and were forgotten for want of room: past graphs do not have them.", nil, nil),
		events:          prometheus.NewDesc("binnacle_graph_events_total", "What happened in the graph, by kind: dependency (a new one), vanished, outside (a first call), version (a new one), cycle, culprit, health, finding (why the graph may be wrong was found, or is found no longer).", []string{"kind"}, nil),
		eventsLeftOut:   prometheus.NewDesc("binnacle_graph_events_left_out_total", "New dependencies and versions that no event tells of: one caller has too many of them in an hour, or they are part of a flood of names.", nil, nil),
		eventsForgotten: prometheus.NewDesc("binnacle_graph_events_forgotten_total", "Events that are not remembered any more, for want of room.", nil, nil),
		known:           prometheus.NewDesc("binnacle_graph_known_dependencies", "Pairs of caller and callee that are remembered, to tell what is new and what has vanished.", nil, nil),
		displaced:       prometheus.NewDesc("binnacle_graph_known_displaced_total", "Pairs and versions that were forgotten for want of room, and would be told of as new once more.", nil, nil),
		evicted: prometheus.NewDesc("binnacle_topology_evicted_total",
			"Edges and nodes that had been idle for as long as they were seen, and made room; what they counted is at overflow.", []string{"what"}, nil),
		floods: prometheus.NewDesc("binnacle_topology_name_floods", "Services, or patterns of service names, that make very many names at present; /api/v1/status names them.", nil, nil),
		leftOut: prometheus.NewDesc("binnacle_topology_left_out_total",
			"Spans and log entries that the graph leaves out by design: duplicate (it has come before), proxy_call (a proxy's own call).", []string{"reason"}, nil),
		dropped: prometheus.NewDesc("binnacle_topology_dropped_total",
			"What was counted with less detail, because a limit was reached (edges, nodes, variants, late) or a name is on no edge (throttlers); findings that there was no room for.", []string{"reason"}, nil),
	})
}

type collector struct {
	t                                                                              *Topology
	late, ill, culprits, forgotten                                                 *prometheus.Desc
	events, eventsLeftOut, eventsForgotten, known, displaced                       *prometheus.Desc
	halves, observations, pending, edges, nodes, evicted, floods, leftOut, dropped *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range [...]*prometheus.Desc{c.halves, c.observations, c.pending, c.late, c.edges, c.nodes, c.ill, c.culprits, c.forgotten, c.evicted, c.floods, c.leftOut, c.dropped, c.events, c.eventsLeftOut, c.eventsForgotten, c.known, c.displaced} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	s := c.t.Stats()
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v int) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v))
	}
	count(c.halves, s.Paired, "paired")
	count(c.halves, s.Lone, "lone")
	count(c.halves, s.Void, "void")
	count(c.halves, s.Inner, "inner")
	count(c.halves, s.Linked, "linked")
	count(c.halves, s.Implied, "implied")
	count(c.halves, s.Early, "early")
	count(c.halves, s.Late, "late")
	count(c.observations, s.Observations)
	gauge(c.pending, s.Pending)
	gauge(c.late, s.LateHeld)
	gauge(c.edges, s.Edges)
	gauge(c.nodes, s.Nodes)
	gauge(c.ill, s.Ill)
	gauge(c.culprits, s.Culprits)
	count(c.forgotten, s.Forgotten)
	for kind, n := range s.Events {
		count(c.events, n, telemetry.EventKind(kind).String()) //nolint:gosec // below EventKinds
	}
	count(c.eventsLeftOut, s.Annals.LeftOut)
	count(c.eventsForgotten, s.Annals.Forgotten)
	gauge(c.known, s.Annals.Pairs)
	count(c.displaced, s.Annals.Displaced)
	count(c.evicted, s.Evicted.Edges, "edges")
	count(c.evicted, s.Evicted.Nodes, "nodes")
	gauge(c.floods, s.Floods)
	count(c.leftOut, s.LeftOut.Duplicates, "duplicate")
	count(c.leftOut, s.LeftOut.ProxyCalls, "proxy_call")
	count(c.dropped, s.Dropped.Edges, "edges")
	count(c.dropped, s.Dropped.Nodes, "nodes")
	count(c.dropped, s.Dropped.Variants, "variants")
	count(c.dropped, s.Dropped.Late, "late")
	count(c.dropped, s.Dropped.Throttlers, "throttlers")
	count(c.dropped, s.Unfound, "findings")
}
