package topology

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkHappen is for how long the lock is held, every five seconds, to see what has happened where nothing has: all edges and endpoints are held against
// what is known.
func BenchmarkHappen(b *testing.B) {
	for _, c := range []struct{ services, edges int }{{1_000, 5_000}, {10_000, 50_000}} {
		b.Run(fmt.Sprintf("services=%d/edges=%d", c.services, c.edges), func(b *testing.B) {
			t, feed := wide(b, c.services, c.edges)
			now := int64(storyStart)
			feed(now, false)
			for range 10 {
				now += 5e9
				t.Tick(now)
			}
			if n := t.events.annals.Stats().Pairs; n < c.edges/2 {
				b.Fatalf("%d pairs are known", n)
			}
			longest := time.Duration(0)
			b.ResetTimer()
			for range b.N {
				now += 5e9
				before := t.looked
				t.advance(now)
				t.looked = now
				began := time.Now()
				t.happen(before)
				longest = max(longest, time.Since(began))
			}
			b.ReportMetric(float64(longest.Microseconds())/1000, "ms-longest")
		})
	}
}
