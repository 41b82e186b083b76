package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/collector/embedded"
	"github.com/binnacle-mesh/binnacle/collector/otlp"
	"github.com/binnacle-mesh/binnacle/internal/shelf"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology"
)

// A linkerCase is one of the tests that Zipkin holds its own dependency linker to.
type linkerCase struct {
	Name, Mode string
	Spans      []linkerSpan
	Expect     []link
	InputLinks []link `json:"input_links"`
}

type linkerSpan struct {
	TraceID, ID    string
	ParentID, Kind *string
	Local, Remote  *string
	Error, Shared  bool
	Annotations    []string
}

// link is how often one service called another, as Zipkin counts it.
type link struct {
	Parent, Child         string
	CallCount, ErrorCount uint64
}

// linkerDeviations are the cases in which the graph's answer differs from Zipkin's, and what it answers.
// docs/operations/graph.md says why.
var linkerDeviations = map[string][]link{
	"messagingSpansDontLinkWithoutBroker_consumer": {{"kafka", "consumer", 1, 0}, {"producer", "kafka", 1, 0}},
	"messagingSpansDontLinkWithoutBroker_producer": {{"kafka", "consumer", 1, 0}, {"producer", "kafka", 1, 0}},
	"messagingWithoutBroker_noLinks":               {{"producer", "consumer", 1, 0}},
	"clientDoesntLinkToConsumer_child":             {{"client", "consumer", 1, 0}},
}

// TestZipkinLinker runs the 40 cases of Zipkin's own dependency linker through the real Zipkin receiver and the graph: the
// spans of each at once, and one by one in every order, and with the clocks of all services apart.
func TestZipkinLinker(t *testing.T) {
	files, ok := shelf.Others(t, shelf.Fixtures, func(name string) bool { return strings.HasSuffix(name, "zipkin/dependencylinker_cases.json") })
	if !ok {
		t.Skip("SKIPPED, AND NOT PROVEN: Zipkin's 40 linker cases are not here")
	}
	var cases []linkerCase
	for _, f := range files {
		if err := json.Unmarshal(f, &cases); err != nil {
			t.Fatal(err)
		}
	}
	if len(cases) != 40 {
		t.Fatalf("%d cases, want Zipkin's 40", len(cases))
	}
	z := newZipkin(t)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			want := sortLinks(slices.Clone(c.Expect))
			if other, ok := linkerDeviations[c.Name]; ok {
				if slices.Equal(other, want) {
					t.Error("it is called a deviation, and is none")
				}
				want = other
			}
			var lists [][]linkerSpan
			switch c.Mode {
			case "trace":
				lists = [][]linkerSpan{c.Spans}
			case "trace_twice":
				lists = [][]linkerSpan{append(slices.Clone(c.Spans), otherTrace(c.Spans)...)}
			case "each_span_alone":
				for _, s := range c.Spans {
					lists = append(lists, []linkerSpan{s})
				}
			case "merge_links":
				lists = [][]linkerSpan{callsOf(c.InputLinks)}
			default:
				t.Fatalf("unknown mode %s", c.Mode)
			}
			for _, spans := range lists {
				for _, way := range z.links(t, spans) {
					if diff := gocmp.Diff(want, way.links, cmpopts.EquateEmpty()); diff != "" {
						t.Errorf("%s (-want +got):\n%s", way.name, diff)
						break
					}
				}
			}
		})
	}
}

// otherTrace is the same spans as another trace. (The same trace once more would be a sender that delivers twice.)
func otherTrace(spans []linkerSpan) []linkerSpan {
	spans = slices.Clone(spans)
	for i := range spans {
		spans[i].TraceID = "2" + spans[i].TraceID
	}
	return spans
}

// callsOf are calls that add up to links: each a trace of one client's span.
func callsOf(links []link) (out []linkerSpan) {
	kind := "CLIENT"
	for _, l := range links {
		for i := range l.CallCount {
			out = append(out, linkerSpan{TraceID: fmt.Sprintf("%x", len(out)+1), ID: "a", Kind: &kind, Local: &l.Parent, Remote: &l.Child, Error: i < l.ErrorCount})
		}
	}
	return out
}

// zipkin is the real Zipkin receiver, with graphs behind it.
type zipkin struct {
	url  string
	pool *collector.Pool

	mu   sync.Mutex
	ways []way // what the graphs made of the last list
}

// A way is one way in which the spans of a list arrived, and what the graph made of it.
type way struct {
	name  string
	links []link
}

func newZipkin(t *testing.T) *zipkin {
	t.Helper()
	port := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }() // it was only asked for a number
		return l.Addr().String()
	}
	free := port()
	z := &zipkin{url: "http://" + free + "/api/v2/spans", pool: collector.NewPool()}
	c, err := collector.New(collector.DefaultConfig(), nil, z, z.pool, prometheus.NewRegistry(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	in := c.Intake("collector")
	user := map[string]any{"receivers": map[string]any{
		"zipkin": map[string]any{"endpoint": free},
		"jaeger": map[string]any{"protocols": map[string]any{"grpc": map[string]any{"endpoint": port()}, "thrift_http": map[string]any{"endpoint": port()}}},
	}}
	front := embedded.Front{Bodies: in.Bodies(collector.DefaultConfig().MaxMessageBytes)}
	col, err := embedded.New(t.Context(), user, otlp.New(in), front, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := col.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := col.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return z
}

// links posts a list of spans, and returns what the graph makes of each order in which they can come.
func (z *zipkin) links(t *testing.T, spans []linkerSpan) []way {
	t.Helper()
	if len(spans) == 0 {
		return nil
	}
	type endpoint struct {
		ServiceName string `json:"serviceName"`
	}
	type annotation struct {
		Timestamp int64  `json:"timestamp"`
		Value     string `json:"value"`
	}
	type zipkinSpan struct {
		TraceID        string            `json:"traceId"`
		ID             string            `json:"id"`
		ParentID       string            `json:"parentId,omitempty"`
		Kind           string            `json:"kind,omitempty"`
		Name           string            `json:"name"`
		Timestamp      int64             `json:"timestamp"`
		Duration       int64             `json:"duration"`
		Shared         bool              `json:"shared,omitempty"`
		LocalEndpoint  *endpoint         `json:"localEndpoint,omitempty"`
		RemoteEndpoint *endpoint         `json:"remoteEndpoint,omitempty"`
		Tags           map[string]string `json:"tags,omitempty"`
		Annotations    []annotation      `json:"annotations,omitempty"`
	}
	var list []zipkinSpan
	for _, s := range spans {
		v := zipkinSpan{TraceID: hex16(s.TraceID), ID: hex16(s.ID), Name: "x", Timestamp: time.Now().UnixMicro(), Duration: 5000, Shared: s.Shared}
		if s.ParentID != nil {
			v.ParentID = hex16(*s.ParentID)
		}
		if s.Kind != nil {
			v.Kind = *s.Kind
		}
		if s.Local != nil {
			v.LocalEndpoint = &endpoint{*s.Local}
		}
		if s.Remote != nil {
			v.RemoteEndpoint = &endpoint{*s.Remote}
		}
		if s.Error {
			v.Tags = map[string]string{"error": ""}
		}
		for _, a := range s.Annotations {
			v.Annotations = append(v.Annotations, annotation{v.Timestamp, a})
		}
		list = append(list, v)
	}
	body, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Post(z.url, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if res.StatusCode != http.StatusAccepted {
		t.Fatalf("the receiver answers %s to %s", res.Status, body)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.ways
}

func hex16(id string) string { return strings.Repeat("0", 16-len(id)) + id }

// Append implements collector.Appender: graphs are given the spans in every order.
func (z *zipkin) Append(_ context.Context, b *telemetry.Batch) (telemetry.Position, error) {
	defer z.pool.Put(b)
	z.mu.Lock()
	defer z.mu.Unlock()
	z.ways = []way{{"all at once", linksOf(b, b.Spans)}}
	if len(b.Spans) > 5 {
		return 1, nil
	}
	spans := slices.Clone(b.Spans)
	for i := range spans {
		spans[i].Start += int64(spans[i].Resource) * int64(3*time.Second) // no two services' clocks agree
	}
	permute(len(spans), func(order []int) {
		one := make([][]telemetry.Span, len(order))
		for i, n := range order {
			one[i] = spans[n : n+1]
		}
		z.ways = append(z.ways, way{fmt.Sprint("in order ", order), linksOf(b, one...)})
	})
	return 1, nil
}

// permute calls f with each order of n things.
func permute(n int, f func([]int)) {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	var rest func(int)
	rest = func(k int) {
		if k == n {
			f(order)
			return
		}
		for i := k; i < n; i++ {
			order[k], order[i] = order[i], order[k]
			rest(k + 1)
			order[k], order[i] = order[i], order[k]
		}
	}
	rest(0)
}

// linksOf is what a graph draws that was given parts of a batch one after the other, without what leads to or from
// those of whom nobody knows a name.
func linksOf(b *telemetry.Batch, parts ...[]telemetry.Span) []link {
	all, at := b.Spans, b.Received
	g := topology.New(topology.DefaultConfig())
	for i, p := range parts {
		b.Spans, b.Received = p, at+int64(i)*int64(time.Second)
		g.Consume(telemetry.Entry{Position: telemetry.Position(i + 1), Batch: b})
	}
	b.Spans, b.Received = all, at
	g.Tick(at + int64(time.Minute))
	sums := map[[2]string]link{}
	for _, e := range g.Snapshot().Edges {
		if strings.HasSuffix(e.Source, "unknown") || strings.HasSuffix(e.Target, "unknown") {
			continue
		}
		name := func(id string) string { return id[strings.LastIndexByte(id, ':')+1:] }
		l := sums[[2]string{name(e.Source), name(e.Target)}]
		l.Parent, l.Child = name(e.Source), name(e.Target)
		l.CallCount += e.Totals.Requests
		l.ErrorCount += e.Totals.Errors
		sums[[2]string{l.Parent, l.Child}] = l
	}
	var out []link
	for _, l := range sums {
		out = append(out, l)
	}
	return sortLinks(out)
}

func sortLinks(links []link) []link {
	slices.SortFunc(links, func(a, b link) int { return cmp.Or(cmp.Compare(a.Parent, b.Parent), cmp.Compare(a.Child, b.Child)) })
	return links
}
