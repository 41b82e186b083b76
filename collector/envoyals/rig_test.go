package envoyals

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// memoryLog keeps what was appended as records, as the log does.
type memoryLog struct {
	pool *collector.Pool
	// hold, where set, is received from before each append.
	hold chan struct{}

	mu      sync.Mutex
	records [][]byte
}

func (l *memoryLog) Append(_ context.Context, b *telemetry.Batch) (telemetry.Position, error) {
	defer l.pool.Put(b)
	if l.hold != nil {
		<-l.hold
	}
	rec := b.AppendRecord(nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, rec)
	return telemetry.Position(len(l.records)), nil
}

// requests is how many requests were appended.
func (l *memoryLog) requests(t testing.TB) int {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	b := telemetry.NewBatch()
	for _, rec := range l.records {
		if err := b.DecodeRecord(rec); err != nil {
			t.Fatal(err)
		}
		n += len(b.Requests)
	}
	return n
}

// rig is a collector with all its parts.
type rig struct {
	log       *memoryLog
	reg       *prometheus.Registry
	collector *collector.Collector
	in        *collector.Intake
}

func newRig(t testing.TB, change func(*collector.Config)) *rig {
	t.Helper()
	cfg := collector.DefaultConfig()
	if change != nil {
		change(&cfg)
	}
	pool := collector.NewPool()
	r := &rig{log: &memoryLog{pool: pool}, reg: prometheus.NewRegistry()}
	c, err := collector.New(cfg, r.log, pool, r.reg, func() time.Time { return testNow })
	if err != nil {
		t.Fatal(err)
	}
	r.collector, r.in = c, c.Intake("envoy_als")
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return r
}
