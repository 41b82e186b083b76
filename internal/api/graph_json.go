package api

import (
	"slices"
	"sync"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// windowOrder is how windows are written, shortest first; any other follows.
var windowOrder = [...]string{"1s", "10s", "1m", "5m", "range"} //nolint:gochecknoglobals // immutable

// appendGraph writes a graph as encoding/json would, but for signals, which
// have six digits, and arrays, which are never null. It is written by hand because a
// map of 5,000 services is megabytes several times a second.
func appendGraph(b []byte, g *telemetry.Graph) []byte {
	j := jsonWriter{b: b}
	j.open('{')
	j.key("version")
	j.uint(g.Version)
	j.key("time")
	j.millisecond(g.Time)
	j.field("origin", g.Origin.String())
	j.key("nodes")
	j.nodes(g.Nodes)
	j.key("edges")
	j.edges(g.Edges)
	j.close('}')
	return j.b
}

func appendDelta(b []byte, d *telemetry.GraphDelta) []byte {
	j := jsonWriter{b: b}
	j.open('{')
	j.key("version")
	j.uint(d.Version)
	j.key("time")
	j.millisecond(d.Time)
	j.key("nodes")
	j.nodes(d.Nodes)
	j.key("edges")
	j.edges(d.Edges)
	j.key("removed_nodes")
	j.texts(d.RemovedNodes)
	j.key("removed_edges")
	j.texts(d.RemovedEdges)
	j.close('}')
	return j.b
}

func (j *jsonWriter) texts(list []string) {
	j.open('[')
	for _, s := range list {
		j.text(s)
	}
	j.close(']')
}

func (j *jsonWriter) nodes(nodes []telemetry.GraphNode) {
	j.open('[')
	for i := range nodes {
		n := &nodes[i]
		j.open('{')
		j.field("id", n.ID)
		j.field("name", n.Name)
		j.field("namespace", n.Namespace)
		j.field("cluster", n.Cluster)
		j.field("kind", n.Kind.String())
		j.field("system", n.System)
		j.key("versions")
		j.texts(n.Versions)
		j.field("health", n.Health.String())
		j.key("windows")
		j.windows(n.Windows)
		j.key("last_seen")
		j.millisecond(n.LastSeen)
		j.close('}')
	}
	j.close(']')
}

func (j *jsonWriter) edges(edges []telemetry.GraphEdge) {
	j.open('[')
	for i := range edges {
		e := &edges[i]
		j.open('{')
		j.field("id", e.ID)
		j.field("source", e.Source)
		j.field("target", e.Target)
		j.field("protocol", e.Protocol.String())
		j.field("health", e.Health.String())
		j.key("windows")
		j.windows(e.Windows)
		j.counts(e)
		j.key("mtls")
		j.signal(e.MTLS)
		if len(e.ThrottledBy) > 0 {
			j.key("throttled_by")
			j.throttledBy(e.ThrottledBy)
		}
		if len(e.Exemplars) > 0 {
			j.key("exemplars")
			j.exemplars(e.Exemplars)
		}
		j.key("first_seen")
		j.millisecond(e.FirstSeen)
		j.key("last_seen")
		j.millisecond(e.LastSeen)
		j.close('}')
	}
	j.close(']')
}

func (j *jsonWriter) counts(e *telemetry.GraphEdge) {
	j.key("totals")
	j.open('{')
	j.key("requests")
	j.uint(e.Totals.Requests)
	j.key("errors")
	j.uint(e.Totals.Errors)
	j.key("throttled")
	j.uint(e.Totals.Throttled)
	j.close('}')
	j.key("witnesses")
	j.open('{')
	j.key("client_span")
	j.uint(e.Witnesses.ClientSpan)
	j.key("server_span")
	j.uint(e.Witnesses.ServerSpan)
	j.key("client_log")
	j.uint(e.Witnesses.ClientLog)
	j.key("server_log")
	j.uint(e.Witnesses.ServerLog)
	j.close('}')
}

func (j *jsonWriter) throttledBy(rules []telemetry.RuleRate) {
	j.open('[')
	for _, r := range rules {
		j.open('{')
		j.field("rule", r.Rule)
		j.key("rate")
		j.signal(r.Rate)
		j.close('}')
	}
	j.close(']')
}

func (j *jsonWriter) exemplars(list []telemetry.Exemplar) {
	j.open('[')
	for i := range list {
		x := &list[i]
		j.open('{')
		j.key("trace_id")
		j.hex(x.TraceID[:])
		j.key("span_id")
		j.spanID(x.SpanID)
		j.key("duration")
		j.signal(float64(x.Duration) / 1e6)
		j.key("error")
		j.bool(x.Error)
		j.key("time")
		j.millisecond(x.Time)
		j.close('}')
	}
	j.close(']')
}

func (j *jsonWriter) windows(ws map[string]telemetry.Signals) {
	j.open('{')
	written := 0
	for _, name := range windowOrder {
		if s, ok := ws[name]; ok {
			j.key(name)
			j.signals(&s)
			written++
		}
	}
	if written < len(ws) {
		j.otherWindows(ws)
	}
	j.close('}')
}

func (j *jsonWriter) otherWindows(ws map[string]telemetry.Signals) {
	var names []string
	for name := range ws {
		if !slices.Contains(windowOrder[:], name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		s := ws[name]
		j.textKey(name)
		j.signals(&s)
	}
}

func (j *jsonWriter) signals(s *telemetry.Signals) {
	j.open('{')
	j.key("rate")
	j.signal(s.Rate)
	j.key("error_rate")
	j.signal(s.ErrorRate)
	j.key("throttled_rate")
	j.signal(s.ThrottledRate)
	for _, q := range [...]struct {
		name  string
		value *float64
	}{{"p50", s.P50}, {"p90", s.P90}, {"p99", s.P99}} {
		if q.value != nil {
			j.key(q.name)
			j.signal(*q.value)
		}
	}
	j.close('}')
}

// A graphCache holds the JSON of the newest snapshot that was asked for, so
// that a page opened by many is encoded once. A snapshot is named by its pointer:
// it never changes (I5).
type graphCache struct {
	mu   sync.Mutex
	of   *telemetry.Graph // guarded by mu
	json []byte           // of's; guarded by mu, its bytes are immutable
}

// encode is g's JSON, which the caller does not write to. Two that ask at once
// for the same graph wait for one encoding.
func (c *graphCache) encode(g *telemetry.Graph) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of != g {
		size := len(c.json) + len(c.json)/8
		c.json = appendGraph(make([]byte, 0, size), g)
		c.of = g
	}
	return c.json
}
