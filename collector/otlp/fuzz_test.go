package otlp

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// check holds a decoded batch against its own invariants: all that it refers
// to is there, and its record reads back.
func check(t *testing.T, b *telemetry.Batch) {
	t.Helper()
	seen := plainBatch(b)
	for i := range b.Spans {
		if b.Spans[i].Duration < 0 || b.Spans[i].TraceID.IsZero() || b.Spans[i].SpanID.IsZero() {
			t.Fatalf("span %d was kept: %+v", i, seen[i])
		}
	}
	back := telemetry.NewBatch()
	if err := back.DecodeRecord(b.AppendRecord(nil)); err != nil {
		t.Fatalf("its record: %v", err)
	}
	if diff := cmp.Diff(seen, plainBatch(back)); diff != "" {
		t.Fatalf("its record reads back otherwise (-batch +record):\n%s", diff)
	}
}

// canonical says that msg, of which req was decoded, says nothing twice: the
// meaning of that is protobuf's to merge, and ours to overwrite.
func canonical(msg []byte, req *collectorpb.ExportTraceServiceRequest) bool {
	return proto.Size(req) == len(msg)
}

// FuzzProto feeds anything to the protobuf decoder; what protobuf's own decoder
// takes, ours must take as well, and read the same.
func FuzzProto(f *testing.F) {
	for _, req := range []*collectorpb.ExportTraceServiceRequest{{}, newLoad(1).request(3), rich()} {
		msg, err := proto.Marshal(req)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(msg)
		f.Add(reverse(f, msg, 4))
		f.Add(msg[:len(msg)/2])
	}
	in := newIntake(f)
	f.Fuzz(func(t *testing.T, msg []byte) {
		var d decoder
		d.begin(in)
		defer func() { in.Abandon(&d.Fill) }()
		err := d.proto(msg)
		if err == nil {
			check(t, d.Batch)
		}
		req := &collectorpb.ExportTraceServiceRequest{}
		if proto.Unmarshal(msg, req) != nil {
			return
		}
		if err != nil {
			t.Fatalf("protobuf takes it, ours does not: %v", err)
		}
		want, ok := oracle(req)
		if !ok || !canonical(msg, req) {
			return
		}
		if diff := cmp.Diff(want, plainBatch(d.Batch)); diff != "" {
			t.Fatalf("read otherwise than by protobuf (-protobuf +ours):\n%s", diff)
		}
	})
}

// FuzzJSON feeds anything to the JSON decoder.
func FuzzJSON(f *testing.F) {
	for _, req := range []*collectorpb.ExportTraceServiceRequest{{}, newLoad(1).request(2), rich()} {
		f.Add(otlpJSON(f, req))
	}
	f.Add([]byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"x","kind":"SPAN_KIND_SERVER","flags":1e2,"attributes":[{"value":{"kvlistValue":{"values":[{"value":{"intValue":"-1"},"key":"\ud83d\ude00"}]}},"key":"a"}]}]}]}],"unknown":[{},[1,"]"],null]}`))
	in := newIntake(f)
	f.Fuzz(func(t *testing.T, msg []byte) {
		var d decoder
		d.begin(in)
		defer func() { in.Abandon(&d.Fill) }()
		given := bytes.Clone(msg)
		if err := d.json(msg); err == nil {
			check(t, d.Batch)
		}
		if !bytes.Equal(given, msg) {
			t.Fatal("the decoder wrote to its input")
		}
	})
}
