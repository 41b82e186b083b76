package topology

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

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
	// Rates decay though nothing comes, and that is published, until nothing changes any more.
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
