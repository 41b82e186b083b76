package topology

import (
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry/blame"
)

// BenchmarkSuspects is how long it takes to list who is suspected, of 10,000 services and 50,000 edges of which one in a hundred is ill, and for how long
// the lock is held at most meanwhile.
func BenchmarkSuspects(b *testing.B) {
	t, feed := wide(b, 10_000, 50_000)
	now := int64(storyStart)
	for i := range 10 {
		feed(now, i > 5)
		for range 50 {
			now += 100e6
			t.Tick(now)
		}
	}
	found, longest := 0, time.Duration(0)
	b.ResetTimer()
	for range b.N {
		q := inquiry{place: map[string]int{}}
		hold := func(f func()) {
			begin := time.Now()
			f()
			longest = max(longest, time.Since(begin))
		}
		for from := nodeID(1); from != nowhere; {
			hold(func() { from = t.suspectNodes(&q, from) })
		}
		for i, some := 0, len(q.nodes); i < some; {
			hold(func() { i = t.suspectEdges(&q, i, some) })
		}
		found = len(blame.Suspects(q.doubts, q.edges))
	}
	b.ReportMetric(float64(longest.Microseconds()), "µs/longest-lock")
	b.ReportMetric(float64(found), "found")
}
