package prometheus

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/ask"
	"github.com/binnacle-mesh/binnacle/internal/ledger"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A shopful is the API over a store of many edges, asked as the web port asks it.
type shopful struct {
	dialect *Dialect
	desk    *ask.Desk
	account *ledger.Account
	now     time.Time
}

func newShopful(t *testing.T, edges, nameBytes int, limits ask.Limits, memory int64) *shopful {
	t.Helper()
	f := newFilled(t)
	f.flush(t, time.Minute)
	pad := strings.Repeat("x", nameBytes)
	for i := range 3 {
		var seen telemetry.Observed
		for k := range edges {
			end := func(side string) telemetry.Endpoint {
				return telemetry.Endpoint{Node: telemetry.Node{Kind: telemetry.NodeService, Namespace: "shop", Name: fmt.Sprintf("%s-%d-%s", side, k, pad)}}
			}
			seen.Requests = append(seen.Requests, telemetry.Observation{
				Edge: &telemetry.Edge{Source: end("from"), Target: end("to"), Protocol: telemetry.ProtocolHTTP},
				At:   f.now.UnixNano(), Duration: 12e6, Code: 200, Side: telemetry.SideServer,
			})
		}
		f.agg.Observe(seen)
		f.flush(t, time.Duration(2-i)*5*time.Second)
	}
	account := ledger.New(memory, nil).Account("queries", 0)
	desk, err := ask.New(limits, ask.Places{UnderWay: 16}, account, 1, f.reg)
	if err != nil {
		t.Fatal(err)
	}
	return &shopful{desk: desk, account: account, now: f.now, dialect: f.dialect}
}

// get asks, and says what the question held at the most when the answer was sent.
func (s *shopful) get(t *testing.T, path string, params url.Values) (status int, body string, err error) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path+"?"+params.Encode(), nil)
	ctx, a := s.desk.Open(r.Context())
	defer a.Close()
	w := httptest.NewRecorder()
	if err := s.dialect.serve(w, r.WithContext(ctx)); err != nil {
		return 0, "", err
	}
	return w.Code, w.Body.String(), nil
}

// Every way to ask for everything ends at a limit: of series, of memory, of the answer, and of the memory that is left. What was
// held is given back each time.
func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	at := func(s *shopful, q string) url.Values {
		now := strconv.FormatInt(s.now.Unix(), 10)
		return url.Values{"query": {q}, "match[]": {q}, "time": {now}, "start": {strconv.FormatInt(s.now.Add(-10*time.Minute).Unix(), 10)}, "end": {now}, "step": {"5"}}
	}
	const all = `{__name__=~".+"}`
	wide := ask.Limits{Bytes: 1 << 30, Series: 1 << 20, Answer: 1 << 30}
	few, small, short := wide, wide, wide
	few.Series, small.Bytes, short.Answer = 500, 300<<10, 20<<10
	for _, c := range []struct {
		name   string
		limits ask.Limits
		memory int64
		asks   map[string]string // path, expression
		status int
		want   string
	}{
		{"series", few, 1 << 30, map[string]string{"/api/v1/query": all, "/api/v1/query_range": all, "/api/v1/series": all}, 422, "promql.max_series"},
		{"memory", small, 1 << 30, map[string]string{
			"/api/v1/query": all, "/api/v1/query_range": `sum(rate(` + all + `[1m]))`, "/api/v1/series": all,
			"/api/v1/labels": all, "/api/v1/label/destination_service/values": all,
		}, 422, "api.max_query_bytes"},
		{"answer", short, 1 << 30, map[string]string{"/api/v1/query": all, "/api/v1/query_range": all, "/api/v1/series": all}, 422, "api.max_answer_bytes"},
		{"memory of all", wide, 300 << 10, map[string]string{"/api/v1/query": all, "/api/v1/series": all, "/api/v1/labels": all}, 503, "memory.limit_bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newShopful(t, 200, 100, c.limits, c.memory)
			for path, q := range c.asks {
				status, body, err := s.get(t, path, at(s, q))
				if err != nil {
					status, body = c.status, err.Error() // told by its kind, see internal/api
				}
				if status != c.status || !strings.Contains(body, c.want) {
					t.Errorf("%s: %d %.300s", path, status, body)
				}
			}
			if n := s.account.Used(); n != 0 {
				t.Errorf("%d bytes are still held", n)
			}
			// What is asked in a narrower way is answered.
			if status, body, err := s.get(t, "/api/v1/query", at(s, `sum(istio_requests_total{destination_service_name=~"to-1-.*"})`)); c.memory > 1<<20 && (err != nil || status != 200 || !strings.Contains(body, `"3"`)) {
				t.Errorf("a narrow question: %d %.300s %v", status, body, err)
			}
		})
	}
}

// Labels that double are counted before they are made.
func TestLabelsThatGrow(t *testing.T) {
	t.Parallel()
	s := newShopful(t, 20, 2000, ask.Limits{Bytes: 8 << 20, Series: 1 << 20, Answer: 1 << 30}, 1<<30)
	q := `istio_requests_total`
	for range 4 {
		q = `label_replace(` + q + `, "source_workload", "$1$1$1$1", "source_workload", "(.*)")`
	}
	status, body, err := s.get(t, "/api/v1/query", url.Values{"query": {q}, "time": {strconv.FormatInt(s.now.Unix(), 10)}})
	if err != nil || status != 422 || !strings.Contains(body, "max_query_bytes") {
		t.Errorf("%d %.300s %v", status, body, err)
	}
}

// An answer that is written piece by piece is, byte for byte, what Prometheus' codec makes of it.
func TestPiecesAreTheWhole(t *testing.T) {
	t.Parallel()
	s := newShopful(t, 50, 10, ask.Limits{Bytes: 1 << 30, Series: 1 << 20, Answer: 1 << 30}, 1<<30)
	now := strconv.FormatInt(s.now.Unix(), 10)
	for _, q := range []string{
		`istio_requests_total`, `binnacle_edge_duration_seconds`, `nosuch`, `vector(1)`, `scalar(vector(1))`, `"text"`, `sum(istio_requests_total)`,
		`{__name__=~"istio.*"}`, `{__name__=~"traces.*"} > 1 or vector(0)`,
	} {
		for path, params := range map[string]url.Values{
			"/api/v1/query":       {"query": {q}, "time": {now}, "stats": {"all"}, "limit": {"30"}},
			"/api/v1/query_range": {"query": {q}, "start": {strconv.FormatInt(s.now.Add(-20*time.Second).Unix(), 10)}, "end": {now}, "step": {"5"}},
		} {
			_, body, err := s.get(t, path, params)
			if err != nil {
				t.Fatal(err)
			}
			var v any
			if err := json.Unmarshal([]byte(body), &v); err != nil {
				t.Fatalf("%s %s is no JSON: %v", path, q, err)
			}
			// Without a recorder in its context the codec is Prometheus' own.
			w := httptest.NewRecorder()
			s.dialect.router.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path+"?"+params.Encode(), nil))
			if whole, pieces := untimed(w.Body.String()), untimed(body); whole != pieces {
				t.Errorf("%s %s\nin pieces: %.500s\nas a whole: %.500s", path, q, pieces, whole)
			}
		}
	}
}

// untimed cuts off what differs from run to run: the timings.
func untimed(body string) string {
	before, _, _ := strings.Cut(body, `"timings"`)
	return before
}
