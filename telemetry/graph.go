package telemetry

import (
	"cmp"
	"slices"
)

// Health is how a node or an edge fares, as the map colours it.
type Health uint8

// The healths, best first.
const (
	HealthIdle Health = iota // no traffic in the last minute
	HealthOK
	HealthDegraded
	HealthFailing
)

var healthNames = [...]string{"idle", "ok", "degraded", "failing"} //nolint:gochecknoglobals // immutable

// String is the health as the HTTP API writes it.
func (h Health) String() string { return healthNames[h] }

// Ailment is in what way an edge or a node is ill.
type Ailment uint8

// The ailments. AilmentNone is of what is well, and of what has no traffic and is not expected to have any.
const (
	AilmentNone      Ailment = iota
	AilmentSlow              // takes longer than it used to
	AilmentFailing           // fails
	AilmentThrottled         // is refused by a limit
	AilmentCutOff            // has no traffic where there was, though its callers have
)

var ailmentNames = [...]string{"", "slow", "failing", "throttled", "cut_off"} //nolint:gochecknoglobals // immutable

// String is the ailment as the HTTP API writes it.
func (a Ailment) String() string { return ailmentNames[a] }

// A Judgement says what is wrong with an edge or a node, and whose doing it is. The zero Judgement is of what is well.
type Judgement struct {
	Kind    Ailment
	Since   int64   // Unix nanoseconds
	Because string  // GraphNode.ID of the culprit; of a node "" if it is ill by itself; SharedCause if it is ill of what all share
	Says    string  // one sentence with the figures
	Score   float64 // how bad, above 0; culprits are ranked by it
}

// Rank compares judgements as culprits are ranked: below 0 where j comes before o. Of those that are as bad it is the one that began first, since a
// cause comes before what it causes. Of what is equal here, the lesser id comes first.
func (j *Judgement) Rank(o *Judgement) int {
	return cmp.Or(cmp.Compare(o.Score, j.Score), cmp.Compare(j.Since, o.Since))
}

// SharedCause is the cause of what is ill because of what many share (a host, a network, a database that nobody reports), and not by its own doing or by
// another node's. It is the id of no node.
const SharedCause = "shared:what many share"

// Judged is a judgement with the health that it gives, which is degraded or failing.
type Judged struct {
	Judgement
	Health Health
}

// Judgements are those that were in force at one moment, by the ids of nodes and of edges.
type Judgements struct {
	Nodes, Edges map[string]Judged
}

// Culprits are the ids of the nodes that were ill by themselves, the worst first.
func (j *Judgements) Culprits() []string {
	ids := []string{}
	for id, n := range j.Nodes {
		if n.Because == "" {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int {
		x, y := j.Nodes[a], j.Nodes[b]
		return cmp.Or(x.Rank(&y.Judgement), cmp.Compare(a, b))
	})
	return ids
}

// Origin is where a graph was made from.
type Origin uint8

// The two origins.
const (
	OriginLive   Origin = iota // from what has just come in
	OriginSeries               // from the series store: a past range
)

// String is "live" or "series".
func (o Origin) String() string {
	if o == OriginSeries {
		return "series"
	}
	return "live"
}

// A Graph is the service graph at one moment or over one range. It is
// immutable once published (I5). How the HTTP API writes it is that API's own matter.
type Graph struct {
	Version    uint64 // counts the snapshots of the live graph; 0 for a past range
	Time       int64  // Unix nanoseconds: the snapshot's moment, or the range's end
	Origin     Origin
	Nodes      []GraphNode // by ID
	Edges      []GraphEdge // by ID
	Culprits   []string    // the nodes that are ill by themselves, GraphNode.ID, the worst first
	Findings   []Finding   // why it may be wrong, the gravest first; another list where another finding, or another word, is in it
	Incomplete []Damage    // what could not be read, so that the graph of a past range may lack what it held
}

// A GraphDelta is what changed between two versions of the live graph: whole
// objects, which replace those of the same id.
type GraphDelta struct {
	Version      uint64 // of the later graph
	Time         int64  // of the later graph, Unix nanoseconds
	Nodes        []GraphNode
	Edges        []GraphEdge
	RemovedNodes []string  // GraphNode.ID
	RemovedEdges []string  // GraphEdge.ID
	Culprits     []string  // all of the later graph
	Findings     []Finding // all of the later graph
}

// GraphNode is a node with the golden signals of its inbound traffic: what the edges
// show that lead to it, summed (docs/operations/graph.md).
type GraphNode struct {
	ID        string // Node.ID
	Name      string
	Namespace string
	Cluster   string
	Kind      NodeKind
	System    string   // the product where it is known, such as "postgresql"
	Versions  []string // seen of late, in order
	Health    Health
	Judgement Judgement
	Windows   map[string]Signals // by the window's name: "1s" to "5m", or "range"
	Findings  []string           // kinds of the findings that concern it, in order
	LastSeen  int64              // Unix nanoseconds
}

// GraphEdge is an edge with its golden signals.
//
// A field that is added here has more places to go: a test of internal/api/binnacle
// names each one that was forgotten.
type GraphEdge struct {
	ID          string // source ">" target "|" protocol
	Source      string // GraphNode.ID
	Target      string // GraphNode.ID
	Protocol    Protocol
	Health      Health
	Judgement   Judgement
	Windows     map[string]Signals // by the window's name
	Totals      Totals
	Witnesses   WitnessCounts
	Estimate    *Estimate // how many requests there were; nil where no span was sampled by a sampler that says so
	MTLS        float64   // share of the requests under mutual TLS; -1: not known
	ThrottledBy []RuleRate
	Exemplars   []Exemplar
	Findings    []string // kinds of the findings that concern it, in order
	FirstSeen   int64    // Unix nanoseconds
	LastSeen    int64    // Unix nanoseconds
}

// Signals are golden signals over one window: rates in requests a second,
// latencies in milliseconds. Quantiles are nil without traffic.
type Signals struct {
	Rate          float64
	ErrorRate     float64 // without throttled requests
	ThrottledRate float64
	P50           *float64
	P90           *float64
	P99           *float64
}

// Totals count requests since the edge was first seen, or within the range.
type Totals struct {
	Requests  uint64
	Errors    uint64
	Throttled uint64
}

// A VersionSplit is what came to a node in a range, by the version that answered.
type VersionSplit struct {
	Versions   []VersionTraffic // the most requests first
	Incomplete []Damage         // what could not be read, and may hold more
}

// VersionTraffic is what came to one version of a node.
type VersionTraffic struct {
	Version string // "": nobody could tell
	Signals Signals
	Totals  Totals
}

// WitnessCounts say how many requests each witness reported.
type WitnessCounts struct {
	ClientSpan uint64
	ServerSpan uint64
	ClientLog  uint64
	ServerLog  uint64
}

// Estimate is how many requests there were on an edge since it was first seen, where samplers left spans out and say in which share. Totals and
// witnesses count what was told of. "Within" is an error bar: 95 % of the time the truth is not further away, on either side. It is
// of sampling alone: what was lost on the way is in no figure.
type Estimate struct {
	By         Witness // whose figure it is
	Requests   float64
	Within     float64 // 0: exact, as of logs, or of the side that samples nothing
	ClientSpan Estimated
	ServerSpan Estimated
}

// Same says that two estimates say the same. Either may be nil.
func (e *Estimate) Same(o *Estimate) bool { return e == o || e != nil && o != nil && *e == *o }

// Estimated is how many requests there were by one witness, each of its spans counted for as many as it stands for.
type Estimated struct {
	Requests float64
	Within   float64
}

// RuleRate is how fast a quota rule refuses requests of an edge.
type RuleRate struct {
	Rule string
	Rate float64 // refusals a second
}

// Exemplar points from a number to a trace that it counts.
type Exemplar struct {
	TraceID  TraceID
	SpanID   SpanID
	Duration int64 // nanoseconds
	Error    bool
	Time     int64 // Unix nanoseconds
}
