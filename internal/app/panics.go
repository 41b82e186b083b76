package app

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// surviving registers services whose calls may panic without ending the process, as those of an HTTP port may: the caller is told INTERNAL,
// and the panic is counted and logged; and counts those that are under way, for who waits for them. The handlers are wrapped once, when they are registered: a call costs no more by it than a
// deferred function does, where an interceptor would cost it allocations.
type surviving struct {
	grpc.ServiceRegistrar
	panicked func(method string, v any)
	calls    *atomic.Int64 // under way, streams left out
}

// RegisterService registers a service, wrapped.
func (s surviving) RegisterService(desc *grpc.ServiceDesc, impl any) {
	d := *desc
	d.Methods = make([]grpc.MethodDesc, len(desc.Methods))
	for i, m := range desc.Methods {
		d.Methods[i] = grpc.MethodDesc{MethodName: m.MethodName, Handler: s.unary(desc.ServiceName+"/"+m.MethodName, m.Handler)}
	}
	d.Streams = make([]grpc.StreamDesc, len(desc.Streams))
	for i, m := range desc.Streams {
		d.Streams[i] = m
		d.Streams[i].Handler = s.stream(desc.ServiceName+"/"+m.StreamName, m.Handler)
	}
	s.ServiceRegistrar.RegisterService(&d, impl)
}

func (s surviving) unary(method string, call grpc.MethodHandler) grpc.MethodHandler {
	return func(srv any, ctx context.Context, dec func(any) error, interceptor grpc.UnaryServerInterceptor) (reply any, err error) {
		s.calls.Add(1)
		defer func() {
			s.calls.Add(-1)
			if v := recover(); v != nil {
				s.panicked(method, v)
				reply, err = nil, errBug
			}
		}()
		return call(srv, ctx, dec, interceptor)
	}
}

func (s surviving) stream(method string, call grpc.StreamHandler) grpc.StreamHandler {
	return func(srv any, stream grpc.ServerStream) (err error) {
		defer func() {
			if v := recover(); v != nil {
				s.panicked(method, v)
				err = errBug
			}
		}()
		return call(srv, stream)
	}
}

// errBug does not change.
var errBug = status.Error(codes.Internal, "a bug in the server; its log has more")
