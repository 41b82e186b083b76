package door

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/binnacle-mesh/binnacle/internal/pace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mustAddr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// pipes is a listener whose connections are pipes, so that a test's clock may stand for theirs.
type pipes struct {
	next   chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{next: make(chan net.Conn), closed: make(chan struct{})} }

// dial opens a connection as from that address.
func (p *pipes) dial(from string) net.Conn {
	near, far := net.Pipe()
	p.next <- &pipe{near, from}
	return far
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.next:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9411} }

type pipe struct {
	net.Conn
	from string
}

func (p *pipe) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9411} }
func (p *pipe) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(mustAddr(p.from)) }

// room is memory for so many bytes.
type room struct {
	mu   sync.Mutex
	left int64
}

func (r *room) Take(n int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n > r.left {
		return false
	}
	r.left -= n
	return true
}

func (r *room) Give(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left += n
}

func newDoor(t *testing.T, cfg Config, m Memory) (*Door, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	d, err := New(cfg, m, reg)
	if err != nil {
		t.Fatal(err)
	}
	return d, reg
}

// counts is the metrics that are not 0, as "refused/address".
func counts(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := strings.TrimSuffix(strings.TrimPrefix(f.GetName(), "binnacle_door_"), "_total")
			if l := m.GetLabel(); len(l) == 2 { // port, reason
				name += "/" + l[1].GetValue()
			}
			if v := m.GetCounter().GetValue() + m.GetGauge().GetValue(); v != 0 {
				out[name] = v
			}
		}
	}
	return out
}

// TestConnectionsAreBounded: in all, from one address, and by memory; whoever leaves makes room, once.
func TestConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := &room{left: 500}
		d, reg := newDoor(t, Config{MaxConnections: 4, MaxConnectionsPerAddress: 2}, memory)
		p := newPipes()
		l := d.Listen(p, "zipkin", 100)
		var mu sync.Mutex
		var in []net.Conn
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				mu.Lock()
				in = append(in, c)
				mu.Unlock()
			}
		}()
		want := func(what string, want map[string]float64) {
			t.Helper()
			synctest.Wait()
			if diff := cmp.Diff(want, counts(t, reg)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
		p.dial("10.0.0.1:1")
		p.dial("10.0.0.1:2")
		third := p.dial("10.0.0.1:3")
		want("three from one address", map[string]float64{"connections": 2, "refused/address": 1})
		if _, err := third.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the third was not closed: %v", err)
		}
		p.dial("[2001:db8::1]:1")
		p.dial("[2001:db8::2]:1")
		p.dial("[2001:db8::3]:1")
		want("and three of one network", map[string]float64{"connections": 4, "refused/address": 1, "refused/connections": 1})
		mu.Lock()
		first := in[0]
		mu.Unlock()
		_ = first.Close()
		_ = first.Close()
		want("one left", map[string]float64{"connections": 3, "refused/address": 1, "refused/connections": 1})
		memory.Take(memory.left - 50)
		p.dial("10.0.0.9:1")
		want("no memory", map[string]float64{"connections": 3, "refused/address": 1, "refused/connections": 1, "refused/memory": 1})
		_ = l.Close()
		for _, c := range in {
			_ = c.Close()
		}
		if d.open != 0 || len(d.byAddr) != 0 {
			t.Errorf("all have left, and %d are open of %d addresses", d.open, len(d.byAddr))
		}
	})
}

// TestWhoReadsSlowlyIsServed: an answer may take as long as it takes, as long as it is read.
func TestWhoReadsSlowlyIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, reg := newDoor(t, DefaultConfig(), &room{left: 1 << 20})
		p := newPipes()
		l := d.Listen(p, "web", 1)
		defer l.Close()
		go func() {
			c := p.dial("10.0.0.1:1")
			defer c.Close()
			for range 20 { // parts, one in 15 s
				time.Sleep(15 * time.Second)
				if _, err := io.ReadFull(c, make([]byte, part)); err != nil {
					t.Error(err)
				}
			}
			time.Sleep(time.Hour)
		}()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if n, err := c.Write(make([]byte, 20*part)); n != 20*part || err != nil {
			t.Errorf("of %d bytes %d were read: %v", 20*part, n, err)
		}
		_ = c.SetDeadline(time.Time{}) // as gRPC does after its handshake: ours is set anew all the same
		began := time.Now()
		if _, err := c.Write([]byte("one more")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("what nobody reads ended with %v", err)
		}
		if waited := time.Since(began); waited > readWithin {
			t.Errorf("it waited %v", waited)
		}
		if diff := cmp.Diff(map[string]float64{"connections": 1, "unread": 1}, counts(t, reg)); diff != "" {
			t.Error(diff)
		}
		_ = c.Close()
		time.Sleep(2 * time.Hour)
	})
}

// TestBodies: one that does not come in time, one that is too large, announced and not, one that is taken; and a handler that panics.
func TestBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, reg := newDoor(t, DefaultConfig(), &room{left: 1 << 20})
		p := newPipes()
		read := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			var large *http.MaxBytesError
			switch {
			case errors.Is(err, os.ErrDeadlineExceeded):
				w.WriteHeader(http.StatusRequestTimeout)
			case errors.As(err, &large):
				w.WriteHeader(http.StatusRequestEntityTooLarge)
			case string(b) == "panic":
				panic("a bug")
			case string(b) == "panic later":
				_, _ = w.Write(b)
				panic("a bug")
			default:
				time.Sleep(time.Minute) // the body's deadline must not end the work
				if r.Context().Err() != nil {
					t.Errorf("the work was ended: %v", context.Cause(r.Context()))
				}
				w.WriteHeader(http.StatusAccepted)
			}
		})
		s := &http.Server{Handler: d.Receive("zipkin", read, Intake{Types: []string{"application/json"}, MaxBody: 20, Pace: pace.Pace{Grace: 10 * time.Second}}, slog.New(slog.DiscardHandler))}
		l := d.Listen(p, "zipkin", HTTPConnection)
		var served sync.WaitGroup
		served.Go(func() { _ = s.Serve(l) })
		send := func(head, body string, more string) int {
			t.Helper()
			c := p.dial("10.0.0.1:1")
			defer c.Close()
			go func() {
				_, _ = io.WriteString(c, "POST /api/v2/spans HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"+head+"\r\n\r\n"+body)
				time.Sleep(20 * time.Second)
				_, _ = io.WriteString(c, more)
			}()
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				return 0
			}
			defer resp.Body.Close()
			if _, err := io.ReadAll(resp.Body); err != nil {
				return 0
			}
			return resp.StatusCode
		}
		for _, x := range []struct {
			what, head, body, more string
			want                   int
		}{
			{"that comes", "Content-Length: 2", "[]", "", http.StatusAccepted},
			{"that stalls", "Content-Length: 2", "[", "]", http.StatusRequestTimeout},
			{"announced too large", "Content-Length: 21", "", "", http.StatusRequestEntityTooLarge},
			{"found too large", "Transfer-Encoding: chunked", "15\r\n[                   ]\r\n0\r\n\r\n", "", http.StatusRequestEntityTooLarge},
			{"that makes it panic", "Content-Length: 5", "panic", "", http.StatusInternalServerError},
			{"that makes it panic half way", "Content-Length: 11", "panic later", "", 0},
		} {
			if got := send(x.head, x.body, x.more); got != x.want {
				t.Errorf("a body %s is answered %d, want %d", x.what, got, x.want)
			}
		}
		_ = s.Close()
		served.Wait()
		synctest.Wait()
		if diff := cmp.Diff(map[string]float64{"panics": 2, "refused/body_size": 1}, counts(t, reg)); diff != "" {
			t.Error(diff)
		}
		time.Sleep(time.Hour) // for those that send on
	})
}

// TestAllowedOrigin: a browser may ask, and is told what it may send.
func TestAllowedOrigin(t *testing.T) {
	t.Parallel()
	d, _ := newDoor(t, Config{AllowedOrigins: []string{"https://shop.example.com"}, MaxConnections: 16, MaxConnectionsPerAddress: 1}, &room{})
	h := d.Receive("otlp_http", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }), Intake{MaxBody: 10}, slog.New(slog.DiscardHandler))
	asked := recorded(h, ask("OPTIONS 127.0.0.1:4318 Origin=https://shop.example.com Access-Control-Request-Method=POST Access-Control-Request-Headers=content-type"))
	if asked.Code != http.StatusNoContent || asked.Header().Get("Access-Control-Allow-Origin") != "https://shop.example.com" || asked.Header().Get("Access-Control-Allow-Headers") != "content-type" {
		t.Errorf("asked, it answers %d %v", asked.Code, asked.Header())
	}
	sent := recorded(h, ask("POST 127.0.0.1:4318 Origin=https://shop.example.com"))
	if sent.Code != http.StatusOK || sent.Header().Get("Access-Control-Allow-Origin") != "https://shop.example.com" {
		t.Errorf("sent, it answers %d %v", sent.Code, sent.Header())
	}
	if other := recorded(h, ask("OPTIONS 127.0.0.1:4318 Origin=https://evil.example")); other.Code != http.StatusForbidden || other.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another site is answered %d %v", other.Code, other.Header())
	}
}

func recorded(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
