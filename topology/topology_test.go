package topology

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// feed consumes one batch at a time, and tells the time with it.
type feed struct {
	t        *Topology
	now      int64
	n        telemetry.Position
	observed counter
}

func newFeed(cfg Config) *feed { return &feed{t: New(cfg), now: storyStart} }

// send consumes n requests from source to target, all in one batch.
func (f *feed) send(tb testing.TB, source, target string, n int) {
	tb.Helper()
	b := telemetry.NewBatch()
	b.Received = f.now
	resources := map[string]uint32{}
	r := addResource(b, resources, source)
	for i := range n {
		b.Spans = append(b.Spans, telemetry.Span{
			TraceID: traceID(fmt.Sprint(f.n)), SpanID: id64(uint64(i + 1)), Kind: telemetry.KindClient, Resource: r,
			Protocol: telemetry.ProtocolHTTP, Peer: b.InternString(target), PeerKind: telemetry.NodeExternal, Duration: 3e6, Start: f.now,
		})
	}
	f.n++
	f.observed.add(f.t.Consume(telemetry.Entry{Position: f.n, Batch: b}))
}

func (f *feed) pass(d time.Duration) {
	f.now += int64(d)
	f.observed.add(f.t.Tick(f.now))
}

func TestMaxPendingFinishesTheOldest(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.MaxPending = 1024
	f := newFeed(cfg)
	top := f.t
	for i := range 30 {
		f.send(t, "shop/a", fmt.Sprintf("%d.example.com", i), 100)
	}
	s := top.Stats()
	if s.Pending != 1023 || s.Early != 3000-1023 || f.observed.n != int(s.Early) {
		t.Errorf("stats %+v, %d observed", s, f.observed.n)
	}
	var total uint64
	for _, c := range got(top) {
		total += c.requests
	}
	if total != 3000 {
		t.Errorf("%d requests counted, want 3000", total)
	}
}

// One id with ten thousand children must cost no more than so many spans.
func TestFanOut(t *testing.T) {
	t.Parallel()
	top := New(DefaultConfig())
	b := telemetry.NewBatch()
	b.Received = storyStart
	resources := map[string]uint32{}
	r := addResource(b, resources, "shop/a")
	for i := range 20_000 {
		b.Spans = append(b.Spans, telemetry.Span{TraceID: traceID("t"), SpanID: id64(uint64(i + 10)), ParentID: id64(1), Kind: telemetry.KindServer, Resource: r})
	}
	b.Spans = append(b.Spans, telemetry.Span{TraceID: traceID("t"), SpanID: id64(1), Kind: telemetry.KindClient, Resource: addResource(b, resources, "shop/b")})
	top.Consume(telemetry.Entry{Position: 1, Batch: b})
	c := got(top)
	if n := c[onEdge{"?", "shop/a", telemetry.ServerSpan}].requests + c[onEdge{"shop/b", "shop/a", telemetry.ServerSpan}].requests; n != 20_000 {
		t.Errorf("%d halves counted: %v", n, c)
	}
}

func TestDegenerateSpans(t *testing.T) {
	t.Parallel()
	var observed counter
	top := New(DefaultConfig())
	b := telemetry.NewBatch()
	b.Received = storyStart
	resources := map[string]uint32{}
	r := addResource(b, resources, "shop/a")
	nameless := addResource(b, resources, "")
	for _, kind := range []telemetry.SpanKind{telemetry.KindServer, telemetry.KindClient, telemetry.KindConsumer, telemetry.KindProducer, 77} {
		b.Spans = append(b.Spans,
			telemetry.Span{Kind: kind, Resource: r, Code: 1 << 30, Duration: 1 << 62},
			telemetry.Span{Kind: kind, Resource: nameless, TraceID: traceID("t"), SpanID: id64(uint64(kind)), ParentID: id64(uint64(kind))})
	}
	b.Requests = append(b.Requests, telemetry.Request{Resource: nameless, Side: telemetry.SideClient}, telemetry.Request{Resource: nameless, Side: telemetry.SideServer})
	observed.add(top.Consume(telemetry.Entry{Position: 1, Batch: b}))
	observed.add(top.Tick(storyStart + int64(time.Minute)))
	if observed.n != 10 {
		t.Errorf("%d observations, want 10", observed.n)
	}
	if again := top.Consume(telemetry.Entry{Position: 1, Batch: b}); len(again.Requests) > 0 || again.From != 1 || again.To != 1 {
		t.Errorf("an applied position was applied again: %+v", again)
	}
}

func TestVersionsAndVariantsAreBounded(t *testing.T) {
	t.Parallel()
	f := newFeed(DefaultConfig())
	for i := range 3 * maxVariants {
		f.send(t, fmt.Sprintf("shop/a@v%03d", i), "x.example.com", 1)
		f.pass(time.Second)
	}
	g := fresh(f.t)
	for _, n := range g.Nodes {
		if n.ID == "shop/a" && len(n.Versions) != maxVersions {
			t.Errorf("versions %v", n.Versions)
		}
	}
	if g.Edges[0].Totals.Requests != 3*maxVariants || f.t.Stats().Dropped.Variants == 0 {
		t.Errorf("totals %+v, stats %+v", g.Edges[0].Totals, f.t.Stats())
	}
}

func TestRegister(t *testing.T) {
	t.Parallel()
	r := prometheus.NewPedanticRegistry()
	f := newFeed(DefaultConfig())
	if err := f.t.Register(r); err != nil {
		t.Fatal(err)
	}
	f.send(t, "shop/a", "x.example.com", 3)
	families, err := r.Gather()
	if err != nil || len(families) != 18 {
		t.Errorf("%d families, error %v", len(families), err)
	}
}
