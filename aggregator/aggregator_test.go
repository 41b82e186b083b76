package aggregator

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

const second = int64(time.Second)

// epoch is when the tests' log begins, Unix nanoseconds.
const epoch = 1_790_000_000 * second

// step is an entry of the log with the observations that topology derives from it.
type step struct {
	batch        *telemetry.Batch
	observations []telemetry.Observation
}

// world draws the log of a small, hostile mesh.
type world struct {
	edges []*telemetry.Edge
}

func (w *world) step(t *rapid.T, now int64) step {
	b := telemetry.NewBatch()
	b.Received = now
	services := rapid.SampledFrom([][]string{{"cart"}, {"cart", "pay"}, {"a", "b", "c", "d", "e"}}).Draw(t, "services")
	for _, s := range services {
		b.Resources = append(b.Resources, telemetry.Resource{Identity: telemetry.Identity{
			Service: b.InternString(s), Version: b.InternString(rapid.SampledFrom([]string{"", "v1", "v2", "v3", strings.Repeat("v", 300)}).Draw(t, "version")),
		}})
	}
	for range rapid.IntRange(0, 6).Draw(t, "spans") {
		s := telemetry.Span{
			Start: now, Duration: rapid.Int64Range(0, 5*second).Draw(t, "duration"),
			Resource: uint32(rapid.IntRange(0, len(services)-1).Draw(t, "resource")),
			Name:     b.InternString(rapid.SampledFrom([]string{"", "GET /x/1", "GET /x/2", "op1", "op2", "op3", "op4", "op5"}).Draw(t, "name")),
			Kind:     telemetry.SpanKind(rapid.IntRange(0, 5).Draw(t, "kind")), Status: telemetry.Status(rapid.IntRange(0, 2).Draw(t, "status")),
			Outcome: telemetry.Outcome(rapid.IntRange(0, 2).Draw(t, "outcome")),
			TraceID: telemetry.TraceID{1}, SpanID: telemetry.SpanID{2},
		}
		b.Spans = append(b.Spans, s)
	}
	st := step{batch: b}
	for range rapid.IntRange(0, 6).Draw(t, "observations") {
		var e *telemetry.Edge
		if len(w.edges) == 0 || rapid.IntRange(0, 3).Draw(t, "new") == 0 {
			e = &telemetry.Edge{Protocol: telemetry.ProtocolHTTP}
			e.Source.Node.Name = fmt.Sprint("s", rapid.IntRange(0, 5).Draw(t, "source"))
			e.Target.Node.Name = fmt.Sprint("t", rapid.IntRange(0, 5).Draw(t, "target"))
			w.edges = append(w.edges, e) // the same edge may have many pointers
		} else {
			e = rapid.SampledFrom(w.edges).Draw(t, "edge")
		}
		st.observations = append(st.observations, telemetry.Observation{
			Edge: e, At: now, Duration: rapid.Int64Range(0, 5*second).Draw(t, "duration"), Code: rapid.Int32Range(-5, 700).Draw(t, "code"),
			Side: telemetry.Side(rapid.IntRange(0, 1).Draw(t, "side")), Outcome: telemetry.Outcome(rapid.IntRange(0, 2).Draw(t, "outcome")),
			Taken: rapid.IntRange(0, 7).Draw(t, "taken") == 0,
		})
	}
	return st
}

func (w *world) log(t *rapid.T) []step {
	now := epoch
	out := make([]step, rapid.IntRange(1, 40).Draw(t, "entries"))
	for i := range out {
		now += rapid.SampledFrom([]int64{0, second / 2, second, 2 * second, 30 * second, 10 * 60 * second}).Draw(t, "passes")
		out[i] = w.step(t, now)
	}
	return out
}

// play delivers entry i, as the app does: the entry first, then what the graph
// observed in it.
func play(a *Aggregator, log []step, i int) {
	if err := a.Consume(telemetry.Entry{Position: telemetry.Position(i + 1), Batch: log[i].batch}); err != nil {
		panic(err)
	}
	a.Observe(telemetry.Observed{From: telemetry.Position(i), To: telemetry.Position(i + 1), Requests: log[i].observations})
}

// observed is what the graph observes beyond the entry consumed last.
func observed(a *Aggregator, os ...telemetry.Observation) telemetry.Observed {
	return telemetry.Observed{From: a.Applied(), To: a.Applied(), Requests: os}
}

func tight() Config {
	c := DefaultConfig()
	c.MaxSeries, c.MaxOperations = 12, 3
	return c
}

// Whatever the limits do, a span and an observation are each counted once: in
// the series in memory, those that left, and the overflow.
func TestTotalsAreExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &world{}
		log := w.log(t)
		a := New(tight(), prometheus.NewRegistry())
		a.flushed = 1 // so that what leaves is kept for the flush, where it can be added up
		var spans, observations, left uint64
		var sum, want int64
		for i := range log {
			play(a, log, i)
			for j := range log[i].batch.Spans {
				spans++
				want += log[i].batch.Spans[j].Duration
			}
			for _, o := range log[i].observations {
				observations++
				want += o.Duration
			}
			for _, s := range a.stale {
				left += s.latency.count
				sum += int64(s.latency.sumLo)
			}
			a.stale = nil
			if a.live > a.cfg.MaxSeries {
				t.Fatalf("%d series, the limit is %d", a.live, a.cfg.MaxSeries)
			}
			if b := labelsOf(a); b != a.bytes || a.bytes > int64(a.cfg.MaxSeries)*labelBytes+2*24*maxLabel {
				t.Fatalf("%d bytes of labels are on the books, %d are there", a.bytes, b)
			}
			for k, svc := range a.services {
				if len(svc.operations) > a.cfg.MaxOperations+1 {
					t.Fatalf("service %v has %d operations", k, len(svc.operations))
				}
			}
		}
		got := left
		a.each(func(s *series) {
			got += s.latency.count
			sum += int64(s.latency.sumLo)
		})
		if got != spans+observations || sum != want {
			t.Fatalf("%d counted of %d spans and %d observations; sum %d of %d", got, spans, observations, sum, want)
		}
		n := 0
		a.each(func(s *series) {
			if s.labels.Get("overflow") == "" && s.labels.Get("__name__") != canonical.Taken {
				n++
			}
		})
		if n != a.live {
			t.Fatalf("%d series are there, %d on the books", n, a.live)
		}
	})
}

func labelsOf(a *Aggregator) (n int64) {
	a.each(func(s *series) {
		if s.labels.Get("overflow") == "" && s.labels.Get("__name__") != canonical.Taken {
			n += int64(s.labels.ByteSize())
		}
	})
	return n
}

func TestCodesOfAnEdgeAreBounded(t *testing.T) {
	t.Parallel()
	a := New(DefaultConfig(), prometheus.NewRegistry())
	e := &telemetry.Edge{Protocol: telemetry.ProtocolHTTP}
	const n = 400
	for code := int32(0); code < n; code++ {
		a.Observe(observed(a, telemetry.Observation{Edge: e, Code: 100 + code, Duration: 1e6}))
	}
	var total uint64
	a.each(func(s *series) { total += s.latency.count })
	if a.Len() > maxVariants+1 || total != n {
		t.Errorf("%d series count %d", a.Len(), total)
	}
	a.publish()
	if got := testutil.ToFloat64(a.metrics.folded[foldCodes]); got != n-maxVariants {
		t.Errorf("%v are counted as folded, want %d", got, n-maxVariants)
	}
}

// What was observed is counted once, by its positions alone: the graph may come
// back from an older state, entry by entry, with time passing in between.
func TestObservationsAreCountedOnce(t *testing.T) {
	t.Parallel()
	e := &telemetry.Edge{Protocol: telemetry.ProtocolHTTP}
	one := func(from, to telemetry.Position) telemetry.Observed {
		return telemetry.Observed{From: from, To: to, Requests: []telemetry.Observation{{Edge: e, Code: 200, Duration: 1e6}}}
	}
	a := New(DefaultConfig(), prometheus.NewRegistry())
	count := func() (n uint64) {
		a.each(func(s *series) { n += s.latency.count })
		return n
	}
	entry := func(p telemetry.Position) {
		b := telemetry.NewBatch()
		b.Received = epoch + int64(p)*second
		if err := a.Consume(telemetry.Entry{Position: p, Batch: b}); err != nil {
			t.Fatal(err)
		}
		a.Observe(one(p-1, p))
	}
	want := func(when string, n uint64) {
		t.Helper()
		if got := count(); got != n {
			t.Errorf("%s: %d observations are counted, want %d", when, got, n)
		}
	}
	for p := telemetry.Position(1); p <= 4; p++ {
		entry(p)
		a.Observe(one(p, p)) // time passes
		a.Observe(one(p, p))
	}
	want("after four entries, and twice time passing after each", 12)

	saved := saved(t, a)
	a = New(DefaultConfig(), prometheus.NewRegistry())
	if err := a.Load(bytes.NewReader(saved)); err != nil {
		t.Fatal(err)
	}
	a.Observe(one(4, 4))
	want("time passes after a restart, and the graph is where the signals are", 13)
	for p := telemetry.Position(1); p <= 4; p++ {
		entry(p)
		if p < 4 {
			a.Observe(one(p, p))
		}
	}
	want("the graph has come back from an older state", 13)
	a.Observe(one(4, 4))
	entry(5)
	want("and goes on", 15)
}
