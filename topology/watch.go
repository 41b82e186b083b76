package topology

import (
	"context"
	"sync"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// An Update is one step of the live graph: the whole of it, or what changed.
// Exactly one field is set.
type Update struct {
	Snapshot *telemetry.Graph
	Delta    *telemetry.GraphDelta
}

// maxBehind is how many versions a reader may miss and still be sent a delta.
const maxBehind = 20

// hub wakes those who watch.
//
// A watcher is not queued anything: it remembers the snapshot that it sent
// last, and when its reader takes the next update, that is made of what is current
// then. So a slow reader costs one snapshot that is kept alive, and never holds up
// another.
type hub struct {
	mu   sync.Mutex
	next chan struct{} // closed at the next publication; nil while nobody waits
}

func (h *hub) wake() {
	h.mu.Lock()
	if h.next != nil {
		close(h.next)
		h.next = nil
	}
	h.mu.Unlock()
}

func (h *hub) wait() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.next == nil {
		h.next = make(chan struct{})
	}
	return h.next
}

// after is what a reader needs who has last been sent another snapshot, or
// none.
func (s *snapshot) after(sent *snapshot) Update {
	if sent == nil || s.graph.Version-sent.graph.Version > maxBehind {
		return Update{Snapshot: &s.graph}
	}
	d := s.since(&sent.graph)
	return Update{Delta: &d}
}

// Watch sends the latest snapshot, and from then on what changes, until ctx is
// done, when the channel is closed. A reader that falls far behind is sent a
// snapshot again.
func (t *Topology) Watch(ctx context.Context) <-chan Update {
	out := make(chan Update)
	go func() {
		defer close(out)
		var sent *snapshot
		for {
			published := t.hub.wait()
			now := t.pub.current.Load()
			if sent == nil || now.graph.Version != sent.graph.Version {
				select {
				case out <- now.after(sent):
					sent = now
				case <-ctx.Done():
					return
				}
				continue
			}
			select {
			case <-published:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// Changed is closed when the next snapshot is published. To miss none, take the
// channel first and the snapshot after.
func (t *Topology) Changed() <-chan struct{} { return t.hub.wait() }
