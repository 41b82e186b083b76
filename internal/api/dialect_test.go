package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/internal/api"
)

// TestDialectsAreFoundBelowTheirFolder: each answers there as it does where its clients know it, and is counted as one route.
func TestDialectsAreFoundBelowTheirFolder(t *testing.T) {
	t.Parallel()
	w := shop(newWorld(t))
	for folder, paths := range map[string][]string{
		"/jaeger": {
			"/api/services", "/api/traces?service=cart", "/api/traces/ff", "/api/traces/ee", "/api/services/frontend/operations", "/api/dependencies?lookback=1",
			"/api/v3/services", "/api/v3/traces/ff", "/api/v3/operations",
		},
		"/prometheus": {"/api/v1/query?query=up", "/api/v1/label/job/values", "/api/v1/status/buildinfo"},
	} {
		for _, p := range paths {
			known, below := w.ask("GET", p), w.ask("GET", folder+p)
			if diff := cmp.Diff(known.Body.String(), below.Body.String()); diff != "" || known.Code != below.Code {
				t.Errorf("%s%s: %d, and %s: %d (-%s +below %s):\n%s", folder, p, below.Code, p, known.Code, p, folder, diff)
			}
		}
		if rec := w.ask("GET", folder+"/nothing", "Accept", "text/html"); rec.Code != http.StatusNotFound {
			t.Errorf("%s/nothing: %d, want 404 and not a page", folder, rec.Code)
		}
	}
	if n := w.counter(t, "binnacle_api_requests_total", "route", "GET /api/services"); n != 2 {
		t.Errorf("the list of services was asked for at its two places, and %v requests of its route are counted", n)
	}
}

// TestDialectsMove: with a prefix a dialect is there and no longer where its clients know it; without being enabled it is nowhere.
func TestDialectsMove(t *testing.T) {
	t.Parallel()
	w := shop(newWorld(t, func(p *plan) {
		p.cfg.Dialects.Jaeger.Prefix = "/tools/j"
		p.cfg.Dialects.Prometheus.Enabled = false
	}))
	for path, want := range map[string]int{
		"/tools/j/api/services": http.StatusOK, "/jaeger/api/services": http.StatusOK, "/api/services": http.StatusNotFound,
		"/api/v1/query": http.StatusNotFound, "/prometheus/api/v1/query": http.StatusNotFound, "/api/v3/services": http.StatusOK, "/api/v1/services": http.StatusOK,
		"/tools/other": http.StatusNotFound,
	} {
		if rec := w.ask("GET", path, "Accept", "text/html"); rec.Code != want {
			t.Errorf("%s: %d, want %d", path, rec.Code, want)
		}
	}
	if n := w.counter(t, "binnacle_api_requests_total", "route", "GET /tools/j/api/services"); n != 2 {
		t.Errorf("%v requests of the moved route are counted, want 2", n)
	}
}

// tempo is a dialect that knows some of the same paths as Jaeger's.
type tempo struct{ patterns []string }

func (d tempo) Routes() []api.Route {
	var out []api.Route
	for _, p := range d.patterns {
		out = append(out, api.Route{Pattern: p, Answer: func(*http.Request) (api.Answer, error) { return api.Text("tempo"), nil }})
	}
	return out
}

func (d tempo) Error(status int, detail string) api.Answer { return api.Problem(status, detail) }

// TestTwoDialectsClaimOnePath: the server does not start, says who they are and what to do; and what it says to do helps.
func TestTwoDialectsClaimOnePath(t *testing.T) {
	t.Parallel()
	for pattern, claimed := range map[string]bool{
		"GET /api/traces/{traceID}": true, "GET /api/traces/{id}/{rest...}": false, "GET /api/traces/v2": true, "GET /api/{what...}": true, "GET /api/": true,
		"POST /api/traces/{traceID}": false, "GET /api/search": false, "GET /api/v2/traces": false, "GET /metrics": true, "GET /api/v1/graph": true, "GET /api/v1/{x}": true,
	} {
		with := func(prefix string) func(*plan) {
			return func(p *plan) {
				p.more = []api.Mounted{{Name: "tempo", Dialect: tempo{[]string{pattern}}, Base: "/tempo", Mount: api.Mount{Enabled: true, Prefix: prefix}}}
			}
		}
		_, err := tryWorld(t, with(""))
		switch {
		case !claimed && err != nil:
			t.Errorf("%s, which nobody else claims: %v", pattern, err)
		case claimed && (err == nil || !strings.Contains(err.Error(), "tempo") || !strings.Contains(err.Error(), "api.dialects.tempo.prefix")):
			t.Errorf("%s is another's as well, and the server says: %v", pattern, err)
		}
		if w, err := tryWorld(t, with("/tempo")); err != nil {
			t.Errorf("with the prefix that the error names: %v", err)
		} else if rec := w.ask("GET", "/api/v1/graph"); rec.Code != http.StatusOK {
			t.Errorf("beside tempo the graph is answered %d", rec.Code)
		}
	}
}

// TestEachDialectTellsErrorsItsWay: also those that the host finds.
func TestEachDialectTellsErrorsItsWay(t *testing.T) {
	t.Parallel()
	w := shop(newWorld(t, func(p *plan) {
		p.prometheus = &asked{serve: func(http.ResponseWriter) { panic("off by one") }}
	}))
	w.live.panics = true
	for path, want := range map[string]string{
		"/api/v1/graph":                         `{"title":"Internal Server Error","status":500,"detail":"a bug in the server; its log has more"}`,
		"/prometheus/api/v1/query":              `{"status":"error","errorType":"internal","error":"a bug in the server; its log has more"}`,
		"/api/traces/xyz":                       `{"data":null,"total":0,"limit":0,"offset":0,"errors":[{"code":400,"msg":"traceID: trace id \"xyz\": character 1 is 'x', not a hex digit"}]}`,
		"/jaeger/api/v3/operations?service=":    `{"error":{"httpCode":400,"message":"service: it must be given"}}`,
		"/api/v1/traces/00000000000000000000ee": `{"title":"Not Found","status":404,"detail":"trace 000000000000000000000000000000ee: not found"}`,
	} {
		if got := w.ask("GET", path).Body.String(); got != want {
			t.Errorf("%s: %s\nwant %s", path, got, want)
		}
	}
}

// TestLongLookbackIsClamped: who asks for all of time is answered for as long as is answered, and told so.
func TestLongLookbackIsClamped(t *testing.T) {
	t.Parallel()
	w := shop(newWorld(t))
	for path, want := range map[string]string{
		"/api/dependencies":                                    "",
		"/api/dependencies?lookback=31622400000":               "",
		"/api/dependencies?lookback=31622400001":               "lookback=31622400000",
		"/api/dependencies?lookback=9223372036854775807":       "lookback=31622400000",
		"/api/v3/dependencies?start_time=2026-11-20T00:00:00Z": "",
		"/api/v3/dependencies?start_time=1970-01-01T00:00:01Z": "start_time=2025-11-20T12:00:00Z",
	} {
		rec := w.ask("GET", path)
		if got := rec.Header().Get("Binnacle-Clamped"); got != want || rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), `"frontend"`) {
			t.Errorf("%s: %d, clamped %q, want %q: %s", path, rec.Code, got, want, rec.Body)
		}
	}
}
