package views

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/aggregator"
	"github.com/binnacle-mesh/binnacle/storage/series"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// mesh is an aggregator with its store and views, and a clock in steps.
type mesh struct {
	t      testing.TB
	agg    *aggregator.Aggregator
	db     *series.DB
	views  *Views
	engine *promql.Engine
	now    time.Time
	pos    telemetry.Position
	edges  map[telemetry.Edge]*telemetry.Edge
}

var epoch = time.Unix(1_790_000_000, 0)

func newMesh(t testing.TB, dir string) *mesh {
	t.Helper()
	cfg := series.DefaultConfig()
	db, err := series.Open(dir, cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	agg := aggregator.New(aggregator.DefaultConfig(), prometheus.NewRegistry())
	m := &mesh{t: t, agg: agg, db: db, views: New(db), now: epoch, edges: map[telemetry.Edge]*telemetry.Edge{}}
	m.engine = promql.NewEngine(promql.EngineOpts{
		MaxSamples: 10_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, EnableAtModifier: true, EnableNegativeOffset: true,
	})
	m.consume(telemetry.NewBatch()) // the log's time begins
	m.flush()
	return m
}

func (m *mesh) close() {
	if err := m.engine.Close(); err != nil {
		m.t.Error(err)
	}
	if err := m.db.Close(); err != nil {
		m.t.Error(err)
	}
}

func (m *mesh) flush() {
	m.t.Helper()
	if err := m.agg.Flush(context.Background(), m.now, m.db); err != nil {
		m.t.Fatal(err)
	}
}

// step lets time pass and flushes.
func (m *mesh) step(d time.Duration) {
	m.now = m.now.Add(d)
	m.consume(telemetry.NewBatch())
	m.flush()
}

func (m *mesh) consume(b *telemetry.Batch) {
	m.t.Helper()
	b.Received = m.now.UnixNano()
	m.pos++
	if err := m.agg.Consume(telemetry.Entry{Position: m.pos, Batch: b}); err != nil {
		m.t.Fatal(err)
	}
}

func (m *mesh) edge(e telemetry.Edge) *telemetry.Edge {
	p := m.edges[e]
	if p == nil {
		p = &e
		m.edges[e] = p
	}
	return p
}

// span counts n spans of an operation.
func (m *mesh) span(service, name string, kind telemetry.SpanKind, status telemetry.Status, n int, d time.Duration) {
	b := telemetry.NewBatch()
	b.Resources = append(b.Resources, telemetry.Resource{Identity: telemetry.Identity{Service: b.InternString(service), Namespace: b.InternString("shop")}})
	for i := range n {
		s := telemetry.Span{Start: m.now.UnixNano(), Duration: d.Nanoseconds(), Name: b.InternString(name), Kind: kind, Status: status}
		s.TraceID[0], s.SpanID[0] = byte(i+1), byte(i+1)
		b.Spans = append(b.Spans, s)
	}
	m.consume(b)
}

func (m *mesh) instant(expr string) (promql.Vector, error) {
	q, err := m.engine.NewInstantQuery(context.Background(), m.views, nil, expr, m.now)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	r := q.Exec(context.Background())
	if r.Err != nil {
		return nil, r.Err
	}
	switch v := r.Value.(type) {
	case promql.Vector:
		return slices.Clone(v), nil
	case promql.Scalar:
		return promql.Vector{{F: v.V}}, nil
	}
	return nil, fmt.Errorf("%s is a %s", expr, r.Value.Type())
}

// value is the one value of an expression.
func (m *mesh) value(expr string) float64 {
	m.t.Helper()
	v, err := m.instant(expr)
	if err != nil {
		m.t.Fatalf("%s: %v", expr, err)
	}
	if len(v) != 1 {
		m.t.Fatalf("%s has %d values: %v", expr, len(v), v)
	}
	return v[0].F
}

func node(ns, name string) telemetry.Endpoint {
	return telemetry.Endpoint{Node: telemetry.Node{Kind: telemetry.NodeService, Namespace: ns, Name: name}}
}

// Whatever a mesh reports, and takes back, each view's totals are those of the canonical series
// of the witness it chose, at any moment and over any range.
func TestViewsSumToCanonical(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := newMesh(t, t.TempDir())
		defer m.close()
		names := []string{"front", "cart", "pay"}
		count := map[string]map[telemetry.Witness]int{} // by hop
		codes := map[string]map[telemetry.Witness]int{} // requests with code 500
		type told struct {
			o    telemetry.Observation
			h    string
			seen []telemetry.Witness
			left int
		}
		var made []told
		for range rapid.IntRange(1, 6).Draw(rt, "steps") {
			for range rapid.IntRange(0, 8).Draw(rt, "observations") {
				src, dst := rapid.SampledFrom(names).Draw(rt, "src"), rapid.SampledFrom(names).Draw(rt, "dst")
				e := telemetry.Edge{Source: node("shop", src), Target: node("shop", dst), Protocol: telemetry.ProtocolHTTP}
				e.Source.Version = rapid.SampledFrom([]string{"", "v1", "v2"}).Draw(rt, "version")
				o := telemetry.Observation{
					Edge: m.edge(e), At: m.now.UnixNano(), Duration: rapid.Int64Range(1e5, 3e9).Draw(rt, "duration"),
					Side:     telemetry.Side(rapid.IntRange(0, 1).Draw(rt, "side")),
					Evidence: telemetry.Evidence(rapid.IntRange(0, 1).Draw(rt, "evidence")),
					Code:     200,
				}
				if rapid.Bool().Draw(rt, "fails") {
					o.Code, o.Outcome = 500, telemetry.OutcomeError
				}
				if o.Side == telemetry.SideServer && o.Evidence == telemetry.EvidenceSpan {
					o.Alone = rapid.Bool().Draw(rt, "alone")
				}
				n := rapid.IntRange(1, 5).Draw(rt, "n")
				for range n {
					m.agg.Observe(telemetry.Observed{Requests: []telemetry.Observation{o}})
				}
				seen := []telemetry.Witness{telemetry.WitnessOf(o.Side, o.Evidence)}
				if o.Alone {
					seen = append(seen, aloneToo)
				}
				h := src + ">" + dst
				if count[h] == nil {
					count[h], codes[h] = map[telemetry.Witness]int{}, map[telemetry.Witness]int{}
				}
				for _, w := range seen {
					count[h][w] += n
					if o.Code == 500 {
						codes[h][w] += n
					}
				}
				made = append(made, told{o, h, seen, n})
			}
			for i := range made {
				k := &made[i]
				if k.left == 0 || rapid.IntRange(0, 3).Draw(rt, "taken") > 0 {
					continue
				}
				k.left--
				o := k.o
				o.Taken = true
				m.agg.Observe(telemetry.Observed{Requests: []telemetry.Observation{o}})
				for _, w := range k.seen {
					count[k.h][w]--
					if o.Code == 500 {
						codes[k.h][w]--
					}
				}
			}
			m.step(time.Duration(rapid.IntRange(5, 40).Draw(rt, "seconds")) * time.Second)
		}
		want := oracle(count, codes)
		for expr, n := range want {
			for _, form := range []string{"sum(%s) or vector(0)", "sum(last_over_time(%s[4m])) or vector(0)"} {
				q := fmt.Sprintf(form, expr)
				if got := m.value(q); got != float64(n) {
					rt.Fatalf("%s is %v, want %d", q, got, n)
				}
			}
		}
		// Buckets at +Inf, counts, and increases.
		for _, h := range []string{"istio_request_duration_milliseconds", "traces_service_graph_request_server_seconds"} {
			inf, n := m.value(`sum(`+h+`_bucket{le="+Inf"}) or vector(0)`), m.value(`sum(`+h+`_count) or vector(0)`)
			if inf != n {
				rt.Fatalf("%s: +Inf has %v, the count is %v", h, inf, n)
			}
		}
	})
}

// aloneToo is what the server's spans saw alone, which they have counted as well.
const aloneToo = telemetry.Witness(telemetry.Witnesses)

func oracle(count, codes map[string]map[telemetry.Witness]int) map[string]int {
	pick := func(m map[telemetry.Witness]int, order ...telemetry.Witness) telemetry.Witness {
		for _, w := range order {
			if _, ok := m[w]; ok {
				return w
			}
		}
		return telemetry.Witnesses + 1
	}
	w := map[string]int{}
	for h, m := range count {
		src := pick(m, telemetry.ClientLog, telemetry.ClientSpan)
		dst := pick(m, telemetry.ServerLog, telemetry.ServerSpan)
		graph := pick(m, telemetry.ServerLog, telemetry.ServerSpan, telemetry.ClientLog, telemetry.ClientSpan)
		requests, failed := m[graph], codes[h][graph]
		if _, ok := m[telemetry.ClientSpan]; ok && graph == telemetry.ServerSpan {
			requests, failed = m[telemetry.ClientSpan]+m[aloneToo], codes[h][telemetry.ClientSpan]+codes[h][aloneToo]
		}
		clients := pick(m, telemetry.ClientLog, telemetry.ClientSpan, telemetry.ServerLog, telemetry.ServerSpan)
		name, _, _ := strings.Cut(h, ">")
		w[`istio_requests_total{reporter="source"}`] += m[src]
		w[`istio_requests_total{reporter="destination"}`] += m[dst]
		w[`istio_requests_total{reporter!="source"}`] += m[dst]
		w[`istio_requests_total{reporter=~"dest.+",response_code=~"5.*"}`] += codes[h][dst]
		w[`istio_requests_total{reporter="source",response_code="500"}`] += codes[h][src]
		w[`istio_request_duration_milliseconds_count{reporter="source",response_code!~"5.*"}`] += m[src] - codes[h][src]
		w[`traces_service_graph_request_total`] += requests
		w[`traces_service_graph_request_failed_total`] += failed
		w[`traces_service_graph_request_client_seconds_count`] += m[clients]
		w[`traces_service_graph_request_total{client="`+name+`",connection_type=""}`] += requests
		w[`istio_requests_total{reporter="source",source_canonical_service="`+name+`",missing=""}`] += m[src]
		w[`istio_requests_total{reporter="source",missing!=""}`] += 0
		w[`istio_requests_total{reporter="waypoint"}`] += 0
		w[`{__name__=~"istio_requests.*",reporter="source"}`] += m[src]
	}
	return w
}

// Spans likewise: no span is lost or counted twice in either system's names.
func TestSpanMetricsSumToCanonical(t *testing.T) {
	t.Parallel()
	m := newMesh(t, t.TempDir())
	defer m.close()
	m.span("cart", "GET /cart/12", telemetry.KindServer, telemetry.StatusUnset, 7, 5*time.Millisecond)
	m.span("cart", "GET /cart/13", telemetry.KindServer, telemetry.StatusError, 3, 9*time.Millisecond)
	m.span("pay", "charge", telemetry.KindClient, telemetry.StatusOK, 2, 3*time.Second)
	m.step(5 * time.Second)
	for expr, want := range map[string]float64{
		`sum(histogram_count(binnacle_operation_duration_seconds))`: 12,
		`sum(traces_spanmetrics_calls_total)`:                       12,
		`traces_spanmetrics_calls_total{service="cart",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_ERROR",span_name="GET /cart/{id}"}`: 3,
		`sum(traces_spanmetrics_calls_total{status_code!="STATUS_CODE_ERROR"})`:                                                                  9,
		`sum(traces_spanmetrics_calls_total{span_kind=~"SPAN_KIND_(SERVER|CLIENT)"})`:                                                            12,
		`sum(traces_spanmetrics_calls_total{span_kind!~"SPAN_KIND_SERVER"})`:                                                                     2,
		`traces_spanmetrics_latency_bucket{service="pay",le="2.048"}`:                                                                            0,
		`traces_spanmetrics_latency_bucket{service="pay",le="4.096"}`:                                                                            2,
		`traces_span_metrics_duration_milliseconds_bucket{service_name="pay",le="2000.0"}`:                                                       0,
		`traces_span_metrics_duration_milliseconds_sum{service_name="pay"}`:                                                                      6000,
		`sum(increase(traces_span_metrics_calls_total[10s]))`:                                                                                    m.value(`sum(increase(traces_spanmetrics_calls_total[10s]))`),
		`count(traces_spanmetrics_latency_bucket)`:                                                                                               45,
		`count(traces_spanmetrics_latency_bucket{le!="+Inf"})`:                                                                                   42,
	} {
		if got := m.value(expr); math.Abs(got-want) > 1e-9 {
			t.Errorf("%s is %v, want %v", expr, got, want)
		}
	}
}

// Buckets grow with le and with time, whatever the histogram.
func TestClassicBucketsAreMonotonic(t *testing.T) {
	t.Parallel()
	for _, f := range families() {
		for i := range f.metrics {
			m := &f.metrics[i]
			if m.value != bucketValue {
				continue
			}
			t.Run(m.name, func(t *testing.T) {
				t.Parallel()
				rapid.Check(t, func(t *rapid.T) {
					c := newClassic(m.bounds, m.scale)
					ds := rapid.SliceOf(rapid.Float64Range(1e-7, 1e4)).Draw(t, "durations")
					extra := rapid.Float64Range(1e-7, 1e4).Draw(t, "extra")
					before, after := make([]float64, c.width()), make([]float64, c.width())
					c.read(before, nativeOf(ds))
					c.read(after, nativeOf(append(ds, extra)))
					if before[c.width()-1] != float64(len(ds)) {
						t.Fatalf("+Inf is %v of %d", before[c.width()-1], len(ds))
					}
					for i := range before {
						if i > 0 && before[i] < before[i-1] {
							t.Fatalf("bucket %d is %v and the one before %v", i, before[i], before[i-1])
						}
						if after[i] < before[i]-1e-9 {
							t.Fatalf("bucket %d fell from %v to %v", i, before[i], after[i])
						}
						if i == len(c.bounds) {
							continue
						}
						// No more than the observations within one native bucket are in doubt.
						const width = 1.0905077326652577
						low, high := 0.0, 0.0
						for _, d := range ds {
							if d <= c.bounds[i]/width {
								low++
							}
							if d <= c.bounds[i]*width {
								high++
							}
						}
						if before[i] < low-1e-9 || before[i] > high+1e-9 {
							t.Fatalf("bucket %v is %v, not between %v and %v", c.bounds[i], before[i], low, high)
						}
					}
				})
			})
		}
	}
}

// nativeOf is a histogram of schema 3, made the slow way.
func nativeOf(ds []float64) *histogram.FloatHistogram {
	counts := map[int]float64{}
	h := &histogram.FloatHistogram{Schema: 3, ZeroThreshold: 1e-9}
	for _, d := range ds {
		counts[int(math.Ceil(math.Log2(d)*8))]++
		h.Count++
		h.Sum += d
	}
	var keys []int
	for k := range counts {
		keys = append(keys, k)
	}
	sort.Ints(keys)
	last := 0
	for i, k := range keys {
		offset := k - last - 1
		if i == 0 {
			offset = k
		}
		h.PositiveSpans = append(h.PositiveSpans, histogram.Span{Offset: int32(offset), Length: 1})
		h.PositiveBuckets = append(h.PositiveBuckets, counts[k])
		last = k
	}
	return h
}

func TestLabelEndpoints(t *testing.T) {
	t.Parallel()
	m := newMesh(t, t.TempDir())
	defer m.close()
	e := m.edge(telemetry.Edge{Source: node("shop", "front"), Target: node("shop", "cart"), Protocol: telemetry.ProtocolHTTP})
	m.agg.Observe(telemetry.Observed{Requests: []telemetry.Observation{
		{Edge: e, At: m.now.UnixNano(), Duration: 1e6, Code: 200, TraceID: telemetry.TraceID{1}, SpanID: telemetry.SpanID{2}},
	}})
	m.span("cart", "GET /cart", telemetry.KindServer, telemetry.StatusOK, 1, time.Millisecond)
	m.step(5 * time.Second)

	q, err := m.views.Querier(epoch.UnixMilli(), m.now.UnixMilli())
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	ctx := context.Background()
	values := func(name string, selector string) string {
		t.Helper()
		var ms []*labels.Matcher
		if selector != "" {
			ms, err = parser.NewParser(parser.Options{}).ParseMetricSelector(selector)
			if err != nil {
				t.Fatal(err)
			}
		}
		vs, _, err := q.LabelValues(ctx, name, nil, ms...)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(vs, " ")
	}
	for _, c := range []struct{ name, selector, want string }{
		{"destination_workload", "", "cart"},
		{"destination_service", "istio_requests_total", "cart.shop.svc.cluster.local"},
		{"destination_service", `istio_requests_total{reporter="destination"}`, ""},
		{"reporter", `{__name__=~"istio.*"}`, "source"},
		{"client", "traces_service_graph_request_total", "front"},
		{"span_kind", "", "SPAN_KIND_SERVER"},
		{"le", "traces_service_graph_request_server_seconds_bucket", "+Inf 0.1 0.2 0.4 0.8 1.6 12.8 3.2 6.4"},
		{"le", "istio_requests_total", ""},
		{"source", "istio_requests_total", ""},
		{"source", "", "front"},
		{"__name__", `{client="front"}`, "traces_service_graph_request_client_seconds_bucket traces_service_graph_request_client_seconds_count " +
			"traces_service_graph_request_client_seconds_sum traces_service_graph_request_server_seconds_bucket traces_service_graph_request_server_seconds_count " +
			"traces_service_graph_request_server_seconds_sum traces_service_graph_request_total"},
	} {
		if got := values(c.name, c.selector); got != c.want {
			t.Errorf("values of %s over %q are %q, want %q", c.name, c.selector, got, c.want)
		}
	}
	if all := values("__name__", ""); !strings.Contains(all, "istio_requests_total") || !strings.Contains(all, "binnacle_edge_duration_seconds") {
		t.Errorf("names are %s", all)
	}
	names, _, err := q.LabelNames(ctx, nil, labels.MustNewMatcher(labels.MatchEqual, "__name__", "traces_spanmetrics_latency_bucket"))
	if err != nil || strings.Join(names, " ") != "__name__ le service service_namespace span_kind span_name status_code" {
		t.Errorf("label names are %v, %v", names, err)
	}

	eq, err := m.views.ExemplarQuerier(ctx)
	if err != nil {
		t.Fatal(err)
	}
	res, err := eq.Select(0, math.MaxInt64, []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "__name__", "istio_request_duration_milliseconds_bucket")})
	if err != nil || len(res) != 1 || len(res[0].Exemplars) != 1 {
		t.Fatalf("exemplars are %v, %v", res, err)
	}
	if x := res[0].Exemplars[0]; x.Value != 1 || res[0].SeriesLabels.Get("le") != "1" || x.Labels.Get("trace_id") != (telemetry.TraceID{1}).String() {
		t.Errorf("exemplar is %v of %v", x, res[0].SeriesLabels)
	}
}

// Series sets that mix views and stored series keep their order.
func TestSortedSelect(t *testing.T) {
	t.Parallel()
	m := newMesh(t, t.TempDir())
	defer m.close()
	m.span("cart", "a", telemetry.KindServer, telemetry.StatusOK, 1, time.Millisecond)
	m.step(5 * time.Second)
	q, err := m.views.Querier(epoch.UnixMilli(), m.now.UnixMilli())
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	for _, sorted := range []bool{true, false} {
		set := q.Select(context.Background(), sorted, nil, labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+"))
		var all []labels.Labels
		for set.Next() {
			all = append(all, set.At().Labels())
		}
		if set.Err() != nil || len(set.Warnings()) > 0 {
			t.Fatal(set.Err(), set.Warnings())
		}
		// Tempo: 15 buckets, sum, count, calls; OpenTelemetry: 17 and the same; and the canonical one.
		if len(all) != 15+3+17+3+1 {
			t.Errorf("%d series", len(all))
		}
		if sorted && !slices.IsSortedFunc(all, labels.Compare) {
			t.Error("not sorted")
		}
	}
}

var _ storage.SampleAndChunkQueryable = (*Views)(nil)
