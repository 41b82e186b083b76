package app

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// registered keeps what is registered.
type registered struct{ desc *grpc.ServiceDesc }

func (r *registered) RegisterService(d *grpc.ServiceDesc, _ any) { r.desc = d }

// TestPanicsOfCallsAreAnswers: a call that panics is answered INTERNAL and told of by its name; others are as they were.
func TestPanicsOfCallsAreAnswers(t *testing.T) {
	t.Parallel()
	var r registered
	var told []string
	desc := &grpc.ServiceDesc{
		ServiceName: "quota.Service",
		Methods: []grpc.MethodDesc{
			{MethodName: "Well", Handler: func(any, context.Context, func(any) error, grpc.UnaryServerInterceptor) (any, error) {
				return "well", nil
			}},
			{MethodName: "Ill", Handler: func(any, context.Context, func(any) error, grpc.UnaryServerInterceptor) (any, error) {
				panic("off by one")
			}},
		},
		Streams: []grpc.StreamDesc{{StreamName: "Follow", ClientStreams: true, Handler: func(any, grpc.ServerStream) error { panic("off by two") }}},
	}
	var calls atomic.Int64
	surviving{&r, func(method string, v any) { told = append(told, method+": "+v.(string)) }, &calls}.RegisterService(desc, nil)
	if reply, err := r.desc.Methods[0].Handler(nil, t.Context(), nil, nil); reply != "well" || err != nil {
		t.Errorf("a call that does not panic: %v, %v", reply, err)
	}
	if reply, err := r.desc.Methods[1].Handler(nil, t.Context(), nil, nil); reply != nil || status.Code(err) != codes.Internal {
		t.Errorf("a call that panics: %v, %v", reply, err)
	}
	if err := r.desc.Streams[0].Handler(nil, nil); status.Code(err) != codes.Internal || !r.desc.Streams[0].ClientStreams {
		t.Errorf("a stream that panics: %v", err)
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("%d calls are under way when all have ended", n)
	}
	if diff := cmp.Diff([]string{"quota.Service/Ill: off by one", "quota.Service/Follow: off by two"}, told); diff != "" {
		t.Error(diff)
	}
}
