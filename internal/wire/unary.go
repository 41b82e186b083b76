package wire

import (
	"context"

	"google.golang.org/grpc"
)

// Unary makes a gRPC method handler of serve. method is the full name, "/package.Service/Method", as interceptors see it; S is
// the type that was given to RegisterService.
//
// serve gets the request's bytes, borrowed for the call, and returns the reply's bytes, which it gives away; nil is an empty
// reply. A serve that must keep the request's bytes copies them.
func Unary[S any](method string, serve func(ctx context.Context, srv S, req []byte) (reply []byte, err error)) grpc.MethodHandler {
	handle := func(ctx context.Context, srv any, c *call) (any, error) {
		reply, err := serve(ctx, srv.(S), c.req.Bytes())
		if err != nil {
			return nil, err
		}
		c.reply.Set(reply)
		return &c.reply, nil
	}
	return func(srv any, ctx context.Context, dec func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		c := new(call)
		if err := dec(&c.req); err != nil {
			return nil, err
		}
		defer c.req.Free()
		if interceptor == nil {
			return handle(ctx, srv, c)
		}
		info := &grpc.UnaryServerInfo{Server: srv, FullMethod: method}
		return interceptor(ctx, &c.req, info, func(ctx context.Context, _ any) (any, error) {
			return handle(ctx, srv, c)
		})
	}
}

// call holds both frames of a call, so that they cost one allocation.
type call struct{ req, reply Frame }
