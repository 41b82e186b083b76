package envoyals

import (
	"syscall"
	"testing"
	"time"

	alspb "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/protobuf/proto"

	"github.com/binnacle-mesh/binnacle/collector"
)

const benchEntries = 32 // what fits Envoy's buffer of 16 KiB

// BenchmarkDecode prints the cost of an entry, and its ratio to protobuf's own
// decoder on the same bytes in the same run.
func BenchmarkDecode(b *testing.B) {
	msg := marshal(b, loadMessage(benchEntries))
	in := newRig(b, nil).in
	var from sender
	if err := from.identify(msg); err != nil {
		b.Fatal(err)
	}
	d := &decoder{Fill: &collector.Fill{}}
	cpu := cpuTime(b)
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
	ours := float64(cpuTime(b)-cpu) / float64(b.N)
	const rounds = 500
	cpu = cpuTime(b)
	for range rounds {
		if err := proto.Unmarshal(msg, &alspb.StreamAccessLogsMessage{}); err != nil {
			b.Fatal(err)
		}
	}
	theirs := float64(cpuTime(b)-cpu) / rounds
	b.ReportMetric(ours/benchEntries, "cpu-ns/entry")
	b.ReportMetric(theirs/benchEntries, "cpu-ns/entry-protobuf")
	b.ReportMetric(ours/theirs, "ratio")
}

// cpuTime is what the process has used so far, which other processes do not
// change as they do the wall's clock.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
