package rls_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/binnacle-mesh/binnacle/internal/wire"
	"github.com/binnacle-mesh/binnacle/quota"
	"github.com/binnacle-mesh/binnacle/quota/rls"
)

const nested = `
domain: shop
descriptors:
- key: source_cluster
  descriptors:
  - key: destination_cluster
    value: cart*
    share_threshold: true
    rate_limit: {unit: minute, requests_per_unit: %d, name: edge}
- key: tenant
  detailed_metric: true
  rate_limit: {unit: hour, requests_per_unit: 1000000}
`

// TestDecisionDoesNotAllocate covers decoding, a passing and a refusing decision with all their bookkeeping, and encoding.
func TestDecisionDoesNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("SKIPPED under the race detector, which makes pools forget on purpose; without it this is proven")
	}
	for name, limit := range map[string]int{"admitted": 1 << 30, "refused": 0} {
		s, _, err := newService(quota.DefaultConfig(), map[string]string{"f.yaml": fmt.Sprintf(nested, limit)})
		if err != nil {
			t.Fatal(err)
		}
		r := request("shop", "source_cluster=frontend", "destination_cluster=cart-v2")
		r.Descriptors = append(r.Descriptors, request("", "tenant=acme").Descriptors...)
		in, err := proto.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		out, now := make([]byte, 0, 256), time.Unix(1_700_000_000, 0)
		if n := testing.AllocsPerRun(1000, func() {
			if out, err = s.ShouldRateLimit(context.Background(), in, out[:0], now); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations a decision", name, n)
		}
	}
}

// BenchmarkDecision is a decision by itself, bytes to bytes, over 10,000 keys; a request of ten descriptors should cost less than
// ten requests.
func BenchmarkDecision(b *testing.B) {
	for _, n := range []int{1, 10} {
		b.Run(fmt.Sprintf("descriptors=%d", n), func(b *testing.B) {
			s, _, err := newService(quota.DefaultConfig(), map[string]string{"f.yaml": strings.Replace(yearly, "1000}", "4000000000}", 1)})
			if err != nil {
				b.Fatal(err)
			}
			ins := make([][]byte, 10_000)
			for i := range ins {
				r := request("d")
				r.Descriptors = nil
				for j := range n {
					r.Descriptors = append(r.Descriptors, request("", fmt.Sprintf("tenant=customer-%07d", (i+j*997)%len(ins))).Descriptors...)
				}
				if ins[i], err = proto.Marshal(r); err != nil {
					b.Fatal(err)
				}
			}
			out, now := make([]byte, 0, 256), time.Unix(1_700_000_000, 0)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if out, err = s.ShouldRateLimit(context.Background(), ins[i%len(ins)], out[:0], now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// cpu is the processor time that this process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkOverGRPC prints what CPU a decision costs beside the same call to a handler that returns an empty answer, both over
// real connections and measured in turns. The client's share is in both; `make bench` charges the server alone.
func BenchmarkOverGRPC(b *testing.B) {
	s, _, err := newService(quota.DefaultConfig(), map[string]string{"f.yaml": strings.Replace(yearly, "1000}", "4000000000}", 1)})
	if err != nil {
		b.Fatal(err)
	}
	empty := func(g *grpc.Server) {
		g.RegisterService(&grpc.ServiceDesc{
			ServiceName: "envoy.service.ratelimit.v3.RateLimitService", HandlerType: (*any)(nil),
			Methods: []grpc.MethodDesc{{MethodName: "ShouldRateLimit", Handler: wire.Unary("", func(context.Context, struct{}, []byte) ([]byte, error) {
				return nil, nil
			})}},
		}, struct{}{})
	}
	codec := grpc.ForceServerCodecV2(wire.Codec{})
	ours := dial(b, func(g *grpc.Server) { rls.Register(g, s) }, codec)
	floor := dial(b, empty, codec)
	raw, err := proto.Marshal(request("d", "tenant=customer-0000001"))
	if err != nil {
		b.Fatal(err)
	}
	run := func(conn *grpc.ClientConn, n int) time.Duration {
		start := cpu(b)
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for range n / 16 {
					var in, out wire.Frame
					in.Set(raw)
					if err := conn.Invoke(context.Background(), "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit", &in, &out, grpc.ForceCodecV2(wire.Codec{})); err != nil {
						b.Error(err)
						return
					}
					out.Free()
				}
			})
		}
		wg.Wait()
		return cpu(b) - start
	}
	const turn = 1600
	run(ours, turn)
	run(floor, turn)
	var a, f time.Duration
	calls := 0
	for b.Loop() {
		a += run(ours, turn)
		f += run(floor, turn)
		calls += turn
	}
	b.ReportMetric(float64(a.Nanoseconds())/float64(calls), "decision-cpu-ns/call")
	b.ReportMetric(float64(f.Nanoseconds())/float64(calls), "empty-cpu-ns/call")
	b.ReportMetric(float64(a)/float64(f), "of-empty")
}
