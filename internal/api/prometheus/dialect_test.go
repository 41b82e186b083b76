package prometheus

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve is the API over a store that holds one edge and one operation.
func serve(t *testing.T) (srv *httptest.Server, now time.Time) {
	t.Helper()
	f := newFilled(t)
	now = f.now
	b := telemetry.NewBatch()
	b.Received = now.UnixNano()
	b.Resources = append(b.Resources, telemetry.Resource{Identity: telemetry.Identity{Service: b.InternString("cart")}})
	b.Spans = append(b.Spans, telemetry.Span{TraceID: telemetry.TraceID{1}, SpanID: telemetry.SpanID{2}, Start: b.Received, Duration: 5e6, Name: b.InternString("GET /cart"), Kind: telemetry.KindServer})
	f.flush(t, time.Minute)
	for i := range 12 {
		if err := f.agg.Consume(telemetry.Entry{Position: telemetry.Position(i + 1), Batch: b}); err != nil {
			t.Fatal(err)
		}
		f.agg.Observe(telemetry.Observed{Requests: []telemetry.Observation{{
			Edge: edge, At: now.UnixNano(), Duration: 12e6, Code: 200, Side: telemetry.SideServer,
			TraceID: telemetry.TraceID{1}, SpanID: telemetry.SpanID{byte(i)},
		}}})
		f.flush(t, time.Duration(11-i)*5*time.Second)
	}
	mux := http.NewServeMux()
	for _, rt := range f.dialect.Routes() {
		mux.HandleFunc(rt.Pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := rt.Serve(w, r); err != nil {
				var known *api.Error
				if !errors.As(err, &known) {
					t.Error(err)
					return
				}
				ans := f.dialect.Error(known.Status, known.Detail)
				w.WriteHeader(ans.Status)
				_, _ = w.Write(ans.Body)
			}
		})
	}
	srv = httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv, now
}

var edge = &telemetry.Edge{
	Source:   telemetry.Endpoint{Node: telemetry.Node{Kind: telemetry.NodeService, Namespace: "shop", Name: "front"}},
	Target:   telemetry.Endpoint{Node: telemetry.Node{Kind: telemetry.NodeService, Namespace: "shop", Name: "cart"}},
	Protocol: telemetry.ProtocolHTTP,
}

func get(t *testing.T, srv *httptest.Server, path string, params url.Values, post bool) (int, string) {
	t.Helper()
	var res *http.Response
	var err error
	if post {
		res, err = srv.Client().PostForm(srv.URL+path, params)
	} else {
		res, err = srv.Client().Get(srv.URL + path + "?" + params.Encode())
	}
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// Each endpoint answers, by GET and where Prometheus allows it by POST, with
// what the store and the views hold.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	srv, now := serve(t)
	at := strconv.FormatInt(now.Unix(), 10)
	from := strconv.FormatInt(now.Add(-time.Minute).Unix(), 10)
	ranged := func(q string) url.Values {
		return url.Values{"query": {q}, "start": {from}, "end": {at}, "step": {"15"}}
	}
	for _, c := range []struct {
		path   string
		params url.Values
		post   bool
		want   []string
	}{
		{"/api/v1/query", url.Values{"query": {`sum(istio_requests_total)`}, "time": {at}}, true, []string{`"success"`, `"12"`}},
		{"/api/v1/query", url.Values{"query": {`histogram_quantile(0.5, rate(binnacle_edge_duration_seconds[1m]))`}, "time": {at}}, true, []string{`"0.011`}},
		{"/api/v1/query", url.Values{"query": {`binnacle_operation_duration_seconds`}, "time": {at}}, true, []string{`"histogram"`, `"count":"12"`}},
		{"/api/v1/query", url.Values{"query": {`histogram_fraction(0, 0.1, rate(binnacle_operation_duration_seconds[1m]))`}, "time": {at}}, true, []string{`"1"`}},
		{"/api/v1/query_range", ranged(`sum(rate(traces_spanmetrics_calls_total[20s]))`), true, []string{`"matrix"`, `"0.2`}},
		{"/api/v1/query_range", ranged(`histogram_quantile(0.9, sum by (le) (rate(istio_request_duration_milliseconds_bucket[30s])))`), true, []string{`"matrix"`, `"values"`}},
		{"/api/v1/query_exemplars", ranged(`traces_service_graph_request_server_seconds_bucket`), true, []string{`"trace_id":"01000000000000000000000000000000"`, `"le":"0.1"`}},
		{"/api/v1/format_query", url.Values{"query": {"sum(rate( x[1m]))"}}, true, []string{"sum(rate(x[1m]))"}},
		{"/api/v1/parse_query", url.Values{"query": {"up"}}, true, []string{`"vectorSelector"`}},
		{"/api/v1/labels", url.Values{"match[]": {"istio_requests_total"}}, true, []string{"destination_workload", "reporter"}},
		{"/api/v1/label/__name__/values", nil, false, []string{"istio_requests_total", "binnacle_edge_duration_seconds", "traces_spanmetrics_latency_bucket"}},
		{"/api/v1/label/destination_service/values", nil, false, []string{"cart.shop.svc.cluster.local"}},
		{"/api/v1/series", url.Values{"match[]": {`traces_service_graph_request_total{server="cart"}`, `binnacle_edge_duration_seconds`}}, true, []string{`"client":"front"`, `"evidence":"span"`}},
		{"/api/v1/metadata", nil, false, []string{`"istio_requests_total":[{"type":"counter"`, `"binnacle_edge_duration_seconds":[{"type":"histogram","unit":"seconds"`, "binnacle_aggregator_spans_total"}},
		{"/api/v1/metadata", url.Values{"metric": {"istio_request_duration_milliseconds"}}, false, []string{`"histogram"`}},
		{"/api/v1/status/buildinfo", nil, false, []string{`"version":"test"`}},
		{"/api/v1/status/config", nil, false, []string{"scrape_interval: 5s"}},
		{"/api/v1/status/runtimeinfo", nil, false, []string{`"storageRetention":"15d or 4GiB"`}},
		{"/api/v1/status/flags", nil, false, []string{`"query.timeout":"1m"`}},
		{"/api/v1/status/tsdb", nil, false, []string{`"numSeries":2`}},
		{"/api/v1/status/tsdb/blocks", nil, false, []string{`"success"`}},
		{"/api/v1/status/walreplay", nil, false, []string{`"success"`}},
	} {
		for _, post := range []bool{false, true} {
			if post && !c.post {
				continue
			}
			code, body := get(t, srv, c.path, c.params, post)
			if code != http.StatusOK || !json.Valid([]byte(body)) {
				t.Errorf("%s %v: %d %s", c.path, c.params, code, body)
			}
			for _, w := range c.want {
				if !strings.Contains(body, w) {
					t.Errorf("%s %v lacks %s: %s", c.path, c.params, w, body)
				}
			}
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	srv, _ := serve(t)
	for path, want := range map[string]int{
		"/api/v1/query?query=sum(":                    http.StatusBadRequest,
		"/api/v1/query_range?query=up&start=a":        http.StatusBadRequest,
		"/api/v1/series":                              http.StatusBadRequest,
		"/api/v1/admin/tsdb/snapshot":                 http.StatusNotFound,
		"/api/v1/write":                               http.StatusNotFound,
		"/api/v1/targets":                             http.StatusNotFound,
		"/api/v1/status":                              http.StatusNotFound,
		"/api/v1/graph":                               http.StatusNotFound,
		"/api/v1/query?query=count_values(%22x%22,1)": http.StatusBadRequest,
	} {
		if code, body := get(t, srv, strings.SplitN(path, "?", 2)[0], values(path), false); code != want {
			t.Errorf("%s: %d %s, want %d", path, code, body, want)
		}
	}
}

func values(path string) url.Values {
	u, err := url.Parse(path)
	if err != nil {
		return nil
	}
	return u.Query()
}
