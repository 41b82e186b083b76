package rls_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	pb "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/binnacle-mesh/binnacle/internal/wire"
	"github.com/binnacle-mesh/binnacle/quota"
	"github.com/binnacle-mesh/binnacle/quota/rls"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dial serves what register registers and returns a connection to it.
func dial(t testing.TB, register func(*grpc.Server), opts ...grpc.ServerOption) *grpc.ClientConn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(opts...)
	register(s)
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(l) })
	c, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		s.Stop()
		wg.Wait()
	})
	return c
}

func request(domain string, pairs ...string) *pb.RateLimitRequest {
	d := &ratelimitv3.RateLimitDescriptor{}
	for _, p := range pairs {
		k, v, _ := strings.Cut(p, "=")
		d.Entries = append(d.Entries, &ratelimitv3.RateLimitDescriptor_Entry{Key: k, Value: v})
	}
	return &pb.RateLimitRequest{Domain: domain, Descriptors: []*ratelimitv3.RateLimitDescriptor{d}}
}

const yearly = `
domain: d
descriptors:
- {key: tenant, rate_limit: {unit: year, requests_per_unit: 1000}}
`

// TestGeneratedClient: the client that proxies' own code is generated from, over a real connection, with either codec on the server.
func TestGeneratedClient(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]grpc.ServerOption{
		"frames": {grpc.ForceServerCodecV2(wire.Codec{})}, "default codec": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _, err := newService(quota.DefaultConfig(), map[string]string{"f.yaml": yearly})
			if err != nil {
				t.Fatal(err)
			}
			client := pb.NewRateLimitServiceClient(dial(t, func(g *grpc.Server) { rls.Register(g, s) }, opts...))
			got, err := client.ShouldRateLimit(t.Context(), request("d", "tenant=a"))
			if err != nil {
				t.Fatal(err)
			}
			want := &pb.RateLimitResponse{
				OverallCode: pb.RateLimitResponse_OK,
				Statuses: []*pb.RateLimitResponse_DescriptorStatus{{
					Code: pb.RateLimitResponse_OK, LimitRemaining: 999,
					CurrentLimit: &pb.RateLimitResponse_RateLimit{RequestsPerUnit: 1000, Unit: pb.RateLimitResponse_RateLimit_YEAR},
				}},
			}
			if d := got.Statuses[0].DurationUntilReset.AsDuration(); d <= 0 || d > 365*24*time.Hour {
				t.Errorf("resets in %v", d)
			}
			got.Statuses[0].DurationUntilReset = nil
			if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
			if _, err := client.ShouldRateLimit(t.Context(), request("")); status.Code(err) != codes.InvalidArgument {
				t.Fatalf("a request without a domain: %v, want InvalidArgument", err)
			}
		})
	}
}

// TestExactOverGRPC: 64 clients on their own streams ask for more than there is. Exactly the limit is admitted.
func TestExactOverGRPC(t *testing.T) {
	t.Parallel()
	s, e, err := newService(quota.DefaultConfig(), map[string]string{"f.yaml": yearly})
	if err != nil {
		t.Fatal(err)
	}
	conn := dial(t, func(g *grpc.Server) { rls.Register(g, s) }, grpc.ForceServerCodecV2(wire.Codec{}))
	client := pb.NewRateLimitServiceClient(conn)
	var admitted [2]atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for i := range 40 {
				r, err := client.ShouldRateLimit(context.Background(), request("d", fmt.Sprintf("tenant=%d", i%2)))
				if err != nil {
					t.Error(err)
					return
				}
				if r.OverallCode == pb.RateLimitResponse_OK {
					admitted[i%2].Add(1)
				}
			}
		})
	}
	wg.Wait()
	for i := range admitted {
		if n := admitted[i].Load(); n != 1000 {
			t.Errorf("tenant %d: %d admitted, want 1000", i, n)
		}
	}
	d := e.Status(time.Now()).Rules[0].Decisions
	if d.OK != 2000 || d.OverLimit != 560 || d.Total != 2560 {
		t.Errorf("the rule counted %+v", d)
	}
}

// unreachable is an engine whose counters are not reached.
type unreachable struct{}

func (unreachable) Decide(context.Context, *quota.Request, *quota.Decision, time.Time) error {
	return quota.ErrCounter
}

// TestUnreachableCounters: the proxy gets an error that is not its fault, and not code UNKNOWN, which it would take for a permission.
func TestUnreachableCounters(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	s, err := rls.New(unreachable{}, reg)
	if err != nil {
		t.Fatal(err)
	}
	client := pb.NewRateLimitServiceClient(dial(t, func(g *grpc.Server) { rls.Register(g, s) }))
	if _, err := client.ShouldRateLimit(t.Context(), request("d", "tenant=a")); status.Code(err) != codes.Unavailable {
		t.Errorf("%v, want Unavailable", err)
	}
	err = testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP ratelimit_service_should_rate_limit_error Requests answered with an error, under the name of envoyproxy/ratelimit: service_error is all of binnacle_quota_rls_invalid_requests_total, redis_error that counters could not be reached.
# TYPE ratelimit_service_should_rate_limit_error counter
ratelimit_service_should_rate_limit_error{err_type="redis_error"} 1
ratelimit_service_should_rate_limit_error{err_type="service_error"} 0
`), "ratelimit_service_should_rate_limit_error")
	if err != nil {
		t.Error(err)
	}
}

func TestInvalidRequestsAreCounted(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	e, err := quota.New(quota.DefaultConfig(), nil, quota.Deps{Secret: quota.RandomSecret(), Log: silent(), Registerer: reg}, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	s, err := rls.New(e, reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*pb.RateLimitRequest{request(""), {Domain: "d"}} {
		b, err := proto.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.ShouldRateLimit(context.Background(), b, nil, time.Unix(0, 0)); err == nil {
			t.Errorf("%v was answered", r)
		}
	}
	if _, err := s.ShouldRateLimit(context.Background(), []byte{0xff}, nil, time.Unix(0, 0)); err == nil {
		t.Error("garbage was answered")
	}
	err = testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP binnacle_quota_rls_invalid_requests_total Rate limit requests that could not be decided, by reason: malformed, too_large, no_domain, no_descriptors, bad_unit.
# TYPE binnacle_quota_rls_invalid_requests_total counter
binnacle_quota_rls_invalid_requests_total{reason="bad_unit"} 0
binnacle_quota_rls_invalid_requests_total{reason="malformed"} 1
binnacle_quota_rls_invalid_requests_total{reason="no_descriptors"} 1
binnacle_quota_rls_invalid_requests_total{reason="no_domain"} 1
binnacle_quota_rls_invalid_requests_total{reason="too_large"} 0
# HELP ratelimit_service_should_rate_limit_error Requests answered with an error, under the name of envoyproxy/ratelimit: service_error is all of binnacle_quota_rls_invalid_requests_total, redis_error that counters could not be reached.
# TYPE ratelimit_service_should_rate_limit_error counter
ratelimit_service_should_rate_limit_error{err_type="redis_error"} 0
ratelimit_service_should_rate_limit_error{err_type="service_error"} 3
`), "binnacle_quota_rls_invalid_requests_total", "ratelimit_service_should_rate_limit_error")
	if err != nil {
		t.Error(err)
	}
}
