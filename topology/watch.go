package topology

import "sync"

// hub wakes those who wait for a snapshot.
//
// They are not queued anything: who is woken takes what is current then, and
// compares it with what it had. So a slow reader costs one snapshot that is kept
// alive, and never holds up another.
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

// watched says that somebody waits.
func (h *hub) watched() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.next != nil
}

func (h *hub) wait() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.next == nil {
		h.next = make(chan struct{})
	}
	return h.next
}

// Changed is closed when the next snapshot is published. To miss none, take the
// channel first and the snapshot after.
func (t *Topology) Changed() <-chan struct{} { return t.hub.wait() }
