package frames

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/internal/ledger"
	"github.com/binnacle-mesh/binnacle/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a gRPC server whose connections are watched: /s/Unary takes a message, /s/Stream any number.
type server struct {
	*Watch
	addr    string
	taken   atomic.Int64 // messages, by both
	unknown atomic.Int64 // of them, without a sender
}

const mib = 1 << 20

func serve(t *testing.T, limit int64, timeout time.Duration) *server {
	t.Helper()
	s := &server{}
	var err error
	if s.Watch, err = New(ledger.New(limit, nil).Account("messages", 0), timeout, prometheus.NewRegistry()); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(grpc.ForceServerCodecV2(wire.Codec{}), grpc.MaxRecvMsgSize(16*mib))
	take := func(ctx context.Context) {
		s.taken.Add(1)
		if collector.SenderOf(ctx) == nil {
			s.unknown.Add(1)
		}
	}
	g.RegisterService(&grpc.ServiceDesc{
		ServiceName: "s", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Unary", Handler: wire.Unary("/s/Unary", func(ctx context.Context, _ any, _ []byte) ([]byte, error) {
			take(ctx)
			return nil, nil
		})}},
		Streams: []grpc.StreamDesc{{StreamName: "Stream", ClientStreams: true, Handler: func(_ any, stream grpc.ServerStream) error {
			var f wire.Frame
			defer f.Free()
			for {
				if err := stream.RecvMsg(&f); errors.Is(err, io.EOF) {
					return stream.SendMsg(&wire.Frame{})
				} else if err != nil {
					return err
				}
				take(stream.Context())
			}
		}}},
	}, struct{}{})
	done := make(chan struct{})
	go func() { defer close(done); _ = g.Serve(s.Listen(l)) }()
	t.Cleanup(func() { g.Stop(); <-done; s.Close() })
	s.addr = l.Addr().String()
	return s
}

func (s *server) cuts(why reason) float64 {
	return testutil.ToFloat64(s.cut.WithLabelValues(string(why)))
}

// client is an HTTP/2 connection of which each frame is the test's.
type client struct {
	t *testing.T
	net.Conn
	*http2.Framer
	answers chan http2.FrameType // closed with the connection
}

func (s *server) raw(t *testing.T) *client {
	t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	k := &client{t: t, Conn: c, Framer: http2.NewFramer(c, c), answers: make(chan http2.FrameType, 1000)}
	t.Cleanup(func() {
		_ = c.Close()
		for range k.answers {
		}
	})
	if _, err := io.WriteString(c, preface); err != nil {
		t.Fatal(err)
	}
	if err := k.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(k.answers)
		for {
			f, err := k.ReadFrame()
			if err != nil {
				return
			}
			select {
			case k.answers <- f.Header().Type:
			default:
			}
		}
	}()
	return k
}

func (k *client) headers(stream uint32, path string) error {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, h := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", path}, {":authority", "x"}, {"content-type", "application/grpc"}, {"te", "trailers"}} {
		if err := e.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}); err != nil {
			return err
		}
	}
	return k.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: b.Bytes(), EndHeaders: true})
}

// announce is the prefix of a message of n bytes.
func announce(n uint32) []byte { return binary.BigEndian.AppendUint32([]byte{0}, n) }

// wait waits for what is to come true.
func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

// One connection of 200 streams announces 15 MiB on each, and sends all but the end.
func TestUnfinishedMessages(t *testing.T) {
	t.Parallel()
	s := serve(t, 8*mib, time.Minute)
	honest, err := grpc.NewClient(s.addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(wire.Codec{})))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = honest.Close() }()
	k := s.raw(t)
	over := make(chan struct{})
	go func() {
		defer close(over)
		part := make([]byte, 16<<10)
		for round := 0; ; round++ {
			for i := range uint32(200) {
				var err error
				if round == 0 {
					if err = k.headers(2*i+1, "/s/Unary"); err == nil {
						err = k.WriteData(2*i+1, false, announce(15*mib))
					}
				} else {
					err = k.WriteData(2*i+1, false, part)
				}
				if err != nil {
					return // the connection was closed
				}
			}
		}
	}()
	for n := 0; n < 300; n++ {
		var req, reply wire.Frame
		req.Set(make([]byte, 50<<10)) // more than a frame
		if err := honest.Invoke(t.Context(), "/s/Unary", &req, &reply); err != nil {
			t.Fatalf("the honest sender's message %d of 300: %v", n, err)
		}
		if used := s.memory.Used(); used > 8*mib {
			t.Fatalf("%d bytes are held, the limit is %d", used, 8*mib)
		}
	}
	<-over
	wait(t, "the connection to be cut, and all given back", func() bool { return s.cuts(tooMuch) == 1 && s.memory.Used() == 0 })
	if s.taken.Load() != 300 || s.unknown.Load() != 0 {
		t.Errorf("%d messages were taken, %d of nobody; want 300 of the honest sender", s.taken.Load(), s.unknown.Load())
	}
}

// A message of which a byte comes a frame costs what it costs, and not a byte each.
func TestTinyFrames(t *testing.T) {
	t.Parallel()
	s := serve(t, 1*mib, time.Minute)
	k := s.raw(t)
	if err := k.headers(1, "/s/Unary"); err != nil {
		t.Fatal(err)
	}
	if err := k.WriteData(1, false, announce(10*mib)); err != nil {
		t.Fatal(err)
	}
	const frames = 1000
	for range frames {
		if err := k.WriteData(1, false, []byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, "frames to be counted", func() bool { return s.memory.Used() >= streamCost+frames*frameCost })
	_ = k.Close()
	wait(t, "all to be given back", func() bool { return s.memory.Used() == 0 })
}

// What stalls is ended: a message that has begun, and a stream on which none comes. What rests between two messages is not.
func TestStalledMessages(t *testing.T) {
	t.Parallel()
	s := serve(t, 8*mib, 300*time.Millisecond)
	resting := s.raw(t)
	if err := resting.headers(1, "/s/Stream"); err != nil {
		t.Fatal(err)
	}
	if err := resting.WriteData(1, false, append(announce(3), "abc"...)); err != nil {
		t.Fatal(err)
	}
	wait(t, "the first message", func() bool { return s.taken.Load() == 1 })

	begun, silent := s.raw(t), s.raw(t)
	if err := begun.headers(1, "/s/Unary"); err != nil {
		t.Fatal(err)
	}
	if err := begun.WriteData(1, false, append(announce(100), "abc"...)); err != nil {
		t.Fatal(err)
	}
	if err := silent.headers(1, "/s/Unary"); err != nil {
		t.Fatal(err)
	}
	for _, k := range []*client{begun, silent} {
		told := false
		for f := range k.answers { // until the connection is closed
			told = told || f == http2.FrameGoAway
		}
		if !told {
			t.Error("a connection was closed without a word")
		}
	}
	if s.cuts(tooSlow) != 2 {
		t.Errorf("%v connections were cut, want 2", s.cuts(tooSlow))
	}
	if err := resting.WriteData(1, false, append(announce(3), "def"...)); err != nil {
		t.Fatal(err)
	}
	wait(t, "the second message of the stream that rested", func() bool { return s.taken.Load() == 2 })
	if used := s.memory.Used(); used != 0 {
		t.Errorf("%d bytes are held for a stream that rests", used)
	}
}

// A message that gRPC refuses for its size costs its stream, not the connection, though what was sent of it never becomes whole.
func TestRefusedMessageIsNotAStalledOne(t *testing.T) {
	t.Parallel()
	s := serve(t, 8*mib, 100*time.Millisecond)
	k := s.raw(t)
	if err := k.headers(1, "/s/Unary"); err != nil {
		t.Fatal(err)
	}
	if err := k.WriteData(1, false, announce(100*mib)); err != nil {
		t.Fatal(err)
	}
	for f := range k.answers {
		if f == http2.FrameHeaders {
			break
		}
	}
	if err := k.WriteData(1, false, make([]byte, 1000)); err != nil { // had been on its way
		t.Fatal(err)
	}
	for i := range 10 {
		time.Sleep(20 * time.Millisecond) // twice the timeout in all
		stream := uint32(2*i + 3)
		if err := k.headers(stream, "/s/Unary"); err != nil {
			t.Fatal(err)
		}
		if err := k.WriteData(stream, true, append(announce(3), "abc"...)); err != nil {
			t.Fatal(err)
		}
		wait(t, "a message after it", func() bool { return s.taken.Load() == int64(i+1) })
	}
	if s.cuts(tooSlow)+s.cuts(tooMuch)+s.cuts(noClient) != 0 || s.memory.Used() != 0 {
		t.Errorf("the connection was cut, or %d bytes are held", s.memory.Used())
	}
}

// gRPC's own client is served as without a watch, whatever the size of its messages.
func TestOrdinaryClient(t *testing.T) {
	t.Parallel()
	s := serve(t, 64*mib, time.Minute)
	conn, err := grpc.NewClient(s.addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(wire.Codec{})))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true}, "/s/Stream")
	if err != nil {
		t.Fatal(err)
	}
	sizes := []int{0, 1, 5, 16379, 16380, 16384, 65536, 3 * mib}
	for _, n := range sizes {
		var req, reply wire.Frame
		req.Set(make([]byte, n))
		if err := conn.Invoke(t.Context(), "/s/Unary", &req, &reply); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
		req.Set(make([]byte, n))
		if err := stream.SendMsg(&req); err != nil {
			t.Errorf("%d bytes on a stream: %v", n, err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	var reply wire.Frame
	if err := stream.RecvMsg(&reply); err != nil {
		t.Fatal(err)
	}
	var req wire.Frame
	req.Set(make([]byte, 17*mib))
	if err := conn.Invoke(t.Context(), "/s/Unary", &req, &reply); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("17 MiB: %v", err)
	}
	if got, want := s.taken.Load(), int64(2*len(sizes)); got != want || s.memory.Used() != 0 {
		t.Errorf("%d messages, want %d; %d bytes are held", got, want, s.memory.Used())
	}
}

// BenchmarkFollow is what it costs to follow a connection of small calls, each of HEADERS and DATA, in reads of 32 KiB.
func BenchmarkFollow(b *testing.B) {
	w := &Watch{memory: ledger.New(mib, nil).Account("messages", 0), conns: map[*conn]struct{}{}}
	near, far := net.Pipe()
	defer func() { _, _ = near.Close(), far.Close() }()
	c := w.watch(near)
	c.in.preface = 0
	const calls = 200
	var in bytes.Buffer
	f := http2.NewFramer(&in, nil)
	for i := range uint32(calls) {
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: make([]byte, 30), EndHeaders: true})
		_ = f.WriteData(2*i+1, true, append(announce(120), make([]byte, 120)...))
	}
	b.ReportAllocs()
	for b.Loop() {
		c.last.Store(0)
		for rest := in.Bytes(); len(rest) > 0; {
			n := min(32<<10, len(rest))
			if why, _ := c.in.follow(c, rest[:n]); why != "" {
				b.Fatal(why)
			}
			rest = rest[n:]
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*2*calls), "ns/frame")
}
