package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	data "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	als "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/binnacle-mesh/binnacle/internal/wire"
)

const (
	entriesAMessage = 30 // what an Envoy's 16 KiB buffer holds
	logStreams      = 4
	logRate         = 40_000 // entries a second: below what either side can do, so that none is dropped
)

// logs measures CPU a log entry beside a stream handler that throws the bytes away.
func (b *bench) logs(ctx context.Context) error {
	heading(fmt.Sprintf("CPU a log entry, all in (ALS v3, %d entries a message, %d a second)", entriesAMessage, logRate))
	self, err := os.Executable()
	if err != nil {
		return err
	}
	f, err := startProcess(ctx, "127.0.0.1:17082", self, "-alsfloor", "127.0.0.1:17082")
	if err != nil {
		return err
	}
	floor, _, err := sendLogs(ctx, f, f.addr, b.length/2)
	f.stop()
	if err != nil {
		return err
	}
	s, err := b.serve(ctx, "logs")
	if err != nil {
		return err
	}
	start := s.cpu()
	_, n, err := sendLogs(ctx, s.process, s.mesh, b.length)
	if err != nil {
		s.stop()
		return err
	}
	time.Sleep(2 * time.Second)
	cost := (s.stop() - start) / float64(n) * 1e6
	fmt.Printf("  floor, not decoded            %8.2f µs an entry\n", floor)
	fmt.Printf("  Binnacle, all in              %8.2f µs an entry   %.1f times the floor   (limit 5)\n", cost, cost/floor)
	return nil
}

// sendLogs streams entries at logRate and returns the target's CPU µs an entry.
func sendLogs(ctx context.Context, p *process, addr string, length time.Duration) (cost float64, sent int, err error) {
	cc, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = cc.Close() }()
	counts, errs := make(chan int, logStreams), make(chan error, logStreams)
	before := p.cpu()
	for i := range logStreams {
		go func() {
			n, err := streamLogs(ctx, cc, i, length)
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

func streamLogs(ctx context.Context, cc *grpc.ClientConn, i int, length time.Duration) (n int, err error) {
	st, err := als.NewAccessLogServiceClient(cc).StreamAccessLogs(ctx)
	if err != nil {
		return 0, err
	}
	rnd := rand.New(rand.NewPCG(uint64(i), 7)) //nolint:gosec // a load's chance
	gap := time.Second * entriesAMessage * logStreams / logRate
	next, end := time.Now(), time.Now().Add(length)
	first := true
	for time.Now().Before(end) {
		m := logMessage(rnd, i)
		if !first {
			m.Identifier = nil
		}
		first = false
		if err := st.Send(m); err != nil {
			return n, err
		}
		n += entriesAMessage
		next = next.Add(gap)
		time.Sleep(time.Until(next))
	}
	if _, err = st.CloseAndRecv(); errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// logMessage is what the sidecar of one of forty services sends: both sides of hops.
func logMessage(r *rand.Rand, stream int) *als.StreamAccessLogsMessage {
	meta, err := structpb.NewStruct(map[string]any{"NAMESPACE": "shop", "WORKLOAD_NAME": fmt.Sprintf("svc%d-v1", stream), "LABELS": map[string]any{"app": fmt.Sprintf("svc%d", stream), "version": "v1"}})
	if err != nil {
		panic(err) // fixed input
	}
	m := &als.StreamAccessLogsMessage{Identifier: &als.StreamAccessLogsMessage_Identifier{
		LogName: "http_envoy_accesslog",
		Node:    &core.Node{Id: fmt.Sprintf("sidecar~10.0.0.%d~svc%d-7d9f.shop~shop.svc.cluster.local", stream, stream), Cluster: fmt.Sprintf("svc%d.shop", stream), Metadata: meta},
	}}
	logs := &als.StreamAccessLogsMessage_HTTPAccessLogEntries{}
	for range entriesAMessage {
		logs.LogEntry = append(logs.LogEntry, logEntry(r, stream))
	}
	m.LogEntries = &als.StreamAccessLogsMessage_HttpLogs{HttpLogs: logs}
	return m
}

func logEntry(r *rand.Rand, stream int) *data.HTTPAccessLogEntry {
	cluster := fmt.Sprintf("outbound|8080||svc%d.shop.svc.cluster.local", (stream+1+r.IntN(10))%40)
	if r.IntN(2) == 0 {
		cluster = "inbound|8080||"
	}
	d := time.Duration(1+r.IntN(50)) * time.Millisecond
	addr := func(ip string) *core.Address {
		return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{Address: ip, PortSpecifier: &core.SocketAddress_PortValue{PortValue: 30000 + r.Uint32N(20000)}}}}
	}
	id := fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", r.Uint32(), r.Uint32N(1<<16), r.Uint32N(1<<12), r.Uint32N(1<<12), r.Uint64N(1<<48))
	code := uint32(200)
	if r.IntN(50) == 0 {
		code = 503
	}
	return &data.HTTPAccessLogEntry{
		CommonProperties: &data.AccessLogCommon{
			DownstreamRemoteAddress: addr("10.0.1.7"), DownstreamLocalAddress: addr("10.0.2.9"), UpstreamRemoteAddress: addr("10.0.3.4"), UpstreamLocalAddress: addr("10.0.1.7"),
			StartTime: timestamppb.Now(), TimeToLastRxByte: durationpb.New(100 * time.Microsecond), TimeToFirstUpstreamTxByte: durationpb.New(d / 8),
			TimeToLastUpstreamRxByte: durationpb.New(d), TimeToLastDownstreamTxByte: durationpb.New(d), Duration: durationpb.New(d),
			UpstreamCluster: cluster, RouteName: "default", StreamId: id, UpstreamRequestAttemptCount: 1, AccessLogType: data.AccessLogType_DownstreamEnd,
		},
		ProtocolVersion: data.HTTPAccessLogEntry_HTTP11,
		Request: &data.HTTPRequestProperties{
			RequestMethod: core.RequestMethod_GET, Scheme: "http", Authority: "svc.shop:8080", Path: fmt.Sprintf("/api/v1/items/%d", r.IntN(1e6)),
			UserAgent: "Go-http-client/2.0", RequestId: id,
			RequestHeaders: map[string]string{"traceparent": fmt.Sprintf("00-%016x%016x-%016x-01", r.Uint64(), r.Uint64(), r.Uint64())},
		},
		Response: &data.HTTPResponseProperties{ResponseCode: wrapperspb.UInt32(code), ResponseBodyBytes: r.Uint64N(10000), ResponseCodeDetails: "via_upstream"},
	}
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
