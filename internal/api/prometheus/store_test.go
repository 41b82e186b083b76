package prometheus

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/aggregator"
	"github.com/binnacle-mesh/binnacle/aggregator/views"
	"github.com/binnacle-mesh/binnacle/internal/promql"
	"github.com/binnacle-mesh/binnacle/storage/series"
)

// A filled is the API over a store of its own, and what fills that store.
type filled struct {
	dialect *Dialect
	agg     *aggregator.Aggregator
	db      *series.DB
	reg     *prometheus.Registry
	now     time.Time
}

func newFilled(t *testing.T) *filled {
	t.Helper()
	f := &filled{reg: prometheus.NewRegistry(), now: time.Now().Truncate(time.Second)}
	dir, logger := t.TempDir(), slog.New(slog.DiscardHandler)
	db, err := series.Open(dir, series.DefaultConfig(), logger, f.reg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	engine, err := promql.New(promql.DefaultConfig(), logger, f.reg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	f.db, f.agg = db, aggregator.New(aggregator.DefaultConfig(), f.reg)
	f.dialect = New(Options{
		Engine: engine, Views: views.New(db), DB: db, Dir: dir, Interval: 5 * time.Second, Version: "test", Revision: "none",
		Started: f.now, Logger: logger, Gatherer: f.reg,
	})
	return f
}

// flush writes what was observed, as of so long before now.
func (f *filled) flush(t *testing.T, ago time.Duration) {
	t.Helper()
	if err := f.agg.Flush(t.Context(), f.now.Add(-ago), f.db); err != nil {
		t.Fatal(err)
	}
}
