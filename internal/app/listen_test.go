package app

import (
	"context"
	"net"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// TestStopGRPC has a port stop with a call and a stream under way: the call is answered, however long it takes; the stream, which would
// never end, is cut then.
func TestStopGRPC(t *testing.T) {
	t.Parallel()
	called, followed, answer := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var calls atomic.Int64
	s := grpc.NewServer()
	surviving{s, func(string, any) {}, &calls}.RegisterService(&grpc.ServiceDesc{
		ServiceName: "test.Service",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Call", Handler: func(_ any, _ context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			close(called)
			<-answer
			return new(emptypb.Empty), dec(new(emptypb.Empty))
		}}},
		Streams: []grpc.StreamDesc{{StreamName: "Follow", ClientStreams: true, Handler: func(_ any, stream grpc.ServerStream) error {
			close(followed)
			<-stream.Context().Done()
			return stream.Context().Err()
		}}},
	}, 0)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	cc, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	stream, err := cc.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true}, "/test.Service/Follow")
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		answered <- cc.Invoke(t.Context(), "/test.Service/Call", new(emptypb.Empty), new(emptypb.Empty))
	}()
	<-called
	<-followed
	stopped := make(chan struct{})
	go func() { stopGRPC(context.Background(), s, &calls); close(stopped) }()
	for { // until nothing new is taken
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			break
		}
		_ = c.Close()
	}
	close(answer)
	if err := <-answered; err != nil {
		t.Errorf("the call under way ended with %v", err)
	}
	<-stopped
	if err := <-served; err != nil {
		t.Error(err)
	}
	if err := stream.RecvMsg(new(emptypb.Empty)); status.Code(err) != codes.Unavailable && status.Code(err) != codes.Canceled {
		t.Errorf("the stream ended with %v", err)
	}
}
