package otlp

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/internal/pb"
	"github.com/binnacle-mesh/binnacle/internal/wire"
)

// Service receives OTLP traces. One Service may stand on several gRPC servers
// and HTTP muxes at once; it is safe for concurrent use.
type Service struct {
	in       *collector.Intake
	decoders sync.Pool
	bodies   *collector.Bodies
}

// New makes a Service that puts what it receives through in.
func New(in *collector.Intake) *Service {
	return &Service{
		in:       in,
		decoders: sync.Pool{New: func() any { return new(decoder) }},
		bodies:   in.Bodies(in.Config().MaxMessageBytes),
	}
}

const (
	serviceName  = "opentelemetry.proto.collector.trace.v1.TraceService"
	exportMethod = "/" + serviceName + "/Export"
)

// Register puts the TraceService on a gRPC server. The server should have
// wire.Codec (it works without, at the price of a copy), and a
// grpc.MaxRecvMsgSize of at least receive.max_message_bytes.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	handler := wire.Unary(exportMethod, func(ctx context.Context, s *Service, msg []byte) ([]byte, error) {
		return s.export(ctx, msg)
	})
	r.RegisterService(&grpc.ServiceDesc{
		ServiceName: serviceName,
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "Export",
			Handler: func(srv any, ctx context.Context, dec func(any) error, ic grpc.UnaryServerInterceptor) (any, error) {
				return handler(srv, ctx, s.counted(dec), ic)
			},
		}},
		Metadata: "opentelemetry/proto/collector/trace/v1/trace_service.proto",
	}, s)
}

// counted is dec with the messages counted that gRPC itself refuses: those
// over the server's size limit, and those that do not decompress.
func (s *Service) counted(dec func(any) error) func(any) error {
	return func(v any) error {
		err := dec(v)
		if err == nil {
			return nil
		}
		reason := collector.Malformed
		if status.Code(err) == codes.ResourceExhausted {
			reason = collector.TooLarge
		}
		s.in.Refuse(&collector.Refusal{Reason: reason, Err: err})
		return err
	}
}

// export is an Export call: the reply's bytes, or a *collector.Refusal.
func (s *Service) export(ctx context.Context, msg []byte) ([]byte, error) {
	rejected, first, err := s.Take(ctx, msg)
	if err != nil || rejected == 0 {
		return nil, err
	}
	return partialSuccess(rejected, first), nil
}

// Take admits an ExportTraceServiceRequest in protobuf's encoding, decodes it
// and makes it durable. It returns how many spans were rejected, and what was
// wrong with the first. The error is a *collector.Refusal. msg is borrowed.
func (s *Service) Take(ctx context.Context, msg []byte) (rejected int, first string, err error) {
	if limit := s.in.Config().MaxMessageBytes; len(msg) > limit {
		return 0, "", s.in.Refuse(collector.TooLargeRefusal(limit))
	}
	from := collector.SenderOf(ctx)
	if err := s.in.Admit(from, len(msg)); err != nil {
		return 0, "", err
	}
	defer s.in.Leave(from, len(msg))
	return s.take(ctx, msg, (*decoder).proto)
}

// take decodes an admitted message and makes it durable. It returns how many
// spans were rejected, and what was wrong with the first.
func (s *Service) take(ctx context.Context, msg []byte, decode func(*decoder, []byte) error) (rejected int, first string, err error) {
	d := s.decoders.Get().(*decoder)
	defer s.decoders.Put(d)
	d.begin(s.in)
	if err := decode(d, msg); err != nil {
		s.in.Abandon(&d.Fill)
		return 0, "", s.in.Refuse(&collector.Refusal{
			Reason: collector.Malformed,
			Err:    fmt.Errorf("the export request cannot be decoded: %w", err),
		})
	}
	rejected, first = d.Rejected()
	return rejected, first, s.in.Append(ctx, &d.Fill, len(msg))
}

// partialSuccess is an ExportTraceServiceResponse that says what was rejected.
func partialSuccess(rejected int, first string) []byte {
	inner := pb.AppendUvarint(nil, 1, uint64(rejected))
	inner = pb.AppendBytes(inner, 2, rejectedMessage(rejected, first))
	return pb.AppendBytes(nil, 1, inner)
}

func rejectedMessage(rejected int, first string) string {
	return fmt.Sprintf("%d spans were rejected; the first: span %s", rejected, first)
}
