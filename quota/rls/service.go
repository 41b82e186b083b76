// Package rls serves envoy.service.ratelimit.v3.RateLimitService: a proxy asks for each request whether it may pass.
//
// The call is on the path of every proxied request, and a Go gRPC server's own cost for an empty call is many times that of the
// decision. So nothing may be added to it: the message is decoded by hand out of the receive buffer ([decode]), the answer is
// appended to a buffer by hand ([encode]), and between them nothing is allocated. Against the generated code this is checked by
// a fuzzer and by the generated client.
package rls

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/binnacle-mesh/binnacle/internal/wire"
	"github.com/binnacle-mesh/binnacle/quota"
	"github.com/binnacle-mesh/binnacle/quota/rule"
)

const (
	serviceName = "envoy.service.ratelimit.v3.RateLimitService"
	methodName  = "ShouldRateLimit"
)

// What envoyproxy/ratelimit calls the two kinds of errors.
const (
	serviceError = "service_error"
	counterError = "redis_error"
)

// Decider decides; it is *quota.Engine.
type Decider interface {
	Decide(ctx context.Context, req *quota.Request, d *quota.Decision, now time.Time) error
}

// Service answers rate limit requests. It is safe for concurrent use.
type Service struct {
	decider  Decider
	calls    sync.Pool // of *call
	refused  map[error]prometheus.Counter
	original *prometheus.CounterVec
}

// call is the memory of one call, used again for the next.
type call struct {
	req      quota.Request
	decision quota.Decision
	entries  []rule.Entry
}

// keepEntries is how many entries' memory a call keeps for the next one; more is left to the garbage collector.
const keepEntries = 256

// New makes a service that asks d and registers its metrics.
func New(d Decider, reg prometheus.Registerer) (*Service, error) {
	s := &Service{decider: d}
	s.calls.New = func() any { return new(call) }
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "binnacle_quota_rls_invalid_requests_total",
		Help: "Rate limit requests that could not be decided, by reason: malformed, too_large, no_domain, no_descriptors, bad_unit.",
	}, []string{"reason"})
	s.refused = map[error]prometheus.Counter{
		errMalformed:           vec.WithLabelValues("malformed"),
		errTooLarge:            vec.WithLabelValues("too_large"),
		quota.ErrNoDomain:      vec.WithLabelValues("no_domain"),
		quota.ErrNoDescriptors: vec.WithLabelValues("no_descriptors"),
		quota.ErrBadUnit:       vec.WithLabelValues("bad_unit"),
	}
	s.original = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ratelimit_service_should_rate_limit_error",
		Help: "Requests answered with an error, under the name of envoyproxy/ratelimit: service_error is all of " +
			"binnacle_quota_rls_invalid_requests_total, redis_error that counters could not be reached.",
	}, []string{"err_type"})
	for _, kind := range []string{serviceError, counterError} {
		s.original.WithLabelValues(kind)
	}
	for _, c := range []prometheus.Collector{vec, s.original} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("quota/rls: register metrics: %w; give each service a registry of its own", err)
		}
	}
	return s, nil
}

// ShouldRateLimit decides the encoded RateLimitRequest req and appends the encoded RateLimitResponse to resp. It allocates only
// when resp must grow (a few dozen bytes a descriptor), and keeps nothing of req. Its errors are the request's fault, but for
// quota.ErrCounter.
func (s *Service) ShouldRateLimit(ctx context.Context, req, resp []byte, now time.Time) ([]byte, error) {
	c := s.calls.Get().(*call)
	defer s.release(c)
	if err := c.decode(req); err != nil {
		return resp, s.refuse(err)
	}
	if err := s.decider.Decide(ctx, &c.req, &c.decision, now); err != nil {
		return resp, s.refuse(err)
	}
	return c.encode(resp)
}

func (s *Service) release(c *call) {
	c.req.Domain = nil // this and the rest point into the request's buffer
	clear(c.req.Descriptors)
	clear(c.entries)
	if cap(c.entries) <= keepEntries {
		s.calls.Put(c)
	}
}

func (s *Service) refuse(err error) error {
	for reason, counter := range s.refused {
		if errors.Is(err, reason) {
			counter.Inc()
		}
	}
	kind := serviceError
	if errors.Is(err, quota.ErrCounter) {
		kind = counterError
	}
	s.original.WithLabelValues(kind).Inc()
	return err
}

// Register adds svc to a gRPC server. It is at its best on a server with the codec of package wire.
func Register(r grpc.ServiceRegistrar, svc *Service) {
	r.RegisterService(&grpc.ServiceDesc{
		ServiceName: serviceName,
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: methodName,
			Handler:    wire.Unary("/"+serviceName+"/"+methodName, handle),
		}},
		Metadata: "envoy/service/ratelimit/v3/rls.proto",
	}, svc)
}

// handle answers with an error rather than with code UNKNOWN, which Envoy takes for a permission.
func handle(ctx context.Context, s *Service, req []byte) ([]byte, error) {
	resp, err := s.ShouldRateLimit(ctx, req, make([]byte, 0, 128), time.Now())
	switch {
	case errors.Is(err, quota.ErrCounter):
		return nil, status.Error(codes.Unavailable, err.Error())
	case err != nil:
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return resp, nil
}
