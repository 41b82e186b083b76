package aggregator

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// BenchmarkFootprint is what a series costs: in memory, in the aggregator and the
// store together, after five minutes (the store moves chunks that are full to
// disk each minute); in the write-ahead log, a sample; and the time of a flush, a
// series. 250 edges are seen by four witnesses.
func BenchmarkFootprint(b *testing.B) {
	for b.Loop() {
		const edges, flushes = 250, 60
		dir := b.TempDir()
		db := openStore(b, dir)
		base := heap()
		a := New(DefaultConfig(), prometheus.NewRegistry())
		r := rand.New(rand.NewPCG(1, 2))
		ctx := context.Background()
		es := make([]*telemetry.Edge, edges)
		for i := range es {
			es[i] = &telemetry.Edge{
				Source: endpoint("shop", fmt.Sprint("caller-", i), "v1"), Target: endpoint("shop", fmt.Sprint("callee-", i), "v1"), Protocol: telemetry.ProtocolHTTP,
			}
			es[i].Source.Principal, es[i].Target.Principal = "cluster.local/ns/shop/sa/caller", "cluster.local/ns/shop/sa/callee"
		}
		var flushing time.Duration
		for n := range flushes {
			now := time.Unix(0, epoch+int64(n)*5*second)
			batch := telemetry.NewBatch()
			batch.Received = now.UnixNano()
			if err := a.Consume(telemetry.Entry{Position: telemetry.Position(n + 1), Batch: batch}); err != nil {
				b.Fatal(err)
			}
			for _, e := range es {
				for w := range telemetry.Witness(telemetry.Witnesses) {
					for range 4 {
						a.Observe(observed(a, telemetry.Observation{
							Edge: e, At: now.UnixNano(), Duration: int64(2e6 * (1 + 10*r.ExpFloat64())), Side: w.Side(), Evidence: w.Evidence(),
							Code: 200, TraceID: telemetry.TraceID{byte(n), byte(n >> 8), 1}, SpanID: telemetry.SpanID{byte(w), 1},
						}))
					}
				}
			}
			begin := time.Now()
			if err := a.Flush(ctx, now, db); err != nil {
				b.Fatal(err)
			}
			flushing += time.Since(begin)
		}
		n := float64(a.Len())
		b.ReportMetric(float64(heap()-base)/n, "B_memory/series")
		b.ReportMetric(float64(size(b, filepath.Join(dir, "wal")))/n/flushes, "B_wal/sample")
		b.ReportMetric(float64(flushing.Nanoseconds())/n/flushes, "ns_flush/series")
		runtime.KeepAlive(a)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func size(b *testing.B, dir string) (n int64) {
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return n
}
