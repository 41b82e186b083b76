package wire_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/binnacle-mesh/binnacle/internal/wire"
)

const echoMethod = "/test.Echo/Echo"

type echo struct{ fail error }

func echoDesc() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: "test.Echo",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "Echo",
			Handler: wire.Unary(echoMethod, func(_ context.Context, e *echo, req []byte) ([]byte, error) {
				return append([]byte(nil), req...), e.fail
			}),
		}},
	}
}

// serve starts a server with an echo service of raw bytes beside an ordinary generated one.
func serve(t *testing.T, e *echo, opts ...grpc.ServerOption) *grpc.ClientConn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(opts...)
	s.RegisterService(echoDesc(), e)
	healthpb.RegisterHealthServer(s, health.NewServer())
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	c, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestServer(t *testing.T) {
	t.Parallel()
	intercepted := func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		if info.FullMethod == echoMethod {
			if _, ok := req.(*wire.Frame); !ok {
				return nil, status.Errorf(codes.Internal, "the interceptor was given %T", req)
			}
		}
		return next(ctx, req)
	}
	for name, opts := range map[string][]grpc.ServerOption{
		"frames":                  {grpc.ForceServerCodecV2(wire.Codec{})},
		"frames and interceptor":  {grpc.ForceServerCodecV2(wire.Codec{}), grpc.ChainUnaryInterceptor(intercepted)},
		"default codec":           nil,
		"default and interceptor": {grpc.ChainUnaryInterceptor(intercepted)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := serve(t, &echo{}, opts...)
			for _, size := range []int{0, 1, 1000, 20_000, 2 << 20} {
				want := wrapperspb.Bytes(bytes.Repeat([]byte{'x'}, size))
				got := &wrapperspb.BytesValue{}
				if err := conn.Invoke(t.Context(), echoMethod, want, got); err != nil {
					t.Fatalf("size %d: %v", size, err)
				}
				if !bytes.Equal(got.Value, want.Value) {
					t.Fatalf("size %d: %d bytes came back, other than sent", size, len(got.Value))
				}
			}
			h, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if h.Status != healthpb.HealthCheckResponse_SERVING {
				t.Fatalf("generated service beside it answered %v", h.Status)
			}
		})
	}
}

func TestServerError(t *testing.T) {
	t.Parallel()
	conn := serve(t, &echo{fail: status.Error(codes.ResourceExhausted, "no more")}, grpc.ForceServerCodecV2(wire.Codec{}))
	err := conn.Invoke(t.Context(), echoMethod, wrapperspb.String("x"), &wrapperspb.StringValue{})
	if status.Code(err) != codes.ResourceExhausted {
		t.Fatalf("got %v, want ResourceExhausted", err)
	}
}

func TestClientFrame(t *testing.T) {
	t.Parallel()
	conn := serve(t, &echo{}, grpc.ForceServerCodecV2(wire.Codec{}))
	var in, out wire.Frame
	in.Set([]byte("raw"))
	if err := conn.Invoke(t.Context(), echoMethod, &in, &out, grpc.ForceCodecV2(wire.Codec{})); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("raw", string(out.Bytes())); diff != "" {
		t.Fatal(diff)
	}
	if len(in.Bytes()) != 0 {
		t.Fatal("a sent frame still holds its bytes, though they were given away")
	}
	kept := out.Detach()
	if out.Bytes() != nil || string(kept.ReadOnlyData()) != "raw" {
		t.Fatal("Detach did not move the buffer out of the frame")
	}
	kept.Free()
}

// countingPool tells whether every buffer that a frame referenced came home.
type countingPool struct{ out int }

func (p *countingPool) Get(n int) *[]byte { p.out++; b := make([]byte, n); return &b }
func (p *countingPool) Put(*[]byte)       { p.out-- }

func TestFrameReturnsItsBuffer(t *testing.T) {
	t.Parallel()
	pool := &countingPool{}
	received := func() mem.BufferSlice {
		b := pool.Get(4096) // above the size under which gRPC does not pool
		return mem.BufferSlice{mem.NewBuffer(b, pool)}
	}
	var f wire.Frame
	for range 3 { // a stream receives into the same frame again and again
		data := received()
		if err := (wire.Codec{}).Unmarshal(data, &f); err != nil {
			t.Fatal(err)
		}
		data.Free() // as gRPC does once Unmarshal has returned
		if pool.out != 1 {
			t.Fatalf("%d buffers out, want the frame's one", pool.out)
		}
	}
	out, err := (wire.Codec{}).Marshal(&f)
	if err != nil {
		t.Fatal(err)
	}
	f.Free() // owns nothing any more
	if pool.out != 1 {
		t.Fatal("Free after Marshal freed what gRPC owns")
	}
	out.Free()
	if pool.out != 0 {
		t.Fatalf("%d buffers were never returned", pool.out)
	}
}

func TestCodecRefusesStrangers(t *testing.T) {
	t.Parallel()
	if _, err := (wire.Codec{}).Marshal(7); err == nil {
		t.Error("encoded an int")
	}
	if err := (wire.Codec{}).Unmarshal(nil, errors.New("x")); err == nil {
		t.Error("decoded into an error")
	}
	bad := mem.BufferSlice{mem.SliceBuffer{0xff}}
	if err := (wire.Codec{}).Unmarshal(bad, &wrapperspb.StringValue{}); err == nil {
		t.Error("decoded a truncated message")
	}
}
