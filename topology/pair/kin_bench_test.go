package pair

import (
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// BenchmarkKin prints what the iterator costs beside the same loop written out, on
// ids that one to four halves refer to.
func BenchmarkKin(b *testing.B) {
	t := New(1<<12, 1)
	trace := telemetry.TraceID{1}
	var firsts []Ref
	for i := range uint64(400) {
		h := Half{Trace: trace, Refers: span(i + 1)}
		key := t.Key(&trace, h.Refers)
		for range 1 + i%4 {
			t.Push(&h, 0, key)
		}
		_, first := t.Look(key)
		firsts = append(firsts, first)
	}
	walk := func(first Ref) (n int) {
		for _, h := range t.Kin(first) {
			if !h.Has(Void) {
				n++
			}
		}
		return n
	}
	byHand := func(first Ref) (n int) {
		for i, r := 0, first; r != 0 && i < MaxKin; i++ {
			h := t.At(r)
			if !h.Has(Void) {
				n++
			}
			if r = h.next; !t.live(r) {
				r = 0
			}
		}
		return n
	}
	measure := func(f func(Ref) int) (n int, took time.Duration) {
		begin := time.Now()
		for range 100 {
			for _, first := range firsts {
				n += f(first)
			}
		}
		return n, time.Since(begin)
	}
	// The best of all runs, as the machine may be shared.
	iterator, loop := time.Hour, time.Hour
	for b.Loop() {
		n, took := measure(walk)
		m, plain := measure(byHand)
		if n != m || n != 100_000 {
			b.Fatalf("%d and %d halves were seen, want 100000", n, m)
		}
		iterator, loop = min(iterator, took), min(loop, plain)
	}
	b.ReportMetric(float64(iterator.Nanoseconds())/100_000, "ns/half")
	b.ReportMetric(float64(iterator)/float64(loop), "x_loop")
}
