package envoyals

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

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
	queue    chan *message
	closed   chan struct{}
	messages sync.Pool
}

const (
	// queueLength is how many decoded messages may wait for the log; their bytes
	// are admitted, so that max_inflight_bytes bounds them as well.
	queueLength = 1024
	// appenders is how many messages are in the log's hands at once: enough for
	// its group commit to find company while a disk syncs.
	appenders = 32
)

// New makes a Service that puts what it receives through in. Its Run must be
// running for anything to reach the log.
func New(in *collector.Intake) *Service {
	return &Service{
		in:       in,
		queue:    make(chan *message, queueLength),
		closed:   make(chan struct{}),
		messages: sync.Pool{New: func() any { return new(message) }},
	}
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

// Run hands queued messages to the log until ctx ends; then what is queued
// already is still written, and what comes after is dropped. It runs once.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for range appenders {
		wg.Go(func() {
			for {
				select {
				case m := <-s.queue:
					s.append(m)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	<-ctx.Done()
	close(s.closed)
	wg.Wait()
	for {
		select {
		case m := <-s.queue:
			s.append(m)
		default:
			return nil
		}
	}
}

// stream reads one stream to its end. The only reply is an empty one, when
// the client closes.
func (s *Service) stream(stream grpc.ServerStream) error {
	var from sender
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
			Err:    fmt.Errorf("the message is larger than %d bytes (collector.max_message_bytes)", limit),
		})
	}
	if err := from.identify(msg); err != nil {
		return s.malformed(err)
	}
	if err := s.in.Admit(len(msg)); err != nil {
		// Nobody can be told to come back later: the entries are lost.
		s.in.Dropped(collector.DropRefused, countEntries(msg))
		return nil
	}
	m := s.messages.Get().(*message)
	s.in.Begin(&m.Fill)
	if err := m.decode(from, msg); err != nil {
		s.in.Abandon(&m.Fill)
		s.messages.Put(m)
		s.in.Leave(len(msg))
		return s.malformed(err)
	}
	m.size = len(msg)
	select {
	case <-s.closed:
		s.lose(m, collector.DropRefused)
		return s.in.Refuse(&collector.Refusal{Reason: collector.Closed, Err: errors.New("this server is stopping")})
	default:
	}
	select {
	case s.queue <- m:
	default:
		s.lose(m, collector.DropQueueFull)
	}
	return nil
}

func (s *Service) malformed(err error) error {
	return s.in.Refuse(&collector.Refusal{
		Reason: collector.Malformed,
		Err:    fmt.Errorf("the access log message cannot be decoded: %w", err),
	})
}

// lose drops a decoded message.
func (s *Service) lose(m *message, why collector.Drop) {
	s.in.Dropped(why, len(m.Batch.Requests))
	s.in.Abandon(&m.Fill)
	s.in.Leave(m.size)
	s.messages.Put(m)
}

// append makes a message durable. It is not bound to the stream, which may
// have ended since.
func (s *Service) append(m *message) {
	n := len(m.Batch.Requests)
	if err := s.in.Append(context.Background(), &m.Fill, m.size); err != nil {
		s.in.Dropped(collector.DropRefused, n)
	}
	s.in.Leave(m.size)
	s.messages.Put(m)
}
