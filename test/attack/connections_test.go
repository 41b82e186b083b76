package attack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestConnections holds, opens, resets and breaks connections.
func TestConnections(t *testing.T) { runAll(t, connectionAttacks()) }

func connectionAttacks() []attack {
	return []attack{
		{name: "slow loris on every port", do: slowLoris},
		{name: "gRPC messages that never end", do: unfinishedMessages},
		{name: "connections of tiny messages", do: tinyMessages},
		{name: "HTTP bodies that stand still", do: stalledBodies},
		{name: "rapid reset", do: rapidReset},
		{name: "CONTINUATION flood", do: continuationFlood},
		{name: "PING and SETTINGS floods", do: pingFlood},
		{name: "event streams that nobody reads", do: deafStreams},
	}
}

// descriptors counts the files and connections that the server has open.
func (w *world) descriptors() int {
	d, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(w.pid()), "fd"))
	if err != nil {
		return -1
	}
	return len(d)
}

// held are connections that the attacker holds open.
type held struct {
	mu    sync.Mutex
	conns []net.Conn
}

func (h *held) open(addr string) (net.Conn, error) {
	c, err := net.DialTimeout("tcp", addr, 2*time.Second)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	h.conns = append(h.conns, c)
	h.mu.Unlock()
	return c, nil
}

func (h *held) shut() {
	for _, c := range h.conns {
		_ = c.Close()
	}
}

// slowLoris sends a header byte by byte on many connections to each port. Each is closed by the server before long.
func slowLoris(ctx context.Context, w *world, _ *honest, _ *tally) (string, error) {
	each, length := sized(100, 400), time.Duration(sized(15, 60))*time.Second
	before := w.descriptors()
	var h held
	defer h.shut()
	var open, refused, closed atomic.Int64
	var left sync.Map // port -> connections still open
	var wg sync.WaitGroup
	end := time.Now().Add(length)
	for _, p := range w.ports() {
		count := &atomic.Int64{}
		left.Store(p.name, count)
		for range each {
			wg.Go(func() {
				c, err := h.open(*p.addr)
				if err != nil {
					refused.Add(1)
					return
				}
				open.Add(1)
				count.Add(1)
				text := "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + strings.Repeat("s", 4000)
				for i := 0; time.Now().Before(end) && ctx.Err() == nil; i++ {
					if _, err := io.WriteString(c, text[i:i+1]); err != nil {
						break
					}
					_ = c.SetReadDeadline(time.Now().Add(time.Second))
					if _, err := c.Read(make([]byte, 512)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
						closed.Add(1)
						count.Add(-1)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	held := w.descriptors()
	var ports []string
	left.Range(func(name, n any) bool {
		if v := n.(*atomic.Int64).Load(); v > 0 {
			ports = append(ports, fmt.Sprintf("%v %d", name, v))
		}
		return true
	})
	saw := fmt.Sprintf("%d connections, %d closed by the server within %v, %d refused; descriptors %d to %d", open.Load(), closed.Load(), length, refused.Load(), before, held)
	if len(ports) > 0 {
		return saw, fmt.Errorf("still open after %v of a header a byte a second: %s", length, strings.Join(ports, ", "))
	}
	return saw, nil
}

// unfinishedMessages announces messages of 4 MB on 200 streams of one connection, and of several, and sends all but their end.
func unfinishedMessages(ctx context.Context, w *world, _ *honest, _ *tally) (string, error) {
	conns, length := sized(3, 10), time.Duration(sized(8, 30))*time.Second
	const streams, size = 200, 16<<20 - 1000
	until := time.Now().Add(length)
	var sent, reset atomic.Int64
	var wg sync.WaitGroup
	var open []*rawH2
	for i := range conns {
		addr := []string{w.otlp, w.mesh, w.rls}[i%3]
		method := []string{exportMethod, logsMethod, quotaMethod}[i%3]
		c, err := openH2(addr)
		if err != nil {
			return "", err
		}
		defer c.conn.Close()
		open = append(open, c)
		wg.Go(func() {
			// All streams grow side by side, as windows allow.
			chunk := make([]byte, 64<<10)
			alive := map[uint32]int{}
			for s := range streams {
				id := uint32(2*s + 1)
				if c.call(id, method, "") != nil {
					break
				}
				if _, err := c.send(id, grpcPrefix(false, size), until); err == nil {
					alive[id] = 0
				}
			}
			for len(alive) > 0 && time.Now().Before(until) && ctx.Err() == nil {
				for id, n := range alive {
					k, err := c.send(id, chunk[:min(len(chunk), size-100-n)], time.Now().Add(20*time.Millisecond))
					sent.Add(int64(k))
					if alive[id] = n + k; err != nil || n+k >= size-100 {
						delete(alive, id)
						if err != nil {
							reset.Add(1)
						}
					}
				}
			}
		})
	}
	wg.Wait()
	time.Sleep(500 * time.Millisecond)
	peak := w.resident()
	resets := 0
	for _, c := range open {
		r, _, _ := c.state()
		resets += r
	}
	return fmt.Sprintf("%d MB of unfinished messages on %d streams; %d reset; %d MB resident", sent.Load()/1e6, conns*streams, resets, peak/1e6), nil
}

// tinyMessages keeps 200 connections busy with messages of one span.
func tinyMessages(ctx context.Context, w *world, _ *honest, n *tally) (string, error) {
	conns, length := 200, time.Duration(sized(6, 30))*time.Second
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	var wg sync.WaitGroup
	for range conns {
		wg.Go(func() {
			f := flood{spans: 1 << 30, each: 1, senders: 1, span: func(int) forged {
				return forged{service: "tiny", trace: newTrace(), id: 1, kind: server, name: "GET /"}
			}}
			var streams sync.WaitGroup
			for range 4 {
				streams.Go(func() { _ = f.run(ctx, w.otlp, n) })
			}
			streams.Wait()
		})
	}
	wg.Wait()
	return fmt.Sprintf("%d connections: %v", conns*4, n), nil
}

// stalledBodies announces large bodies on each HTTP port, sends a part and stands still.
//
// The parts come as a link of 10 Gbit/s would bring them, over four seconds in the full form. Pushed through loopback as fast as it goes they
// take both processors of a small machine for two: a bare net/http server that throws such bodies away then answers 99 % of reads within 0.9 to
// 1.8 s, and within 3 ms as the link brings them. What is asked here is what bodies that stand still cost, not what the attacker's own copying does.
func stalledBodies(ctx context.Context, w *world, _ *honest, _ *tally) (string, error) {
	each, part := sized(80, 200), 6<<20
	length := time.Duration(sized(14, 40)) * time.Second
	targets := []struct{ name, addr, path, kind string }{
		{"9411", w.zipkin, "/api/v2/spans", "application/json"},
		{"14268", w.thrift, "/api/traces?format=jaeger.thrift", "application/x-thrift"},
		{"8700", w.web, "/api/v1/query", "application/x-www-form-urlencoded"},
		{"4318", w.http, "/v1/traces", "application/x-protobuf"},
	}
	const piece, link = 64 << 10, 10e9 / 8 // bytes; a second
	gap := time.Duration(float64(len(targets)*each*piece) / link * float64(time.Second))
	var h held
	defer h.shut()
	var sent, closed, refused atomic.Int64
	left := make([]atomic.Int64, len(targets))
	var wg sync.WaitGroup
	end := time.Now().Add(length)
	for i, to := range targets {
		for range each {
			wg.Go(func() {
				c, err := h.open(to.addr)
				if err != nil {
					refused.Add(1)
					return
				}
				left[i].Add(1)
				defer func() {
					if ctx.Err() == nil && time.Now().Before(end) {
						closed.Add(1)
						left[i].Add(-1)
					}
				}()
				fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", to.path, to.kind, 16<<20-1000)
				body := []byte("query=" + strings.Repeat("1", piece-6))
				if strings.HasSuffix(to.kind, "json") {
					copy(body, "[      ")
				}
				time.Sleep(rand.N(gap))
				for n := 0; n < part && time.Now().Before(end); time.Sleep(gap) {
					_ = c.SetWriteDeadline(end)
					k, err := c.Write(body)
					sent.Add(int64(k))
					if n += k; err != nil {
						break
					}
				}
				_ = c.SetReadDeadline(end)
				_, err = io.Copy(io.Discard, c)
				if errors.Is(err, os.ErrDeadlineExceeded) {
					time.Sleep(time.Until(end))
				}
			})
		}
	}
	wg.Wait()
	var open []string
	for i, to := range targets {
		if n := left[i].Load(); n > 0 {
			open = append(open, fmt.Sprintf("%s %d", to.name, n))
		}
	}
	saw := fmt.Sprintf("%d MB of bodies sent, %d connections closed by the server, %d refused; %d MB resident", sent.Load()/1e6, closed.Load(), refused.Load(), w.resident()/1e6)
	if len(open) > 0 {
		return saw, fmt.Errorf("bodies that stand still are still waited for after %v: %s", length, strings.Join(open, ", "))
	}
	return saw, nil
}

// deafStreams opens a thousand event streams and reads none, while the graph changes.
func deafStreams(ctx context.Context, w *world, _ *honest, n *tally) (string, error) {
	const streams = 1000
	// A graph of some size, so that each event is large.
	f := flood{spans: 8_000, each: 200, span: func(i int) forged {
		return forged{service: fmt.Sprintf("shop-%d", i/2%800), trace: newTrace(), id: 1, kind: client, name: "GET /", attrs: []attr{{"peer.service", fmt.Sprintf("shop-%d", (i/2+1+i%2)%800)}}}
	}}
	if err := f.run(ctx, w.otlp, n); err != nil {
		return "", err
	}
	var h held
	defer h.shut()
	var open, refused, failed atomic.Int64
	var wg sync.WaitGroup
	room := make(chan struct{}, 50)
	for range streams {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			c, err := h.open(w.web)
			if err != nil {
				failed.Add(1)
				return
			}
			_ = c.(*net.TCPConn).SetReadBuffer(4096)
			_, _ = io.WriteString(c, "GET /api/v1/graph/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
			b := make([]byte, 12) // of the status alone
			_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.ReadFull(c, b); err != nil {
				failed.Add(1)
				return
			}
			if string(b[9:]) == "200" {
				open.Add(1)
			} else {
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	end := time.Now().Add(time.Duration(sized(10, 60)) * time.Second)
	for time.Now().Before(end) {
		if err := f.run(ctx, w.otlp, n); err != nil {
			return "", err
		}
		time.Sleep(200 * time.Millisecond)
	}
	code, _ := w.get("/-/ready", 2*time.Second)
	saw := fmt.Sprintf("%d streams opened, %d refused, %d failed; %d descriptors; %d MB resident", open.Load(), refused.Load(), failed.Load(), w.descriptors(), w.resident()/1e6)
	if code != http.StatusOK {
		return saw, fmt.Errorf("the server's readiness is %d beside streams that nobody reads", code)
	}
	return saw, nil
}
