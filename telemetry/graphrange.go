package telemetry

// A GraphRange is the graph of a past range with what was counted there: by it two ranges can be told from chance. It belongs to who
// asked for it.
type GraphRange struct {
	Graph   *Graph
	Seconds float64   // how long it is
	Nodes   []Counted // of each of Graph.Nodes: its inbound requests
	Edges   []Counted // of each of Graph.Edges
}

// Counted is what a node or an edge shows of a range, in requests.
type Counted struct {
	Requests  float64
	Errors    float64 // without the throttled
	Throttled float64
	Calls     float64        // of a node: its own to others
	Times     []TimeCount    // by bucket, shortest first
	Versions  []VersionCount // of a node, by name
}

// TimeCount is how many requests took as long as a bucket says.
type TimeCount struct {
	Bucket int32 // as package bucket numbers them; math.MinInt32 of what took no time
	Count  float64
}

// VersionCount is in how many requests a version of a node had a part, at either end, as the witness told of it that saw most.
type VersionCount struct {
	Version  string
	Requests float64
}
