package telemetry

// Health is how a node or an edge fares, as the map colours it.
type Health string

// The healths, best first.
const (
	HealthIdle     Health = "idle" // no traffic in the last minute
	HealthOK       Health = "ok"
	HealthDegraded Health = "degraded"
	HealthFailing  Health = "failing"
)

// A Graph is the service graph at one moment or over one range. It is
// immutable once published (I5). Its JSON is the HTTP API's, see docs/api/http.md.
type Graph struct {
	Version uint64      `json:"version"`
	Time    int64       `json:"time"`   // Unix ms
	Origin  string      `json:"origin"` // "live" or "series"
	Nodes   []GraphNode `json:"nodes"`  // by ID
	Edges   []GraphEdge `json:"edges"`  // by ID
}

// A GraphDelta is what changed between two versions of the live graph: whole
// objects, which replace those of the same id.
type GraphDelta struct {
	Version      uint64      `json:"version"`
	Time         int64       `json:"time"`
	Nodes        []GraphNode `json:"nodes"`
	Edges        []GraphEdge `json:"edges"`
	RemovedNodes []string    `json:"removed_nodes"`
	RemovedEdges []string    `json:"removed_edges"`
}

// GraphNode is a node with the golden signals of its inbound traffic.
type GraphNode struct {
	ID        string             `json:"id"`
	Name      string             `json:"name"`
	Namespace string             `json:"namespace"`
	Cluster   string             `json:"cluster"`
	Kind      string             `json:"kind"`
	System    string             `json:"system"`
	Versions  []string           `json:"versions"`
	Health    Health             `json:"health"`
	Windows   map[string]Signals `json:"windows"`
	LastSeen  int64              `json:"last_seen"` // Unix ms
}

// GraphEdge is an edge with its golden signals.
type GraphEdge struct {
	ID          string             `json:"id"`
	Source      string             `json:"source"` // GraphNode.ID
	Target      string             `json:"target"`
	Protocol    string             `json:"protocol"`
	Health      Health             `json:"health"`
	Windows     map[string]Signals `json:"windows"`
	Totals      Totals             `json:"totals"`
	Witnesses   WitnessCounts      `json:"witnesses"`
	MTLS        float64            `json:"mtls"` // share, -1 unknown
	ThrottledBy []RuleRate         `json:"throttled_by,omitempty"`
	Exemplars   []Exemplar         `json:"exemplars,omitempty"`
	FirstSeen   int64              `json:"first_seen"` // Unix ms
	LastSeen    int64              `json:"last_seen"`
}

// Signals are golden signals over one window: rates a second, latencies in ms.
// Quantiles are nil without traffic.
type Signals struct {
	Rate          float64  `json:"rate"`
	ErrorRate     float64  `json:"error_rate"`
	ThrottledRate float64  `json:"throttled_rate"`
	P50           *float64 `json:"p50,omitempty"`
	P90           *float64 `json:"p90,omitempty"`
	P99           *float64 `json:"p99,omitempty"`
}

// Totals count requests since the edge was first seen.
type Totals struct {
	Requests  uint64 `json:"requests"`
	Errors    uint64 `json:"errors"`
	Throttled uint64 `json:"throttled"`
}

// WitnessCounts say how many requests each witness reported.
type WitnessCounts struct {
	ClientSpan uint64 `json:"client_span"`
	ServerSpan uint64 `json:"server_span"`
	ClientLog  uint64 `json:"client_log"`
	ServerLog  uint64 `json:"server_log"`
}

// RuleRate is how fast a quota rule refuses requests of an edge.
type RuleRate struct {
	Rule string  `json:"rule"`
	Rate float64 `json:"rate"` // a second
}

// Exemplar points from a number to a trace that it counts.
type Exemplar struct {
	TraceID  string  `json:"trace_id"`
	SpanID   string  `json:"span_id"`
	Duration float64 `json:"duration"` // ms
	Error    bool    `json:"error"`
	Time     int64   `json:"time"` // Unix ms
}
