package topology

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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

func TestPublishing(t *testing.T) {
	t.Parallel()
	f := newFeed(DefaultConfig())
	if g := f.t.Snapshot(); g == nil || g.Version != 0 || g.Nodes == nil || g.Edges == nil {
		t.Fatalf("before anything: %+v", g)
	}
	f.send(t, "shop/a", "x.example.com", 10)
	f.t.Tick(f.now)
	first := f.t.Snapshot()
	if first.Version != 1 || len(first.Edges) != 1 || len(first.Nodes) != 2 {
		t.Fatalf("first snapshot %+v", first)
	}
	f.send(t, "shop/b", "x.example.com", 1)
	f.pass(100 * time.Millisecond)
	if f.t.Snapshot() != first {
		t.Error("published again before 250 ms had passed")
	}
	f.pass(150 * time.Millisecond)
	second := f.t.Snapshot()
	changed, _ := edgesSince(first, second)
	if diff := cmp.Diff([]string{"shop/b>external:x.example.com|http"}, changed); diff != "" || second.Version != 2 {
		t.Errorf("version %d, changed edges (-want +got):\n%s", second.Version, diff)
	}
	// Rates decay though nothing comes, and that is told, until nothing is left to tell.
	for range 40 {
		f.pass(10 * time.Second)
	}
	quiet := f.t.Snapshot()
	for _, e := range quiet.Edges {
		if e.Windows["5m"].Rate != 0 || e.Health != telemetry.HealthIdle || e.Windows["5m"].P50 != nil {
			t.Errorf("%s has not decayed: %+v", e.ID, e.Windows)
		}
	}
	for range 40 {
		f.pass(10 * time.Second)
	}
	if f.t.Snapshot() != quiet {
		t.Error("published though nothing changed")
	}
	// What is forgotten goes.
	f.pass(2 * time.Hour)
	_, removed := edgesSince(quiet, f.t.Snapshot())
	if diff := cmp.Diff([]string{"shop/a>external:x.example.com|http", "shop/b>external:x.example.com|http"}, removed); diff != "" {
		t.Errorf("removed edges (-want +got):\n%s", diff)
	}
	if left := f.t.Snapshot().Nodes; len(left) != 0 {
		t.Errorf("nodes are left: %+v", left)
	}
}

// edgesSince are the edges of now that old has not like this, and those that it has alone.
func edgesSince(old, now *telemetry.Graph) (changed, removed []string) {
	was := map[string]telemetry.GraphEdge{}
	for _, e := range old.Edges {
		was[e.ID] = e
	}
	for _, e := range now.Edges {
		if o, ok := was[e.ID]; !ok || !cmp.Equal(o, e) {
			changed = append(changed, e.ID)
		}
		delete(was, e.ID)
	}
	for id := range was {
		removed = append(removed, id)
	}
	slices.Sort(removed)
	return changed, removed
}

// An edge's rate is that of the time since it began, where that is less than the window.
func TestYoungEdgeRates(t *testing.T) {
	t.Parallel()
	f := newFeed(DefaultConfig())
	f.t.Tick(f.now)
	for range 20 { // 10 s of 20 a second
		f.send(t, "shop/a", "x.example.com", 10)
		f.pass(500 * time.Millisecond)
	}
	ws := f.t.Snapshot().Edges[0].Windows
	for _, w := range []string{"10s", "1m", "5m"} {
		if r := ws[w].Rate; r < 19 || r > 22 {
			t.Errorf("%s: %v requests a second, want 20", w, r)
		}
	}
	for _, n := range f.t.Snapshot().Nodes {
		if n.ID == "external:x.example.com" && (n.Windows["5m"].Rate < 19 || n.Windows["5m"].Rate > 22) {
			t.Errorf("its target: %v requests a second over 5m, want 20", n.Windows["5m"].Rate)
		}
	}
}

// A published snapshot is read while the state goes on; the race detector and a
// copy made at first sight both watch.
func TestSnapshotsAreImmutable(t *testing.T) {
	t.Parallel()
	f := newFeed(DefaultConfig())
	f.send(t, "shop/a", "x.example.com", 10)
	f.t.Tick(f.now)
	g := f.t.Snapshot()
	before := fmt.Sprintf("%+v %+v", g.Nodes, windowsText(g))
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					s := f.t.Snapshot()
					_ = windowsText(s)
					f.t.Stats()
				}
			}
		})
	}
	for i := range 100 {
		f.send(t, "shop/a", fmt.Sprintf("%d.example.com", i), 5)
		f.pass(250 * time.Millisecond)
	}
	close(stop)
	wg.Wait()
	if after := fmt.Sprintf("%+v %+v", g.Nodes, windowsText(g)); after != before {
		t.Errorf("the snapshot changed:\n%s\n%s", before, after)
	}
}

func windowsText(g *telemetry.Graph) string {
	var sb strings.Builder
	for _, e := range g.Edges {
		for _, w := range [...]string{"1s", "10s", "1m", "5m"} {
			s := e.Windows[w]
			fmt.Fprint(&sb, e.ID, w, s.Rate, s.ErrorRate)
			if s.P50 != nil {
				fmt.Fprint(&sb, *s.P50, *s.P90, *s.P99)
			}
		}
		fmt.Fprint(&sb, e.Totals, e.Exemplars)
	}
	return sb.String()
}

// Who waits is woken by each snapshot, and misses none that comes after it began to.
func TestChanged(t *testing.T) {
	t.Parallel()
	f := newFeed(DefaultConfig())
	changed := f.t.Changed()
	f.send(t, "shop/a", "x.example.com", 1)
	f.t.Tick(f.now)
	for version := uint64(1); version < 4; version++ {
		<-changed
		changed = f.t.Changed()
		if got := f.t.Snapshot().Version; got != version {
			t.Fatalf("woken for version %d, want %d", got, version)
		}
		select {
		case <-changed:
			t.Fatal("woken again, and nothing has changed")
		default:
		}
		f.send(t, "shop/a", "y.example.com", 1)
		f.pass(250 * time.Millisecond)
	}
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
	if n := c[told{"?", "shop/a", telemetry.ServerSpan}].requests + c[told{"shop/b", "shop/a", telemetry.ServerSpan}].requests; n != 20_000 {
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
	if err != nil || len(families) != 7 {
		t.Errorf("%d families, error %v", len(families), err)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	f := newFeed(DefaultConfig())
	f.send(t, "shop/a", "x.example.com", 3)
	var b bytes.Buffer
	if err := f.t.Save(&b); err != nil {
		t.Fatal(err)
	}
	good := b.Bytes()
	try := func(name, want string, bad []byte) {
		t.Helper()
		top := New(DefaultConfig())
		err := top.Load(bytes.NewReader(bad))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "replay") {
			t.Errorf("%s: error %v, want %q and a remedy", name, err, want)
		}
		if top.Applied() != 0 || top.Stats().Nodes != 0 {
			t.Errorf("%s: something was loaded", name)
		}
	}
	try("empty", "no checkpoint", nil)
	try("other", "no checkpoint", []byte("something else altogether"))
	newer := bytes.Clone(good)
	newer[len(checkpointMagic)] = 9
	try("newer", "version 9", newer)
	for i := len(checkpointMagic) + 1; i < len(good)-4; i += 7 {
		flipped := bytes.Clone(good)
		flipped[i] ^= 0x10
		try("flipped", "checksum", flipped)
		try("cut", "checksum", good[:i+4])
		try("cut, sum right", "", sealed(good[:i]))
	}
}

// testdata/checkpoint.v1 was written by the first binary that wrote version 1, of
// spans and entries that have met, have not, and are void: it must load as long as the
// version stands, and be what the same state is written as now.
func TestLoadReadsOldCheckpoints(t *testing.T) {
	t.Parallel()
	old, err := os.ReadFile("testdata/checkpoint.v1")
	if err != nil {
		t.Fatal(err)
	}
	top := New(DefaultConfig())
	if err := top.Load(bytes.NewReader(old)); err != nil {
		t.Fatal(err)
	}
	if s := top.Stats(); top.Applied() != 12 || s.Pending == 0 || s.Edges == 0 {
		t.Errorf("applied %d, stats %+v", top.Applied(), s)
	}
	var now bytes.Buffer
	if err := top.Save(&now); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(old, now.Bytes()) {
		t.Error("the same state is written differently")
	}
}

// sealed gives bytes a right checksum.
func sealed(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(bytes.Clone(b), crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}

// FuzzLoad: whatever is loaded, with a right checksum, the topology goes on
// working, and what it saves can be loaded.
func FuzzLoad(f *testing.F) {
	m := newMesh()
	top := New(DefaultConfig())
	for i := range 3 {
		b := m.batch(1)
		b.Received = storyStart + int64(i)*1e9
		addEntries(b)
		top.Consume(telemetry.Entry{Position: telemetry.Position(i + 1), Batch: b})
		var w bytes.Buffer
		if err := top.Save(&w); err != nil {
			f.Fatal(err)
		}
		f.Add(w.Bytes()[len(checkpointMagic)+1 : w.Len()-4])
	}
	more := newMesh().batch(10)
	addEntries(more)
	f.Fuzz(func(t *testing.T, body []byte) {
		file := append([]byte(checkpointMagic), checkpointVersion)
		top := New(DefaultConfig())
		if err := top.Load(bytes.NewReader(sealed(append(file, body...)))); err != nil {
			return
		}
		b := more
		b.Received = top.now + 1e9
		top.Consume(telemetry.Entry{Position: top.applied + 1, Batch: b})
		fresh(top)
		top.Tick(b.Received + 30e9)
		var w bytes.Buffer
		if err := top.Save(&w); err != nil {
			t.Fatal(err)
		}
		if err := New(DefaultConfig()).Load(&w); err != nil {
			t.Fatalf("what was saved cannot be loaded: %v", err)
		}
		top.Tick(b.Received + 3*3600e9)
	})
}

// addEntries adds log entries that name spans of the batch.
func addEntries(b *telemetry.Batch) {
	for i := range b.Spans {
		s := &b.Spans[i]
		r := telemetry.Request{TraceID: s.TraceID, SpanID: s.SpanID, Resource: s.Resource, Cluster: s.Peer, Protocol: telemetry.ProtocolHTTP}
		if s.Kind == telemetry.KindServer {
			r.Side, r.TLS = telemetry.SideServer, telemetry.TLSMutual
		}
		b.Requests = append(b.Requests, r)
	}
}

// What Consume and Tick return stands until one of them is called again, whatever
// else happens to the graph; what becomes final elsewhere comes with the next.
func TestObservationsAreLent(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.MaxPending = 1 << 18
	wait := int64(cfg.PairWait)
	f := newFeed(cfg)
	f.send(t, "shop/a", "x.example.com", 3)
	f.now += wait / 2
	f.send(t, "shop/b", "x.example.com", 2)
	seen := f.t.Tick(f.now + wait/2)
	if len(seen.Requests) != 3 || seen.From != 2 || seen.To != 2 {
		t.Fatalf("observed %+v, want three requests at position 2", seen)
	}
	before := slices.Clone(seen.Requests)
	f.t.SetThrottledBy(f.now+wait, nil)
	if diff := cmp.Diff(before, seen.Requests); diff != "" {
		t.Errorf("what was lent has changed:\n%s", diff)
	}
	if seen = f.t.Tick(f.now + wait); len(seen.Requests) != 2 {
		t.Errorf("observed %+v, want two requests", seen)
	}

	f.now += wait
	f.send(t, "shop/b", "x.example.com", keepObservations+1)
	if seen = f.t.Tick(f.now + wait); len(seen.Requests) != keepObservations+1 {
		t.Errorf("%d observations, want %d", len(seen.Requests), keepObservations+1)
	}
	if f.t.Tick(f.now + wait); cap(f.t.observed.list) > keepObservations {
		t.Errorf("room for %d observations is kept", cap(f.t.observed.list))
	}
}
