package embedded

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/jaegertracing/jaeger-idl/proto-gen/api_v2"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/jaegerreceiver"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/zipkinreceiver"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/config/configgrpc"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"google.golang.org/grpc"
)

// newZipkinFactory makes Zipkin receivers of which only the port is ours.
func newZipkinFactory(front Front) receiver.Factory {
	theirs := zipkinreceiver.NewFactory()
	return receiver.NewFactory(theirs.Type(), theirs.CreateDefaultConfig, receiver.WithTraces(
		func(ctx context.Context, set receiver.Settings, cfg component.Config, next consumer.Traces) (receiver.Traces, error) {
			made, err := theirs.CreateTraces(ctx, set, cfg, next)
			if err != nil {
				return nil, err
			}
			handler, ok := made.(http.Handler)
			settings, known := cfg.(*zipkinreceiver.Config)
			if !ok || !known {
				return nil, fmt.Errorf("the zipkin receiver (%T) is not as it was", made)
			}
			inThrift := func(r *http.Request) bool { return r.Header.Get("Content-Type") == "application/x-thrift" }
			handler = soundThrift(handler, thriftList, inThrift)
			return &zipkinPort{front: front, cfg: &settings.ServerConfig, set: set.TelemetrySettings, handler: handler}, nil
		}, theirs.TracesStability()))
}

// zipkinPort is a Zipkin receiver.
type zipkinPort struct {
	front   Front
	cfg     *confighttp.ServerConfig
	set     component.TelemetrySettings
	handler http.Handler
	port    *httpPort
}

// Start opens the port.
func (z *zipkinPort) Start(ctx context.Context, host component.Host) (err error) {
	z.port, err = z.front.open(ctx, "zipkin", z.cfg, host, z.set, z.handler)
	return err
}

// Shutdown closes it.
func (z *zipkinPort) Shutdown(ctx context.Context) error { return z.port.close(ctx) }

// newJaegerFactory makes Jaeger receivers of which the HTTP and gRPC ports are ours. The datagrams of agents, which are bounded by the
// queue of its settings, are theirs.
func newJaegerFactory(front Front) receiver.Factory {
	theirs := jaegerreceiver.NewFactory()
	return receiver.NewFactory(theirs.Type(), theirs.CreateDefaultConfig, receiver.WithTraces(
		func(ctx context.Context, set receiver.Settings, cfg component.Config, next consumer.Traces) (receiver.Traces, error) {
			settings, ok := cfg.(*jaegerreceiver.Config)
			if !ok {
				return nil, fmt.Errorf("the jaeger receiver's settings (%T) are not as they were", cfg)
			}
			agents := *settings
			agents.GRPC, agents.ThriftHTTP = configoptional.None[configgrpc.ServerConfig](), configoptional.None[confighttp.ServerConfig]()
			made, err := theirs.CreateTraces(ctx, set, &agents, next)
			if err != nil {
				return nil, err
			}
			handler, ok := made.(jaegerHandler)
			if !ok {
				return nil, fmt.Errorf("the jaeger receiver (%T) is not as it was", made)
			}
			return &jaegerPorts{Traces: made, front: front, cfg: settings.Protocols, set: set.TelemetrySettings, handler: handler}, nil
		}, theirs.TracesStability()))
}

// jaegerHandler is what of a Jaeger receiver answers.
type jaegerHandler interface {
	api_v2.CollectorServiceServer
	HandleThriftHTTPBatch(w http.ResponseWriter, r *http.Request)
}

// jaegerPorts is a Jaeger receiver.
type jaegerPorts struct {
	receiver.Traces // the agents'
	front           Front
	cfg             jaegerreceiver.Protocols
	set             component.TelemetrySettings
	handler         jaegerHandler
	http            *httpPort
	grpc            *grpc.Server
	done            sync.WaitGroup
}

// Start opens the ports.
func (j *jaegerPorts) Start(ctx context.Context, host component.Host) (err error) {
	if err := j.Traces.Start(ctx, host); err != nil {
		return err
	}
	if j.cfg.ThriftHTTP.HasValue() {
		mux := http.NewServeMux()
		every := func(*http.Request) bool { return true }
		mux.Handle("POST /api/traces", soundThrift(http.HandlerFunc(j.handler.HandleThriftHTTPBatch), thriftStruct, every))
		if j.http, err = j.front.open(ctx, "jaeger_thrift_http", j.cfg.ThriftHTTP.Get(), host, j.set, mux); err != nil {
			return err
		}
	}
	if j.cfg.GRPC.HasValue() {
		return j.openGRPC(ctx, j.cfg.GRPC.Get(), host)
	}
	return nil
}

func (j *jaegerPorts) openGRPC(ctx context.Context, cfg *configgrpc.ServerConfig, host component.Host) error {
	var options []configgrpc.ToServerOption
	for _, o := range j.front.GRPC {
		options = append(options, configgrpc.WithGrpcServerOption(o))
	}
	s, err := cfg.ToServer(ctx, host.GetExtensions(), j.set, options...)
	if err != nil {
		return err
	}
	l, err := cfg.NetAddr.Listen(ctx)
	if err != nil {
		return err
	}
	l = j.front.listen("jaeger_grpc", l, !cfg.TLS.HasValue()) // what is encrypted cannot be looked into at the listener
	api_v2.RegisterCollectorServiceServer(s, j.handler)
	j.grpc = s
	j.done.Go(func() {
		if err := s.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			componentstatus.ReportStatus(host, componentstatus.NewFatalErrorEvent(err))
		}
	})
	return nil
}

// Shutdown closes them, and waits for what is under way until ctx ends.
func (j *jaegerPorts) Shutdown(ctx context.Context) error {
	err := errors.Join(j.Traces.Shutdown(ctx), j.http.close(ctx))
	if j.grpc != nil {
		stopped := make(chan struct{})
		go func() { j.grpc.GracefulStop(); close(stopped) }()
		select {
		case <-stopped:
		case <-ctx.Done():
			j.grpc.Stop()
			<-stopped
		}
	}
	j.done.Wait()
	return err
}
