package app

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql"

	"github.com/binnacle-mesh/binnacle/aggregator"
	"github.com/binnacle-mesh/binnacle/aggregator/views"
	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/collector/otlp"
	"github.com/binnacle-mesh/binnacle/storage/series"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology"
)

// surfaces is every room that shows figures, fed as in the server but by the test's own
// clock: OTLP is decoded, consumed by the graph and the series, and read back from
// the live graph, the past graph and PromQL.
type surfaces struct {
	t      *testing.T
	now    time.Time
	pos    telemetry.Position
	traces uint64
	recv   *otlp.Service
	graph  *topology.Topology
	agg    *aggregator.Aggregator
	db     *series.DB
	past   *aggregator.GraphReader
	views  *views.Views
	engine *promql.Engine
	ahead  map[string]time.Duration // by how much services' clocks are
}

func newSurfaces(t *testing.T) *surfaces {
	t.Helper()
	db, err := series.Open(t.TempDir(), series.DefaultConfig(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	s := &surfaces{t: t, now: time.Unix(1_790_000_000, 0), db: db, views: views.New(db)}
	s.agg = aggregator.New(aggregator.DefaultConfig(), prometheus.NewRegistry())
	cfg := topology.DefaultConfig()
	s.graph = topology.New(cfg)
	s.past = aggregator.NewGraphReader(db, cfg.Health, s.graph)
	s.engine = promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, LookbackDelta: 5 * time.Minute})
	c, err := collector.New(collector.DefaultConfig(), nil, s, collector.NewPool(), prometheus.NewRegistry(), func() time.Time { return s.now })
	if err != nil {
		t.Fatal(err)
	}
	s.recv = otlp.New(c.Intake("otlp"))
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := s.engine.Close(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	s.pass(0)
	return s
}

// Append implements collector.Appender: what is received is consumed at once.
func (s *surfaces) Append(_ context.Context, b *telemetry.Batch) (telemetry.Position, error) {
	s.pos++
	e := telemetry.Entry{Position: s.pos, Batch: b}
	if err := s.agg.Consume(e); err != nil {
		return 0, err
	}
	s.agg.Observe(s.graph.Consume(e))
	return s.pos, nil
}

// pass lets time pass, second by second, with a tick and a flush at each.
func (s *surfaces) pass(d time.Duration) {
	s.t.Helper()
	for end := s.now.Add(d); ; s.now = s.now.Add(time.Second) {
		s.agg.Observe(s.graph.Tick(s.now.UnixNano()))
		if err := s.agg.Flush(context.Background(), s.now, s.db); err != nil {
			s.t.Fatal(err)
		}
		if !s.now.Before(end) {
			return
		}
	}
}

// A call is a request from one service to another, of which both send a span.
type call struct {
	from, to, name string
	took           time.Duration
	attrs          string // of both spans: key=value key:=number
	failed         bool   // both spans have the status ERROR
	cluster        string // of both
}

// send posts n calls of one kind.
func (s *surfaces) send(n int, c call) {
	s.t.Helper()
	type attr struct {
		Key   string         `json:"key"`
		Value map[string]any `json:"value"`
	}
	attrs := []attr{}
	for _, f := range strings.Fields(c.attrs) {
		if k, v, ok := strings.Cut(f, ":="); ok {
			attrs = append(attrs, attr{k, map[string]any{"intValue": v}})
		} else if k, v, ok := strings.Cut(f, "="); ok {
			attrs = append(attrs, attr{k, map[string]any{"stringValue": v}})
		}
	}
	span := func(service, id, parent string, kind int) map[string]any {
		end := s.now.Add(s.ahead[service])
		out := map[string]any{
			"traceId": fmt.Sprintf("%032x", s.traces), "spanId": hex.EncodeToString([]byte(id)), "name": c.name, "kind": kind, "attributes": attrs,
			"startTimeUnixNano": strconv.FormatInt(end.Add(-c.took).UnixNano(), 10), "endTimeUnixNano": strconv.FormatInt(end.UnixNano(), 10),
		}
		if parent != "" {
			out["parentSpanId"] = hex.EncodeToString([]byte(parent))
		}
		if c.failed {
			out["status"] = map[string]any{"code": 2}
		}
		return out
	}
	var near, far []any
	for range n {
		s.traces++
		near = append(near, span(c.from, "caller01", "", 3))
		far = append(far, span(c.to, "callee01", "caller01", 2))
	}
	of := func(service string, spans []any) map[string]any {
		resource := []attr{{"service.name", map[string]any{"stringValue": service}}, {"service.namespace", map[string]any{"stringValue": "shop"}}}
		if c.cluster != "" {
			resource = append(resource, attr{"k8s.cluster.name", map[string]any{"stringValue": c.cluster}})
		}
		return map[string]any{
			"resource":   map[string]any{"attributes": resource},
			"scopeSpans": []any{map[string]any{"spans": spans}},
		}
	}
	body, err := json.Marshal(map[string]any{"resourceSpans": []any{of(c.from, near), of(c.to, far)}})
	if err != nil {
		s.t.Fatal(err)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/v1/traces", strings.NewReader(string(body)))
	r.Header.Set("Content-Type", "application/json")
	s.recv.ServeHTTP(w, r)
	if w.Code != http.StatusOK || w.Body.String() != "{}" {
		s.t.Fatalf("the receiver answers %d: %s", w.Code, w.Body)
	}
}

// between is the past graph of a range.
func (s *surfaces) between(from, to time.Time) *telemetry.Graph {
	s.t.Helper()
	g, err := s.past.Graph(context.Background(), from, to)
	if err != nil {
		s.t.Fatal(err)
	}
	return g
}
