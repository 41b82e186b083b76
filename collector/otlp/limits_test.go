package otlp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/collector/internal/countertest"
)

// TestLimits sends a message that exceeds every limit, in both encodings: the
// rest of it is kept, and what was cut is counted, alike for both.
func TestLimits(t *testing.T) {
	t.Parallel()
	at := uint64(testNow.UnixNano()) - uint64(time.Second)
	span := func(name string) *tracepb.Span {
		return &tracepb.Span{
			Name: name, TraceId: []byte("0123456789abcdef"), SpanId: []byte("01234567"),
			StartTimeUnixNano: at, EndTimeUnixNano: at + 5,
		}
	}
	many := span("many")
	for i := range 7 {
		many.Attributes = append(many.Attributes, text(fmt.Sprintf("a%d", i), "v"))
		many.Events = append(many.Events, &tracepb.Span_Event{Name: fmt.Sprintf("e%d", i), TimeUnixNano: at})
		many.Links = append(many.Links, &tracepb.Span_Link{TraceId: many.TraceId, SpanId: many.SpanId, TraceState: "x"})
	}
	long := span(strings.Repeat("n", 100))
	long.Attributes = []*commonpb.KeyValue{
		text(strings.Repeat("k", 20), strings.Repeat("v", 70)), text("", "nameless"),
		{Key: "b", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_BytesValue{BytesValue: make([]byte, 70)}}},
	}
	nested := text("", "x").Value
	for range 4 {
		nested = &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: &commonpb.ArrayValue{Values: []*commonpb.AnyValue{nested}}}}
	}
	deep := span("deep")
	deep.Attributes = []*commonpb.KeyValue{{Key: "d", Value: nested}}
	odd := span("odd")
	odd.ParentSpanId, odd.Kind, odd.Status = []byte("xyz"), 9, &tracepb.Status{Code: 7}
	odd.Links = []*tracepb.Span_Link{{TraceId: []byte("short"), SpanId: many.SpanId}}
	old := span("old")
	old.StartTimeUnixNano = 1
	req := newLoad(1).request(1)
	req.ResourceSpans[0].Resource.Attributes = req.ResourceSpans[0].Resource.Attributes[:3]
	req.ResourceSpans[0].ScopeSpans[0].Spans = []*tracepb.Span{old, many, long, deep, odd, span("beyond"), span("beyond as well")}

	limits := func(c *collector.Config) {
		c.Limits.Records, c.Limits.Attributes, c.Limits.Events, c.Limits.Links = 4, 3, 2, 1
		c.Limits.KeyBytes, c.Limits.ValueBytes, c.Limits.Depth = 16, 64, 2
		c.Limits.MaxAge = time.Hour
	}
	msg, err := proto.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	body := otlpJSON(t, req)
	for name, decode := range map[string]func(*decoder) error{
		"proto": func(d *decoder) error { return d.proto(msg) },
		"json":  func(d *decoder) error { return d.json(body) },
	} {
		r := newRig(t, limits)
		d := &decoder{}
		d.begin(r.In)
		if err := decode(d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got []string
		for _, s := range plainBatch(d.Batch) {
			got = append(got, fmt.Sprintf("%.4s attrs %d events %d links %d %v %v %s", s.Name, len(s.Attrs), len(s.Events), len(s.Links), s.Kind, s.Status, s.Parent))
		}
		none := "0000000000000000"
		if diff := cmp.Diff([]string{
			"many attrs 3 events 2 links 1 internal unset " + none,
			"nnnn attrs 2 events 0 links 0 internal unset " + none,
			"deep attrs 1 events 0 links 0 internal unset " + none,
			"odd attrs 0 events 0 links 0 internal unset " + none,
		}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if v := plainBatch(d.Batch)[2].Attrs[0]; v != "d=json [[null]]" {
			t.Errorf("%s: nested deeper than 2: %s", name, v)
		}
		if err := r.In.Append(t.Context(), &d.Fill, len(msg)); err != nil {
			t.Fatal(err)
		}
		counted := map[string]float64{}
		for _, reason := range []string{"attributes", "events", "links", "length", "key", "depth", "parent_id", "enum"} {
			counted[reason] = countertest.Value(t, r.Reg, "repaired", reason)
		}
		for _, reason := range []string{"old", "records"} {
			counted["dropped "+reason] = countertest.Value(t, r.Reg, "dropped", reason)
		}
		// Too long are a name, a key, a text, bytes, and the resource's service.namespace.
		if diff := cmp.Diff(map[string]float64{
			"attributes": 4, "events": 5, "links": 7, "length": 5, "key": 1, "depth": 1, "parent_id": 1, "enum": 2,
			"dropped old": 1, "dropped records": 2,
		}, counted); diff != "" {
			t.Errorf("%s, counted (-want +got):\n%s", name, diff)
		}
	}
}
