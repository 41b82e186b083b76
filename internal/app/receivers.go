package app

import (
	"context"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/keepalive"

	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/collector/embedded"
	"github.com/binnacle-mesh/binnacle/collector/envoyals"
	"github.com/binnacle-mesh/binnacle/collector/frames"
	"github.com/binnacle-mesh/binnacle/collector/otlp"
	"github.com/binnacle-mesh/binnacle/internal/config"
	"github.com/binnacle-mesh/binnacle/internal/door"
	"github.com/binnacle-mesh/binnacle/internal/wire"
	"github.com/binnacle-mesh/binnacle/quota/rls"
)

// openReceivers makes the receivers and opens their ports.
func (a *App) openReceivers(ctx context.Context) (err error) {
	collector.RegisterCompressors()
	if a.collector, err = collector.New(a.cfg.Receive, a.ledger, a.pipeline, a.pool, a.reg, a.clock.Now); err != nil {
		return err
	}
	messages := a.ledger.Account("messages", a.cfg.Receive.MaxInflightBytes) // the collector's
	if a.frames, err = frames.New(messages, a.cfg.Receive.ReadTimeout, a.reg); err != nil {
		return err
	}
	spans := otlp.New(a.collector.Intake("otlp"))
	logs := envoyals.New(a.collector.Intake("als"))
	others := a.collector.Intake("collector")
	if a.embedded, err = embedded.New(ctx, a.cfg.Collector, otlp.New(others), a.front(others), a.version, a.log.With("room", "collector")); err != nil {
		return err
	}
	if err := conflicts(portsOf(a.cfg, a.embedded)); err != nil {
		return config.Invalid(err)
	}
	limits, err := rls.New(a.quota, a.reg)
	if err != nil {
		return err
	}
	if err := a.addGRPC(ctx, "mesh", a.cfg.Listen.Mesh, "gRPC for proxies: access logs, rate limits, OTLP", func(s grpc.ServiceRegistrar) {
		logs.Register(s)
		rls.Register(s, limits)
		spans.Register(s)
	}); err != nil {
		return err
	}
	if err := a.addGRPC(ctx, "rls", a.cfg.Listen.RLS, "Envoy rate limits", func(s grpc.ServiceRegistrar) { rls.Register(s, limits) }); err != nil {
		return err
	}
	// A receiver in the user's own pipelines takes OTLP's ports over.
	grpcTaken, httpTaken := a.embedded.TakesOTLP()
	if !grpcTaken {
		if err := a.addGRPC(ctx, "otlp_grpc", a.cfg.Listen.OTLPGRPC, "OTLP gRPC", func(s grpc.ServiceRegistrar) { spans.Register(s) }); err != nil {
			return err
		}
	}
	if httpTaken {
		return nil
	}
	guarded := a.door.Receive("otlp_http", spans, door.Intake{MaxBody: int64(a.cfg.Receive.MaxMessageBytes)}, a.log.With("room", "receive"))
	return a.addHTTP(ctx, "otlp_http", a.cfg.Listen.OTLPHTTP, "OTLP HTTP", guarded, nil)
}

// front is what stands before the ports of the embedded receivers: the same as before our own.
func (a *App) front(in *collector.Intake) embedded.Front {
	most := a.cfg.Receive.MaxMessageBytes / 2 // their own model of a message lies beside it
	return embedded.Front{
		Bodies:      in.Bodies(most),
		BodyTimeout: a.cfg.Receive.ReadTimeout, MaxBody: int64(most),
		GRPC: []grpc.ServerOption{
			grpc.MaxConcurrentStreams(128), grpc.MaxHeaderListSize(headerListBytes), grpc.ConnectionTimeout(10 * time.Second),
			grpc.StaticStreamWindowSize(streamWindow), grpc.StaticConnWindowSize(connWindow),
			grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		},
		Listen: func(port string, l net.Listener, grpc bool) net.Listener {
			if grpc {
				return a.frames.Listen(a.door.Listen(l, port, door.GRPCConnection))
			}
			return a.door.Listen(l, port, door.HTTPConnection)
		},
		HTTP: func(port string, next http.Handler) http.Handler {
			return a.door.Receive(port, next, door.Intake{Types: embedded.ContentTypes(), MaxBody: int64(most)}, a.log.With("room", "receive"))
		},
	}
}

// streamWorkers is how many goroutines of a gRPC port serve one call after another. A
// goroutine made for a call grows its stack anew each time, which is a fifth of a quota
// decision; more of them are less often in the processor's cache. Streams that stay, as those of
// access logs, may hold all of them, and calls are then served as without.
const streamWorkers = 32

// streamWindow is what a client may send on a stream before the call reads it, beyond a message that the call has begun to read; a message
// that has not all come is counted by package frames. It does not grow with the line's speed, as gRPC's own would, to 16 MiB.
//
// connWindow bounds no memory: gRPC gives it back when the bytes are there and not when they are read, so that all streams of a connection
// together may be unread. It is large for the sake of far senders.
const (
	streamWindow    = 512 << 10
	connWindow      = 1 << 20
	headerListBytes = 64 << 10
)

// grpcOptions are those of every gRPC port: messages as bytes, bounded, and
// connections that are gone are found out.
func (a *App) grpcOptions() []grpc.ServerOption {
	pool := new(wire.Pool)
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(wire.Codec{Pool: pool}),
		experimental.BufferPool(pool),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.MaxRecvMsgSize(a.cfg.Receive.MaxMessageBytes),
		grpc.MaxConcurrentStreams(1024),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connWindow),
		grpc.MaxHeaderListSize(headerListBytes),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.ConnectionTimeout(10 * time.Second),
	}
}
