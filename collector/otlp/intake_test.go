package otlp

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
	// refuse, where set, is asked first.
	refuse func(ctx context.Context) error

	mu      sync.Mutex
	records [][]byte
}

func (l *memoryLog) Append(ctx context.Context, b *telemetry.Batch) (telemetry.Position, error) {
	defer l.pool.Put(b)
	if l.refuse != nil {
		if err := l.refuse(ctx); err != nil {
			return 0, err
		}
	}
	rec := b.AppendRecord(nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, rec)
	return telemetry.Position(len(l.records)), nil
}

// spans is how many spans were appended.
func (l *memoryLog) spans(t testing.TB) int {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	b := telemetry.NewBatch()
	for _, rec := range l.records {
		if err := b.DecodeRecord(rec); err != nil {
			t.Fatal(err)
		}
		n += len(b.Spans)
	}
	return n
}

// rig is a collector with all its parts.
type rig struct {
	log *memoryLog
	reg *prometheus.Registry
	in  *collector.Intake
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
	r.in = c.Intake("otlp")
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return r
}

// newIntake takes spans of any age, as the oracle does.
func newIntake(t testing.TB) *collector.Intake {
	return newRig(t, func(c *collector.Config) { c.Limits.MaxAge = 0 }).in
}
