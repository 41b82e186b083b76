package api_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/api/apitest"
	"github.com/binnacle-mesh/binnacle/internal/api/binnacle"
	"github.com/binnacle-mesh/binnacle/internal/api/jaeger/legacy"
	v3 "github.com/binnacle-mesh/binnacle/internal/api/jaeger/v3"
	promapi "github.com/binnacle-mesh/binnacle/internal/api/prometheus"
	"github.com/binnacle-mesh/binnacle/internal/ask"
	"github.com/binnacle-mesh/binnacle/internal/door"
	"github.com/binnacle-mesh/binnacle/internal/ledger"
	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/filter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is the moment at which the tests' world stands still.
var noon = apitest.Noon()

// A world is the web port over readers that hold what a test puts into them.
type world struct {
	api   *api.API
	desk  *ask.Desk
	ours  *binnacle.Dialect
	store *memoryStore
	live  *liveGraph
	past  *pastGraph
	reg   *prometheus.Registry
	log   *syncBuffer

	mu       sync.Mutex
	readyErr error
	loadErr  error
}

// A plan is what a world is made of, for a test to change.
type plan struct {
	cfg        api.Config
	deps       api.Deps
	query      *query.Engine
	status     func() binnacle.Status
	prometheus api.Dialect
	more       []api.Mounted
	streams    *ledger.Account
}

func newWorld(t testing.TB, change ...func(*plan)) *world {
	t.Helper()
	w, err := tryWorld(t, change...)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func tryWorld(t testing.TB, change ...func(*plan)) (*world, error) {
	t.Helper()
	w := &world{
		store: &memoryStore{batches: map[telemetry.TraceID][]byte{}},
		live:  newLiveGraph(&telemetry.Graph{Version: 1, Time: noon.UnixNano()}),
		past:  &pastGraph{}, reg: prometheus.NewRegistry(), log: &syncBuffer{},
	}
	now := func() time.Time { return noon }
	p := plan{
		cfg: api.DefaultConfig(),
		deps: api.Deps{
			Door: door.NewRules(door.DefaultConfig()),
			Ready: func() error {
				w.mu.Lock()
				defer w.mu.Unlock()
				return w.readyErr
			},
			Reload: func(context.Context) (any, error) {
				w.mu.Lock()
				defer w.mu.Unlock()
				return map[string]any{"applied": []any{map[string]any{"path": "log.level", "old": "info", "new": "debug"}}, "needs_restart": []any{}}, w.loadErr
			},
			Web: fstest.MapFS{
				"index.html":            {Data: []byte("<!doctype html><title>Binnacle</title>" + strings.Repeat("<p>the map</p>", 200))},
				"assets/main-4f2a.js":   {Data: []byte("console.log('map')")},
				"assets/layout-77aa.js": {Data: []byte(strings.Repeat("const layout = 1;\n", 200))},
				"favicon.svg":           {Data: []byte("<svg/>")},
			},
			Logger: slog.New(slog.NewTextHandler(w.log, nil)), Registerer: w.reg, Gatherer: w.reg, Now: now,
		},
		query:      query.New(w.store, w.live, w.past, query.DefaultLimits()),
		status:     func() binnacle.Status { return binnacle.Status{Name: "binnacle", Version: "test", Ready: true} },
		prometheus: &asked{},
	}
	for _, c := range change {
		c(&p)
	}
	var err error
	if p.deps.Questions == nil {
		places := ask.Places{UnderWay: p.cfg.MaxConcurrentQueries, Heavy: max(1, p.cfg.MaxConcurrentQueries/8), Waiting: p.cfg.MaxWaitingQueries}
		p.deps.Questions, err = ask.New(ask.Limits{Bytes: 1 << 30, Series: 1 << 30, Answer: 1 << 30}, places, ledger.New(1<<30, nil).Account("queries", 0), 1, w.reg)
		if err != nil {
			t.Fatal(err)
		}
	}
	w.desk = p.deps.Questions
	ours, err := binnacle.New(binnacle.Deps{
		Query: p.query, Quotas: func() binnacle.Quotas {
			return binnacle.Quotas{Generation: 3, Files: []binnacle.QuotaFile{}, Rules: []binnacle.QuotaRule{}}
		},
		ConfigSchema: []byte(`{"type":"object"}`), Status: p.status, Findings: func() []telemetry.Finding { return nil }, Suspects: func() []telemetry.Suspect { return nil }, MaxStreams: max(1, p.cfg.MaxStreams), MaxStreamsPerAddress: max(1, p.cfg.MaxStreamsPerAddress), Memory: p.streams, Logger: p.deps.Logger, Registerer: w.reg, Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.ours = ours
	t.Cleanup(ours.Close)
	on := p.cfg.Dialects
	p.deps.Dialects = append([]api.Mounted{
		{Name: "binnacle", Dialect: ours, Mount: api.Always()},
		{Name: "jaeger", Dialect: legacy.New(p.query, now), Base: "/jaeger", Mount: on.Jaeger},
		{Name: "jaeger_v3", Dialect: v3.New(p.query, now), Base: "/jaeger", Mount: on.JaegerV3},
		{Name: "prometheus", Dialect: p.prometheus, Base: "/prometheus", Mount: on.Prometheus},
	}, p.more...)
	w.api, err = api.New(p.cfg, p.deps)
	return w, err
}

// asked is the Prometheus dialect with a handler that says what it was asked, or does what a test says.
type asked struct {
	promapi.Dialect
	serve func(http.ResponseWriter)
	heavy bool
}

func (a *asked) Routes() []api.Route {
	routes := a.Dialect.Routes()
	for i := range routes {
		routes[i].Serve = func(w http.ResponseWriter, r *http.Request) error {
			if a.heavy {
				if err := ask.Of(r.Context()).Heavy(r.Context()); err != nil {
					return err
				}
			}
			if a.serve != nil {
				a.serve(w)
				return nil
			}
			fmt.Fprintf(w, "prometheus was asked %s %s", r.Method, r.URL.Path)
			return nil
		}
	}
	return routes
}

// ask is a request answered.
func (w *world) ask(method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	r.Host = "127.0.0.1:8700"
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, r)
	return rec
}

// counter is a counter's value, over all its series with these label values.
func (w *world) counter(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			have := map[string]string{}
			for _, l := range m.GetLabel() {
				have[l.GetName()] = l.GetValue()
			}
			match := true
			for i := 0; i+1 < len(labels); i += 2 {
				match = match && have[labels[i]] == labels[i+1]
			}
			if match {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// A memoryStore keeps traces as records, and searches them one by one: the
// naive reading of query.TraceStore's contract.
type memoryStore struct {
	mu      sync.Mutex
	batches map[telemetry.TraceID][]byte
	err     error         // returned by all
	block   chan struct{} // Search waits for it, or for its context
	damaged []telemetry.Damage
}

func (s *memoryStore) put(id telemetry.TraceID, b *telemetry.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches[id] = b.AppendRecord(nil)
}

func (s *memoryStore) all() ([]*query.Trace, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	var out []*query.Trace
	for id, rec := range s.batches {
		b := telemetry.NewBatch()
		if err := b.DecodeRecord(rec); err != nil {
			return nil, err
		}
		out = append(out, query.NewTrace(id, b))
	}
	slices.SortFunc(out, func(a, b *query.Trace) int {
		return cmp.Or(cmp.Compare(b.Start, a.Start), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return out, nil
}

func (s *memoryStore) Trace(_ context.Context, id telemetry.TraceID) (*telemetry.Batch, []telemetry.Damage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, nil, s.err
	}
	rec, ok := s.batches[id]
	if !ok {
		return nil, s.damaged, fmt.Errorf("memory: %w", telemetry.ErrNotFound)
	}
	b := telemetry.NewBatch()
	return b, s.damaged, b.DecodeRecord(rec)
}

func (s *memoryStore) Search(ctx context.Context, q telemetry.SpanQuery) ([]telemetry.TraceSummary, telemetry.SearchStats, error) {
	if s.block != nil {
		select {
		case <-s.block:
		case <-ctx.Done():
			return nil, telemetry.SearchStats{}, ctx.Err()
		}
	}
	traces, err := s.all()
	if err != nil {
		return nil, telemetry.SearchStats{}, err
	}
	eval, err := filter.NewEvaluator(q.Filter)
	if err != nil {
		return nil, telemetry.SearchStats{}, err
	}
	var out []telemetry.TraceSummary
	stats := telemetry.SearchStats{Blocks: 1, Took: 1250 * time.Microsecond, Damaged: slices.Clone(s.damaged)}
	for _, t := range traces {
		stats.Spans += len(t.Spans)
		whole := summarise(t)
		if len(out) < q.Limit && slices.ContainsFunc(t.Spans, func(i int) bool {
			s := &t.Batch.Spans[i]
			values := func(f filter.Field, yield func(filter.Type, []byte, uint64)) { t.Batch.SpanValues(s, &whole, f, yield) }
			return s.Start >= q.From && s.Start < q.To && eval.Eval(values) == filter.IsTrue
		}) {
			out = append(out, whole)
		}
	}
	return out, stats, nil
}

func (s *memoryStore) Damaged() []telemetry.Damage { return s.damaged }

func summarise(t *query.Trace) telemetry.TraceSummary {
	out := telemetry.TraceSummary{TraceID: t.ID, Start: t.Start, Duration: t.End - t.Start, Spans: len(t.Spans)}
	for _, i := range t.Spans {
		if s := &t.Batch.Spans[i]; s.ParentID.IsZero() {
			out.RootService, out.RootOperation = strings.Clone(t.Service(s)), t.Batch.CopyStr(s.Name)
		}
	}
	shares, _ := t.Shares()
	for _, x := range shares {
		out.Errors += x.Errors
		out.Services = append(out.Services, telemetry.ServiceSpans{Name: strings.Clone(x.Name), Spans: x.Spans})
	}
	slices.SortStableFunc(out.Services, func(a, b telemetry.ServiceSpans) int { return cmp.Compare(b.Spans, a.Spans) })
	return out
}

func (s *memoryStore) Services(context.Context) ([]telemetry.ServiceEntry, error) {
	traces, err := s.all()
	if err != nil {
		return nil, err
	}
	var out []telemetry.ServiceEntry
	for _, t := range traces {
		for _, i := range t.Spans {
			sp := &t.Batch.Spans[i]
			name, ns := strings.Clone(t.Service(sp)), t.Batch.CopyStr(t.Batch.Resources[sp.Resource].Identity.Namespace)
			at := slices.IndexFunc(out, func(e telemetry.ServiceEntry) bool { return e.Name == name && e.Namespace == ns })
			if at < 0 {
				at = len(out)
				out = append(out, telemetry.ServiceEntry{Name: name, Namespace: ns})
			}
			op := telemetry.OperationEntry{Name: t.Batch.CopyStr(sp.Name), Kind: sp.Kind.String()}
			if !slices.Contains(out[at].Operations, op) {
				out[at].Operations = append(out[at].Operations, op)
			}
		}
	}
	return out, nil
}

// A liveGraph is a snapshot that a test replaces.
type liveGraph struct {
	mu      sync.Mutex
	graph   *telemetry.Graph
	changed chan struct{}
	panics  bool
}

func newLiveGraph(g *telemetry.Graph) *liveGraph {
	return &liveGraph{graph: g, changed: make(chan struct{})}
}

func (l *liveGraph) Snapshot() *telemetry.Graph {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.panics {
		panic("the graph's owner has a bug")
	}
	return l.graph
}

func (l *liveGraph) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

func (l *liveGraph) set(g *telemetry.Graph) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.graph = g
	close(l.changed)
	l.changed = make(chan struct{})
}

// A pastGraph answers any range with the same graph, and remembers the range.
type pastGraph struct {
	mu       sync.Mutex
	graph    *telemetry.Graph
	versions telemetry.VersionSplit
	from, to time.Time
	err      error
}

func (p *pastGraph) Graph(_ context.Context, from, to time.Time) (*telemetry.Graph, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.from, p.to = from, to
	return p.graph, p.err
}

func (p *pastGraph) Versions(_ context.Context, _ string, from, to time.Time) (telemetry.VersionSplit, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.from, p.to = from, to
	return p.versions, p.err
}

// body is an answer's bytes, uncompressed.
func body(t testing.TB, rec *httptest.ResponseRecorder) []byte {
	t.Helper()
	b, err := io.ReadAll(rec.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// shop is a world with the two traces and the graph.
func shop(w *world) *world {
	w.store.put(apitest.FailedCart())
	w.store.put(apitest.Oddities())
	w.live.set(apitest.ShopGraph(4711, 12.4))
	g := apitest.ShopGraph(0, 1)
	g.Origin = telemetry.OriginSeries
	w.past.graph = g
	p90 := 410.5
	w.past.versions = telemetry.VersionSplit{Versions: []telemetry.VersionTraffic{
		{Version: "v1", Signals: telemetry.Signals{Rate: 9}, Totals: telemetry.Totals{Requests: 2700}},
		{Version: "v2", Signals: telemetry.Signals{Rate: 3, ErrorRate: 1, P90: &p90}, Totals: telemetry.Totals{Requests: 900, Errors: 300, Throttled: 1}},
	}}
	return w
}
