package binnacle

import (
	"errors"
	"log/slog"
	"math"
	"net/netip"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A hub turns the live graph's snapshots into deltas for any number of
// listeners.
//
// The problem: many pages follow a graph that changes all the time. A delta must be
// computed and encoded once, not once a page; a page that does not read must cost
// neither memory nor anybody else's time; and it must be right again the moment it
// reads on.
//
// The invariant: frame n leads from the graph at n-1 to the graph at n, and graph is
// that at seq. So whoever has seen frame n, or was given the snapshot at n, needs
// frames n+1 to seq and nothing else.
//
// The way: one goroutine, the pump, runs while there are listeners. It waits for a
// change, makes frame seq+1, keeps it in a ring of the last ringSize, wakes all, and
// rests for deltaInterval, so that a burst of changes is one delta. A listener keeps
// one number: the frame it has seen. If the ring still has the next, it sends what is
// there; if not, it was too slow, and sends a snapshot.
//
// Not chosen: a channel a listener. Either it is short, and a full one needs the
// same fallback with more state, or it is long, and what a stalled page holds grows
// with the graph.
type hub struct {
	source  query.LiveGraph
	events  query.EventReader // the same; nil where it knows none
	metrics *metrics
	log     *slog.Logger
	done    chan struct{}  // closed by close
	pumps   sync.WaitGroup // the goroutines that close waits for

	mu        sync.Mutex // a leaf, but for the source's own
	closed    bool
	listeners int
	wanted    int                // listeners that want frames; the others fold the graph as they see it
	from      map[netip.Addr]int // listeners by their clients' addresses
	stop      chan struct{}      // ends the pump; nil while none runs
	seq       uint64
	graph     *telemetry.Graph // at seq
	ring      [ringSize][]byte // frame n is at n%ringSize, if n > seq-ringSize
	wake      chan struct{}    // closed when seq grows, or something has happened
	told      uint64           // of the events that happened, how many frames have
}

const (
	// deltaInterval is the least time between two deltas. The contract is at most
	// 250 ms between them while there is change: the rest is for making one.
	deltaInterval = 200 * time.Millisecond
	// ringSize is how many deltas a listener may be behind: 1.6 s.
	ringSize = 8
)

var (
	errClosed  = errors.New("the server is shutting down")
	errStreams = errors.New("too many clients follow the graph; raise api.max_streams")
	errAddress = errors.New("too many clients of one address follow the graph; close some, or raise api.max_streams_per_address")
)

func newHub(source query.LiveGraph, m *metrics, log *slog.Logger) *hub {
	events, _ := source.(query.EventReader)
	return &hub{source: source, events: events, metrics: m, log: log, done: make(chan struct{}), wake: make(chan struct{}), from: map[netip.Addr]int{}}
}

// join adds a listener of an address, which must leave. The first starts the pump.
func (h *hub) join(from netip.Addr, most, mostOfOne int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return errClosed
	case h.listeners >= most:
		return errStreams
	case h.from[from] >= mostOfOne:
		return errAddress
	}
	if h.stop == nil {
		h.graph = h.source.Snapshot() // first: it is another's code and may panic
		_, h.told = h.news(math.MaxUint64)
		h.stop = make(chan struct{})
		// A number no listener has: what came between is not in the ring.
		h.seq += ringSize + 1
		h.pumps.Add(1)
		go h.pump(h.stop)
	}
	h.listeners++
	h.from[from]++
	h.metrics.streams.Set(float64(h.listeners))
	return nil
}

// leave takes a listener away. The last ends the pump.
func (h *hub) leave(from netip.Addr) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.from[from]--; h.from[from] == 0 {
		delete(h.from, from)
	}
	h.listeners--
	h.metrics.streams.Set(float64(h.listeners))
	if h.listeners == 0 {
		close(h.stop)
		h.stop, h.graph, h.ring = nil, nil, [ringSize][]byte{}
	}
}

// close ends the pump and tells listeners to leave. It returns when the pump
// has ended.
func (h *hub) close() {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		close(h.done)
	}
	h.mu.Unlock()
	h.pumps.Wait()
}

// snapshot is the graph as it is and the number of the frame that led to it.
func (h *hub) snapshot() (*telemetry.Graph, uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.graph, h.seq
}

// now is the graph as it is, nil when nobody listens; wake is closed when there is another.
func (h *hub) now() (g *telemetry.Graph, wake <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.graph, h.wake
}

// want says that one more listener (by 1), or one less (by -1), wants frames: without any, none are made.
func (h *hub) want(by int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wanted += by
}

// after is the frames after n, oldest first. late says that some are gone. wake
// is closed when there is one more.
func (h *hub) after(n uint64) (frames [][]byte, late bool, wake <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seq-n > ringSize {
		return nil, true, nil
	}
	for ; n < h.seq; n++ {
		frames = append(frames, h.ring[(n+1)%ringSize])
	}
	return frames, false, h.wake
}

// pump makes frames until stop is closed.
func (h *hub) pump(stop <-chan struct{}) {
	defer h.pumps.Done()
	rest := time.NewTimer(deltaInterval)
	defer rest.Stop()
	for {
		changed := h.source.Changed() // before the snapshot, to miss none
		wait := changed
		if h.publish(stop) {
			rest.Reset(deltaInterval)
			wait = nil
		}
		h.happened(stop) // no rest after it: what happened is told as soon as it is known, which must not keep the graph waiting that shows it
		select {
		case <-stop:
			return
		case <-h.done:
			return
		case <-wait:
		case <-rested(rest, wait == nil):
		}
	}
}

func rested(t *time.Timer, resting bool) <-chan time.Time {
	if resting {
		return t.C
	}
	return nil
}

// publish makes the next frame if the graph has changed. A panic on the way, be
// it in the graph's owner, costs that frame and not the server: the next starts from
// the same graph, so listeners miss nothing.
func (h *hub) publish(stop <-chan struct{}) (changed bool) {
	defer func() {
		if v := recover(); v != nil {
			changed = false
			h.metrics.panics.Inc()
			h.log.Error("making a delta of the graph panicked; this is a bug", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	next := h.source.Snapshot()
	now, _ := h.snapshot()
	if now == nil || next == now {
		return false
	}
	h.mu.Lock()
	wanted := h.wanted > 0
	h.mu.Unlock()
	if !wanted {
		return h.skip(stop, next)
	}
	d := query.Diff(now, next)
	changed = !query.Empty(&d) || !slices.Equal(now.Culprits, next.Culprits) || !query.SameFindings(now.Findings, next.Findings)
	var frame []byte
	if changed {
		frame = appendDelta(appendEvent(nil, "delta", d.Version), &d)
		frame = append(frame, "\n\n"...)
		h.metrics.deltas.Inc()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stop != stop {
		return false // all have left since, and others may have come
	}
	h.graph = next
	if changed {
		h.seq++
		h.ring[h.seq%ringSize] = frame
		close(h.wake)
		h.wake = make(chan struct{})
	}
	return changed
}

// news are the events that were told after so many, and how many there are now.
func (h *hub) news(after uint64) (list []telemetry.GraphEvent, told uint64) {
	if h.events == nil {
		return nil, 0
	}
	return h.events.News(after)
}

// happened makes a frame of what has happened since the last such. A panic on the way costs that frame.
func (h *hub) happened(stop <-chan struct{}) {
	defer func() {
		if v := recover(); v != nil {
			h.metrics.panics.Inc()
			h.log.Error("telling what happened in the graph panicked; this is a bug", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	h.mu.Lock()
	told := h.told
	h.mu.Unlock()
	list, told := h.news(told)
	if len(list) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stop != stop {
		return
	}
	h.told = told
	if h.wanted > 0 {
		h.seq++
		h.ring[h.seq%ringSize] = appendEvents(nil, h.graph.Version, list)
	}
	close(h.wake)
	h.wake = make(chan struct{})
}

// skip takes the graph as it is without a frame that leads to it.
func (h *hub) skip(stop <-chan struct{}, next *telemetry.Graph) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stop != stop {
		return false
	}
	h.graph = next
	h.seq += ringSize + 1 // whoever wants frames from here on begins with a snapshot
	close(h.wake)
	h.wake = make(chan struct{})
	return true
}

// appendEvent begins a server-sent event; its data follow, and an empty line.
func appendEvent(b []byte, event string, version uint64) []byte {
	b = append(b, "id: "...)
	b = strconv.AppendUint(b, version, 10)
	b = append(b, "\nevent: "...)
	b = append(b, event...)
	return append(b, "\ndata: "...)
}
