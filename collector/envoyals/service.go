package envoyals

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/internal/wire"
)

// Service is the access log service. It may stand on several gRPC servers; it
// is safe for concurrent use.
type Service struct {
	in       *collector.Intake
	lanes    []*collector.Lane
	next     atomic.Uint32 // lane
	decoders sync.Pool
}

// New makes a Service that puts what it receives through in.
func New(in *collector.Intake) *Service {
	return &Service{in: in, lanes: in.Lanes(), decoders: sync.Pool{New: func() any { return new(decoder) }}}
}

// Register puts the service on a gRPC server, which should have wire.Codec
// and a grpc.MaxRecvMsgSize of at least 1 MiB: a stream's first message lists
// all extensions of the Envoy.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	for _, version := range []string{"v3", "v2"} {
		r.RegisterService(&grpc.ServiceDesc{
			ServiceName: "envoy.service.accesslog." + version + ".AccessLogService",
			HandlerType: (*any)(nil),
			Streams: []grpc.StreamDesc{{
				StreamName:    "StreamAccessLogs",
				Handler:       func(_ any, stream grpc.ServerStream) error { return s.stream(stream) },
				ClientStreams: true,
			}},
			Metadata: "envoy/service/accesslog/" + version + "/als.proto",
		}, s)
	}
}

// stream reads one stream to its end. The only reply is an empty one, when
// the client closes.
func (s *Service) stream(stream grpc.ServerStream) error {
	peer := collector.SenderOf(stream.Context())
	if err := s.in.OpenStream(peer); err != nil {
		return err
	}
	defer s.in.CloseStream(peer)
	from := sender{peer: peer, lane: s.lanes[int(s.next.Add(1))%len(s.lanes)]}
	var f wire.Frame
	defer f.Free()
	for {
		err := stream.RecvMsg(&f)
		switch {
		case errors.Is(err, io.EOF):
			return stream.SendMsg(&wire.Frame{})
		case status.Code(err) == codes.ResourceExhausted:
			s.in.Refuse(&collector.Refusal{Reason: collector.TooLarge, Err: err})
			return err
		case status.Code(err) == codes.Internal:
			s.in.Refuse(&collector.Refusal{Reason: collector.Malformed, Err: err})
			return err
		case err != nil:
			return err // the proxy went away
		}
		if err := s.take(&from, f.Bytes()); err != nil {
			return err
		}
	}
}

// take decodes a message and queues it. An error ends the stream: the message
// is no message, or not one that may be taken.
func (s *Service) take(from *sender, msg []byte) error {
	if limit := s.in.Config().MaxMessageBytes; len(msg) > limit {
		return s.in.Refuse(&collector.Refusal{
			Reason: collector.TooLarge,
			Err:    fmt.Errorf("the message is larger than %d bytes (receive.max_message_bytes)", limit),
		})
	}
	if err := from.identify(msg); err != nil {
		return s.malformed(err)
	}
	if err := s.in.Admit(from.peer, len(msg)); err != nil {
		// Nobody can be told to come back later: the entries are lost.
		s.in.Dropped(collector.DropRefused, countEntries(msg))
		return nil
	}
	d := s.decoders.Get().(*decoder)
	defer s.decoders.Put(d)
	malformed := false
	err := from.lane.Add(from.peer, len(msg), func(f *collector.Fill) error {
		d.Fill = f
		err := d.decode(from, msg)
		malformed = err != nil
		return err
	})
	d.Fill = nil
	if malformed {
		s.in.Leave(from.peer, len(msg))
		return s.malformed(err)
	}
	return err
}

func (s *Service) malformed(err error) error {
	return s.in.Refuse(&collector.Refusal{
		Reason: collector.Malformed,
		Err:    fmt.Errorf("the access log message cannot be decoded: %w", err),
	})
}
