package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/filter"
)

func paramsOf(rawQuery string) *params { return readParams(&url.URL{RawQuery: rawQuery}) }

func treeOf(t *testing.T, f query.Form) filter.Filter {
	t.Helper()
	tree, err := f.Filter()
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestReadSpanQuery(t *testing.T) {
	t.Parallel()
	got, err := readSpanQuery(paramsOf("service=cart&namespace=shop&operation=GET+%2Fcart&kind=server&attribute=a%3Db%3Dc&attribute=d%3D&min_duration=5ms&max_duration=1d&status=error&from=1795258800000&to=2026-11-21T11:30:00%2B00:00&limit=7"), noon)
	form := query.Form{
		Service: "cart", Namespace: "shop", Operation: "GET /cart", Kind: "server", Status: "error",
		Attributes:  []query.AttributeMatch{{Key: "a", Value: "b=c"}, {Key: "d", Value: ""}},
		MinDuration: 5 * time.Millisecond, MaxDuration: 24 * time.Hour,
	}
	want := telemetry.SpanQuery{Filter: treeOf(t, form), From: noon.Add(-time.Hour).UnixNano(), To: noon.Add(-30 * time.Minute).UnixNano(), Limit: 7}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	got, err = readSpanQuery(paramsOf(""), noon)
	want = telemetry.SpanQuery{From: noon.Add(-time.Hour).UnixNano(), To: noon.UnixNano(), Limit: defaultLimit}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("of nothing: %v (-want +got):\n%s", err, diff)
	}
}

func TestReadJaegerQueries(t *testing.T) {
	t.Parallel()
	form := query.Form{
		Service: "cart", Operation: "GET /cart", Kind: "server", Status: "error",
		Attributes:  []query.AttributeMatch{{Key: "code", Value: "500"}, {Key: "retry", Value: "false"}},
		MinDuration: 1200 * time.Millisecond, MaxDuration: 3 * time.Second,
	}
	want := telemetry.SpanQuery{Filter: treeOf(t, form), From: noon.Add(-time.Hour).UnixNano(), To: noon.UnixNano(), Limit: 5}
	legacy, err := readJaegerQuery(paramsOf("service=cart&operation=GET+/cart&tags="+url.QueryEscape(`{"error":"true","span.kind":"server","code":500}`)+"&tag=retry:false&minDuration=1.2s&maxDuration=3s&start=1795258800000000&end=1795262400000000&limit=5&lookback=custom"), noon)
	if diff := cmp.Diff(want, legacy); diff != "" || err != nil {
		t.Errorf("legacy: %v (-want +got):\n%s", err, diff)
	}
	attributes := url.QueryEscape(`{"otel.status_code":"ERROR","span.kind":"server","code":500,"retry":false}`)
	for _, q := range []string{
		"query.service_name=cart&query.operation_name=GET+/cart&query.attributes=" + attributes + "&query.start_time_min=2026-11-21T11:00:00Z&query.start_time_max=2026-11-21T12:00:00Z&query.duration_min=1.2s&query.duration_max=3s&query.search_depth=5",
		"query.serviceName=cart&query.operationName=GET+/cart&query.attributes=" + attributes + "&query.startTimeMin=2026-11-21T11:00:00Z&query.startTimeMax=2026-11-21T13:00:00+01:00&query.durationMin=1.2s&query.durationMax=3s&query.num_traces=5&query.rawTraces=true",
	} {
		got, err := readJaeger3Query(paramsOf(q))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", q, err, diff)
		}
	}
	back, err := readJaegerQuery(paramsOf("lookback=2d"), noon)
	if err != nil || back.From != noon.Add(-48*time.Hour).UnixNano() || back.Limit != jaegerLimit {
		t.Errorf("lookback alone: %+v %v", back, err)
	}
}

// FuzzParams: whatever a query says, it is refused by a name, or is a search that
// can be asked: times in order of what an int64 holds, durations not negative.
func FuzzParams(f *testing.F) {
	for _, s := range []string{
		"", "limit=1&from=1&to=2", "start=1e18&end=9223372036854775807", "lookback=100000d", "min_duration=-1s", "tags={\"a\":null}", "tag=a:b:c",
		"query.startTimeMin=2026-11-21T11:00:00 01:00&query.startTimeMax=9999-12-31T23:59:59Z", "query.attributes={}&query.durationMin=1ns",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		for name, read := range map[string]func(*params) (telemetry.SpanQuery, error){
			"own":    func(p *params) (telemetry.SpanQuery, error) { return readSpanQuery(p, noon) },
			"legacy": func(p *params) (telemetry.SpanQuery, error) { return readJaegerQuery(p, noon) },
			"v3":     readJaeger3Query,
		} {
			q, err := read(paramsOf(raw))
			var invalid *query.InvalidError
			switch {
			case err != nil && (!errors.As(err, &invalid) || invalid.Field == "" || invalid.Reason == ""):
				t.Fatalf("%s of %q: the error names nothing: %v", name, raw, err)
			case err == nil && (q.Limit < 1 || q.To < 0):
				t.Fatalf("%s of %q: %+v", name, raw, q)
			}
		}
	})
}

// FuzzAsk asks every route with any query, path and headers: there is an answer,
// it is no fault of the server's, and it is what it says it is.
func FuzzAsk(f *testing.F) {
	w := shop(newWorld(f))
	for _, s := range []string{
		"", "limit=-1", "from=9223372036854775807&to=9223372036854775807", "from=1e300", "start=NaN", "end=-0", "min_duration=9999999999h", "lookback=99999999d",
		"attribute==&tags={}&tags=[]", "traceID=&traceID=0", "query.startTimeMin=0000-01-01T00:00:00Z&query.startTimeMax=9999-12-31T23:59:59Z", "%zz", "tags={\"a\":{\"b\":[1]}}",
		"endTs=1&lookback=8640000000000", "start=-1&end=18446744073709551615",
	} {
		f.Add(uint8(0), s, "ff", "localhost")
	}
	var routes []route
	for _, rt := range w.api.routes {
		if rt.pattern != "GET /api/v1/graph/stream" {
			routes = append(routes, rt)
		}
	}
	f.Fuzz(func(t *testing.T, n uint8, raw, part, host string) {
		for i := range routes {
			rt := routes[(int(n)+i)%len(routes)]
			w.askFuzzed(t, rt, raw, part, host)
		}
	})
}

func (w *world) askFuzzed(t *testing.T, rt route, raw, part, host string) {
	method, p := "GET", rt.pattern[len("GET "):]
	if rt.pattern[0] == 'P' {
		method, p = "POST", rt.pattern[len("POST "):]
	}
	for i := 0; i < len(p); i++ {
		if p[i] == '{' {
			p = p[:i] + part
			break
		}
	}
	r := httptest.NewRequest(method, "/", nil)
	r.URL = &url.URL{Path: p, RawQuery: raw}
	r.Host = host
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, r)
	if rec.Code >= http.StatusInternalServerError {
		t.Fatalf("%s %s?%s (host %q): %d %s", method, p, raw, host, rec.Code, rec.Body)
	}
	if ct := rec.Header().Get("Content-Type"); (ct == jsonType || ct == problemType) && !json.Valid(rec.Body.Bytes()) {
		t.Fatalf("%s %s?%s: %d is no JSON: %s", method, p, raw, rec.Code, rec.Body)
	}
}
