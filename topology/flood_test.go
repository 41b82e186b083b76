package topology

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// floodFeed sends spans of many services in one batch.
type floodFeed struct {
	*feed
	sent  uint64
	ids   uint64
	names bool // of who is called nothing but a name is known
}

// calls sends a client span for each pair of names, a service and whom it calls.
func (f *floodFeed) calls(pairs ...[2]string) {
	b := telemetry.NewBatch()
	b.Received = f.now
	resources, kind := map[string]uint32{}, telemetry.NodeExternal
	if f.names {
		kind = telemetry.NodeUnknown
	}
	for _, p := range pairs {
		f.ids++
		b.Spans = append(b.Spans, telemetry.Span{
			TraceID: traceID("flood"), SpanID: id64(f.ids), Kind: telemetry.KindClient, Resource: addResource(b, resources, p[0]),
			Protocol: telemetry.ProtocolHTTP, Peer: b.InternString(p[1]), PeerKind: kind, Duration: 3e6, Start: f.now,
		})
	}
	f.sent += uint64(len(pairs))
	f.n++
	f.observed.add(f.t.Consume(telemetry.Entry{Position: f.n, Batch: b}))
}

// requests is how many requests an edge counts; 0 if it is not there.
func (f *floodFeed) requests(source, target string) uint64 {
	return got(f.t)[onEdge{source, "external:" + target, telemetry.ClientSpan}].requests
}

// A flood of names, of whichever kind and by whomever, costs those that live nothing, those that come during it a few seconds, and those that
// come after it nothing; and no request is lost or counted twice.
func TestFloodOfNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		junk    func(i int) [2]string
		subject string
	}{
		{"services", func(i int) [2]string { return [2]string{fmt.Sprintf("junk-%d", i), "host.example.com"} }, "junk-{id}"},
		{"services of no pattern", func(i int) [2]string { return [2]string{letters(i), "host.example.com"} }, "services"},
		{"hosts named by one service", func(i int) [2]string { return [2]string{"shop/egress", fmt.Sprintf("h%d.example.com", i)} }, "shop/egress"},
		{"pairs", func(i int) [2]string { return [2]string{fmt.Sprintf("a%d", i), fmt.Sprintf("b%d.example.com", i)} }, "a{id}"},
		{"each name twice", func(i int) [2]string {
			return [2]string{fmt.Sprintf("twice-%d", i/6000*3000+i%3000), "host.example.com"}
		}, "twice-{id}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := DefaultConfig()
			cfg.MaxNodes, cfg.MaxEdges = 1200, 1200
			f := &floodFeed{feed: newFeed(cfg)}
			var living, late, after [][2]string
			for i := range 20 {
				living = append(living, [2]string{fmt.Sprintf("shop/s%d", i), fmt.Sprintf("db%d.example.com", i%7)})
				late = append(late, [2]string{fmt.Sprintf("shop/late%d", i), fmt.Sprintf("late%d.example.com", i%7)})
				after = append(after, [2]string{fmt.Sprintf("shop/after%d", i), fmt.Sprintf("after%d.example.com", i%7)})
			}
			steps := 0
			run := func(seconds int, each func()) {
				for range 10 * seconds {
					steps++
					f.calls(living...)
					each()
					f.pass(100 * time.Millisecond)
				}
				check(t, f.t)
			}
			run(30, func() {})
			junk := 0
			flood := func() {
				for range 4 {
					var pairs [][2]string
					for range 150 { // 6,000 a second: all tables five times over
						pairs = append(pairs, c.junk(junk))
						junk++
					}
					f.calls(pairs...)
				}
			}
			run(4, flood)
			if own := f.requests(late[0][0], late[0][1]); own != 0 {
				t.Fatal("late before it came")
			}
			run(10, func() { flood(); f.calls(late...) })
			for _, p := range late {
				if own := f.requests(p[0], p[1]); own < 90 { // of the 100 that it sent
					t.Errorf("%v came while the flood was on, and %d of its 100 requests have an edge of their own", p, own)
				}
			}
			found := f.t.Findings(time.Time{})
			if len(found) == 0 || found[0].Subject != c.subject || found[0].Count < 1000 || !strings.Contains(found[0].Says, "names") {
				t.Errorf("the flood is told as %+v, want %q first", found, c.subject)
			}
			late0 := f.requests(late[0][0], late[0][1])
			run(50, func() { f.calls(late...) })
			if own := f.requests(late[0][0], late[0][1]); own != late0+500 {
				t.Errorf("what got an edge of its own has %d requests there, want %d", own, late0+500)
			}
			run(1, func() { f.calls(after...) })
			for _, p := range after {
				if own := f.requests(p[0], p[1]); own != 10 {
					t.Errorf("%v came after the flood, and %d of its 10 requests have an edge of their own", p, own)
				}
			}
			if found := f.t.Findings(time.Time{}); len(found) != 0 {
				t.Errorf("the flood is over and still told: %+v", found)
			}
			for _, p := range living {
				if own := f.requests(p[0], p[1]); own != uint64(steps) {
					t.Errorf("%v has sent %d requests, and %d are on its edge", p, steps, own)
				}
			}
			var all uint64
			for _, c := range got(f.t) {
				all += c.requests
			}
			if all != f.sent {
				t.Errorf("%d requests are counted of %d", all, f.sent)
			}
			if s := f.t.Stats(); s.Nodes > cfg.MaxNodes+ownNodes {
				t.Errorf("stats %+v", s)
			}
			// A minute on nothing is left of it to be drawn, but what overflow says.
			run(61, func() { f.calls(late...); f.calls(after...) })
			if n := len(anew(f.t).Nodes); n > 20+7+20+7+20+7+ownNodes {
				t.Errorf("%d nodes are drawn after the flood", n)
			}
			all = 0
			for _, c := range got(f.t) {
				all += c.requests
			}
			if all != f.sent {
				t.Errorf("a minute on %d requests are counted of %d", all, f.sent)
			}
			first := saved(t, f.t)
			if again := saved(t, loaded(t, f.t, first)); !bytes.Equal(first, again) {
				t.Error("saved, loaded and saved it is not the same")
			}
		})
	}
}

// letters is a name that has nothing in common with its neighbours'.
func letters(i int) string {
	var b strings.Builder
	for n := uint32(i)*2654435761 + 7; b.Len() < 12; n = n*1664525 + 1013904223 { //nolint:gosec // any number
		b.WriteByte('g' + byte(n>>24)%20)
	}
	return b.String()
}

// What makes room keeps its part in every figure: windows of overflow are what those of the edges that went were.
func TestEvictionKeepsWindows(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.MaxNodes, cfg.MaxEdges = 400, 400
	f := &floodFeed{feed: newFeed(cfg)}
	for i := range 320 {
		f.calls([2]string{letters(i), fmt.Sprintf("hub%d.example.com", i%8)})
		if i%10 == 0 {
			f.pass(100 * time.Millisecond)
		}
	}
	hubs := func() (rate float64, total uint64, edges int) {
		g := anew(f.t)
		for _, e := range g.Edges {
			total += e.Totals.Requests
		}
		for _, n := range g.Nodes {
			if strings.HasPrefix(n.ID, "external:hub") {
				rate += n.Windows["5m"].Rate
			}
		}
		return rate, total, len(g.Edges)
	}
	keep := func() {
		for i := range 8 {
			f.calls([2]string{"shop/alive", fmt.Sprintf("hub%d.example.com", i)})
		}
	}
	keep()
	_, before, edges := hubs()
	if edges != 328 {
		t.Fatalf("%d edges, want 328", edges)
	}
	for range 40 {
		f.pass(time.Second)
		keep()
	}
	rate, total, edges := hubs()
	if total != before+320 || edges > 300 {
		t.Errorf("%d requests are drawn on %d edges, want %d on fewer than before", total, edges, before+320)
	}
	if want := float64(total) / 43; rate < want*0.9 || rate > want*1.1 {
		t.Errorf("the hubs' rate over 5m is %v, want about %v", rate, want)
	}
}

// Names have a bound in bytes, each and all together.
func TestNamesAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.MaxNodes, cfg.MaxEdges = 100, 100
	f := &floodFeed{feed: newFeed(cfg)}
	long := strings.Repeat("x", 10_000)
	for i := range 50 {
		for v := range maxVariants {
			f.calls([2]string{fmt.Sprintf("ns/s%d%s@%d%s#%d%s", i, long, v, long, v, long), "host.example.com"})
		}
		f.pass(100 * time.Millisecond)
		check(t, f.t)
	}
	if most := 100*nameBytes + 5*maxName; f.t.nodes.bytes > most {
		t.Errorf("names take %d bytes, want at most %d", f.t.nodes.bytes, most)
	}
}

// What a node keeps beside its names, its cluster and its product, has the same bound.
func TestClusterAndProductAreCut(t *testing.T) {
	t.Parallel()
	f := newFeed(DefaultConfig())
	b := telemetry.NewBatch()
	b.Received = f.now
	long := b.InternString(strings.Repeat("é", 2000))
	b.Resources = append(b.Resources, telemetry.Resource{Identity: telemetry.Identity{Service: b.InternString("cart"), Cluster: long}})
	b.Spans = append(b.Spans, telemetry.Span{
		TraceID: traceID("long"), SpanID: id64(1), Kind: telemetry.KindClient, Protocol: telemetry.ProtocolDatabase, Start: f.now, Duration: 3e6,
		Peer: b.InternString("orders"), PeerKind: telemetry.NodeDatabase, PeerSys: long,
	})
	f.n++
	f.t.Consume(telemetry.Entry{Position: f.n, Batch: b})
	want := strings.Repeat("é", maxName/2)
	clusters, systems := 0, 0
	for _, n := range f.t.nodes.list {
		if n != nil && n.cluster != "" {
			clusters++
			if n.cluster != want {
				t.Errorf("%s has a cluster of %d bytes", n.key.ID(), len(n.cluster))
			}
		}
		if n != nil && n.system != "" {
			systems++
			if n.system != want {
				t.Errorf("%s has a product of %d bytes", n.key.ID(), len(n.system))
			}
		}
	}
	if clusters != 1 || systems != 1 {
		t.Errorf("%d nodes have a cluster and %d a product, want 1 and 1", clusters, systems)
	}
}

func TestPattern(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"junk-17": "junk-{id}", "cart": "cart", "a1b2c3d4e5": "{id}", "pod-5f6d8c9b77-x2": "pod-{id}-x{id}", "": "", "10.1.2.3": "{id}.{id}.{id}.{id}",
		"deadbeef": "deadbeef",
	} {
		if diff := cmp.Diff(want, pattern(name)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A name that nobody makes room for is let in when it comes again, but not at once, and not after it was forgotten.
func TestDoor(t *testing.T) {
	t.Parallel()
	d := New(DefaultConfig())
	knocked := func(hash uint64, tick int64) bool {
		d.tick = tick
		return d.knocked(hash)
	}
	for _, c := range []struct {
		hash uint64
		tick int64
		want bool
	}{
		{1, 1000, false}, {1, 1000 + doorGap - 1, false}, {1, 1000 + doorGap, true}, {1, 1000 + doorKeeps, false}, {2, 1600, false},
	} {
		if got := knocked(c.hash, c.tick); got != c.want {
			t.Errorf("%d at %d: %v, want %v", c.hash, c.tick, got, c.want)
		}
	}
	for i := range uint64(doorRow) { // its row is flooded
		knocked(2+(i+1)*doorRows, 1601)
	}
	if knocked(2, 1700) {
		t.Error("a row keeps more than it has room for")
	}
	if d.door.forget(1700); d.door.list == nil {
		t.Error("forgot what counts")
	}
	if d.door.forget(1700 + doorKeeps); d.door.list != nil {
		t.Error("keeps what counts no more")
	}
}
