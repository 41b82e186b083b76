package binnacle

import (
	"slices"
	"sync"

	"github.com/binnacle-mesh/binnacle/internal/api/jsonout"
	"github.com/binnacle-mesh/binnacle/internal/ledger"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// windowOrder is how windows are written, shortest first; any other follows.
var windowOrder = [...]string{"1s", "10s", "1m", "5m", "range"} //nolint:gochecknoglobals // immutable

// appendGraph writes a graph. It is written by hand because a map of 5,000
// services is megabytes several times a second. Signals have six digits; times are in
// milliseconds; arrays are never null.
func appendGraph(b []byte, g *telemetry.Graph) []byte {
	j := jsonout.Writer{B: b}
	j.Open('{')
	j.Key("version").Uint(g.Version)
	j.Key("time").Millisecond(g.Time)
	j.Field("origin", g.Origin.String())
	j.Key("nodes")
	jsonout.List(&j, g.Nodes, writeNode)
	j.Key("edges")
	jsonout.List(&j, g.Edges, writeEdge)
	j.Key("culprits").Texts(g.Culprits)
	writeFindings(&j, g.Findings)
	writeIncomplete(&j, g.Incomplete)
	j.Close('}')
	return j.B
}

func appendDelta(b []byte, d *telemetry.GraphDelta) []byte {
	j := jsonout.Writer{B: b}
	j.Open('{')
	j.Key("version").Uint(d.Version)
	j.Key("time").Millisecond(d.Time)
	j.Key("nodes")
	jsonout.List(&j, d.Nodes, writeNode)
	j.Key("edges")
	jsonout.List(&j, d.Edges, writeEdge)
	j.Key("removed_nodes").Texts(d.RemovedNodes)
	j.Key("removed_edges").Texts(d.RemovedEdges)
	j.Key("culprits").Texts(d.Culprits)
	writeFindings(&j, d.Findings)
	j.Close('}')
	return j.B
}

func writeNode(j *jsonout.Writer, n *telemetry.GraphNode) {
	j.Open('{')
	writeNodeFields(j, n, n.Kind.String())
	j.Close('}')
}

func writeNodeFields(j *jsonout.Writer, n *telemetry.GraphNode, kind string) {
	j.Field("id", n.ID)
	j.Field("name", n.Name)
	j.Field("namespace", n.Namespace)
	j.Field("cluster", n.Cluster)
	j.Field("kind", kind)
	j.Field("system", n.System)
	j.Key("versions").Texts(n.Versions)
	j.Field("health", n.Health.String())
	writeJudgement(j, &n.Judgement)
	writeWindows(j.Key("windows"), n.Windows)
	writeFound(j, n.Findings)
	j.Key("last_seen").Millisecond(n.LastSeen)
}

func writeEdge(j *jsonout.Writer, e *telemetry.GraphEdge) {
	j.Open('{')
	writeEdgeFields(j, e)
	j.Close('}')
}

func writeEdgeFields(j *jsonout.Writer, e *telemetry.GraphEdge) {
	j.Field("id", e.ID)
	j.Field("source", e.Source)
	j.Field("target", e.Target)
	j.Field("protocol", e.Protocol.String())
	j.Field("health", e.Health.String())
	writeJudgement(j, &e.Judgement)
	writeWindows(j.Key("windows"), e.Windows)
	writeTotals(j.Key("totals"), &e.Totals)
	writeWitnesses(j.Key("witnesses"), &e.Witnesses)
	writeEstimate(j, e.Estimate)
	j.Key("mtls").Signal(e.MTLS)
	if len(e.ThrottledBy) > 0 {
		j.Key("throttled_by")
		jsonout.List(j, e.ThrottledBy, writeRuleRate)
	}
	if len(e.Exemplars) > 0 {
		j.Key("exemplars")
		jsonout.List(j, e.Exemplars, writeExemplar)
	}
	writeFound(j, e.Findings)
	j.Key("first_seen").Millisecond(e.FirstSeen)
	j.Key("last_seen").Millisecond(e.LastSeen)
}

// writeJudgement writes what is wrong, where anything is.
func writeJudgement(j *jsonout.Writer, v *telemetry.Judgement) {
	if v.Kind == telemetry.AilmentNone {
		return
	}
	j.Key("judgement")
	j.Open('{')
	j.Field("kind", v.Kind.String())
	j.Key("since").Millisecond(v.Since)
	j.Field("because", v.Because)
	j.Field("says", v.Says)
	j.Key("score").Signal(v.Score)
	j.Close('}')
}

func writeTotals(j *jsonout.Writer, t *telemetry.Totals) {
	j.Open('{')
	j.Key("requests").Uint(t.Requests)
	j.Key("errors").Uint(t.Errors)
	j.Key("throttled").Uint(t.Throttled)
	j.Close('}')
}

func writeWitnesses(j *jsonout.Writer, w *telemetry.WitnessCounts) {
	j.Open('{')
	j.Key("client_span").Uint(w.ClientSpan)
	j.Key("server_span").Uint(w.ServerSpan)
	j.Key("client_log").Uint(w.ClientLog)
	j.Key("server_log").Uint(w.ServerLog)
	j.Close('}')
}

// writeEstimate writes how many requests there were, where samplers left some out.
func writeEstimate(j *jsonout.Writer, e *telemetry.Estimate) {
	if e == nil {
		return
	}
	j.Key("estimate")
	j.Open('{')
	j.Field("by", e.By.String())
	j.Key("requests").Float(e.Requests)
	j.Key("within").Signal(e.Within)
	for w, of := range [...]telemetry.Estimated{telemetry.ClientSpan: e.ClientSpan, telemetry.ServerSpan: e.ServerSpan} {
		j.Key(telemetry.Witness(w).String())
		j.Open('{')
		j.Key("requests").Float(of.Requests)
		j.Key("within").Signal(of.Within)
		j.Close('}')
	}
	j.Close('}')
}

func writeRuleRate(j *jsonout.Writer, r *telemetry.RuleRate) {
	j.Open('{')
	j.Field("rule", r.Rule)
	j.Key("rate").Signal(r.Rate)
	j.Close('}')
}

func writeExemplar(j *jsonout.Writer, x *telemetry.Exemplar) {
	j.Open('{')
	j.Key("trace_id").Hex(x.TraceID[:])
	j.Key("span_id").SpanID(x.SpanID)
	j.Key("duration").Signal(float64(x.Duration) / 1e6)
	j.Key("error").Bool(x.Error)
	j.Key("time").Millisecond(x.Time)
	j.Close('}')
}

func writeWindows(j *jsonout.Writer, ws map[string]telemetry.Signals) {
	j.Open('{')
	written := 0
	for _, name := range windowOrder {
		if s, ok := ws[name]; ok {
			writeSignals(j.Key(name), &s)
			written++
		}
	}
	if written < len(ws) {
		writeOtherWindows(j, ws)
	}
	j.Close('}')
}

func writeOtherWindows(j *jsonout.Writer, ws map[string]telemetry.Signals) {
	var names []string
	for name := range ws {
		if !slices.Contains(windowOrder[:], name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		s := ws[name]
		writeSignals(j.TextKey(name), &s)
	}
}

func writeSignals(j *jsonout.Writer, s *telemetry.Signals) {
	j.Open('{')
	b := jsonout.AppendSignal(append(j.B, `"rate":`...), s.Rate) // a key and its number at a time: there are a million
	b = jsonout.AppendSignal(append(b, `,"error_rate":`...), s.ErrorRate)
	b = jsonout.AppendSignal(append(b, `,"throttled_rate":`...), s.ThrottledRate)
	b = appendQuantile(b, `,"p50":`, s.P50)
	b = appendQuantile(b, `,"p90":`, s.P90)
	j.B = appendQuantile(b, `,"p99":`, s.P99)
	j.Close('}')
}

func appendQuantile(b []byte, key string, ms *float64) []byte {
	if ms == nil {
		return b
	}
	return jsonout.AppendSignal(append(b, key...), *ms)
}

// A graphCache holds the JSON of the newest snapshot that was asked for, so
// that a page opened by many is encoded once. A snapshot is named by its pointer:
// it never changes (I5).
//
// A stream whose client reads slowly holds the JSON that it is sending, which need not be the newest any more: so many versions may be in
// memory as there are slow streams. Each version counts in memory once, for as long as it is the newest or somebody sends it.
type graphCache struct {
	memory *ledger.Account
	mu     sync.Mutex
	newest *encoded // guarded by mu
}

// encoded is a snapshot's JSON, whose bytes do not change.
type encoded struct {
	of    *telemetry.Graph
	json  []byte
	users int   // streams that send it; guarded by the cache's mu
	held  int64 // bytes counted in memory; guarded by the cache's mu
}

// encode is g's JSON, which the caller does not write to. Two that ask at once
// for the same graph wait for one encoding.
func (c *graphCache) encode(g *telemetry.Graph) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of(g).json
}

// of is g's JSON, which is now the newest. c.mu is held.
func (c *graphCache) of(g *telemetry.Graph) *encoded {
	if c.newest != nil && c.newest.of == g {
		return c.newest
	}
	size := 0
	if c.newest != nil {
		size = len(c.newest.json) + len(c.newest.json)/8
		if c.newest.users == 0 {
			c.forget(c.newest)
		}
	}
	c.newest = &encoded{of: g, json: appendGraph(make([]byte, 0, size), g)}
	return c.newest
}

// hold is g's JSON for a stream that sends it, and must then let it go; nil where there is no memory for it.
func (c *graphCache) hold(g *telemetry.Graph) *encoded {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.of(g)
	if n := int64(cap(e.json)); e.held == 0 {
		if !c.memory.Take(n) {
			return nil
		}
		e.held = n
	}
	e.users++
	return e
}

// letGo is called by a stream that has sent it.
func (c *graphCache) letGo(e *encoded) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.users--; e.users == 0 && e != c.newest {
		c.forget(e)
	}
}

func (c *graphCache) forget(e *encoded) {
	c.memory.Give(e.held)
	e.held = 0
}
