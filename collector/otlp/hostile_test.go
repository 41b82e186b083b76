package otlp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/collector/internal/countertest"
	"github.com/binnacle-mesh/binnacle/collector/internal/rig"
	"github.com/binnacle-mesh/binnacle/internal/wire"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

func TestMain(m *testing.M) {
	collector.RegisterCompressors()
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		os.Exit(code)
	}))
}

// server is the service on real ports.
type server struct {
	*rig.Rig
	url  string
	addr string
	conn *grpc.ClientConn
}

func serve(t *testing.T, change func(*collector.Config)) *server {
	t.Helper()
	r := newRig(t, change)
	s := New(r.In)
	h := httptest.NewUnstartedServer(s)
	h.Config.ReadHeaderTimeout = 2 * time.Second
	h.Start()
	t.Cleanup(h.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(grpc.ForceServerCodecV2(wire.Codec{}), grpc.MaxRecvMsgSize(r.In.Config().MaxMessageBytes))
	s.Register(g)
	go func() { _ = g.Serve(l) }()
	t.Cleanup(g.Stop)
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &server{Rig: r, url: h.URL + Path, addr: h.Listener.Addr().String(), conn: conn}
}

// post sends a body, and returns the answer with its google.rpc.Status.
func (s *server) post(t *testing.T, method, url string, header map[string]string, body io.Reader) (*http.Response, *rpcstatus.Status) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	st := &rpcstatus.Status{}
	if resp.StatusCode != http.StatusOK {
		unmarshal := proto.Unmarshal
		if resp.Header.Get("Content-Type") == typeJSON {
			unmarshal = protojson.Unmarshal
		}
		if err := unmarshal(answer, st); err != nil {
			t.Fatalf("the answer %d is no google.rpc.Status: %v: %q", resp.StatusCode, err, answer)
		}
	}
	return resp, st
}

func compress(t *testing.T, c interface {
	Compress(io.Writer) (io.WriteCloser, error)
}, b []byte,
) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := c.Compress(&out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// sendWell is a client as it should be: both protocols, every encoding, and
// another try after the delay it is told. It returns how many spans it has an OK for.
func (s *server) sendWell(t *testing.T, rounds int) (acknowledged int) {
	client := collectorpb.NewTraceServiceClient(s.conn)
	l := newLoad(99)
	for i := range rounds {
		req := l.request(5)
		msg, err := proto.Marshal(req)
		if err != nil {
			t.Error(err)
			return
		}
		switch i % 5 {
		case 0:
			_, err = client.Export(t.Context(), req, grpc.WaitForReady(true))
		case 1:
			_, err = client.Export(t.Context(), req, grpc.UseCompressor("zstd"))
		case 2:
			err = s.postWell(t, typeProto, "gzip", compress(t, collector.Gzip(), msg))
		case 3:
			err = s.postWell(t, typeProto, "zstd", compress(t, collector.Zstd(), msg))
		default:
			err = s.postWell(t, typeJSON, "identity", otlpJSON(t, req))
		}
		if err != nil {
			t.Errorf("the well-behaved client was refused: %v", err)
			return
		}
		acknowledged += 5
	}
	return acknowledged
}

func (s *server) postWell(t *testing.T, mt, encoding string, body []byte) error {
	resp, st := s.post(t, http.MethodPost, s.url, map[string]string{"Content-Type": mt, "Content-Encoding": encoding}, bytes.NewReader(body))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", resp.Status, st.Message)
	}
	return nil
}

// TestHostile sends all that is wrong beside a client that does right: each is
// refused with its error and counted, and the client's spans are all there.
func TestHostile(t *testing.T) {
	t.Parallel()
	const limit = 256 << 10
	s := serve(t, func(c *collector.Config) {
		c.MaxMessageBytes = limit
		c.ReadTimeout = time.Second
	})
	var well atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() { well.Add(int64(s.sendWell(t, 60))) })

	good, err := proto.Marshal(newLoad(1).request(5))
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 64<<20)
	asProto := map[string]string{"Content-Type": typeProto}
	with := func(encoding string) map[string]string {
		return map[string]string{"Content-Type": typeProto, "Content-Encoding": encoding}
	}
	refused := map[string]float64{}
	for _, c := range []struct {
		name, method, path string
		header             map[string]string
		body               io.Reader
		want               int
		reason             string
	}{
		{"truncated", "POST", Path, asProto, bytes.NewReader(good[:len(good)-5]), 400, "malformed"},
		{"truncated JSON", "POST", Path, map[string]string{"Content-Type": typeJSON}, strings.NewReader(`{"resourceSpans":[{`), 400, "malformed"},
		{"not gzip", "POST", Path, with("gzip"), bytes.NewReader(good), 400, "malformed"},
		{"truncated gzip", "POST", Path, with("gzip"), bytes.NewReader(compress(t, collector.Gzip(), good)[:40]), 400, "malformed"},
		{"not zstd", "POST", Path, with("zstd"), bytes.NewReader(good), 400, "malformed"},
		{"gzip bomb", "POST", Path, with("gzip"), bytes.NewReader(compress(t, collector.Gzip(), zeros)), 413, "too_large"},
		{"zstd bomb", "POST", Path, with("zstd"), bytes.NewReader(compress(t, collector.Zstd(), zeros)), 413, "too_large"},
		{"too large, and says so", "POST", Path, asProto, bytes.NewReader(zeros[:limit+1]), 413, "too_large"},
		{"too large, in chunks", "POST", Path, asProto, io.MultiReader(bytes.NewReader(zeros[:limit+1])), 413, "too_large"},
		{"wrong content type", "POST", Path, map[string]string{"Content-Type": "text/plain"}, bytes.NewReader(good), 415, "unsupported"},
		{"no content type", "POST", Path, nil, bytes.NewReader(good), 415, "unsupported"},
		{"unknown encoding", "POST", Path, with("br"), bytes.NewReader(good), 415, "unsupported"},
		{"wrong method", "GET", Path, asProto, nil, 405, "unsupported"},
		{"wrong path", "POST", "/v1/metrics", asProto, bytes.NewReader(good), 404, "unsupported"},
		{"slow", "POST", Path, asProto, &dripping{}, 408, "slow"},
	} {
		resp, st := s.post(t, c.method, strings.TrimSuffix(s.url, Path)+c.path, c.header, c.body)
		if resp.StatusCode != c.want || st.Message == "" {
			t.Errorf("%s: answered %d %q, want %d with a message", c.name, resp.StatusCode, st.Message, c.want)
		}
		refused[c.reason]++
	}

	client := collectorpb.NewTraceServiceClient(s.conn)
	huge := newLoad(1).request(2000)
	for _, c := range []struct {
		name   string
		send   func() error
		want   codes.Code
		reason string
	}{
		{"truncated", func() error { return s.raw(good[:len(good)-5]) }, codes.InvalidArgument, "malformed"},
		{"too large", func() error { _, err := client.Export(t.Context(), huge); return err }, codes.ResourceExhausted, "too_large"},
		{"gzip bomb", func() error { return s.raw(zeros, grpc.UseCompressor("gzip")) }, codes.ResourceExhausted, "too_large"},
		{"zstd bomb", func() error { return s.raw(zeros, grpc.UseCompressor("zstd")) }, codes.ResourceExhausted, "too_large"},
	} {
		err := c.send()
		st := status.Convert(err)
		if st.Code() != c.want || st.Message() == "" {
			t.Errorf("gRPC, %s: %v, want %v with a message", c.name, err, c.want)
		}
		if retryInfo(st) != nil {
			t.Errorf("gRPC, %s: is told to send the same again", c.name)
		}
		refused[c.reason]++
	}

	s.slowHeader(t)
	wg.Wait()
	for reason, want := range refused {
		if got := countertest.Value(t, s.Reg, "refused_messages", reason); got != want {
			t.Errorf("refused as %s: %v counted, want %v", reason, got, want)
		}
	}
	if n, _ := s.Log.Count(t); int64(n) != well.Load() || n == 0 {
		t.Errorf("%d spans in the log, the well-behaved client has an OK for %d", n, well.Load())
	}
	if got := countertest.Value(t, s.Reg, "spans", ""); got != float64(well.Load()) {
		t.Errorf("%v spans counted, want %d", got, well.Load())
	}
	if err := s.In.Admit(nil, int(s.In.Config().MaxInflightBytes)); err != nil {
		t.Errorf("not all that was admitted was given back: %v", err)
	}
}

// dripping is a body that begins, and then never goes on.
type dripping struct{ sent bool }

func (d *dripping) Read(p []byte) (int, error) {
	if !d.sent {
		d.sent = true
		return copy(p, "\x0a\x10"), nil
	}
	time.Sleep(50 * time.Millisecond)
	p[0] = 0
	return 1, nil
}

// raw exports a message that need not be one.
func (s *server) raw(msg []byte, opts ...grpc.CallOption) error {
	var f wire.Frame
	f.Set(msg)
	return s.conn.Invoke(context.Background(), exportMethod, &f, &wire.Frame{}, append(opts, grpc.ForceCodecV2(wire.Codec{}))...)
}

// slowHeader opens a connection on which no request is ever finished; the
// server ends it.
func (s *server) slowHeader(t *testing.T) {
	t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, "POST /v1/traces HTTP/1.1\r\nHost: x\r\nX-"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Errorf("the server cut the connection with %v, want an end", err)
	}
}

// TestSlowSendersHoldLittle has many senders announce all that may be in
// flight, and send next to nothing: they are admitted for that alone, and a good
// client is not refused beside them.
func TestSlowSendersHoldLittle(t *testing.T) {
	t.Parallel()
	const senders = 32
	s := serve(t, func(c *collector.Config) {
		c.MaxInflightBytes, c.MaxMessageBytes = 1<<20, 1<<20
		c.ReadTimeout = time.Minute
	})
	for range senders {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\nabc", Path, typeProto, 1<<20)
	}
	for deadline := time.Now().Add(10 * time.Second); s.In.Inflight() < senders*4096; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are admitted, want %d senders' %d each", s.In.Inflight(), senders, 4096)
		}
	}
	if got := s.sendWell(t, 10); got != 50 {
		t.Errorf("%d spans of the well-behaved client were taken, want 50", got)
	}
	if got := s.In.Inflight(); got != senders*4096 {
		t.Errorf("the slow senders hold %d bytes, want %d", got, senders*4096)
	}
}

// TestRetryDelay fills the log, then the bytes in flight; each protocol says
// in its own words when to come back.
func TestRetryDelay(t *testing.T) {
	t.Parallel()
	var full atomic.Bool
	s := serve(t, func(c *collector.Config) { c.RetryDelay = 2500 * time.Millisecond })
	s.Log.Refuse = func(context.Context) error {
		if full.Load() {
			return fmt.Errorf("log: %w", telemetry.ErrOverloaded)
		}
		return nil
	}
	req := newLoad(1).request(2)
	body, err := proto.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	asked := func(t *testing.T) {
		t.Helper()
		_, err := collectorpb.NewTraceServiceClient(s.conn).Export(t.Context(), req)
		st := status.Convert(err)
		if d := retryInfo(st); st.Code() != codes.ResourceExhausted || d == nil || d.RetryDelay.AsDuration() != 2500*time.Millisecond {
			t.Errorf("gRPC: %v with %v, want ResourceExhausted with 2.5s", err, d)
		}
		resp, _ := s.post(t, http.MethodPost, s.url, map[string]string{"Content-Type": typeProto}, bytes.NewReader(body))
		if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "3" {
			t.Errorf("HTTP: %d, Retry-After %q, want 429 and 3", resp.StatusCode, resp.Header.Get("Retry-After"))
		}
	}
	full.Store(true)
	asked(t)
	full.Store(false)
	all := int(s.In.Config().MaxInflightBytes)
	if err := s.In.Admit(nil, all); err != nil {
		t.Fatal(err)
	}
	asked(t)
	s.In.Leave(nil, all)
	if _, err := collectorpb.NewTraceServiceClient(s.conn).Export(t.Context(), req); err != nil {
		t.Errorf("once there is room: %v", err)
	}
	if got := countertest.Value(t, s.Reg, "refused_messages", "overloaded"); got != 4 {
		t.Errorf("%v counted, want 4", got)
	}
}

func retryInfo(st *status.Status) *errdetails.RetryInfo {
	for _, d := range st.Details() {
		if r, ok := d.(*errdetails.RetryInfo); ok {
			return r
		}
	}
	return nil
}

// TestPartialSuccess keeps the good spans of a message, and says what was wrong
// with the first of the others.
func TestPartialSuccess(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	req := newLoad(1).request(6)
	spans := req.ResourceSpans[0].ScopeSpans[0].Spans
	spans[0].TraceId = make([]byte, 16)
	req.ResourceSpans[1].ScopeSpans[0].Spans[0].SpanId = nil
	want := "2 spans were rejected; the first: span \"" + spans[0].Name + "\" has no trace id of 16 bytes that are not all zero"

	resp, err := collectorpb.NewTraceServiceClient(s.conn).Export(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if p := resp.GetPartialSuccess(); p.GetRejectedSpans() != 2 || p.GetErrorMessage() != want {
		t.Errorf("gRPC: %d rejected, %q; want 2, %q", p.GetRejectedSpans(), p.GetErrorMessage(), want)
	}
	h, err := http.Post(s.url, typeJSON, bytes.NewReader(otlpJSON(t, req)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Body.Close() }()
	answer, err := bufio.NewReader(h.Body).ReadBytes(0)
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	back := &collectorpb.ExportTraceServiceResponse{}
	if err := protojson.Unmarshal(answer, back); err != nil {
		t.Fatalf("%v: %q", err, answer)
	}
	if !proto.Equal(back, resp) {
		t.Errorf("JSON says %v, gRPC %v", back, resp)
	}
	if got, _ := s.Log.Count(t); got != 8 {
		t.Errorf("%d spans in the log, want twice 4", got)
	}
	if got := countertest.Value(t, s.Reg, "dropped", "trace_id"); got != 2 {
		t.Errorf("%v counted, want 2", got)
	}
}
