package binnacle

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/aggregator"
	"github.com/binnacle-mesh/binnacle/internal/api/apitest"
	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/storage/series"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
	"github.com/binnacle-mesh/binnacle/topology"
)

// A field of an edge or of a node goes through many hands before somebody sees it. This test walks over the fields of the
// vocabulary and asks at each place whether the field has arrived, so that one that is added is forgotten nowhere.

// neverPast are the fields that a past graph cannot have, and why.
var neverPast = map[string]string{
	"GraphEdge.ThrottledBy.Rule":             "series count what was refused, not by which rule",
	"GraphEdge.ThrottledBy.Rate":             "series count what was refused, not by which rule",
	"GraphEdge.Estimate.By":                  "series count what was told of, not what it stands for",
	"GraphEdge.Estimate.Requests":            "series count what was told of, not what it stands for",
	"GraphEdge.Estimate.Within":              "series count what was told of, not what it stands for",
	"GraphEdge.Estimate.ClientSpan.Requests": "series count what was told of, not what it stands for",
	"GraphEdge.Estimate.ClientSpan.Within":   "series count what was told of, not what it stands for",
	"GraphEdge.Estimate.ServerSpan.Requests": "series count what was told of, not what it stands for",
	"GraphEdge.Estimate.ServerSpan.Within":   "series count what was told of, not what it stands for",
}

func TestEveryFieldArrives(t *testing.T) {
	t.Parallel()
	live, past := drawn(t)
	for _, c := range []struct {
		of         any
		live, past any
		graph      func(v any) *telemetry.Graph
	}{
		{telemetry.GraphEdge{}, live.Edges, past.Edges, func(v any) *telemetry.Graph {
			return &telemetry.Graph{Edges: []telemetry.GraphEdge{v.(telemetry.GraphEdge)}}
		}},
		{telemetry.GraphNode{}, live.Nodes, past.Nodes, func(v any) *telemetry.Graph {
			return &telemetry.Graph{Nodes: []telemetry.GraphNode{v.(telemetry.GraphNode)}}
		}},
	} {
		for _, f := range leaves(reflect.TypeOf(c.of)) {
			if !slices.ContainsFunc(f.values(reflect.ValueOf(c.live)), tells) {
				t.Errorf("%s is told by no edge or node of the live graph, though there was cause: topology/render*.go forgot it", f)
			}
			why, never := neverPast[f.String()]
			if told := slices.ContainsFunc(f.values(reflect.ValueOf(c.past)), tells); !told && !never {
				t.Errorf("%s is told by no edge or node of the past graph: aggregator/graphdraw.go forgot it, or neverPast here says why it cannot", f)
			} else if told && never {
				t.Errorf("%s is told by the past graph, and neverPast says that it cannot be: %s", f, why)
			}
			was, is := c.graph(filled(c.of, nil)), c.graph(filled(c.of, f))
			if d := query.Diff(was, is); len(d.Edges)+len(d.Nodes) == 0 {
				t.Errorf("%s has changed, and the stream's delta does not have it: sameEdge, sameNode or sameWindows in internal/query/diff.go forgot it", f)
			}
			if got := changed(t, appendGraph(nil, was), appendGraph(nil, is)); len(got) != 1 || got[0] != f.key() {
				t.Errorf("%s has changed, and in the JSON %v: internal/api/binnacle/graph_json.go forgot the field %q", f, got, f.key())
			}
			f.checkPapers(t)
		}
	}
}

// A leaf is a field by the way to it: GraphEdge.Totals.Requests.
type leaf struct {
	owner reflect.Type // the struct that has it
	path  []string
}

func (l *leaf) String() string { return strings.Join(l.path, ".") }
func (l *leaf) key() string    { return snake(l.path[len(l.path)-1]) }

// plain says that a type is one value, and not made of others.
func plain(t reflect.Type) bool {
	_, named := reflect.Zero(t).Interface().(fmt.Stringer)
	return named || t.Kind() != reflect.Struct && t.Kind() != reflect.Slice && t.Kind() != reflect.Map && t.Kind() != reflect.Pointer
}

func leaves(t reflect.Type, path ...string) []*leaf {
	var out []*leaf
	for i := range t.NumField() {
		f := t.Field(i)
		way := append(slices.Clone(path), f.Name)
		if len(path) == 0 {
			way = []string{t.Name(), f.Name}
		}
		of := f.Type
		for !plain(of) && of.Kind() != reflect.Struct {
			of = of.Elem()
		}
		if plain(of) {
			out = append(out, &leaf{owner: t, path: way})
		} else {
			out = append(out, leaves(of, way...)...)
		}
	}
	return out
}

// values are the field's, wherever it occurs in v.
func (l *leaf) values(v reflect.Value) []reflect.Value { return collect(v, l.path[1:]) }

func collect(v reflect.Value, path []string) []reflect.Value {
	var out []reflect.Value
	switch {
	case plain(v.Type()):
		return []reflect.Value{v}
	case v.Kind() == reflect.Struct:
		return collect(v.FieldByName(path[0]), path[1:])
	case v.Kind() == reflect.Pointer && !v.IsNil():
		return collect(v.Elem(), path)
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			out = append(out, collect(v.Index(i), path)...)
		}
	case v.Kind() == reflect.Map:
		for _, k := range v.MapKeys() {
			out = append(out, collect(v.MapIndex(k), path)...)
		}
	}
	return out
}

// tells says that a value is more than what an empty field holds: zero, or -1 for what is not known.
func tells(v reflect.Value) bool {
	return !v.IsZero() && !(v.Kind() == reflect.Float64 && v.Float() < 0)
}

// filled is a value like v with something in every field, and something else in that of other.
func filled(v any, other *leaf) any {
	out := reflect.New(reflect.TypeOf(v)).Elem()
	var path []string
	if other != nil {
		path = other.path[1:]
	}
	fill(out, path, other != nil)
	return out.Interface()
}

// fill fills v; here says that the rest of path leads from v to the field that is to be different.
func fill(v reflect.Value, path []string, here bool) {
	n := 1
	if here {
		n = 2
	}
	switch {
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; here && name == path[0] {
				fill(v.Field(i), path[1:], true)
			} else {
				fill(v.Field(i), nil, false)
			}
		}
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), path, here)
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), path, here)
	case v.Kind() == reflect.Map:
		e := reflect.New(v.Type().Elem()).Elem()
		fill(e, path, here)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("1s"), e)
	case v.Kind() == reflect.Array:
		fill(v.Index(0), nil, here)
	case v.Kind() == reflect.String:
		v.SetString(strings.Repeat("x", n))
	case v.Kind() == reflect.Bool:
		v.SetBool(here)
	case v.CanInt():
		v.SetInt(int64(n) * int64(time.Second))
	case v.CanUint():
		v.SetUint(uint64(n))
	case v.CanFloat():
		v.SetFloat(float64(n))
	default:
		panic("a field is a " + v.Type().String() + ", which this test cannot fill; teach it")
	}
}

// changed is the keys at which two JSON texts differ.
func changed(t *testing.T, a, b []byte) (keys []string) {
	t.Helper()
	var x, y any
	for _, in := range []struct {
		text []byte
		into *any
	}{{a, &x}, {b, &y}} {
		if err := json.Unmarshal(in.text, in.into); err != nil {
			t.Fatalf("%v in %s", err, in.text)
		}
	}
	return differ("", x, y)
}

func differ(key string, x, y any) (keys []string) {
	if reflect.DeepEqual(x, y) {
		return nil
	}
	if x, ok := x.(map[string]any); ok {
		for k, v := range x {
			keys = append(keys, differ(k, v, y.(map[string]any)[k])...)
		}
		return keys
	}
	if list, ok := x.([]any); ok && len(list) == len(y.([]any)) {
		for i, v := range list {
			keys = append(keys, differ(key, v, y.([]any)[i])...)
		}
		return keys
	}
	return []string{key}
}

// written are the names that a type of the vocabulary goes by in the web view: the interface of types.ts, and the check of shapes.ts.
var written = map[string][2]string{
	"GraphEdge": {"GraphEdge", "edge"}, "GraphNode": {"GraphNode", "node"}, "Signals": {"Signals", "signals"}, "Exemplar": {"Exemplar", "exemplar"},
	"WitnessCounts": {"Witnesses", "edge"}, "Totals": {"GraphEdge", "edge"}, "RuleRate": {"GraphEdge", "edge"}, "Judgement": {"Judgement", "judgement"},
	"Estimate": {"Estimate", "estimate"}, "Estimated": {"Estimated", "estimated"},
}

// checkPapers looks for the field where people and the web view read of it.
func (l *leaf) checkPapers(t *testing.T) {
	t.Helper()
	names, ok := written[l.owner.Name()]
	if !ok {
		t.Errorf("%s belongs to %s, whose names in the web view this test does not know; teach it", l, l.owner)
		return
	}
	word := regexp.MustCompile(`\b` + l.key() + `\b`)
	for _, p := range []struct{ file, part string }{
		{"docs/api/http.md", `(?s)\n## Graph\n.*?\n## `},
		{"ui/src/api/types.ts", `(?s)export interface ` + names[0] + ` \{.*?\n\}`},
		{"ui/src/api/shapes.ts", `(?s)\n(?:export )?const ` + names[1] + ` = .*?\n\}\);`},
	} {
		text, err := os.ReadFile("../../../" + p.file)
		if err != nil {
			t.Fatal(err)
		}
		part := regexp.MustCompile(p.part).Find(text)
		if part == nil {
			t.Errorf("%s has no part like %s; teach this test where it went", p.file, p.part)
		} else if !word.Match(part) {
			t.Errorf("%s is not in %s: %q is missing in the part that begins %q", l, p.file, l.key(), bytes.TrimSpace(part[:min(len(part), 40)]))
		}
	}
}

// drawn is a live and a past graph of traffic that gives cause for every field: all four witnesses, errors, refusals by a rule, mutual
// TLS, two versions, two clusters, a database, a culprit and its victim, spans that were sampled.
func drawn(t *testing.T) (live, past *telemetry.Graph) {
	t.Helper()
	ctx, reg, noon := context.Background(), prometheus.NewRegistry(), apitest.Noon()
	db, err := series.Open(t.TempDir(), series.DefaultConfig(), slog.New(slog.DiscardHandler), reg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	graph, signals := topology.New(topology.DefaultConfig()), aggregator.New(aggregator.DefaultConfig(), reg)
	if err := signals.Flush(ctx, noon, db); err != nil {
		t.Fatal(err)
	}
	for n := range 60 {
		now := noon.Add(time.Duration(n) * time.Second)
		e := telemetry.Entry{Position: telemetry.Position(n + 1), Batch: call(n, now)}
		seen := graph.Consume(e)
		if err := signals.Consume(e); err != nil {
			t.Fatal(err)
		}
		signals.Observe(seen)
		signals.Observe(graph.Tick(now.UnixNano()))
		if err := signals.Flush(ctx, now, db); err != nil {
			t.Fatal(err)
		}
	}
	end := noon.Add(time.Minute)
	graph.SetThrottledBy(end.UnixNano(), []topology.ThrottledBy{{Target: "cart.shop", Rule: "shop/path", Rate: 2}})
	graph.Tick(end.Add(time.Second).UnixNano())
	past, err = aggregator.NewGraphReader(db, health.DefaultConfig(), graph).Graph(ctx, noon, end)
	if err != nil {
		t.Fatal(err)
	}
	return graph.Snapshot(), past
}

// call is the n-th request of frontend to cart, and of cart to its database.
func call(n int, now time.Time) *telemetry.Batch {
	b := telemetry.NewBatch()
	b.Received = now.UnixNano()
	code, outcome := 200, telemetry.OutcomeOK
	switch n % 4 {
	case 1:
		code, outcome = 500, telemetry.OutcomeError
	case 2:
		code, outcome = 429, telemetry.OutcomeThrottled
	}
	front := apitest.AddResource(b, "frontend", "shop", "v1")
	cart := apitest.AddResource(b, "cart", "shop", fmt.Sprint("v", n%2))
	b.Resources[cart].Identity.Cluster = b.InternString("west")
	id, client, server := apitest.TraceID(byte(n+1)), apitest.SpanID(byte(2*n+1)), apitest.SpanID(byte(2*n+2))
	status := apitest.KV("http.response.status_code", code)
	// The frontend passes on what it gets to whoever asked.
	apitest.AddSpan(b, telemetry.Span{TraceID: id, SpanID: telemetry.SpanID{2, byte(n)}, Start: b.Received, Duration: 9e6, Resource: front, Kind: telemetry.KindServer},
		"GET /", apitest.KV("http.request.method", "GET"), status)
	apitest.AddSpan(b, telemetry.Span{TraceID: id, SpanID: client, Start: b.Received, Duration: 9e6, Resource: front, Kind: telemetry.KindClient},
		"GET", apitest.KV("http.request.method", "GET"), status)
	apitest.AddSpan(b, telemetry.Span{TraceID: id, SpanID: server, ParentID: client, Start: b.Received + 1e6, Duration: 7e6, Resource: cart, Kind: telemetry.KindServer},
		"GET /cart", apitest.KV("http.request.method", "GET"), status, apitest.KV("SampleRate", 4))
	apitest.AddSpan(b, telemetry.Span{TraceID: id, SpanID: telemetry.SpanID{1, byte(n)}, ParentID: server, Start: b.Received + 2e6, Duration: 3e6, Resource: cart, Kind: telemetry.KindClient},
		"SELECT", apitest.KV("db.system.name", "postgresql"), apitest.KV("server.address", "stock.db"), apitest.KV("SampleRate", 4))
	for side, of := range [...]uint32{telemetry.SideClient: front, telemetry.SideServer: cart} {
		peer := b.Resources[front+cart-of].Identity
		b.Requests = append(b.Requests, telemetry.Request{
			TraceID: id, SpanID: client, Start: b.Received, Duration: 8e6, Resource: of, Peer: peer, PeerKind: telemetry.NodeService, Side: telemetry.Side(side),
			Protocol: telemetry.ProtocolHTTP, TLS: telemetry.TLSMutual, Outcome: outcome, Code: int32(code), Method: b.InternString("GET"), Path: b.InternString("/cart"),
		})
	}
	return b
}
