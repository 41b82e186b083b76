package embedded

import (
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"

	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// told is what a sender is answered.
type told struct {
	StatusCode    int
	Status, Retry string
}

// ask posts a body to a Zipkin port and returns the answer.
func ask(t *testing.T, addr, encoding string, body io.Reader) told {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/api/v2/spans", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	return told{resp.StatusCode, resp.Status, resp.Header.Get("Retry-After")}
}

func zipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Bodies that begin and do not go on hold what has come, and no longer than the read timeout.
func TestStalledBodies(t *testing.T) {
	p, user := ownPorts(t)
	cfg := collector.DefaultConfig()
	cfg.ReadTimeout = 200 * time.Millisecond
	w := startWith(t, user, cfg)
	defer w.stop(t)
	for _, addr := range []string{p.zipkin, p.thrift} {
		path := map[string]string{p.zipkin: "/api/v2/spans", p.thrift: "/api/traces"}[addr]
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if _, err := io.WriteString(c, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-thrift\r\nContent-Length: 8000000\r\n\r\nsome"); err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(c)
		if !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") || !strings.Contains(string(answer), "receive.read_timeout") {
			t.Errorf("%s: a body that stalls is answered %q, want 408 and the setting", path, answer)
		}
	}
	if held := w.in.Inflight(); held != 0 {
		t.Errorf("%d bytes are held after all were refused", held)
	}
}

// However many bodies stall, one who sends little is taken: each connection may hold as much as is free.
func TestStalledBodiesLeaveRoom(t *testing.T) {
	p, user := ownPorts(t)
	cfg := collector.DefaultConfig()
	cfg.MaxInflightBytes, cfg.MaxMessageBytes = 1<<20, 1<<20
	w := startWith(t, user, cfg)
	defer w.stop(t)
	const flooders = 8
	for range flooders {
		c, err := net.Dial("tcp", p.thrift)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if _, err := io.WriteString(c, "POST /api/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = c.Write(make([]byte, 250_000)) }() // until it is refused, or the test ends
	}
	for end := time.Now().Add(10 * time.Second); w.in.Inflight() < 1<<18; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the stalled bodies hold no more than %d bytes", w.in.Inflight())
		}
	}
	for n := range 50 {
		if r := ask(t, p.zipkin, "", strings.NewReader("["+zipkinSpan("cart", "small", "SERVER")+"]")); r.StatusCode != http.StatusAccepted {
			t.Fatalf("a small sender's body %d: %s", n, r.Status)
		}
	}
}

func TestBodiesBeyondTheLimits(t *testing.T) {
	p, user := ownPorts(t)
	cfg := collector.DefaultConfig()
	cfg.MaxMessageBytes = 1 << 20
	w := startWith(t, user, cfg)
	defer w.stop(t)
	if r := ask(t, p.zipkin, "", bytes.NewReader(make([]byte, 1<<20+1))); r.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a body that is too large is answered %s", r.Status)
	}
	if r := ask(t, p.zipkin, "gzip", bytes.NewReader(zipped(t, make([]byte, 100<<20)))); r.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("100 MiB in a small body are answered %s", r.Status)
	}
	if r := ask(t, p.zipkin, "gzip", bytes.NewReader(zipped(t, []byte("["+zipkinSpan("cart", "zipped", "SERVER")+"]")))); r.StatusCode != http.StatusAccepted {
		t.Errorf("a compressed body is answered %s", r.Status)
	}
	if r := ask(t, p.zipkin, "lz77", strings.NewReader("[]")); r.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("an unknown encoding is answered %s", r.Status)
	}
	all := int(cfg.MaxInflightBytes)
	if err := w.in.Admit(nil, all); err != nil {
		t.Fatal(err)
	}
	if r := ask(t, p.zipkin, "", strings.NewReader("[]")); r.StatusCode != http.StatusTooManyRequests || r.Retry != "1" {
		t.Errorf("with no room it is answered %s, come back after %q", r.Status, r.Retry)
	}
	w.in.Leave(nil, all)
	if held := w.in.Inflight(); held != 0 {
		t.Errorf("%d bytes are held after all was answered", held)
	}
}

// What the log refuses is told as what it is, and when to come back, though receivers know 500 alone.
func TestRefusalIsTold(t *testing.T) {
	p, user := ownPorts(t)
	w := start(t, user)
	defer w.stop(t)
	w.log.mu.Lock()
	w.log.refuse = telemetry.ErrOverloaded
	w.log.mu.Unlock()
	r := ask(t, p.zipkin, "", strings.NewReader("["+zipkinSpan("cart", "x", "SERVER")+"]"))
	if r.StatusCode != http.StatusTooManyRequests || r.Retry != "1" {
		t.Errorf("with the log full it is answered %s, come back after %q", r.Status, r.Retry)
	}
}

// An otlp receiver of the user's has bounds where its settings give none, and its own where they do.
func TestOTLPReceiverIsBounded(t *testing.T) {
	t.Parallel()
	open, set := otlpreceiver.NewFactory().CreateDefaultConfig().(*otlpreceiver.Config), otlpreceiver.NewFactory().CreateDefaultConfig().(*otlpreceiver.Config)
	for _, c := range []*otlpreceiver.Config{open, set} {
		c.Protocols.HTTP.GetOrInsertDefault()
		c.Protocols.GRPC.GetOrInsertDefault()
	}
	set.Protocols.HTTP.Get().ServerConfig.ReadTimeout, set.Protocols.HTTP.Get().ServerConfig.MaxRequestBodySize, set.Protocols.GRPC.Get().MaxConcurrentStreams = time.Hour, 7, 9
	f := Front{BodyTimeout: time.Second, MaxBody: 100}
	f.bound(map[component.ID]component.Config{component.MustNewID("otlp"): open, component.MustNewIDWithName("otlp", "set"): set})
	for _, x := range []struct {
		c       *otlpreceiver.Config
		timeout time.Duration
		body    int64
		streams uint32
	}{{open, time.Second, 100, otlpStreams}, {set, time.Hour, 7, 9}} {
		h, g := x.c.Protocols.HTTP.Get().ServerConfig, x.c.Protocols.GRPC.Get()
		if h.ReadTimeout != x.timeout || h.MaxRequestBodySize != x.body || g.MaxConcurrentStreams != x.streams {
			t.Errorf("%v, %d, %d; want %v, %d, %d", h.ReadTimeout, h.MaxRequestBodySize, g.MaxConcurrentStreams, x.timeout, x.body, x.streams)
		}
	}
}
