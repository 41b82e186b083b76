package app

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
	"github.com/binnacle-mesh/binnacle/dashboards"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// ended is how many requests ended how.
type ended struct{ requests, errors, throttled int }

func (c *ended) add(n int, outcome string) {
	c.requests += n
	switch outcome {
	case "error":
		c.errors += n
	case "throttled":
		c.throttled += n
	}
}

// One mix of requests, in which status, code and outcome contradict each other, is
// shown alike by all surfaces, and as counted by hand.
func TestOneDefinitionOfErrorOnAllSurfaces(t *testing.T) {
	t.Parallel()
	s := newSurfaces(t)
	const http, grpc = "http.request.method=GET http.response.status_code:=", "rpc.system=grpc rpc.grpc.status_code:="
	story := []struct {
		n        int
		attrs    string
		failed   bool // the spans' status is ERROR
		protocol string
		outcome  string
	}{
		{40, http + "200", false, "http", "ok"},
		{9, http + "404", false, "http", "ok"},
		{7, http + "500", false, "http", "error"},
		{3, http + "503", true, "http", "error"},
		{2, "http.request.method=GET", true, "http", "error"}, // no answer, and no code
		{5, http + "429", false, "http", "throttled"},
		{6, http + "429", true, "http", "throttled"},
		{11, grpc + "0", false, "grpc", "ok"},
		{4, grpc + "8", true, "grpc", "throttled"}, // RESOURCE_EXHAUSTED
		{1, grpc + "8", false, "grpc", "throttled"},
		{2, grpc + "14", true, "grpc", "error"},
		{3, grpc + "5", false, "grpc", "ok"}, // NOT_FOUND
	}
	want := map[string]ended{}
	var all ended
	saidError, code5xx, code429 := 0, 0, 0
	for range 3 {
		for _, k := range story {
			s.send(k.n, call{from: "front", to: "cart", name: "work", took: 20 * time.Millisecond, attrs: k.attrs, failed: k.failed})
			c := want[k.protocol]
			c.add(k.n, k.outcome)
			want[k.protocol] = c
			all.add(k.n, k.outcome)
			switch {
			case strings.Contains(k.attrs, "status_code:=5") && k.protocol == "http":
				code5xx += k.n
			case strings.Contains(k.attrs, "429"):
				code429 += k.n
			}
			if k.failed {
				saidError += k.n
			}
		}
		s.pass(10 * time.Second)
	}
	live := s.graph.Snapshot()
	s.pass(20 * time.Second)
	past := s.between(s.now.Add(-time.Hour), s.now.Add(time.Second))

	for name, g := range map[string]*telemetry.Graph{"live": live, "past": past} {
		got := map[string]ended{}
		for _, e := range g.Edges {
			got[e.Protocol.String()] = ended{int(e.Totals.Requests), int(e.Totals.Errors), int(e.Totals.Throttled)}
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(ended{})); d != "" {
			t.Errorf("edges of the %s graph (-want +got):\n%s", name, d)
		}
		for _, n := range g.Nodes {
			if n.Name != "cart" {
				continue
			}
			for window, sig := range n.Windows {
				if window != "1m" && window != "range" {
					continue
				}
				near(t, name+" node, errors", sig.ErrorRate/sig.Rate, share(all.errors, all), 0.01)
				near(t, name+" node, throttled", sig.ThrottledRate/sig.Rate, share(all.throttled, all), 0.01)
			}
		}
	}

	edges := `sum by (outcome) (histogram_count(binnacle_edge_duration_seconds{side="` // }
	for query, want := range map[string]ended{
		edges + `server",evidence="span"}))`: all,
		edges + `client",evidence="span"}))`: all,
		edges + `server",protocol="grpc"}))`: want["grpc"],
		`sum by (outcome) (histogram_count(binnacle_operation_duration_seconds{service="cart",kind="server",operation="work"}))`:  all,
		`sum by (outcome) (histogram_count(binnacle_operation_duration_seconds{service="front",kind="client",operation="work"}))`: all,
	} {
		var got ended
		for _, v := range s.ask(query) {
			got.add(int(math.Round(v.F)), v.Metric.Get(canonical.Outcome))
		}
		if got != want {
			t.Errorf("%s has %+v, want %+v", query, got, want)
		}
	}
	for query, want := range map[string]int{
		`sum(histogram_count(binnacle_operation_duration_seconds{service="cart",status="error"}))`:                   saidError,
		`sum(traces_spanmetrics_calls_total{service="cart",status_code="STATUS_CODE_ERROR"})`:                        saidError,
		`sum(traces_span_metrics_calls_total{service_name="front",status_code="STATUS_CODE_ERROR"})`:                 saidError,
		`sum(traces_service_graph_request_failed_total)`:                                                             all.errors,
		`sum(istio_requests_total{reporter="destination",request_protocol="http",response_code=~"5.*"})`:             code5xx + 3*2, // 500 where no code is known
		`sum(istio_requests_total{reporter="destination",response_code="429"})`:                                      code429,
		`sum(istio_requests_total{reporter="source",request_protocol="grpc",grpc_response_status="8"})`:              want["grpc"].throttled,
		`sum(histogram_count(binnacle_edge_duration_seconds{side="server",outcome="throttled",code="429"}))`:         code429,
		`count(binnacle_operation_duration_seconds{outcome=""}) or vector(0)`:                                        0,
		`sum(histogram_count(binnacle_operation_duration_seconds{service="cart",outcome="ok",status="error"})) or 0`: 0,
	} {
		query = strings.Replace(query, " or 0", " or vector(0)", 1)
		if got := s.ask(query); len(got) != 1 || got[0].F != float64(want) {
			t.Errorf("%s is %v, want %d", query, got, want)
		}
	}

	// Series of the release before have no outcome: theirs is told by the status, and
	// nothing of it is taken for nothing.
	s.appendOld("GET /old", 30, 10)
	found := 0
	for _, e := range operationErrors(t) {
		for _, v := range s.ask(e) {
			found++
			switch op := v.Metric.Get(canonical.Name); op {
			case "work":
				near(t, "the dashboard's share of errors", v.F, share(all.errors, all), 1e-9)
			case "GET /old":
				near(t, "the dashboard's share of errors of old", v.F, 0.25, 1e-9)
			default:
				t.Errorf("the dashboard has %v", v)
			}
		}
	}
	if found != 2 {
		t.Errorf("the dashboard's errors of operations have %d values", found)
	}
}

func share(n int, of ended) float64 { return float64(n) / float64(of.requests) }

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > within*want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// ask runs an instant query.
func (s *surfaces) ask(expr string) promql.Vector {
	s.t.Helper()
	q, err := s.engine.NewInstantQuery(context.Background(), s.views, nil, expr, s.now)
	if err != nil {
		s.t.Fatalf("%s: %v", expr, err)
	}
	defer q.Close()
	v, err := q.Exec(context.Background()).Vector()
	if err != nil {
		s.t.Fatalf("%s: %v", expr, err)
	}
	return append(promql.Vector{}, v...)
}

// appendOld writes two series as they were before operations had an outcome, which rise
// over the last minute.
func (s *surfaces) appendOld(operation string, fine, failed int) {
	s.t.Helper()
	for status, n := range map[string]int{"unset": fine, "error": failed} {
		ls := labels.FromStrings(labels.MetricName, canonical.Operation, canonical.Kind, "server", canonical.Namespace, "shop",
			canonical.Name, operation, canonical.Service, "cart", canonical.Status, status)
		app := s.db.AppenderV2(context.Background())
		for i := range 2 {
			h := &histogram.Histogram{Schema: 3, ZeroThreshold: 1e-9, ZeroCount: uint64(i * n), Count: uint64(i * n)}
			if _, err := app.Append(0, ls, 0, s.now.Add(time.Duration(i-2)*10*time.Second).UnixMilli(), 0, h, nil, storage.AOptions{}); err != nil {
				s.t.Fatal(err)
			}
		}
		if err := app.Commit(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// operationErrors are the dashboards' expressions of operations' errors.
func operationErrors(t *testing.T) (out []string) {
	t.Helper()
	ds, err := dashboards.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range ds {
		for _, e := range d.Expressions(map[string]string{"service": "cart", "namespace": "shop"}) {
			if strings.Contains(e.PromQL, canonical.Operation) && strings.Contains(e.PromQL, `outcome="error"`) {
				out = append(out, e.PromQL)
			}
		}
	}
	return out
}
