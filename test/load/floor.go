package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
)

// ServeFloor answers, at addr until ctx ends, the three methods that this package calls, and throws away what they carry:
// neither decoded nor even joined. What it costs, any gRPC server of this library costs.
func ServeFloor(ctx context.Context, addr string) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("load: listen for the floor: %w", err)
	}
	s := grpc.NewServer(grpc.ForceServerCodecV2(discard{}), grpc.MaxRecvMsgSize(64<<20))
	unary := func(service, method string, reply []byte) {
		s.RegisterService(&grpc.ServiceDesc{ServiceName: service, HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
			MethodName: method,
			Handler: func(_ any, _ context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				return reply, dec(nil)
			},
		}}}, struct{}{})
	}
	unary("opentelemetry.proto.collector.trace.v1.TraceService", "Export", nil)
	unary("envoy.service.ratelimit.v3.RateLimitService", "ShouldRateLimit", []byte{1 << 3, 1}) // overall_code: OK
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "envoy.service.accesslog.v3.AccessLogService", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{{
		StreamName: "StreamAccessLogs", ClientStreams: true,
		Handler: func(_ any, stream grpc.ServerStream) error {
			for {
				if err := stream.RecvMsg(nil); errors.Is(err, io.EOF) {
					return stream.SendMsg([]byte(nil))
				} else if err != nil {
					return err
				}
			}
		},
	}}}, struct{}{})
	stop := context.AfterFunc(ctx, s.Stop)
	defer stop()
	return s.Serve(l)
}

// discard is a codec that reads nothing and sends bytes as they are.
type discard struct{}

var _ encoding.CodecV2 = discard{}

func (discard) Name() string { return "proto" }

func (discard) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("load: the floor cannot send %T", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(b)}, nil
}

func (discard) Unmarshal(mem.BufferSlice, any) error { return nil }
