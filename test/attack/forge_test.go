package attack

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/binnacle-mesh/binnacle/internal/pb"
	"github.com/binnacle-mesh/binnacle/internal/wire"
)

const (
	exportMethod = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
	quotaMethod  = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
	logsMethod   = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"

	server = 2 // kinds of OTLP
	client = 3
)

// A forged span. Times are set when it is encoded: it took two milliseconds and ends now.
type forged struct {
	service    string
	trace      [16]byte
	id, parent uint64
	kind       uint64
	name       string
	attrs      []attr
}

type attr struct{ key, value string }

// encode writes an export request; spans of one service that follow one another share a resource.
func encode(spans []forged) []byte {
	end := time.Now()
	start := end.Add(-2 * time.Millisecond)
	var b []byte
	for i := 0; i < len(spans); {
		var rs, scope int
		b, rs = pb.Open(b, 1)
		b = pb.AppendBytes(b, 1, keyValue(nil, 1, "service.name", spans[i].service))
		b, scope = pb.Open(b, 2)
		for service := spans[i].service; i < len(spans) && spans[i].service == service; i++ {
			s := &spans[i]
			var at int
			b, at = pb.Open(b, 2)
			b = pb.AppendBytes(b, 1, s.trace[:])
			b = pb.AppendBytes(b, 2, binary.BigEndian.AppendUint64(nil, s.id))
			if s.parent != 0 {
				b = pb.AppendBytes(b, 4, binary.BigEndian.AppendUint64(nil, s.parent))
			}
			b = pb.AppendBytes(b, 5, s.name)
			b = pb.AppendUvarint(b, 6, s.kind)
			b = pb.AppendFixed64(b, 7, uint64(start.UnixNano()))
			b = pb.AppendFixed64(b, 8, uint64(end.UnixNano()))
			for _, a := range s.attrs {
				b = keyValue(b, 9, a.key, a.value)
			}
			b = pb.Shut(b, at)
		}
		b = pb.Shut(b, scope)
		b = pb.Shut(b, rs)
	}
	return b
}

func keyValue(b []byte, field int, key, value string) []byte {
	b, at := pb.Open(b, field)
	b = pb.AppendBytes(b, 1, key)
	b = pb.AppendBytes(b, 2, pb.AppendBytes(nil, 1, value))
	return pb.Shut(b, at)
}

// ids makes trace ids that nobody else has.
var ids atomic.Uint64

func newTrace() (id [16]byte) {
	n := ids.Add(1)
	binary.BigEndian.PutUint64(id[:], n*0x9E3779B97F4A7C15)
	binary.BigEndian.PutUint64(id[8:], n)
	return id
}

func dial(addr string) (*grpc.ClientConn, error) {
	return grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: time.Second, Backoff: backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.3, MaxDelay: 300 * time.Millisecond}}),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(wire.Codec{}), grpc.MaxCallRecvMsgSize(64<<20)))
}

// call sends one encoded message and returns the answer's bytes.
func call(ctx context.Context, cc *grpc.ClientConn, method string, message []byte) ([]byte, error) {
	var req, reply wire.Frame
	defer reply.Free()
	req.Set(message)
	if err := cc.Invoke(ctx, method, &req, &reply); err != nil {
		return nil, err
	}
	return append([]byte(nil), reply.Bytes()...), nil
}

// rejected is what a partial success says was not taken.
func rejected(reply []byte) (spans int) {
	for r := pb.Over(reply); r.Next(); {
		if r.Tag == 1<<3|pb.Bytes {
			for p := pb.Over(r.Bytes()); p.Next(); {
				if p.Tag == 1<<3|pb.Varint {
					spans += int(p.Uint) //nolint:gosec // a count
				}
			}
		}
	}
	return spans
}

// comeBack is when a refusal says to ask again; it is false where the refusal may have been none, or says nothing.
func comeBack(err error) (time.Duration, bool) {
	s := status.Convert(err)
	if s.Code() != codes.ResourceExhausted && s.Code() != codes.Unavailable {
		return 0, false
	}
	for _, d := range s.Details() {
		if r, ok := d.(*errdetails.RetryInfo); ok {
			return r.GetRetryDelay().AsDuration(), true
		}
	}
	return 0, false
}

// A tally is what became of an attacker's spans.
type tally struct {
	acked, rejected, refused, unknown atomic.Int64 // spans; refused were sent again later, unknown has no answer
	told                              atomic.Int64 // refusals that said when to come back
	dry                               atomic.Int64 // refusals that did not
	mu                                sync.Mutex
	last                              error
}

func (n *tally) String() string {
	s := fmt.Sprintf("%d spans taken", n.acked.Load())
	if v := n.rejected.Load(); v > 0 {
		s += fmt.Sprintf(", %d rejected", v)
	}
	if v := n.refused.Load(); v > 0 {
		s += fmt.Sprintf(", %d refused (%d of %d times with a delay)", v, n.told.Load(), n.told.Load()+n.dry.Load())
	}
	if v := n.unknown.Load(); v > 0 {
		s += fmt.Sprintf(", %d without an answer (%.80v)", v, n.last)
	}
	return s
}

// A flood sends so many spans, made by number, as fast as the server takes them or until ctx ends.
type flood struct {
	spans   int
	each    int // spans a request
	span    func(i int) forged
	senders int  // 4 unless given
	giveUp  bool // a refused request is not sent again
}

func (f flood) run(ctx context.Context, addr string, n *tally) error {
	if f.senders == 0 {
		f.senders = 4
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range f.senders {
		cc, err := dial(addr)
		if err != nil {
			return err
		}
		defer cc.Close()
		wg.Go(func() {
			spans := make([]forged, 0, f.each)
			for ctx.Err() == nil {
				at := int(next.Add(int64(f.each))) - f.each
				if at >= f.spans {
					return
				}
				spans = spans[:0]
				for i := at; i < min(at+f.each, f.spans); i++ {
					spans = append(spans, f.span(i))
				}
				f.send(ctx, cc, spans, n)
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}

func (f flood) send(ctx context.Context, cc *grpc.ClientConn, spans []forged, n *tally) {
	size := int64(len(spans))
	message := encode(spans)
	for ctx.Err() == nil {
		c, cancel := context.WithTimeout(ctx, 20*time.Second)
		reply, err := call(c, cc, exportMethod, append([]byte(nil), message...))
		cancel()
		if err == nil {
			bad := int64(rejected(reply))
			n.acked.Add(size - bad)
			n.rejected.Add(bad)
			return
		}
		n.mu.Lock()
		n.last = err
		n.mu.Unlock()
		code := status.Code(err)
		delay, told := comeBack(err)
		if code != codes.ResourceExhausted && !told {
			n.unknown.Add(size)
			time.Sleep(20 * time.Millisecond)
			return
		}
		n.refused.Add(size)
		if told {
			n.told.Add(1)
		} else {
			n.dry.Add(1)
		}
		if f.giveUp {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(max(delay, 50*time.Millisecond)):
		}
	}
}

// hop is both ends' spans of one request between two services.
func hop(from, to string) []forged {
	trace := newTrace()
	return []forged{
		{service: from, trace: trace, id: 1, kind: client, name: "GET /"},
		{service: to, trace: trace, id: 2, parent: 1, kind: server, name: "GET /"},
	}
}
