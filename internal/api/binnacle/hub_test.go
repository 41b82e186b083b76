package binnacle

import (
	"bytes"
	"log/slog"
	"math"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// toldGraph is a graph that changes, and in which things happen, when the test says so.
type toldGraph struct {
	mu      sync.Mutex
	now     *telemetry.Graph
	events  []telemetry.GraphEvent
	changed chan struct{}
}

func (g *toldGraph) Snapshot() *telemetry.Graph {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now
}

func (g *toldGraph) Changed() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.changed
}

func (g *toldGraph) Events(time.Time, time.Time) (e telemetry.GraphEvents) { return e }

func (g *toldGraph) News(after uint64) ([]telemetry.GraphEvent, uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	told := uint64(len(g.events))
	return g.events[min(after, told):], told
}

// change has do change it, and wakes who waits for that.
func (g *toldGraph) change(do func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	do()
	close(g.changed)
	g.changed = make(chan struct{})
}

func (g *toldGraph) grow(node string) {
	g.change(func() {
		next := *g.now
		next.Version++
		next.Nodes = append(next.Nodes[:len(next.Nodes):len(next.Nodes)], telemetry.GraphNode{ID: node})
		g.now = &next
	})
}

func (g *toldGraph) happen(service string) {
	g.change(func() {
		g.events = append(g.events, telemetry.GraphEvent{Kind: telemetry.EventDependency, Service: service, Nodes: []string{service}})
	})
}

// A delta follows a change at once, unless one was sent just before; that something else happened just before is no reason to wait.
func TestWhatHappensDoesNotHoldUpTheGraph(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, err := newMetrics(prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		g := &toldGraph{now: &telemetry.Graph{Version: 1}, changed: make(chan struct{})}
		h := newHub(g, m, slog.New(slog.DiscardHandler))
		from := netip.MustParseAddr("127.0.0.1")
		if err := h.join(from, math.MaxInt, math.MaxInt); err != nil {
			t.Fatal(err)
		}
		h.want(1)
		_, seen := h.snapshot()
		expect := func(what string) {
			t.Helper()
			synctest.Wait()
			frames, _, _ := h.after(seen)
			seen += uint64(len(frames))
			if got := bytes.Join(frames, nil); !bytes.Contains(got, []byte(what)) || what == "" && len(got) > 0 {
				t.Errorf("sent is %q, want %q", got, what)
			}
		}
		for range 3 {
			time.Sleep(time.Second)
			g.happen("shop/cart")
			expect("event: events")
			g.grow("shop/stock")
			expect("event: delta")
			g.grow("shop/front")
			expect("")
			time.Sleep(deltaInterval)
			expect("event: delta")
		}
		h.want(-1)
		h.leave(from)
		h.close()
	})
}
