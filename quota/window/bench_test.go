package window

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkCount prints, beside the table's time, that of a mutex and a Go map doing the same work.
func BenchmarkCount(b *testing.B) {
	for _, keys := range []uint64{1, 10_000, 1_000_000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			table := New(2_000_000, 64)
			for i := range keys {
				table.Count(&Hit{Key: spread(i), Length: 3600, Limit: 1, N: 1}, 0)
			}
			var next atomic.Uint64
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				i := next.Add(1 << 32)
				for pb.Next() {
					i += 7919
					table.Count(&Hit{Key: spread(i % keys), Length: 3600, Limit: 1, N: 1}, 1)
				}
			})
			ours := b.Elapsed()
			b.StopTimer()
			var mu sync.Mutex
			m := map[Key]cell{}
			for i := range keys {
				m[spread(i)] = cell{}
			}
			b.StartTimer()
			b.RunParallel(func(pb *testing.PB) {
				i := next.Add(1 << 32)
				for pb.Next() {
					i += 7919
					mu.Lock()
					c := m[spread(i%keys)]
					c.count++
					m[spread(i%keys)] = c
					mu.Unlock()
				}
			})
			b.ReportMetric(float64(ours.Nanoseconds())/float64(b.N), "table-ns/op")
			b.ReportMetric(float64(ours)/float64(b.Elapsed()-ours), "of-map")
		})
	}
}
