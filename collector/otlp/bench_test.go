package otlp

import (
	"testing"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/binnacle-mesh/binnacle/collector/internal/rig"
)

const benchSpans = 512

// BenchmarkDecode prints the cost of a span, and its ratio to protobuf's own
// decoder on the same bytes in the same run.
func BenchmarkDecode(b *testing.B) {
	req := newLoad(1).request(benchSpans)
	msg, err := proto.Marshal(req)
	if err != nil {
		b.Fatal(err)
	}
	text := otlpJSON(b, req)
	in := newIntake(b)
	for _, c := range []struct {
		name   string
		decode func(d *decoder) error
		size   int
	}{
		{"proto", func(d *decoder) error { return d.proto(msg) }, len(msg)},
		{"json", func(d *decoder) error { return d.json(text) }, len(text)},
	} {
		b.Run(c.name, func(b *testing.B) {
			d := &decoder{}
			cpu := rig.CPUTime(b)
			b.ReportAllocs()
			b.SetBytes(int64(c.size))
			for b.Loop() {
				d.begin(in)
				if err := c.decode(d); err != nil {
					b.Fatal(err)
				}
				if len(d.Batch.Spans) != benchSpans {
					b.Fatalf("%d spans", len(d.Batch.Spans))
				}
				in.Abandon(&d.Fill)
			}
			ours := float64(rig.CPUTime(b)-cpu) / float64(b.N)
			const rounds = 200
			cpu = rig.CPUTime(b)
			for range rounds {
				if err := proto.Unmarshal(msg, &collectorpb.ExportTraceServiceRequest{}); err != nil {
					b.Fatal(err)
				}
			}
			theirs := float64(rig.CPUTime(b)-cpu) / rounds
			b.ReportMetric(ours/benchSpans, "cpu-ns/span")
			b.ReportMetric(theirs/benchSpans, "cpu-ns/span-protobuf")
			b.ReportMetric(ours/theirs, "ratio")
		})
	}
}
