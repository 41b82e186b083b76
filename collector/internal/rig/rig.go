// Package rig is what the tests of the receivers stand on: a collector in front of a
// log in memory, and what their fuzzers and benchmarks share.
package rig

import (
	"context"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Log keeps what was appended as records, as the log does. It is safe for concurrent use.
type Log struct {
	// Refuse, where set, is asked before each append. Set it before the first.
	Refuse func(ctx context.Context) error

	pool    *collector.Pool
	mu      sync.Mutex
	records [][]byte
}

// Append implements collector.Appender.
func (l *Log) Append(ctx context.Context, b *telemetry.Batch) (telemetry.Position, error) {
	defer l.pool.Put(b)
	if l.Refuse != nil {
		if err := l.Refuse(ctx); err != nil {
			return 0, err
		}
	}
	rec := b.AppendRecord(nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, rec)
	return telemetry.Position(len(l.records)), nil
}

// Count is how many spans and requests were appended.
func (l *Log) Count(t testing.TB) (spans, requests int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	b := telemetry.NewBatch()
	for _, rec := range l.records {
		if err := b.DecodeRecord(rec); err != nil {
			t.Fatal(err)
		}
		spans, requests = spans+len(b.Spans), requests+len(b.Requests)
	}
	return spans, requests
}

// Rig is a collector with all its parts.
type Rig struct {
	Log       *Log
	Reg       *prometheus.Registry
	Collector *collector.Collector
	In        *collector.Intake
}

// New makes a rig whose wall clock stands at now. change, if not nil, changes its
// configuration. It is closed when the test ends.
func New(t testing.TB, protocol string, now time.Time, change func(*collector.Config)) *Rig {
	t.Helper()
	cfg := collector.DefaultConfig()
	if change != nil {
		change(&cfg)
	}
	pool := collector.NewPool()
	r := &Rig{Log: &Log{pool: pool}, Reg: prometheus.NewRegistry()}
	c, err := collector.New(cfg, nil, r.Log, pool, r.Reg, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	r.Collector, r.In = c, c.Intake(protocol)
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return r
}

// CPUTime is what the process has used so far, which other processes do not
// change as they do the wall's clock.
func CPUTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
