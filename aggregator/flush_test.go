package aggregator

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
	dbpkg "github.com/binnacle-mesh/binnacle/storage/series"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// store is a series store in a temporary directory.
func openStore(t testing.TB, dir string) *dbpkg.DB {
	t.Helper()
	db, err := dbpkg.Open(dir, dbpkg.DefaultConfig(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// samples are all samples of a metric's series, as time:count; end marks staleness.
func samples(t testing.TB, db *dbpkg.DB, ms ...*labels.Matcher) map[string]string {
	t.Helper()
	q, err := db.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	out := map[string]string{}
	set := q.Select(context.Background(), false, nil, ms...)
	for set.Next() {
		var sb strings.Builder
		it := set.At().Iterator(nil)
		for typ := it.Next(); typ != chunkenc.ValNone; typ = it.Next() {
			at := float64(it.AtT()-epoch/1e6) / 1000
			if typ == chunkenc.ValFloat {
				_, v := it.At()
				if value.IsStaleNaN(v) {
					fmt.Fprintf(&sb, "%.3f:end ", at)
				} else {
					fmt.Fprintf(&sb, "%.3f:%g ", at, v)
				}
				continue
			}
			_, h := it.AtFloatHistogram(nil)
			if value.IsStaleNaN(h.Sum) {
				fmt.Fprintf(&sb, "%.3f:end ", at)
			} else {
				fmt.Fprintf(&sb, "%.3f:%g ", at, h.Count)
			}
		}
		out[set.At().Labels().String()] = strings.TrimSpace(sb.String())
	}
	if set.Err() != nil {
		t.Fatal(set.Err())
	}
	return out
}

func named(name string) *labels.Matcher {
	return labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, name)
}

// A series' life in the store: a zero before its first sample, a sample when it
// changes, a heartbeat when it does not, its end, and its next life from zero.
func TestFlush(t *testing.T) {
	t.Parallel()
	db := openStore(t, t.TempDir())
	a := New(DefaultConfig(), prometheus.NewRegistry())
	ctx := context.Background()
	pos := telemetry.Position(0)
	one := func(at int64, spans int) {
		b := spanBatch(spans, 1, 1, func(int) string { return "op" })
		b.Received = epoch + at*second
		for i := range b.Spans {
			b.Spans[i].Start = b.Received
		}
		pos++
		if err := a.Consume(telemetry.Entry{Position: pos, Batch: b}); err != nil {
			t.Fatal(err)
		}
	}
	flush := func(at int64) {
		if err := a.Flush(ctx, time.Unix(0, epoch+at*second), db); err != nil {
			t.Fatal(err)
		}
	}
	flush(0)
	one(1, 3)
	flush(5)
	flush(10)
	flush(20)
	one(21, 1)
	flush(25)
	one(21+15*60+61, 0) // a minute's grace of the sweep
	flush(21 + 15*60 + 65)
	one(21+15*60+66, 2)
	flush(21 + 15*60 + 70)
	flush(21 + 15*60 + 70) // the clock stands still
	got := samples(t, db, named(canonical.Operation))
	want := map[string]string{
		`{__name__="binnacle_operation_duration_seconds", kind="server", namespace="shop", operation="op", outcome="ok", service="service-0", status="unset", version="v1"}`: "0.004:0 5.000:3 20.000:3 25.000:4 25.003:end 986.004:0 991.000:2",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}

	eq, err := db.ExemplarQuerier(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ex, err := eq.Select(0, math.MaxInt64, []*labels.Matcher{named(canonical.Operation)})
	if err != nil || len(ex) != 1 || len(ex[0].Exemplars) != 2 {
		t.Fatalf("exemplars: %v, %v", ex, err)
	}
}

// A restart in the middle of a life: the counter goes on, without a zero, and
// what the replay counts anew is not an increase.
func TestRestartKeepsCounting(t *testing.T) {
	t.Parallel()
	db := openStore(t, t.TempDir())
	ctx := context.Background()
	batch := func(at int64) *telemetry.Batch {
		b := spanBatch(10, 1, 1, func(int) string { return "op" })
		b.Received = epoch + at*second
		return b
	}
	consume := func(a *Aggregator, pos telemetry.Position) {
		if err := a.Consume(telemetry.Entry{Position: pos, Batch: batch(int64(pos))}); err != nil {
			t.Fatal(err)
		}
	}
	flush := func(a *Aggregator, at int64) {
		if err := a.Flush(ctx, time.Unix(0, epoch+at*second), db); err != nil {
			t.Fatal(err)
		}
	}
	a := New(DefaultConfig(), prometheus.NewRegistry())
	flush(a, 0)
	consume(a, 1)
	checkpoint := saved(t, a)
	consume(a, 2)
	flush(a, 5)
	consume(a, 3) // acknowledged, not flushed; then the process is killed

	for round, state := range [][]byte{checkpoint, nil} { // with the checkpoint, and with the log alone
		b := New(DefaultConfig(), prometheus.NewRegistry())
		if state != nil {
			if err := b.Load(bytes.NewReader(state)); err != nil {
				t.Fatal(err)
			}
		}
		for pos := telemetry.Position(1); pos <= 3; pos++ {
			consume(b, pos)
		}
		flush(b, 10+int64(round))
	}
	for _, got := range samples(t, db, named(canonical.Operation)) {
		if want := "0.004:0 5.000:20 10.000:30 11.000:30"; got != want {
			t.Errorf("samples are %s, want %s", got, want)
		}
	}
}

func TestSelfScrape(t *testing.T) {
	t.Parallel()
	db := openStore(t, t.TempDir())
	reg := prometheus.NewRegistry()
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "things_total"}, []string{"kind", "job"})
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "took_seconds", Buckets: []float64{0.1, 1}})
	n := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "native_seconds", NativeHistogramBucketFactor: 1.1}, []string{"of"})
	reg.MustRegister(c, h, n)
	n.WithLabelValues("a").Observe(0.25)
	s := NewSelfScraper(reg)
	at := func(sec int64) {
		if err := s.Scrape(context.Background(), time.Unix(0, epoch+sec*second), db); err != nil {
			t.Fatal(err)
		}
	}
	c.WithLabelValues("a", "x").Add(3)
	h.Observe(0.5)
	at(0)
	c.Reset()
	n.WithLabelValues("a").Observe(7)
	at(15)
	n.Reset()
	at(30)
	got := samples(t, db, labels.MustNewMatcher(labels.MatchEqual, "job", SelfJob))
	want := map[string]string{
		`{__name__="native_seconds", job="binnacle", of="a"}`:                   "0.000:1 15.000:2 30.000:end",
		`{__name__="things_total", exported_job="x", job="binnacle", kind="a"}`: "0.000:3 15.000:end",
		`{__name__="took_seconds_bucket", job="binnacle", le="0.1"}`:            "0.000:0 15.000:0 30.000:0",
		`{__name__="took_seconds_bucket", job="binnacle", le="1"}`:              "0.000:1 15.000:1 30.000:1",
		`{__name__="took_seconds_bucket", job="binnacle", le="+Inf"}`:           "0.000:1 15.000:1 30.000:1",
		`{__name__="took_seconds_sum", job="binnacle"}`:                         "0.000:0.5 15.000:0.5 30.000:0.5",
		`{__name__="took_seconds_count", job="binnacle"}`:                       "0.000:1 15.000:1 30.000:1",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
