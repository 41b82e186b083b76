package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"

	metricsv1 "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// A peer is a Collector with two service graph connectors, and who takes in what they tell.
type peer struct {
	server
	metricsv1.UnimplementedMetricsServiceServer
	sink *grpc.Server

	mu   sync.Mutex
	told map[string]graph // by connector, as of the latest message
}

// The connector as it comes, and one that waits as long as we do, holds as much, and may use what callers say of whom they call.
const collectorConfig = `receivers:
  otlp: {protocols: {grpc: {endpoint: %q, max_recv_msg_size_mib: 64}}}
connectors:
  servicegraph/default: {metrics_flush_interval: 1s}
  servicegraph/patient: {metrics_flush_interval: 1s, store: {ttl: 10s, max_items: 1000000}, virtual_node_peer_attributes: [peer.service, server.address]}
exporters:
  otlp_grpc/default: {endpoint: %[2]q, compression: none, tls: {insecure: true}, headers: {connector: default}}
  otlp_grpc/patient: {endpoint: %[2]q, compression: none, tls: {insecure: true}, headers: {connector: patient}}
service:
  telemetry: {metrics: {level: none}, logs: {level: warn}}
  pipelines:
    traces: {receivers: [otlp], exporters: [servicegraph/default, servicegraph/patient]}
    metrics/default: {receivers: [servicegraph/default], exporters: [otlp_grpc/default]}
    metrics/patient: {receivers: [servicegraph/patient], exporters: [otlp_grpc/patient]}
`

func startCollector(ctx context.Context, binary, dir string) (*peer, error) {
	p := &peer{sink: grpc.NewServer(grpc.MaxRecvMsgSize(64 << 20)), told: map[string]graph{}}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	metricsv1.RegisterMetricsServiceServer(p.sink, p)
	go func() { _ = p.sink.Serve(l) }()
	if p.otlp, err = freeAddr(ctx); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "collector.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, collectorConfig, p.otlp, l.Addr()), 0o600); err != nil {
		return nil, err
	}
	return p, p.start(ctx, binary, "--config", file)
}

func (p *peer) stop() {
	p.server.stop()
	p.sink.Stop()
}

// Export takes in metrics. They are cumulative: the latest of a series is all of it.
func (p *peer) Export(ctx context.Context, req *metricsv1.ExportMetricsServiceRequest) (*metricsv1.ExportMetricsServiceResponse, error) {
	g := graph{map[edge]counts{}}
	for _, rm := range req.GetResourceMetrics() {
		for _, sm := range rm.GetScopeMetrics() {
			for _, m := range sm.GetMetrics() {
				for _, d := range m.GetSum().GetDataPoints() {
					g.take(m.GetName(), d)
				}
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	of := connectorOf(ctx)
	if p.told[of].edges == nil {
		p.told[of] = graph{map[edge]counts{}}
	}
	for k, c := range g.edges { // a message may have a part of them
		have := p.told[of].edges[k]
		p.told[of].edges[k] = counts{max(have.requests, c.requests), max(have.failed, c.failed)}
	}
	return &metricsv1.ExportMetricsServiceResponse{}, nil
}

// take adds a series of one message.
func (g *graph) take(metric string, d *metricspb.NumberDataPoint) {
	var k edge
	for _, a := range d.GetAttributes() {
		switch a.GetKey() {
		case "client":
			k.from = name(a.GetValue().GetStringValue())
		case "server":
			k.to = a.GetValue().GetStringValue()
		}
	}
	n := int(d.GetAsInt())
	if n == 0 {
		n = int(d.GetAsDouble())
	}
	c := g.edges[k]
	switch metric {
	case "traces_service_graph_request_total":
		c.requests += n
	case "traces_service_graph_request_failed_total":
		c.failed += n
	default:
		return
	}
	g.edges[k] = c
}

// connectorOf is the connector that a message is from.
func connectorOf(ctx context.Context) string {
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		if of := md.Get("connector"); len(of) > 0 {
			return of[0]
		}
	}
	return ""
}

func (p *peer) graph(of string) graph {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.told[of]
}
