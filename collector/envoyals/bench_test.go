package envoyals

import (
	"testing"

	alspb "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/protobuf/proto"

	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/collector/internal/rig"
)

const benchEntries = 32 // what fits Envoy's buffer of 16 KiB

// BenchmarkDecode prints the cost of an entry, and its ratio to protobuf's own
// decoder on the same bytes in the same run.
func BenchmarkDecode(b *testing.B) {
	msg := marshal(b, loadMessage(benchEntries))
	in := newRig(b).In
	var from sender
	if err := from.identify(msg); err != nil {
		b.Fatal(err)
	}
	d := &decoder{Fill: &collector.Fill{}}
	cpu := rig.CPUTime(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(msg)))
	for b.Loop() {
		in.Begin(d.Fill)
		if err := d.decode(&from, msg); err != nil {
			b.Fatal(err)
		}
		if len(d.Batch.Requests) != benchEntries {
			b.Fatalf("%d requests", len(d.Batch.Requests))
		}
		in.Abandon(d.Fill)
	}
	ours := float64(rig.CPUTime(b)-cpu) / float64(b.N)
	const rounds = 500
	cpu = rig.CPUTime(b)
	for range rounds {
		if err := proto.Unmarshal(msg, &alspb.StreamAccessLogsMessage{}); err != nil {
			b.Fatal(err)
		}
	}
	theirs := float64(rig.CPUTime(b)-cpu) / rounds
	b.ReportMetric(ours/benchEntries, "cpu-ns/entry")
	b.ReportMetric(theirs/benchEntries, "cpu-ns/entry-protobuf")
	b.ReportMetric(ours/theirs, "ratio")
}
