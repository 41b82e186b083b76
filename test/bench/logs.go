package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	als "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/binnacle-mesh/binnacle/internal/wire"
)

const (
	entriesAMessage = 30 // what an Envoy's 16 KiB buffer holds
	logStreams      = 4
	// Below what either side can do, so that none is dropped: nobody answers an access log,
	// and so it cannot be sent flat out as spans can. The lower rate shows what waking up costs.
	busyLogRate, calmLogRate = 200_000, 20_000 // entries a second
)

// logs measures CPU a log entry beside a stream handler that throws the bytes away.
func (b *bench) logs(ctx context.Context) error {
	for _, rate := range [...]int{busyLogRate, calmLogRate} {
		if err := b.logsAt(ctx, rate); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) logsAt(ctx context.Context, rate int) error {
	heading(fmt.Sprintf("CPU a log entry, all in (ALS v3, %d entries a message, %d a second)", entriesAMessage, rate))
	self, err := os.Executable()
	if err != nil {
		return err
	}
	f, err := startProcess(ctx, "127.0.0.1:17082", self, "-alsfloor", "127.0.0.1:17082")
	if err != nil {
		return err
	}
	floor, _, err := sendLogs(ctx, f, f.addr, rate, b.length/2)
	f.stop()
	if err != nil {
		return err
	}
	s, err := b.serve(ctx, fmt.Sprintf("logs%d", rate))
	if err != nil {
		return err
	}
	start := s.cpu()
	begin := time.Now()
	_, n, err := sendLogs(ctx, s.process, s.mesh, rate, b.length)
	reached := float64(n) / time.Since(begin).Seconds()
	if err != nil {
		s.stop()
		return err
	}
	time.Sleep(2 * time.Second)
	taken, err := s.counter(ctx, `binnacle_pipeline_requests_total`)
	cost := (s.stop() - start) / taken * 1e6
	if err != nil {
		return err
	}
	fmt.Printf("  floor, not decoded            %8.2f µs an entry\n", floor)
	fmt.Printf("  Binnacle, all in              %8.2f µs an entry   %.1f times the floor   (limit 5)\n", cost, cost/floor)
	fmt.Printf("  sent %d at %.0f a second, dropped %.0f\n", n, reached, float64(n)-taken)
	return nil
}

// sendLogs streams rate entries a second and returns the target's CPU µs an entry.
func sendLogs(ctx context.Context, p *process, addr string, rate int, length time.Duration) (cost float64, sent int, err error) {
	cc, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(wire.Codec{})))
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = cc.Close() }()
	counts, errs := make(chan int, logStreams), make(chan error, logStreams)
	before := p.cpu()
	for i := range logStreams {
		go func() {
			n, err := streamLogs(ctx, cc, i, rate, length)
			counts <- n
			errs <- err
		}()
	}
	for range logStreams {
		sent += <-counts
		err = errors.Join(err, <-errs)
	}
	return (p.cpu() - before) / float64(max(1, sent)) * 1e6, sent, err
}

// streamLogs sends as many entries as rate makes of length; on a machine that cannot
// keep up it takes longer, and sends as many.
func streamLogs(ctx context.Context, cc *grpc.ClientConn, i, rate int, length time.Duration) (n int, err error) {
	st, err := cc.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs")
	if err != nil {
		return 0, err
	}
	l, err := newSidecar(i)
	if err != nil {
		return 0, err
	}
	gap := time.Second * entriesAMessage * logStreams / time.Duration(rate)
	next := time.Now()
	for range length / gap {
		var f wire.Frame
		f.Set(l.message())
		if err := st.SendMsg(&f); err != nil {
			return n, err
		}
		n += entriesAMessage
		next = next.Add(gap)
		time.Sleep(time.Until(next))
	}
	if err := st.CloseSend(); err != nil {
		return n, err
	}
	var reply wire.Frame
	defer reply.Free()
	return n, st.RecvMsg(&reply)
}

// serveALSFloor answers the access-log stream and throws away what it carries.
func serveALSFloor(ctx context.Context, addr string) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	s := grpc.NewServer(grpc.ForceServerCodecV2(wire.Codec{}))
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "envoy.service.accesslog.v3.AccessLogService", HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{StreamName: "StreamAccessLogs", ClientStreams: true, Handler: func(_ any, st grpc.ServerStream) error {
			for {
				var f wire.Frame
				if err := st.RecvMsg(&f); err != nil {
					if errors.Is(err, io.EOF) {
						return st.SendMsg(&als.StreamAccessLogsResponse{})
					}
					return err
				}
				f.Free()
			}
		}}},
	}, struct{}{})
	go func() {
		<-ctx.Done()
		s.Stop()
	}()
	return s.Serve(l)
}
