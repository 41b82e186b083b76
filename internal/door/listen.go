package door

import (
	"net"
	"net/netip"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// What an open connection costs before anything has come by it: buffers, stacks, and what the protocol remembers.
const (
	HTTPConnection = 24 << 10
	GRPCConnection = 96 << 10
)

// Memory is where the bytes of connections are counted: an account of the ledger.
type Memory interface {
	Take(n int64) bool
	Give(n int64)
}

// A Door is what all ports share. It is safe for concurrent use.
type Door struct {
	*Rules
	cfg     Config
	memory  Memory
	metrics *metrics

	mu     sync.Mutex // a leaf
	open   int
	byAddr map[netip.Addr]int // as many as there are connections, at most
}

// New makes a door whose connections are counted in memory and whose metrics are in reg.
func New(cfg Config, memory Memory, reg prometheus.Registerer) (*Door, error) {
	m, err := newMetrics(reg)
	if err != nil {
		return nil, err
	}
	return &Door{Rules: NewRules(cfg), cfg: cfg, memory: memory, metrics: m, byAddr: map[netip.Addr]int{}}, nil
}

// Listen is l with the door's bounds. port names it in metrics; each connection counts as so many bytes.
//
// A connection that is too many is closed at once, since nothing is known of what it speaks: its client sees a connection that was
// reset, and comes back by its own rule. Those that are open are never closed for the sake of new ones.
func (d *Door) Listen(l net.Listener, port string, bytes int64) net.Listener {
	return &listener{Listener: l, d: d, bytes: bytes, port: d.metrics.of(port)}
}

type listener struct {
	net.Listener
	d     *Door
	bytes int64
	port  portMetrics
}

// kernelBuffer is how many bytes the kernel holds of a connection, each way, which were not read yet. Left to itself it grows them to many
// megabytes for each: those of a thousand connections that stand still would be gigabytes of the container's memory, in nobody's account.
const kernelBuffer = 512 << 10

// Accept is the next connection that there is room for.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := network(c.RemoteAddr())
		if full := l.d.enter(from, l.bytes); full != "" {
			l.port.refused(full)
			_ = c.Close()
			continue
		}
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetReadBuffer(kernelBuffer) // without it the connection is as good, and the kernel's own bound holds
			_ = t.SetWriteBuffer(kernelBuffer)
		}
		l.port.connections.Inc()
		return &conn{Conn: c, port: l.port, leave: func() {
			l.d.leave(from, l.bytes)
			l.port.connections.Dec()
		}}, nil
	}
}

// Why a connection is too many.
const (
	tooMany     Reason = "connections"
	tooManyHere Reason = "address"
	noMemory    Reason = "memory"
)

// enter counts a connection, or says why it is too many.
func (d *Door) enter(from netip.Addr, bytes int64) Reason {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.open >= d.cfg.MaxConnections:
		return tooMany
	case d.byAddr[from] >= d.cfg.MaxConnectionsPerAddress:
		return tooManyHere
	case !d.memory.Take(bytes):
		return noMemory
	}
	d.open++
	d.byAddr[from]++
	return ""
}

func (d *Door) leave(from netip.Addr, bytes int64) {
	d.memory.Give(bytes)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open--
	if d.byAddr[from]--; d.byAddr[from] == 0 {
		delete(d.byAddr, from)
	}
}

// network is what counts as one address: an address of IPv4, and of IPv6 the 64 bits of which one machine has all.
func network(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	ip := tcp.AddrPort().Addr().Unmap()
	if ip.Is6() {
		p, err := ip.WithZone("").Prefix(64)
		if err == nil {
			return p.Addr()
		}
	}
	return ip
}

// Client is the address by which limits that are a client's own count a request: as of connections.
func Client(remote string) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return network(net.TCPAddrFromAddrPort(ap))
}
