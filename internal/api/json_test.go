package api

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// FuzzText: whatever is written as a JSON string, a JSON reader reads back, but
// for bytes that are no text.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\\n\r\t\x00\x1f", "ü€😀", "\u2028\u2029", "a\xffb\xc0", "\uFFFD"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		b := appendText(nil, s)
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q is written as %s, which is no JSON: %v", s, b, err)
		}
		want := s
		if !utf8.ValidString(s) { // encoding/json decides what becomes of other bytes
			viaJSON, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(viaJSON, &want); err != nil {
				t.Fatal(err)
			}
		}
		if got != want {
			t.Fatalf("%q is read back as %q", s, got)
		}
	})
}

// TestMillisIsExact: nanoseconds written as milliseconds are the same number.
func TestMillisIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ns := rapid.OneOf(rapid.Int64Range(-math.MaxInt64, math.MaxInt64), rapid.Int64Range(-2_000_000, 2_000_000)).Draw(t, "ns")
		s := string(appendMillis(nil, ns))
		whole, frac, _ := strings.Cut(s, ".")
		back, err := strconv.ParseInt(whole+(frac + "000000")[:6], 10, 64)
		if err != nil || back != ns || strings.HasSuffix(frac, "0") || len(frac) > 6 {
			t.Fatalf("%d ns is written as %s, which is %d ns (%v)", ns, s, back, err)
		}
		if !json.Valid([]byte(s)) {
			t.Fatalf("%d ns is written as %s, which is no JSON number", ns, s)
		}
	})
}

// TestFloatIsEncodingJSONs: every number is written as encoding/json writes it,
// and what is none does not break the JSON around it.
func TestFloatIsEncodingJSONs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.Float64().Draw(t, "f")
		want, err := json.Marshal(f)
		if err != nil {
			want = []byte(map[string]string{"NaN": `"NaN"`, "+Inf": `"Infinity"`, "-Inf": `"-Infinity"`}[strconv.FormatFloat(f, 'g', -1, 64)])
		}
		if got := appendFloat(nil, f); string(got) != string(want) {
			t.Fatalf("%v is written as %s, want %s", f, got, want)
		}
	})
}

// TestGraphIsEncodingJSONs holds the graph's hand-written JSON to the struct tags
// of telemetry, field by field: a field that is added there and forgotten here shows.
func TestGraphIsEncodingJSONs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		signals := rapid.Custom(func(t *rapid.T) telemetry.Signals {
			f := func(name string) float64 { return rapid.Float64Range(-1e9, 1e9).Draw(t, name) }
			s := telemetry.Signals{Rate: f("rate"), ErrorRate: f("error rate"), ThrottledRate: f("throttled")}
			if rapid.Bool().Draw(t, "traffic") {
				p50, p90, p99 := f("p50"), f("p90"), f("p99")
				s.P50, s.P90, s.P99 = &p50, &p90, &p99
			}
			return s
		})
		windows := rapid.MapOfN(rapid.SampledFrom([]string{"1s", "10s", "1m", "5m", "range", "odd \"one\""}), signals, 0, 4)
		text := rapid.SampledFrom([]string{"", "shop/cart", "a>b|http", "\"<ü>\u2028"})
		g := telemetry.Graph{Version: rapid.Uint64().Draw(t, "version"), Time: rapid.Int64().Draw(t, "time"), Origin: text.Draw(t, "origin")}
		for range rapid.IntRange(0, 3).Draw(t, "nodes") {
			g.Nodes = append(g.Nodes, telemetry.GraphNode{
				ID: text.Draw(t, "id"), Name: text.Draw(t, "name"), Namespace: text.Draw(t, "namespace"), Cluster: text.Draw(t, "cluster"),
				Kind: "service", System: text.Draw(t, "system"), Versions: rapid.SliceOf(text).Draw(t, "versions"),
				Health: telemetry.HealthDegraded, Windows: windows.Draw(t, "windows"), LastSeen: rapid.Int64().Draw(t, "seen"),
			})
		}
		for range rapid.IntRange(0, 3).Draw(t, "edges") {
			n := rapid.Uint64()
			g.Edges = append(g.Edges, telemetry.GraphEdge{
				ID: text.Draw(t, "id"), Source: text.Draw(t, "source"), Target: text.Draw(t, "target"), Protocol: "http", Health: telemetry.HealthIdle,
				Windows: windows.Draw(t, "windows"), Totals: telemetry.Totals{Requests: n.Draw(t, "n"), Errors: n.Draw(t, "n"), Throttled: n.Draw(t, "n")},
				Witnesses:   telemetry.WitnessCounts{ClientSpan: n.Draw(t, "n"), ServerSpan: n.Draw(t, "n"), ClientLog: n.Draw(t, "n"), ServerLog: n.Draw(t, "n")},
				MTLS:        rapid.Float64Range(-1, 1).Draw(t, "mtls"),
				ThrottledBy: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) telemetry.RuleRate { return telemetry.RuleRate{Rule: text.Draw(t, "rule"), Rate: 1.5} }), 0, 2).Draw(t, "rules"),
				Exemplars: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) telemetry.Exemplar {
					return telemetry.Exemplar{TraceID: text.Draw(t, "trace"), SpanID: text.Draw(t, "span"), Duration: 2.5, Error: rapid.Bool().Draw(t, "error"), Time: rapid.Int64().Draw(t, "time")}
				}), 0, 2).Draw(t, "exemplars"),
				FirstSeen: rapid.Int64().Draw(t, "first"), LastSeen: rapid.Int64().Draw(t, "last"),
			})
		}
		sameJSON(t, g, appendGraph(nil, &g))
		d := telemetry.GraphDelta{
			Version: g.Version, Time: g.Time, Nodes: g.Nodes, Edges: g.Edges,
			RemovedNodes: rapid.SliceOf(text).Draw(t, "removed"), RemovedEdges: rapid.SliceOf(text).Draw(t, "removed"),
		}
		sameJSON(t, d, appendDelta(nil, &d))
	})
}

// sameJSON compares as numbers, to six digits, and takes null for an empty list
// or map.
func sameJSON(t *rapid.T, v any, got []byte) {
	t.Helper()
	want, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var x, y any
	if err := json.Unmarshal(want, &x); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(got, &y); err != nil {
		t.Fatalf("%v in %s", err, got)
	}
	noNull := cmp.FilterPath(func(cmp.Path) bool { return true }, cmp.FilterValues(func(a, b any) bool { return a == nil || b == nil },
		cmp.Comparer(func(a, b any) bool { return empty(a) && empty(b) })))
	if diff := cmp.Diff(x, y, cmpopts.EquateApprox(1e-5, 0), noNull); diff != "" {
		t.Fatalf("(-encoding/json +ours):\n%s", diff)
	}
	if strings.Contains(string(got), "null") && !strings.Contains(string(want), "null") {
		t.Fatalf("null in %s", got)
	}
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}
