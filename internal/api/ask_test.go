package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

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
	var patterns []string
	for _, p := range w.api.Patterns() {
		if p != "GET /api/v1/graph/stream" {
			patterns = append(patterns, p)
		}
	}
	f.Fuzz(func(t *testing.T, n uint8, raw, part, host string) {
		for i := range patterns {
			w.askFuzzed(t, patterns[(int(n)+i)%len(patterns)], raw, part, host)
		}
	})
}

func (w *world) askFuzzed(t *testing.T, pattern, raw, part, host string) {
	method, p, _ := strings.Cut(pattern, " ")
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
	if ct := rec.Header().Get("Content-Type"); strings.HasSuffix(ct, "json") && !json.Valid(rec.Body.Bytes()) {
		t.Fatalf("%s %s?%s: %d is no JSON: %s", method, p, raw, rec.Code, rec.Body)
	}
}
