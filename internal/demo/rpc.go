package demo

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// rpcMethod, as an operation's method, makes it a gRPC call. Its path is the full method, its messages are empty: what is
// to be seen is how it travels.
const rpcMethod = "grpc"

// newRPCServer answers every method by the shop's table.
func (s *server) newRPCServer() *grpc.Server {
	return grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(stream)
		for _, op := range s.operations {
			if !op.fits(rpcMethod, method) {
				continue
			}
			if err := stream.RecvMsg(new(emptypb.Empty)); err != nil {
				return err
			}
			in := incoming{headers: http.Header{}}
			md, _ := metadata.FromIncomingContext(stream.Context())
			for _, name := range carried {
				for _, v := range md.Get(name) {
					in.headers.Set(name, v)
				}
			}
			in.context = parseTraceparent(in.headers.Get("traceparent"))
			switch s.perform(stream.Context(), op, in) {
			case http.StatusOK:
				return stream.SendMsg(new(emptypb.Empty))
			case http.StatusTooManyRequests:
				return status.Error(codes.ResourceExhausted, "over quota")
			default:
				return status.Error(codes.Internal, op.name()+" failed")
			}
		}
		return status.Error(codes.Unimplemented, s.pod()+" does not know "+method)
	}))
}

// newRPCClient reaches a gRPC service through the Envoy at egress. It connects when it is first used.
func newRPCClient(egress string, target workload) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient(egress, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority(target.authority()))
	if err != nil {
		return nil, fmt.Errorf("prepare calls to %s through %s: %w", target.host(), egress, err)
	}
	return conn, nil
}

// callRPC makes the call and returns the HTTP status that says about the same.
func (s *server) callRPC(ctx context.Context, name, path string, in incoming) int {
	md := metadata.MD{}
	for header, values := range in.headers {
		if s.flaws.on(FlawHeaders, s.service) && header != http.CanonicalHeaderKey(clientHeader) {
			continue
		}
		md.Append(strings.ToLower(header), values...)
	}
	ctx = metadata.NewOutgoingContext(ctx, md)
	err := s.rpc[name].Invoke(ctx, path, new(emptypb.Empty), new(emptypb.Empty))
	switch status.Code(err) {
	case codes.OK:
		return http.StatusOK
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	default:
		return http.StatusBadGateway
	}
}
