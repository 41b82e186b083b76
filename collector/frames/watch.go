package frames

import (
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/internal/ledger"
)

// A Watch is what all gRPC ports share. It is safe for concurrent use.
type Watch struct {
	memory  *ledger.Account
	timeout time.Duration // for a message to be whole
	cut     *prometheus.CounterVec
	done    chan struct{}
	swept   sync.WaitGroup

	mu    sync.Mutex // before conn.mu
	conns map[*conn]struct{}
}

// New makes a watch over messages, which are to be whole within timeout, and are counted in memory until then. Close ends it.
func New(memory *ledger.Account, timeout time.Duration, reg prometheus.Registerer) (*Watch, error) {
	w := &Watch{
		memory: memory, timeout: timeout, done: make(chan struct{}), conns: map[*conn]struct{}{},
		cut: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "binnacle_collector_cut_connections_total",
			Help: "gRPC connections that were closed because messages that had not all come took too much (memory) or too long (slow), or for what no client does (protocol).",
		}, []string{"reason"}),
	}
	if err := reg.Register(w.cut); err != nil {
		return nil, fmt.Errorf("register the metrics of gRPC connections: %w", err)
	}
	for _, r := range []reason{tooMuch, tooSlow, noClient} {
		w.cut.WithLabelValues(string(r))
	}
	w.swept.Go(w.sweep)
	return w, nil
}

// reason says why a connection was closed.
type reason string

const (
	tooMuch  reason = "memory"
	tooSlow  reason = "slow"
	noClient reason = "protocol"
)

// Close ends the watch over time. Connections that are open are counted to their end.
func (w *Watch) Close() {
	close(w.done)
	w.swept.Wait()
}

// Listen is l with the connections of gRPC watched. They must not be encrypted at this place.
func (w *Watch) Listen(l net.Listener) net.Listener { return &listener{l, w} }

type listener struct {
	net.Listener
	w *Watch
}

// Accept returns the next connection.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.w.watch(c), nil
}

func (w *Watch) watch(under net.Conn) *conn {
	c := &conn{Conn: under, w: w}
	c.sender.Addr = under.RemoteAddr()
	c.in.preface = len(preface)
	w.mu.Lock()
	w.conns[c] = struct{}{}
	w.mu.Unlock()
	return c
}

func (w *Watch) forget(c *conn) {
	w.mu.Lock()
	delete(w.conns, c)
	w.mu.Unlock()
}

// sweep closes connections with messages that take too long.
func (w *Watch) sweep() {
	tick := time.NewTicker(max(w.timeout/8, 10*time.Millisecond))
	defer tick.Stop()
	var late []*conn
	for {
		select {
		case <-w.done:
			return
		case now := <-tick.C:
			late = w.late(late[:0], now.Add(-w.timeout))
			for i, c := range late {
				c.end(tooSlow, fmt.Sprintf("a message did not arrive within %v (receive.read_timeout)", w.timeout))
				late[i] = nil
			}
		}
	}
}

// late appends the connections on which a message has been coming since before.
func (w *Watch) late(to []*conn, before time.Time) []*conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		if c.waiting.Load() > 0 && c.late(before.UnixNano()) {
			to = append(to, c)
		}
	}
	return to
}
