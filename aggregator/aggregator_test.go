package aggregator

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
	dbpkg "github.com/binnacle-mesh/binnacle/storage/series"
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
			Service: b.InternString(s), Version: b.InternString(rapid.SampledFrom([]string{"", "v1"}).Draw(t, "version")),
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
		})
	}
	return st
}

func (w *world) log(t *rapid.T) []step {
	now := epoch
	out := make([]step, rapid.IntRange(1, 25).Draw(t, "entries"))
	for i := range out {
		now += rapid.SampledFrom([]int64{0, second, 30 * second, 10 * 60 * second}).Draw(t, "passes")
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

func saved(t interface{ Fatal(...any) }, a *Aggregator) []byte {
	var b bytes.Buffer
	if err := a.Save(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
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
			for k, svc := range a.services {
				if len(svc.operations) > a.cfg.MaxOperations+1 {
					t.Fatalf("service %v has %d operations", k, len(svc.operations))
				}
			}
		}
		got := left
		each(a, func(s *series) {
			got += s.latency.count
			sum += int64(s.latency.sumLo)
		})
		if got != spans+observations || sum != want {
			t.Fatalf("%d counted of %d spans and %d observations; sum %d of %d", got, spans, observations, sum, want)
		}
		n := 0
		each(a, func(s *series) {
			if s.labels.Get("overflow") == "" {
				n++
			}
		})
		if n != a.live {
			t.Fatalf("%d series are there, %d on the books", n, a.live)
		}
	})
}

func each(a *Aggregator, f func(*series)) {
	for _, op := range a.opOrder {
		f(&op.series)
	}
	for _, e := range a.edgeOrder {
		for _, s := range e.series {
			f(s)
		}
	}
	overflow := a.edgeOverflow[:]
	for i := range a.opOverflow {
		overflow = append(overflow, a.opOverflow[i][:]...)
	}
	for _, s := range overflow {
		if s != nil {
			f(s)
		}
	}
}

// The state is a function of the log: a straight run, and one that is saved at
// any point, loaded, and then replays from any earlier one, end in the same bytes (I2).
func TestReplayEqualsStraightRun(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &world{}
		log := w.log(t)
		straight := New(tight(), prometheus.NewRegistry())
		for i := range log {
			play(straight, log, i)
		}
		at := rapid.IntRange(0, len(log)).Draw(t, "saved at")
		first := New(tight(), prometheus.NewRegistry())
		for i := range at {
			play(first, log, i)
		}
		second := New(tight(), prometheus.NewRegistry())
		if err := second.Load(bytes.NewReader(saved(t, first))); err != nil {
			t.Fatal(err)
		}
		if second.Applied() != telemetry.Position(at) || second.Len() != first.Len() {
			t.Fatalf("loaded %d series at %d, saved %d at %d", second.Len(), second.Applied(), first.Len(), at)
		}
		for i := rapid.IntRange(0, at).Draw(t, "replayed from"); i < len(log); i++ {
			play(second, log, i)
		}
		if !bytes.Equal(saved(t, straight), saved(t, second)) {
			t.Fatal("the states differ")
		}
	})
}

func TestLoadRefusesWhatIsDamaged(t *testing.T) {
	t.Parallel()
	a := New(DefaultConfig(), prometheus.NewRegistry())
	b := spanBatch(20, 2, 3, func(i int) string { return fmt.Sprint("op", i) })
	if err := a.Consume(telemetry.Entry{Position: 7, Batch: b}); err != nil {
		t.Fatal(err)
	}
	good := saved(t, a)
	for name, bad := range map[string][]byte{
		"empty":     {},
		"cut":       good[:len(good)-5],
		"flipped":   append(append([]byte{}, good[:20]...), append([]byte{good[20] ^ 1}, good[21:]...)...),
		"other":     []byte("PARQUET-and-some-more"),
		"newer":     append([]byte("BNAGGR\x03"), good[7:]...),
		"long":      append(append([]byte{}, good...), 0),
		"only head": good[:len(stateMagic)+1],
	} {
		n := New(DefaultConfig(), prometheus.NewRegistry())
		if err := n.Load(bytes.NewReader(bad)); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", name, err)
		}
		if n.Applied() != 0 || n.Len() != 0 {
			t.Errorf("%s: something was loaded", name)
		}
	}
}

// A state of version 1, written by the release before: edges go on; operations, which
// had no outcome, end, and begin anew under their new labels. No request is an increase twice.
func TestLoadVersion1(t *testing.T) {
	t.Parallel()
	state, err := os.ReadFile("testdata/state-v1")
	if err != nil {
		t.Fatal(err)
	}
	c := DefaultConfig()
	c.MaxSeries = 10
	a := New(c, prometheus.NewRegistry())
	if err := a.Load(bytes.NewReader(state)); err != nil {
		t.Fatal(err)
	}
	if a.Applied() != 2 || a.Len() != 1 {
		t.Errorf("at position %d are %d series", a.Applied(), a.Len())
	}
	db := openStore(t, t.TempDir())
	flush := func(at int64) {
		if err := a.Flush(context.Background(), time.Unix(0, epoch+at*second), db); err != nil {
			t.Fatal(err)
		}
	}
	flush(10)
	b := telemetry.NewBatch()
	b.Received = epoch + 11*second
	b.Resources = append(b.Resources, telemetry.Resource{Identity: telemetry.Identity{
		Service: b.InternString("cart"), Namespace: b.InternString("shop"), Version: b.InternString("v1"),
	}})
	for _, o := range []telemetry.Outcome{telemetry.OutcomeOK, telemetry.OutcomeThrottled, telemetry.OutcomeError, telemetry.OutcomeThrottled} {
		s := telemetry.Span{Start: b.Received, Duration: 5e6, Name: b.InternString("GET /cart"), Kind: telemetry.KindServer, Outcome: o}
		if o != telemetry.OutcomeOK {
			s.Status = telemetry.StatusError
		}
		b.Spans = append(b.Spans, s)
	}
	if err := a.Consume(telemetry.Entry{Position: 3, Batch: b}); err != nil {
		t.Fatal(err)
	}
	flush(15)
	got := map[string]string{}
	for labels, s := range samples(t, db, named(canonical.Operation)) {
		if !strings.Contains(labels, `operation="op`) {
			got[strings.TrimPrefix(labels, `{__name__="binnacle_operation_duration_seconds", `)] = s
		}
	}
	want := map[string]string{
		`kind="server", namespace="shop", operation="GET /cart", service="cart", status="unset", version="v1"}`: "5.003:end",
		`kind="server", namespace="shop", operation="GET /cart", service="cart", status="error", version="v1"}`: "5.003:end",
		`overflow="true", status="error"}`: "5.003:end",
		`kind="server", namespace="shop", operation="GET /cart", outcome="ok", service="cart", status="unset", version="v1"}`:        "10.004:0 15.000:1",
		`kind="server", namespace="shop", operation="GET /cart", outcome="throttled", service="cart", status="error", version="v1"}`: "10.004:0 15.000:2",
		`kind="server", namespace="shop", operation="GET /cart", outcome="error", service="cart", status="error", version="v1"}`:     "10.004:0 15.000:1",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, s := range samples(t, db, named(canonical.Edge)) {
		if s != "10.000:1" {
			t.Errorf("the edge has %s", s)
		}
	}
	again := New(c, prometheus.NewRegistry())
	if err := again.Load(bytes.NewReader(saved(t, a))); err != nil || again.Len() != a.Len() {
		t.Errorf("saved and loaded as version 2: %d series of %d, %v", again.Len(), a.Len(), err)
	}
}

func FuzzLoad(f *testing.F) {
	a := New(DefaultConfig(), prometheus.NewRegistry())
	b := spanBatch(20, 2, 3, func(i int) string { return fmt.Sprint("op", i) })
	if err := a.Consume(telemetry.Entry{Position: 7, Batch: b}); err != nil {
		f.Fatal(err)
	}
	a.Observe(observed(a, telemetry.Observation{Edge: &telemetry.Edge{Protocol: telemetry.ProtocolGRPC}, Duration: 5}))
	good := saved(f, a)
	f.Add(good[len(stateMagic)+1 : len(good)-4])
	f.Fuzz(func(t *testing.T, body []byte) {
		// The checksum is made right, so that what it protects is reached.
		data := seal(body)
		n := New(DefaultConfig(), prometheus.NewRegistry())
		if err := n.Load(bytes.NewReader(data)); err != nil {
			return
		}
		again := New(DefaultConfig(), prometheus.NewRegistry())
		out := saved(t, n)
		if err := again.Load(bytes.NewReader(out)); err != nil {
			t.Fatalf("what was loaded and saved cannot be loaded: %v", err)
		}
		if !bytes.Equal(out, saved(t, again)) {
			t.Fatal("saving is not stable")
		}
	})
}

// seal makes a state file of a body.
func seal(body []byte) []byte {
	data := append([]byte(stateMagic), stateVersion)
	data = append(data, body...)
	return binary.LittleEndian.AppendUint32(data, crc32.Checksum(data, castagnoli))
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
	each(a, func(s *series) { total += s.latency.count })
	if a.Len() > maxVariants+1 || total != n {
		t.Errorf("%d series count %d", a.Len(), total)
	}
	a.publish()
	if got := testutil.ToFloat64(a.metrics.folded[foldCodes]); got != n-maxVariants {
		t.Errorf("%v are counted as folded, want %d", got, n-maxVariants)
	}
}

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
		each(a, func(s *series) { n += s.latency.count })
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
