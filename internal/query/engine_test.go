package query_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/filter"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// store is a trace store of batches by id, which finds all of them, in order.
type store struct {
	ids      []telemetry.TraceID
	batches  map[telemetry.TraceID]*telemetry.Batch
	services []telemetry.ServiceEntry
	asked    telemetry.SpanQuery
	damaged  []telemetry.Damage
}

func (s *store) Trace(_ context.Context, id telemetry.TraceID) (*telemetry.Batch, []telemetry.Damage, error) {
	b, ok := s.batches[id]
	if !ok {
		return nil, s.damaged, fmt.Errorf("store: %w", telemetry.ErrNotFound)
	}
	return b, s.damaged, nil
}

func (s *store) Search(_ context.Context, q telemetry.SpanQuery) ([]telemetry.TraceSummary, telemetry.SearchStats, error) {
	s.asked = q
	var out []telemetry.TraceSummary
	for _, id := range s.ids {
		n := 0
		if b := s.batches[id]; b != nil {
			n = len(b.Spans)
		}
		out = append(out, telemetry.TraceSummary{TraceID: id, Spans: n})
	}
	return out, telemetry.SearchStats{Spans: 7}, nil
}

func (s *store) Services(context.Context) ([]telemetry.ServiceEntry, error) { return s.services, nil }

func (s *store) put(low byte, b *telemetry.Batch) {
	id := telemetry.TraceID{15: low}
	s.ids = append(s.ids, id)
	s.batches[id] = b
}

type graphs struct{ g telemetry.Graph }

func (g *graphs) Snapshot() *telemetry.Graph { return &g.g }

func (g *graphs) Changed() <-chan struct{} { return nil }

func (g *graphs) Graph(context.Context, time.Time, time.Time) (*telemetry.Graph, error) {
	return &g.g, nil
}

func newEngine(change ...func(*query.Limits)) (*query.Engine, *store, *graphs) {
	l := query.DefaultLimits()
	for _, c := range change {
		c(&l)
	}
	s, g := &store{batches: map[telemetry.TraceID]*telemetry.Batch{}}, &graphs{}
	return query.New(s, g, g, l), s, g
}

// spans is a batch of one service with a span for each start and duration.
func spans(service string, startAndDuration ...int64) *telemetry.Batch {
	b := telemetry.NewBatch()
	b.Resources = append(b.Resources, telemetry.Resource{Identity: telemetry.Identity{Service: b.InternString(service)}})
	for i := 0; i+1 < len(startAndDuration); i += 2 {
		b.Spans = append(b.Spans, telemetry.Span{SpanID: telemetry.SpanID{7: byte(i + 1)}, Start: startAndDuration[i], Duration: startAndDuration[i+1]})
	}
	return b
}

// TestTraceIsInOrder: spans are by start, parents of the same start first, and the
// trace's bounds hold all of them and no more.
func TestTraceIsInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Int64Range(0, 9), 2, 40).Draw(t, "starts and durations")
		b := spans("a", list...)
		tr := query.NewTrace(telemetry.TraceID{15: 1}, b)
		if len(tr.Spans) != len(b.Spans) {
			t.Fatalf("%d of %d spans", len(tr.Spans), len(b.Spans))
		}
		start, end := int64(99), int64(-1)
		for _, s := range b.Spans {
			start, end = min(start, s.Start), max(end, s.Start+s.Duration)
		}
		if tr.Start != start || tr.End != end {
			t.Fatalf("the trace is from %d to %d, want %d to %d", tr.Start, tr.End, start, end)
		}
		for i := 1; i < len(tr.Spans); i++ {
			x, y := b.Spans[tr.Spans[i-1]], b.Spans[tr.Spans[i]]
			if x.Start > y.Start || x.Start == y.Start && x.Duration < y.Duration {
				t.Fatalf("span %d of %d ns at %d stands before one of %d ns at %d", i-1, x.Duration, x.Start, y.Duration, y.Start)
			}
		}
	})
}

func TestTraceOfRequestsAlone(t *testing.T) {
	t.Parallel()
	e, s, _ := newEngine()
	b := spans("a")
	b.Requests = append(b.Requests, telemetry.Request{Start: 20, Duration: 5}, telemetry.Request{Start: 10, Duration: 3})
	s.put(1, b)
	tr, err := e.Trace(context.Background(), telemetry.TraceID{15: 1})
	if err != nil {
		t.Fatal(err)
	}
	if tr.Start != 10 || tr.End != 25 || !cmp.Equal(tr.Requests, []int{1, 0}) {
		t.Errorf("%+v", tr)
	}
}

func TestTraceThatIsNotThere(t *testing.T) {
	t.Parallel()
	e, s, _ := newEngine()
	s.put(2, spans("a")) // of which nothing is left
	for low := byte(1); low < 3; low++ {
		if tr, err := e.Trace(context.Background(), telemetry.TraceID{15: low}); !errors.Is(err, telemetry.ErrNotFound) || tr != nil {
			t.Errorf("trace %d: %v %v", low, tr, err)
		}
	}
}

func TestShares(t *testing.T) {
	t.Parallel()
	b := spans("b", 0, 1, 0, 1, 0, 1)
	b.Resources = append(b.Resources, telemetry.Resource{Identity: telemetry.Identity{Service: b.InternString("a")}}, telemetry.Resource{})
	b.Spans[1].ParentID, b.Spans[1].Resource, b.Spans[1].Status = b.Spans[0].SpanID, 1, telemetry.StatusError
	b.Spans[2].ParentID, b.Spans[2].Resource = telemetry.SpanID{7: 99}, 2
	shares, orphans := query.NewTrace(telemetry.TraceID{}, b).Shares()
	want := []query.ServiceShare{{Name: "a", Spans: 1, Errors: 1}, {Name: "b", Spans: 1}, {Name: query.UnknownService, Spans: 1}}
	if diff := cmp.Diff(want, shares); diff != "" || orphans != 1 {
		t.Errorf("%d orphans, want 1 (-want +got):\n%s", orphans, diff)
	}
}

// TestWholeAnswersAreBounded: traces that would make an answer too large are left
// out and told; the first is always there; one that is gone is neither.
func TestWholeAnswersAreBounded(t *testing.T) {
	t.Parallel()
	e, s, _ := newEngine(func(l *query.Limits) { l.Spans = 5 })
	s.put(1, spans("a", 0, 1, 2, 1, 4, 1)) // 3 spans
	s.put(2, nil)
	delete(s.batches, telemetry.TraceID{15: 2}) // dropped between search and reading
	s.put(3, spans("a", 0, 1, 2, 1, 4, 1))      // 3 more: too many
	s.put(4, spans("a", 0, 1, 2, 1))            // 2: fits
	s.put(5, spans("a", 0, 1))                  // no room is left
	q := telemetry.SpanQuery{From: 1, To: 2, Limit: 9}
	f, err := e.SearchWhole(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	var got []bool
	for _, tr := range f.Traces {
		got = append(got, tr != nil)
	}
	if !cmp.Equal(got, []bool{true, false, false, true, false}) || f.LeftOut != 2 || len(f.Summaries) != 5 {
		t.Errorf("whole are %v, and %d left out of %d", got, f.LeftOut, len(f.Summaries))
	}
	e, s, _ = newEngine(func(l *query.Limits) { l.Spans = 1 })
	s.put(1, spans("a", 0, 1, 2, 1, 4, 1))
	if f, err = e.SearchWhole(context.Background(), q); err != nil || f.Traces[0] == nil {
		t.Errorf("the first trace is left out: %+v %v", f, err)
	}
}

// TestQuestionsAreChecked: a fault is named by the parameter that has it, and
// nothing is asked of the store.
func TestQuestionsAreChecked(t *testing.T) {
	t.Parallel()
	good := telemetry.SpanQuery{From: noon.UnixNano(), To: noon.Add(time.Hour).UnixNano(), Limit: 1}
	for name, c := range map[string]struct {
		field  string
		change func(*telemetry.SpanQuery)
	}{
		"no limit":        {"limit", func(q *telemetry.SpanQuery) { q.Limit = 0 }},
		"too many traces": {"limit", func(q *telemetry.SpanQuery) { q.Limit = 1501 }},
		"not a filter":    {"span:status", func(q *telemetry.SpanQuery) { q.Filter = filter.Is(filter.Status.Field(), filter.Text("bad")) }},
		"range reversed":  {"from", func(q *telemetry.SpanQuery) { q.To = q.From }},
		"range too long":  {"from", func(q *telemetry.SpanQuery) { q.To = q.From + int64(367*24*time.Hour) }},
		"open range":      {"from", func(q *telemetry.SpanQuery) { q.From = 0 }},
	} {
		e, s, _ := newEngine()
		q := good
		c.change(&q)
		_, _, err := e.Search(context.Background(), q)
		var invalid *query.InvalidError
		if !errors.As(err, &invalid) || invalid.Field != c.field || !strings.HasPrefix(err.Error(), c.field+": ") {
			t.Errorf("%s: %v", name, err)
		}
		if s.asked.Limit != 0 {
			t.Errorf("%s: the store was asked nevertheless", name)
		}
	}
	e, s, _ := newEngine()
	if _, stats, err := e.Search(context.Background(), good); err != nil || stats.Spans != 7 || !cmp.Equal(s.asked, good) {
		t.Errorf("a good question: %v, asked %+v", err, s.asked)
	}
	if _, err := e.Graph(context.Background(), noon, noon); err == nil {
		t.Error("an empty range of the graph was granted")
	}
}

// TestServicesAreSortedCopies: the store's own entries stay as they are.
func TestServicesAreSortedCopies(t *testing.T) {
	t.Parallel()
	e, s, _ := newEngine()
	op := func(name, kind string) telemetry.OperationEntry {
		return telemetry.OperationEntry{Name: name, Kind: kind}
	}
	s.services = []telemetry.ServiceEntry{
		{Name: "b", Operations: []telemetry.OperationEntry{op("y", "server"), op("x", "server"), op("x", "client")}},
		{Name: "a", Namespace: "2", Operations: []telemetry.OperationEntry{op("x", "server")}},
		{Name: "a", Namespace: "1", Operations: []telemetry.OperationEntry{op("x", "server"), op("w", "client")}},
		{Operations: []telemetry.OperationEntry{op("z", "internal")}}, // of senders that named no service
	}
	got, err := e.Services(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	want := []telemetry.ServiceEntry{
		{Name: "a", Namespace: "1", Operations: []telemetry.OperationEntry{op("w", "client"), op("x", "server")}},
		{Name: "a", Namespace: "2", Operations: []telemetry.OperationEntry{op("x", "server")}},
		{Name: "b", Operations: []telemetry.OperationEntry{op("x", "client"), op("x", "server"), op("y", "server")}},
		{Name: query.UnknownService, Operations: []telemetry.OperationEntry{op("z", "internal")}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if s.services[0].Name != "b" || s.services[0].Operations[0].Name != "y" {
		t.Error("the store's own entries were sorted")
	}
	ops, err := e.Operations(context.Background(), "a", "")
	if diff := cmp.Diff([]telemetry.OperationEntry{op("w", "client"), op("x", "server")}, ops); diff != "" || err != nil {
		t.Errorf("operations of both namespaces: %v (-want +got):\n%s", err, diff)
	}
	if ops, err = e.Operations(context.Background(), query.UnknownService, ""); err != nil || len(ops) != 1 {
		t.Errorf("operations of the nameless: %v %v", ops, err)
	}
	if ops, err = e.Operations(context.Background(), "a", "client"); err != nil || len(ops) != 1 {
		t.Errorf("operations of one kind: %v %v", ops, err)
	}
}

func TestDependencies(t *testing.T) {
	t.Parallel()
	e, _, g := newEngine()
	edge := func(source, target string, n uint64) telemetry.GraphEdge {
		return telemetry.GraphEdge{ID: source + ">" + target, Source: source, Target: target, Totals: telemetry.Totals{Requests: n}}
	}
	g.g = telemetry.Graph{
		Nodes: []telemetry.GraphNode{
			{ID: "client:unknown", Name: "unknown", Kind: telemetry.NodeClient},
			{ID: "n/cart", Name: "cart", Kind: telemetry.NodeService},
			{ID: "m/cart", Name: "cart", Kind: telemetry.NodeService},
			{ID: "queue:orders", Name: "orders", Kind: telemetry.NodeQueue},
			{ID: "web", Name: "web", Kind: telemetry.NodeService},
		},
		Edges: []telemetry.GraphEdge{
			edge("client:unknown", "web", 9), edge("web", "n/cart", 2), edge("web", "m/cart", 3), edge("n/cart", "queue:orders", 1), edge("web", "queue:orders", 0), edge("gone", "web", 4),
		},
	}
	got, err := e.Dependencies(context.Background(), noon, noon.Add(time.Hour))
	want := []query.Dependency{{Parent: "cart", Child: "orders", Calls: 1}, {Parent: "web", Child: "cart", Calls: 5}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
