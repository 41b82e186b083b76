package envoyals

import (
	"testing"
	"time"

	alspb "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/protobuf/proto"
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
	d := &decoder{}
	b.ReportAllocs()
	b.SetBytes(int64(len(msg)))
	for b.Loop() {
		if err := from.identify(msg); err != nil {
			b.Fatal(err)
		}
		in.Begin(&d.Fill)
		if err := d.decode(&from, msg); err != nil {
			b.Fatal(err)
		}
		if len(d.Batch.Requests) != benchEntries {
			b.Fatalf("%d requests", len(d.Batch.Requests))
		}
		in.Abandon(&d.Fill)
	}
	ours := float64(b.Elapsed()) / float64(b.N)
	const rounds = 500
	start := time.Now()
	for range rounds {
		if err := proto.Unmarshal(msg, &alspb.StreamAccessLogsMessage{}); err != nil {
			b.Fatal(err)
		}
	}
	theirs := float64(time.Since(start)) / rounds
	b.ReportMetric(ours/benchEntries, "ns/entry")
	b.ReportMetric(theirs/benchEntries, "ns/entry-protobuf")
	b.ReportMetric(ours/theirs, "ratio")
}

// TestNoAllocationPerEntry holds the hot path's promise: what a message
// allocates does not grow with its entries.
func TestNoAllocationPerEntry(t *testing.T) {
	in := newRig(t, nil).in
	for _, entries := range []int{4, 256} {
		msg := marshal(t, loadMessage(entries))
		var from sender
		d := &decoder{}
		got := testing.AllocsPerRun(50, func() {
			if err := from.identify(msg); err != nil {
				t.Fatal(err)
			}
			in.Begin(&d.Fill)
			if err := d.decode(&from, msg); err != nil {
				t.Fatal(err)
			}
			in.Abandon(&d.Fill)
		})
		// The pool may lose a batch to the garbage collector now and then.
		if got > 2 {
			t.Errorf("%v allocations for a message of %d entries, want at most 2", got, entries)
		}
	}
}
