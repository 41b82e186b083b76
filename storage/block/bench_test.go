package block

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/filter"
	"github.com/prometheus/client_golang/prometheus"
)

// fataler is a testing.TB or a *rapid.T.
type fataler interface {
	Helper()
	Fatal(args ...any)
}

func openTest(tb fataler, dir string, cfg Config) *Store {
	tb.Helper()
	s, err := Open(dir, cfg, slog.New(slog.NewTextHandler(os.Stderr, nil)), prometheus.NewRegistry())
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func consume(tb fataler, s *Store, e telemetry.Entry) {
	tb.Helper()
	if err := s.Consume(e); err != nil {
		tb.Fatal(err)
	}
}

func seal(tb fataler, s *Store) {
	tb.Helper()
	if err := s.Seal(context.Background()); err != nil {
		tb.Fatal(err)
	}
}

// entries are made before the clock starts: a ring of batches, renumbered.
func benchEntries(n int) []telemetry.Entry {
	m := newMesh(1)
	out := make([]telemetry.Entry, n)
	for i := range out {
		m.batch, m.record = telemetry.NewBatch(), nil
		out[i] = m.entry(512)
	}
	return out
}

// BenchmarkIngest is all that a span costs in the store: taken into the head, and written
// in a block. The baseline is the copy of the span's record, which is the least
// that keeping it can cost.
func BenchmarkIngest(b *testing.B) {
	entries := benchEntries(1024) // half a million spans
	spans, size := 0, 0
	for _, e := range entries {
		spans += len(e.Batch.Spans)
		size += len(e.Record)
	}
	b.Logf("%d spans, %.0f B of record a span, %.1f attributes a span", spans, float64(size)/float64(spans), float64(len(entries[0].Batch.Attrs))/float64(len(entries[0].Batch.Spans)))
	base := 0
	begin := cpuTime()
	sink := make([]byte, 0, size)
	for ; cpuTime()-begin < 50*time.Millisecond; base++ {
		sink = sink[:0]
		for _, e := range entries {
			sink = append(sink, e.Record...)
		}
	}
	floor := float64((cpuTime() - begin).Nanoseconds()) / float64(base*spans)
	b.ReportAllocs()
	begin = cpuTime()
	for b.Loop() {
		s := openTest(b, b.TempDir(), DefaultConfig())
		for _, e := range entries {
			consume(b, s, e)
		}
		seal(b, s)
		b.ReportMetric(float64(s.Stats().Bytes)/float64(spans), "B/span")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	per := float64((cpuTime() - begin).Nanoseconds()) / float64(b.N*spans)
	b.ReportMetric(per, "cpu-ns/span")
	b.ReportMetric(per/floor, "x-copy")
}

// cpuTime is what the process has used of the processors: the machine may be busy
// with other things, and a block is written beside the log's goroutine.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkHead is the part of it that the log's goroutine waits for.
func BenchmarkHead(b *testing.B) {
	entries := benchEntries(256)
	spans := 0
	for _, e := range entries {
		spans += len(e.Batch.Spans)
	}
	p := &pools{}
	begin := cpuTime()
	for b.Loop() {
		h := newHead(p, 1, 2)
		for _, e := range entries {
			h.insert(e)
		}
		b.ReportMetric(float64(h.bytes())/float64(spans), "B/span")
		h.release()
	}
	b.ReportMetric(float64((cpuTime()-begin).Nanoseconds())/float64(b.N*spans), "cpu-ns/span")
}

// million is a store of a million spans in blocks, and some of their traces.
func million(b *testing.B) (*Store, []telemetry.TraceID) {
	b.Helper()
	s := openTest(b, b.TempDir(), DefaultConfig())
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	m := newMesh(2)
	r := rand.New(rand.NewPCG(3, 4))
	var ids []telemetry.TraceID
	for n := 0; n < 1_000_000; {
		e := m.entry(512)
		consume(b, s, e)
		n += len(e.Batch.Spans)
		ids = append(ids, e.Batch.Spans[r.IntN(len(e.Batch.Spans))].TraceID)
	}
	seal(b, s)
	return s, ids
}

func BenchmarkTraceByID(b *testing.B) {
	s, ids := million(b)
	i := 0
	begin := cpuTime()
	for b.Loop() {
		if _, _, err := s.Trace(context.Background(), ids[i*7919%len(ids)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric((cpuTime()-begin).Seconds()*1000/float64(b.N), "cpu-ms/trace")
}

// searches are what people ask, and what the tree adds to it.
func searches() []benchSearch {
	return []benchSearch{
		{"service-error-duration", filter.All(textIs(filter.Service, "stock-c"), textIs(filter.Status, "error"), lasts(filter.GreaterEqual, 3*time.Millisecond)), 20},
		{"whole-store", filter.All(textIs(filter.Service, "stock-c"), textIs(filter.Status, "error"), lasts(filter.GreaterEqual, 4500*time.Microsecond)), 1000},
		{"attribute", filter.All(textIs(filter.Service, "stock-c"), attrIs("http.response.status_code", "500")), 20},
		{"unique-attribute", attrIs("url.path", "/api/v1/none"), 20},
		{"service-operation", filter.All(textIs(filter.Service, "stock-c"), textIs(filter.Name, "GET /api/v1/stock-c/op3/{id}")), 20},
		{"expression", filter.All(filter.Matches(filter.Name.Field(), "GET .*/op[35]/.*"), textIs(filter.Status, "error")), 20},
		{"trace-duration", filter.All(textIs(filter.Service, "stock-c"), filter.Compare(filter.TraceDuration.Field(), filter.Greater, filter.Elapsed(20*time.Millisecond))), 20},
		{"none", textIs(filter.Service, "nobody"), 20},
	}
}

type benchSearch struct {
	name   string
	filter filter.Filter
	limit  int
}

func BenchmarkSearch(b *testing.B) {
	s, _ := million(b)
	benchSearches(b, s)
}

// BenchmarkSearchHead is the same of spans that are all in memory still.
func BenchmarkSearchHead(b *testing.B) {
	cfg := DefaultConfig()
	cfg.MaxHeadSpans, cfg.MaxHeadBytes = 1<<20, 1<<30
	s := openTest(b, b.TempDir(), cfg)
	m := newMesh(2)
	for n := 0; n < 120_000; {
		e := m.entry(512)
		consume(b, s, e)
		n += len(e.Batch.Spans)
	}
	benchSearches(b, s)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

func benchSearches(b *testing.B, s *Store) {
	b.Helper()
	for _, q := range searches() {
		b.Run(q.name, func(b *testing.B) {
			n := 0
			begin := cpuTime()
			for b.Loop() {
				found, _, err := s.Search(context.Background(), telemetry.SpanQuery{Filter: q.filter, Limit: q.limit})
				if err != nil {
					b.Fatal(err)
				}
				n = len(found)
			}
			b.ReportMetric(float64(n), "found")
			b.ReportMetric((cpuTime()-begin).Seconds()*1000/float64(b.N), "cpu-ms/search")
		})
	}
}
