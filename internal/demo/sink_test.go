package demo

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	datav3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"

	"github.com/binnacle-mesh/binnacle/internal/shelf"
)

// sink stands where Binnacle's mesh port will: it keeps what real Envoys and the demo's services send, so that tests can
// say what that is, independent of Binnacle's own decoders.
type sink struct {
	collectorv1.UnimplementedTraceServiceServer
	accesslogv3.UnimplementedAccessLogServiceServer
	ratelimitv3.UnimplementedRateLimitServiceServer

	address string

	mu    sync.Mutex
	spans []sunkSpan
	logs  []sunkLog
	asked []sunkQuestion
	calls int // messages of any kind
}

type sunkSpan struct {
	*tracev1.Span
	resource   map[string]string
	attributes map[string]string
}

type sunkLog struct {
	*datav3.HTTPAccessLogEntry
	node    string // node id
	cluster string // node cluster
}

type sunkQuestion struct {
	*ratelimitv3.RateLimitRequest
	traceparent string
	refused     bool
}

func newSink(t testing.TB) *sink {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen for Envoys: %v", err)
	}
	s := &sink{address: listener.Addr().String()}
	server := grpc.NewServer()
	collectorv1.RegisterTraceServiceServer(server, s)
	accesslogv3.RegisterAccessLogServiceServer(server, s)
	ratelimitv3.RegisterRateLimitServiceServer(server, s)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Errorf("serve Envoys: %v", err)
		}
	})
	return s
}

func (s *sink) Export(_ context.Context, r *collectorv1.ExportTraceServiceRequest) (*collectorv1.ExportTraceServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	for _, rs := range r.GetResourceSpans() {
		resource := map[string]string{}
		for _, a := range rs.GetResource().GetAttributes() {
			resource[a.GetKey()] = a.GetValue().GetStringValue()
		}
		for _, ss := range rs.GetScopeSpans() {
			for _, span := range ss.GetSpans() {
				attributes := map[string]string{}
				for _, a := range span.GetAttributes() {
					attributes[a.GetKey()] = a.GetValue().GetStringValue()
				}
				s.spans = append(s.spans, sunkSpan{span, resource, attributes})
			}
		}
	}
	return &collectorv1.ExportTraceServiceResponse{}, nil
}

func (s *sink) StreamAccessLogs(stream accesslogv3.AccessLogService_StreamAccessLogsServer) error {
	var identifier *accesslogv3.StreamAccessLogsMessage_Identifier
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		if m.GetIdentifier() != nil {
			identifier = m.GetIdentifier()
		}
		s.mu.Lock()
		s.calls++
		for _, entry := range m.GetHttpLogs().GetLogEntry() {
			s.logs = append(s.logs, sunkLog{entry, identifier.GetNode().GetId(), identifier.GetNode().GetCluster()})
		}
		s.mu.Unlock()
	}
}

// ShouldRateLimit refuses the crawler, always.
func (s *sink) ShouldRateLimit(ctx context.Context, r *ratelimitv3.RateLimitRequest) (*ratelimitv3.RateLimitResponse, error) {
	q := sunkQuestion{RateLimitRequest: r}
	if md, ok := metadata.FromIncomingContext(ctx); ok && len(md.Get("traceparent")) == 1 {
		q.traceparent = md.Get("traceparent")[0]
	}
	for _, d := range r.GetDescriptors() {
		for _, e := range d.GetEntries() {
			q.refused = q.refused || e.GetKey() == "client_id" && e.GetValue() == "crawler"
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	s.asked = append(s.asked, q)
	code := ratelimitv3.RateLimitResponse_OK
	if q.refused {
		code = ratelimitv3.RateLimitResponse_OVER_LIMIT
	}
	return &ratelimitv3.RateLimitResponse{OverallCode: code}, nil
}

// seen is a copy of what came so far.
func (s *sink) seen() ([]sunkSpan, []sunkLog, []sunkQuestion) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]sunkSpan(nil), s.spans...), append([]sunkLog(nil), s.logs...), append([]sunkQuestion(nil), s.asked...)
}

// envoyOrSkip is the Envoy that tests run with.
func envoyOrSkip(t testing.TB) string {
	t.Helper()
	path, err := FindEnvoy("")
	if err != nil {
		shelf.Missing(t, "Envoy", err)
	}
	return path
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
