package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// relay stands between the mesh and Binnacle where flaws can be injected, and passes on what it is sent, as the flaws have it (tamper.go).
type relay struct {
	accesslogv3.UnimplementedAccessLogServiceServer
	ratelimitv3.UnimplementedRateLimitServiceServer
	collectorv1.UnimplementedTraceServiceServer

	address  string
	flaws    *flaws
	listener net.Listener
	conn     *grpc.ClientConn
	spans    collectorv1.TraceServiceClient
	logs     accesslogv3.AccessLogServiceClient
	quotas   ratelimitv3.RateLimitServiceClient
}

func newRelay(mesh string, f *flaws) (*relay, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // does not wait for anything
	if err != nil {
		return nil, fmt.Errorf("listen for what the mesh sends: %w", err)
	}
	conn, err := grpc.NewClient(mesh, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare to pass on to %s: %w", mesh, err), listener.Close())
	}
	return &relay{
		address: listener.Addr().String(), flaws: f, listener: listener, conn: conn, spans: collectorv1.NewTraceServiceClient(conn),
		logs: accesslogv3.NewAccessLogServiceClient(conn), quotas: ratelimitv3.NewRateLimitServiceClient(conn),
	}, nil
}

// close gives up a relay that does not run.
func (r *relay) close() error {
	if r == nil {
		return nil
	}
	return errors.Join(r.listener.Close(), r.conn.Close())
}

// run passes on until ctx ends.
func (r *relay) run(ctx context.Context) error {
	defer r.conn.Close()
	server := grpc.NewServer()
	accesslogv3.RegisterAccessLogServiceServer(server, r)
	ratelimitv3.RegisterRateLimitServiceServer(server, r)
	collectorv1.RegisterTraceServiceServer(server, r)
	stop := context.AfterFunc(ctx, server.Stop)
	defer stop()
	if err := server.Serve(r.listener); err != nil {
		return fmt.Errorf("serve what the mesh sends: %w", err)
	}
	return nil
}

// Export implements collectorv1.TraceServiceServer.
func (r *relay) Export(ctx context.Context, request *collectorv1.ExportTraceServiceRequest) (*collectorv1.ExportTraceServiceResponse, error) {
	r.flaws.tamperSpans(request)
	return r.spans.Export(ctx, request)
}

// ShouldRateLimit implements ratelimitv3.RateLimitServiceServer.
func (r *relay) ShouldRateLimit(ctx context.Context, request *ratelimitv3.RateLimitRequest) (*ratelimitv3.RateLimitResponse, error) {
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		carried := metadata.MD{}
		for _, key := range [...]string{"traceparent", "tracestate"} {
			carried[key] = md.Get(key)
		}
		ctx = metadata.NewOutgoingContext(ctx, carried)
	}
	return r.quotas.ShouldRateLimit(ctx, request)
}

// StreamAccessLogs implements accesslogv3.AccessLogServiceServer. Who sends is said once a stream, so each name that a sender goes by has a stream of its own.
func (r *relay) StreamAccessLogs(stream accesslogv3.AccessLogService_StreamAccessLogsServer) error {
	var sender *accesslogv3.StreamAccessLogsMessage_Identifier
	out := map[string]accesslogv3.AccessLogService_StreamAccessLogsClient{}
	defer func() {
		for _, s := range out {
			_, _ = s.CloseAndRecv()
		}
	}()
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&accesslogv3.StreamAccessLogsResponse{})
		} else if err != nil {
			return err
		}
		if m.GetIdentifier() != nil {
			sender = m.GetIdentifier()
		}
		for _, as := range r.flaws.tamperLogs(sender, m) {
			name := as.sender.GetNode().GetId() + " " + as.sender.GetNode().GetCluster()
			to := out[name]
			as.message.Identifier = nil
			if to == nil {
				if to, err = r.logs.StreamAccessLogs(stream.Context()); err != nil {
					return err
				}
				out[name] = to
				as.message.Identifier = as.sender
			}
			if err := to.Send(as.message); err != nil {
				return err
			}
		}
	}
}
