package topology

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// litter has many names call once each, of a pattern that nothing else has.
func (f *floodFeed) litter(n int) {
	for i := range n {
		f.calls([2]string{fmt.Sprintf("junk/j%d", i), fmt.Sprintf("j%d.example.com", i%500)})
	}
}

func (f *floodFeed) seconds(n int, each func()) {
	for range n {
		f.pass(time.Second)
		each()
	}
}

// What is no litter stays for as long as forget_after, with litter beside it or without: a few that came once, and many that came some times
// and rest.
func TestQuietIsNoLitter(t *testing.T) {
	t.Parallel()
	f := &floodFeed{feed: newFeed(DefaultConfig())}
	for i := range 900 {
		f.calls([2]string{fmt.Sprintf("once/s%d", i), "host.example.com"})
	}
	for range 3 {
		for i := range 2000 {
			f.calls([2]string{fmt.Sprintf("busy/s%d", i), "host.example.com"})
		}
		f.pass(time.Second)
	}
	f.seconds(300, func() {})
	if s := f.t.Stats(); s.Evicted.Edges != 0 || s.Evicted.Nodes != 0 || s.Edges < 2900 {
		t.Errorf("after five quiet minutes: %+v", s)
	}
}

// Edges that cannot go are no reason for others to: many services were called once by who knows whom, and live.
func TestWhatStaysIsNoLitter(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.MaxNodes, cfg.MaxEdges = 2000, 2000
	f := &floodFeed{feed: newFeed(cfg)}
	var living [][2]string
	for i := range 300 {
		living = append(living, [2]string{fmt.Sprintf("shop/s%d", i), "db.example.com"})
		b := telemetry.NewBatch()
		b.Received = f.now
		f.ids++
		b.Spans = append(b.Spans, telemetry.Span{
			TraceID: traceID("door"), SpanID: id64(f.ids), Kind: telemetry.KindServer, Resource: addResource(b, map[string]uint32{}, living[i][0]),
			Protocol: telemetry.ProtocolHTTP, Duration: 3e6, Start: f.now,
		})
		f.n++
		f.observed.add(f.t.Consume(telemetry.Entry{Position: f.n, Batch: b}))
	}
	f.calls([2]string{"shop/quiet", "quiet.example.com"})
	f.seconds(120, func() { f.calls(living...) })
	if f.requests("shop/quiet", "quiet.example.com") != 1 || f.t.Stats().Evicted.Edges != 0 {
		t.Errorf("what came once is gone two minutes later: %+v", f.t.Stats())
	}
	check(t, f.t)
}

// A batch that calls a thousand hosts, each once, is no litter: it stays on the map for as long as if it had called one, with all its calls.
func TestNightlyBatchStays(t *testing.T) {
	t.Parallel()
	f := &floodFeed{feed: newFeed(DefaultConfig())}
	for i := range 1500 {
		f.calls([2]string{"batch/nightly", fmt.Sprintf("host%d.example.com", i)})
	}
	f.seconds(20*60, func() { f.calls([2]string{"shop/alive", "db.example.com"}) })
	if s := f.t.Stats(); s.Evicted.Edges < 1500 {
		t.Errorf("%d hosts that were called once are still drawn each: %+v", 1500-s.Evicted.Edges, s)
	}
	if own := f.requests("batch/nightly", "overflow"); own != 1500 {
		t.Errorf("the batch is drawn with %d of its 1500 requests", own)
	}
	check(t, f.t)
}

// A cron that came three times is not taken for what a flood leaves behind beside it, a restart in between or not; and every window is
// after the litter went what it was before, as each witness counts it.
func TestCronBesideLitter(t *testing.T) {
	t.Parallel()
	f := &floodFeed{feed: newFeed(DefaultConfig())}
	cron := func() { f.calls([2]string{"ops/cron", "store.example.com"}) }
	for range 3 {
		cron()
		f.seconds(5*60, func() { f.calls([2]string{"shop/alive", "db.example.com"}) })
	}
	f.litter(4000)
	f.seconds(20, func() {})
	saves := saved(t, f.t)
	twin := loaded(t, f.t, saves)
	check(t, twin)
	windows := func(top *Topology) (all [slots][signal.Windows]signal.Sums) {
		for _, e := range top.edges.list {
			if e == nil {
				continue
			}
			for w, a := range e.acc {
				if a == nil {
					continue
				}
				a.Advance(top.tick)
				for v := range signal.Window(signal.Windows) {
					s := a.Sums(v)
					all[w][v].Requests += s.Requests
					all[w][v].Errors += s.Errors
					all[w][v].Throttled += s.Throttled
				}
			}
		}
		return all
	}
	both := func(do func(*Topology)) { do(f.t); do(twin) }
	went := false
	for range 100 {
		f.now += int64(time.Second)
		before := f.t.Stats().Evicted.Edges
		was := windowsAt(f.t, f.now, windows)
		both(func(top *Topology) { top.Tick(f.now) })
		if is := windows(f.t); was != is {
			t.Fatalf("the sums of all windows are %+v, and were %+v", is, was)
		}
		went = went || f.t.Stats().Evicted.Edges > before
		check(t, f.t)
		if a, b := saved(t, f.t), saved(t, twin); !bytes.Equal(a, b) {
			t.Fatal("what was saved and loaded goes another way")
		}
	}
	if !went || f.t.Stats().Evicted.Edges < 4000 {
		t.Errorf("the litter stays: %+v", f.t.Stats())
	}
	if own := f.requests("ops/cron", "store.example.com"); own != 3 {
		t.Errorf("the cron is drawn with %d of its 3 requests", own)
	}
}

// windowsAt is what windows say of a topology at a later time, if nothing but time passes.
func windowsAt[T any](top *Topology, now int64, windows func(*Topology) T) T {
	tick := top.tick
	top.tick = now / signal.Tick
	defer func() { top.tick = tick }()
	return windows(top)
}

// call sends a client span of a protocol.
func (f *floodFeed) call(p telemetry.Protocol, source, target string) {
	b := telemetry.NewBatch()
	b.Received = f.now
	f.ids++
	b.Spans = append(b.Spans, telemetry.Span{
		TraceID: traceID("call"), SpanID: id64(f.ids), Kind: telemetry.KindClient, Resource: addResource(b, map[string]uint32{}, source),
		Protocol: p, Peer: b.InternString(target), PeerKind: telemetry.NodeExternal, Duration: 3e6, Start: f.now,
	})
	f.n++
	f.observed.add(f.t.Consume(telemetry.Entry{Position: f.n, Batch: b}))
}

// What goes to overflow goes there in an order that a copy, in which things lie elsewhere, goes by as well.
func TestEvictionGoesByName(t *testing.T) {
	t.Parallel()
	all := func(names ...string) func(*Topology) {
		return func(top *Topology) {
			goes := top.edgesThat(func(e *edge) bool {
				for _, n := range names {
					if top.nodes.list[e.dst].key.Name == n {
						return true
					}
				}
				return false
			})
			top.makeRoom(goes, top.staying(goes), func(*node) bool { return false })
			top.sweepEmptied()
		}
	}
	for _, c := range []struct {
		name  string
		begin func(*floodFeed)
		goes  []string
	}{
		{"the mute edge at overflow falls to one of two", func(f *floodFeed) {
			f.call(telemetry.ProtocolUnknown, "shop/a", "old")
			f.pass(time.Minute)
			f.call(telemetry.ProtocolHTTP, "shop/a", "b")
			all("old")(f.t)
			f.call(telemetry.ProtocolGRPC, "shop/a", "z")
		}, []string{"b", "z"}},
		{"an edge to overflow goes with one that comes to it", func(f *floodFeed) {
			f.call(telemetry.ProtocolHTTP, "shop/a", "old")
			f.pass(time.Minute)
			f.call(telemetry.ProtocolHTTP, "shop/a", "alive")
			all("old")(f.t)
			f.call(telemetry.ProtocolHTTP, "shop/a", "b")
			f.call(telemetry.ProtocolHTTP, "shop/a", "c")
		}, []string{"b", "c", overflowName}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := &floodFeed{feed: newFeed(DefaultConfig())}
			c.begin(f)
			f.pass(time.Minute)
			f.call(telemetry.ProtocolHTTP, "shop/a", "alive") // shop/a stays
			twin := loaded(t, f.t, saved(t, f.t))
			for _, top := range []*Topology{f.t, twin} {
				all(c.goes...)(top)
				check(t, top)
			}
			if a, b := saved(t, f.t), saved(t, twin); !bytes.Equal(a, b) {
				t.Errorf("the copy goes another way:\n%s\n%s", describe(f.t), describe(twin))
			}
		})
	}
}

// Hosts that turn out to be one service fall to it in such an order as well.
func TestAdoptionGoesByName(t *testing.T) {
	t.Parallel()
	f := &floodFeed{feed: newFeed(DefaultConfig())}
	f.call(telemetry.ProtocolGRPC, "shop/a", "cart.shop.svc.cluster.local")
	f.call(telemetry.ProtocolHTTP, "shop/a", "cart.shop.svc")
	f.call(telemetry.ProtocolUnknown, "shop/a", "cart.shop")
	twin := &floodFeed{feed: &feed{t: loaded(t, f.t, saved(t, f.t)), n: f.n, now: f.now}, ids: f.ids}
	for _, f := range []*floodFeed{f, twin} {
		f.call(telemetry.ProtocolHTTP, "shop/cart", "db.example.com")
		check(t, f.t)
		if f.t.Stats().Edges != 3 {
			t.Fatalf("the hosts are not one service: %s", describe(f.t))
		}
	}
	if a, b := saved(t, f.t), saved(t, twin.t); !bytes.Equal(a, b) {
		t.Errorf("the copy goes another way:\n%s\n%s", describe(f.t), describe(twin.t))
	}
}
