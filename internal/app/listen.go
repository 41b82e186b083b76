package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/internal/door"
)

// A listener is an open port and what is spoken there.
type listener struct {
	field  string // of the configuration
	speaks string
	net.Listener
	handler http.Handler // nil where gRPC is spoken
	serve   func() error
	stop    func(ctx context.Context) // returns when what was under way is answered, or ctx ends
}

// open opens a port, or says who may be in the way.
func open(ctx context.Context, field, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen.%s: %s is in use, perhaps by another Binnacle; stop it, or set listen.%s to another address (\"\" closes it)", field, addr, field)
	}
	if err != nil {
		return nil, fmt.Errorf("listen.%s: %w; set it to an address of this machine", field, err)
	}
	return l, nil
}

// addGRPC opens a gRPC port; register puts the services on it.
func (a *App) addGRPC(ctx context.Context, field, addr, speaks string, register func(grpc.ServiceRegistrar)) error {
	if addr == "" {
		return nil
	}
	l, err := open(ctx, field, addr)
	if err != nil {
		return err
	}
	l = a.frames.Listen(a.door.Listen(l, field, door.GRPCConnection))
	s := grpc.NewServer(a.grpcOptions()...)
	var calls atomic.Int64
	register(surviving{s, a.door.Panicked(field, a.log.With("room", "receive")), &calls})
	a.listeners = append(a.listeners, &listener{
		field: field, speaks: speaks, Listener: l,
		serve: func() error { return s.Serve(l) },
		stop:  func(ctx context.Context) { stopGRPC(ctx, s, &calls) },
	})
	return nil
}

// How a stopping gRPC port comes to its end.
const (
	// streamsGrace is how long streams go on, in which what is on its way by them arrives.
	streamsGrace = 250 * time.Millisecond
	// lookForCalls is how long no call may be seen before the last answer counts as sent.
	lookForCalls = 50 * time.Millisecond
)

// stopGRPC takes nothing new, and lets the calls under way be answered until ctx ends. Streams of access logs never end by
// themselves, and nobody is answered by them: they are cut when the calls are through, so that who sends finds the next server soon.
func stopGRPC(ctx context.Context, s *grpc.Server, calls *atomic.Int64) {
	ended := make(chan struct{})
	go func() { s.GracefulStop(); close(ended) }()
	look := time.NewTimer(streamsGrace)
	defer look.Stop()
	quiet := false
	for {
		select {
		case <-ended:
			return
		case <-look.C:
			none := calls.Load() == 0
			if !none || !quiet {
				quiet = none
				look.Reset(lookForCalls)
				continue
			}
		case <-ctx.Done():
		}
		s.Stop()
		<-ended
		return
	}
}

// connectionsShare is the part of the memory for clients that open connections may hold before anything comes by them: one in so many.
const connectionsShare = 4

// addHTTP opens an HTTP port. The handler bounds how long a body may take to come, by the door. shut is called before the
// connections are drained.
func (a *App) addHTTP(ctx context.Context, field, addr, speaks string, h http.Handler, shut func()) error {
	if addr == "" {
		return nil
	}
	l, err := open(ctx, field, addr)
	if err != nil {
		return err
	}
	l = a.door.Listen(l, field, door.HTTPConnection)
	s := &http.Server{
		Handler: h, ConnContext: collector.WithSender, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	if shut != nil {
		s.RegisterOnShutdown(shut)
	}
	a.listeners = append(a.listeners, &listener{
		field: field, speaks: speaks, Listener: l, handler: h,
		serve: func() error {
			if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		},
		stop: func(ctx context.Context) {
			if s.Shutdown(ctx) != nil {
				_ = s.Close()
			}
		},
	})
	return nil
}

// listener is the port of that setting, nil where it is not open.
func (a *App) listener(field string) *listener {
	for _, l := range a.listeners {
		if l.field == field {
			return l
		}
	}
	return nil
}
