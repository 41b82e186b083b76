package binnacle

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/internal/api/apitest"
	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// TestGraphIsTheNaiveOne holds the graph's hand-written JSON to the vocabulary, field by
// field: a field that is added there and forgotten here shows.
func TestGraphIsTheNaiveOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var g telemetry.Graph
		draw(t, "graph", reflect.ValueOf(&g).Elem())
		sameJSON(t, &g, appendGraph(nil, &g))
		var d telemetry.GraphDelta
		draw(t, "delta", reflect.ValueOf(&d).Elem())
		sameJSON(t, &d, appendDelta(nil, &d))
	})
}

// sameJSON holds got to the naive JSON of v, as numbers to six digits.
func sameJSON(t *rapid.T, v any, got []byte) {
	t.Helper()
	want, err := json.Marshal(naive("", reflect.ValueOf(v)))
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
	if diff := cmp.Diff(x, y, cmpopts.EquateApprox(1e-5, 0)); diff != "" {
		t.Fatalf("(-naive +ours):\n%s", diff)
	}
}

// BenchmarkStreamDelta is what one change of a map of 5,000 edges, of which a
// tenth changed, costs however many listen; the ratio is to encoding/json over maps.
func BenchmarkStreamDelta(b *testing.B) {
	d := telemetry.GraphDelta{}
	for i := range 500 {
		e := apitest.ShopGraph(1, float64(i)/7).Edges[3]
		e.ID = fmt.Sprintf("%s-%d", e.ID, i)
		d.Edges = append(d.Edges, e)
	}
	var perReflection float64
	b.Run("encoding/json", func(b *testing.B) {
		v := naive("", reflect.ValueOf(&d))
		b.ResetTimer()
		for b.Loop() {
			if _, err := json.Marshal(v); err != nil {
				b.Fatal(err)
			}
		}
		perReflection = float64(b.Elapsed()) / float64(b.N)
	})
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		var buf []byte
		for b.Loop() {
			buf = appendDelta(buf[:0], &d)
		}
		b.ReportMetric(float64(b.Elapsed())/float64(b.N)/perReflection, "x-reflection")
	})
}

// BenchmarkTrace is a trace of 10,000 spans put in order and written. The ratio is to encoding/json only
// looking whether the same bytes are valid.
func BenchmarkTrace(b *testing.B) {
	apitest.BenchmarkTrace(b, func(t *query.Trace, buf []byte) []byte { return appendTrace(buf, t) })
}
