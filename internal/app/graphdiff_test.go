package app

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/internal/api/binnacle"
	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// dialect is our API over the rooms of s. Of traces it knows nothing.
func (s *surfaces) dialect() *binnacle.Dialect {
	s.t.Helper()
	d, err := binnacle.New(binnacle.Deps{
		Query: query.New(nil, s.graph, s.past, query.DefaultLimits()), Quotas: func() binnacle.Quotas { return binnacle.Quotas{} },
		Status: func() binnacle.Status { return binnacle.Status{} }, Findings: func() []telemetry.Finding { return nil }, Suspects: func() []telemetry.Suspect { return nil }, ConfigSchema: []byte("{}"), MaxStreams: 1, MaxStreamsPerAddress: 1,
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Now: func() time.Time { return s.now },
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(d.Close)
	return d
}

// get reads what the API answers to a GET into out.
func (s *surfaces) get(d *binnacle.Dialect, url string, out any) {
	s.t.Helper()
	path, _, _ := strings.Cut(url, "?")
	for _, r := range d.Routes() {
		if r.Pattern != "GET "+path {
			continue
		}
		a, err := r.Answer(httptest.NewRequest(http.MethodGet, url, nil))
		if err == nil {
			err = json.Unmarshal(a.Body, out)
		}
		if err != nil {
			s.t.Fatalf("%s: %v", url, err)
		}
		return
	}
	s.t.Fatalf("nothing answers %s", url)
}

type diffAnswer struct {
	From         int64 `json:"from"`
	To           int64 `json:"to"`
	AgainstFrom  int64 `json:"against_from"`
	AgainstTo    int64 `json:"against_to"`
	Tests        int   `json:"tests"`
	FoundEdges   int   `json:"found_edges"`
	Nodes, Edges []struct {
		ID      string
		Change  string
		Certain bool
		Changes []struct {
			What                         string
			Before, After, Ratio, Chance float64
			Certain                      bool
			Says                         string
		}
		Before, After *struct {
			Totals struct{ Requests, Errors int }
		}
	}
}

// What changes from one range to another is told by its name and size, all of it and nothing else: errors, latency, rate, an edge that came and one
// that went; and what did not change is not.
func TestDiffOfTwoRanges(t *testing.T) {
	t.Parallel()
	s := newSurfaces(t)
	get := func(to string, took time.Duration, status string) call {
		return call{from: "front", to: to, name: "GET /", took: took, attrs: "http.request.method=GET http.response.status_code:=" + status}
	}
	for half := range 2 {
		later := half == 1
		for range 12 {
			s.send(40, get("calm", 20*time.Millisecond, "200"))
			s.send(2, get("calm", 20*time.Millisecond, "503"))
			slow, failed, many := 20*time.Millisecond, 0, 20
			if later {
				slow, failed, many = 60*time.Millisecond, 10, 40
			}
			s.send(30, get("slow", slow, "200"))
			s.send(30-failed, get("failing", 5*time.Millisecond, "200"))
			s.send(failed, get("failing", 5*time.Millisecond, "500"))
			s.send(many, get("busy", 5*time.Millisecond, "200"))
			if later {
				s.send(5, get("new", 5*time.Millisecond, "200"))
			} else {
				s.send(5, get("old", 5*time.Millisecond, "200"))
			}
			s.pass(5 * time.Second)
		}
	}
	end := s.now
	s.pass(30 * time.Second)
	d := s.dialect()
	var a diffAnswer
	s.get(d, "/api/v1/graph/diff?from="+end.Add(-time.Minute).UTC().Format(time.RFC3339)+"&to="+end.UTC().Format(time.RFC3339), &a)
	if a.To != end.UnixMilli() || a.From != end.Add(-time.Minute).UnixMilli() || a.AgainstTo != a.From || a.AgainstFrom != end.Add(-2*time.Minute).UnixMilli() {
		t.Errorf("ranges are %+v", a)
	}
	var told []string
	for _, e := range a.Edges {
		line := []string{e.Change, strings.TrimPrefix(e.ID, "shop/front>shop/")}
		if !e.Certain {
			line = append(line, "perhaps")
		}
		for _, c := range e.Changes {
			line = append(line, c.What)
			if c.Says == "" || !c.Certain {
				t.Errorf("%s: change %+v", e.ID, c)
			}
		}
		told = append(told, strings.Join(line, " "))
	}
	slices.Sort(told)
	want := []string{"added new|http", "changed busy|http rate", "changed failing|http errors", "changed slow|http p50 p90 p99", "gone old|http"}
	if !slices.Equal(told, want) {
		t.Errorf("told are %q, want %q", told, want)
	}
	for _, e := range a.Edges {
		if e.ID == "shop/front>shop/busy|http" && (e.Before.Totals.Requests != 240 || e.After.Totals.Requests != 480 || e.Changes[0].Ratio != 2) {
			t.Errorf("busy is %+v", e)
		}
	}
	// A range that has not ended is asked of as far as the series are complete; two halves of what did not change differ in nothing certain.
	s.get(d, "/api/v1/graph/diff?from="+end.Add(-30*time.Second).UTC().Format(time.RFC3339)+"&to="+s.now.Add(time.Hour).UTC().Format(time.RFC3339)+
		"&against="+end.Add(-60*time.Second).UTC().Format(time.RFC3339)+"&against_to="+end.Add(-30*time.Second).UTC().Format(time.RFC3339), &a)
	if a.To != s.now.Add(-20*time.Second).UnixMilli() {
		t.Errorf("it ends at %d, and it is %d", a.To, s.now.UnixMilli())
	}
}
