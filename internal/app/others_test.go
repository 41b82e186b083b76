package app

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/collector/otlp"
	"github.com/binnacle-mesh/binnacle/internal/shelf"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology"
)

// replay is a graph behind the OTLP receiver, for traces that were recorded elsewhere.
type replay struct {
	t     *testing.T
	pool  *collector.Pool
	recv  *otlp.Service
	graph *topology.Topology
	now   int64
	pos   telemetry.Position
}

func newReplay(t *testing.T) *replay {
	t.Helper()
	r := &replay{t: t, pool: collector.NewPool(), graph: topology.New(topology.DefaultConfig()), now: time.Now().UnixNano()}
	cfg := collector.DefaultConfig()
	cfg.Limits.MaxAge = 20 * 365 * 24 * time.Hour // the recordings are years old
	c, err := collector.New(cfg, nil, r, r.pool, prometheus.NewRegistry(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	r.recv = otlp.New(c.Intake("otlp"))
	return r
}

// Append implements collector.Appender.
func (r *replay) Append(_ context.Context, b *telemetry.Batch) (telemetry.Position, error) {
	defer r.pool.Put(b)
	r.pos++
	b.Received = r.now
	r.graph.Consume(telemetry.Entry{Position: r.pos, Batch: b})
	return r.pos, nil
}

// post sends one request of OTLP's JSON, and lets 20 ms pass.
func (r *replay) post(body []byte) {
	r.t.Helper()
	r.now += 20e6
	req := httptest.NewRequest(http.MethodPost, "/v1/traces", bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	if r.recv.ServeHTTP(w, req); w.Code != http.StatusOK {
		r.t.Fatalf("%d %s for %.200s", w.Code, w.Body, body)
	}
}

// edges are those of the graph when nothing waits any more, as source>target: requests of client's and server's spans.
func (r *replay) edges() map[string][2]uint64 {
	r.graph.Tick(r.now + int64(time.Minute))
	out := map[string][2]uint64{}
	for _, e := range r.graph.Snapshot().Edges {
		n := out[e.Source+">"+e.Target]
		out[e.Source+">"+e.Target] = [2]uint64{n[0] + e.Witnesses.ClientSpan, n[1] + e.Witnesses.ServerSpan}
	}
	return out
}

// recorded is a span of OTLP's JSON with what the truth needs of it.
type recorded struct {
	TraceID  string `json:"traceId"`
	ID       string `json:"spanId"`
	ParentID string `json:"parentSpanId"`
	Kind     int    `json:"kind"`
	service  string
}

// truth is what can be known of recorded traces without a graph: how often a span's parent is another service's, by those services; and how many
// spans without parent each service has of kind server.
type truth struct {
	calls map[string]uint64
	roots map[string]uint64
	lost  int // parents that are not there
}

// truthOf works that out of requests of OTLP's JSON by a table of all spans.
func truthOf(t *testing.T, requests [][]byte) truth {
	t.Helper()
	spans := map[[2]string]recorded{}
	for _, body := range requests {
		var req struct {
			ResourceSpans []struct {
				Resource struct {
					Attributes []struct {
						Key   string                       `json:"key"`
						Value struct{ StringValue string } `json:"value"`
					} `json:"attributes"`
				} `json:"resource"`
				ScopeSpans []struct {
					Spans []recorded `json:"spans"`
				} `json:"scopeSpans"`
			} `json:"resourceSpans"`
		}
		if err := json.Unmarshal(body, &req); err != nil {
			t.Fatal(err)
		}
		for _, rs := range req.ResourceSpans {
			for _, a := range rs.Resource.Attributes {
				if a.Key != "service.name" {
					continue
				}
				for _, ss := range rs.ScopeSpans {
					for _, s := range ss.Spans {
						s.service = a.Value.StringValue
						spans[[2]string{s.TraceID, s.ID}] = s
					}
				}
			}
		}
	}
	out := truth{calls: map[string]uint64{}, roots: map[string]uint64{}}
	for _, s := range spans {
		parent, ok := spans[[2]string{s.TraceID, s.ParentID}]
		switch {
		case s.ParentID == "":
			if s.Kind == 2 {
				out.roots[s.service]++
			}
		case !ok:
			out.lost++
		case parent.service != s.service:
			out.calls[parent.service+">"+s.service]++
		}
	}
	return out
}

// holds compares a graph with the truth: the edges between services exactly, each with as many requests by server's spans; each service that traces
// begin at called by unknown clients as often as they do; and no server's span without its caller besides.
func (r *replay) holds(want truth) {
	r.t.Helper()
	calls, roots := map[string]uint64{}, map[string]uint64{}
	for edge, n := range r.edges() {
		source, target, _ := strings.Cut(edge, ">")
		source, target = source[strings.IndexByte(source, '/')+1:], target[strings.IndexByte(target, '/')+1:] // without their namespaces
		if strings.Contains(target, ":") || target == "unknown" {
			continue // a database, or a call that nobody answered
		}
		if source == "client:unknown" {
			roots[target] = n[1]
		} else {
			calls[source+">"+target] = n[1]
		}
	}
	if diff := gocmp.Diff(want.calls, calls); diff != "" {
		r.t.Errorf("edges (-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff(want.roots, roots); diff != "" {
		r.t.Errorf("called by unknown clients (-want +got):\n%s", diff)
	}
	if want.lost > 0 {
		r.t.Errorf("%d parents are missing from the recording: it says nothing of orphans", want.lost)
	}
}

// lines are the lines of files, each a request of OTLP's JSON, gunzipped where need be.
func requestsOf(t *testing.T, files map[string][]byte) (out [][]byte) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		body := files[name]
		if strings.HasSuffix(name, ".gz") {
			z, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		for line := range bytes.Lines(body) {
			out = append(out, line)
		}
	}
	return out
}

// TestRecordedTraces replays traces that others recorded, and holds the graph's edges to what parents and children say by themselves.
func TestRecordedTraces(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name, archive string
		want          func(name string) bool
		edges         int
	}{
		{"OnlineBoutique", shelf.NezhaDev, func(n string) bool { return strings.Contains(n, "/OB-0822-0353/traces_") }, 13},
		{"TrainTicket", shelf.NezhaDev, func(n string) bool { return strings.Contains(n, "/TT-") && strings.Contains(n, "/traces_") }, 55},
		{"DeathStarBench", shelf.Fixtures, func(n string) bool { return strings.HasSuffix(n, "dsb.otlp.jsonl") }, 11},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			files, ok := shelf.Others(t, x.archive, x.want)
			if !ok {
				t.Skip("SKIPPED, AND NOT PROVEN: the recording is not here")
			}
			requests := requestsOf(t, files)
			want := truthOf(t, requests)
			if len(want.calls) != x.edges {
				t.Errorf("the recording has %d edges, want %d: %v", len(want.calls), x.edges, want.calls)
			}
			r := newReplay(t)
			for _, body := range requests {
				r.post(body)
			}
			r.holds(want)
			s := r.graph.Stats()
			t.Logf("%d requests: %d edges, %+v", len(requests), len(want.calls), s)
		})
	}
}

// TestTempoServiceGraphs: the traces by which Tempo tests its service graphs give the edges that Tempo expects of them. Where it names one edge from
// producer to consumer the broker stands between here, and calls that it leaves out, because nobody answered, lead to whom they name.
func TestTempoServiceGraphs(t *testing.T) {
	t.Parallel()
	files, ok := shelf.Others(t, shelf.Fixtures, func(n string) bool { return strings.Contains(n, "/servicegraphs/testdata/") })
	if !ok {
		t.Skip("SKIPPED, AND NOT PROVEN: Tempo's fixtures are not here")
	}
	for name, body := range files {
		name = strings.TrimSuffix(name[strings.LastIndexByte(name, '/')+1:], ".json")
		var trace map[string]any
		if err := json.Unmarshal(body, &trace); err != nil {
			t.Fatal(err)
		}
		hexIDs(t, trace)
		if trace["batches"] != nil {
			trace["resourceSpans"] = trace["batches"]
		}
		body, err := json.Marshal(trace)
		if err != nil {
			t.Fatal(err)
		}
		r := newReplay(t)
		r.post(body)
		r.graph.Tick(r.now + int64(time.Minute))
		var got []string
		for _, e := range r.graph.Snapshot().Edges {
			l := fmt.Sprintf("%s > %s %d", e.Source, e.Target, e.Totals.Requests)
			if e.Totals.Errors > 0 {
				l += fmt.Sprintf(" errors=%d", e.Totals.Errors)
			}
			got = append(got, l)
		}
		want, ok := tempoEdges[name]
		if !ok {
			want = tempoEdges["trace-with-queue-database"] // told by other attributes
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if len(files) != 13 {
		t.Errorf("%d files, want Tempo's 13", len(files))
	}
}

var tempoEdges = map[string][]string{
	"trace-with-queue-database": {
		"mythical-requester > mythical-server 1", "mythical-requester > queue:mythical-queue 1", "mythical-requester > unknown 2",
		"mythical-server > database:mythical-database 1", "mythical-server > loki 1", "queue:mythical-queue > mythical-recorder 1",
	},
	"trace-with-failed-requests": {
		"mythical-requester > mythical-server 1 errors=1", "mythical-requester > unknown 2",
		"mythical-server > database:mythical-database 1 errors=1", "mythical-server > loki 1",
	},
	"trace-with-virtual-nodes": {
		"client:unknown > mythical-server 1", "mythical-requester > external-payments-platform 1", "mythical-server > mythical-requester 1",
		"queue:external-producer > internal-consumer 1",
	},
	"trace-with-expired-edges": {
		// Of the two requests that the requester has had, the caller of one is not in the trace.
		"client:unknown > mythical-requester 1",
		"client:unknown > mythical-server 1", "mythical-requester > database:mysql 1", "mythical-server > mythical-requester 1",
	},
}

// hexIDs turns ids from the base64 of protobuf's JSON to OTLP's hex.
func hexIDs(t *testing.T, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		for k, of := range v {
			id, text := of.(string)
			if k != "traceId" && k != "spanId" && k != "parentSpanId" || !text {
				hexIDs(t, of)
				continue
			}
			b, err := base64.StdEncoding.DecodeString(id)
			if err != nil {
				t.Fatal(err)
			}
			v[k] = hex.EncodeToString(b)
		}
	case []any:
		for _, of := range v {
			hexIDs(t, of)
		}
	}
}
