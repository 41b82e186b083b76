package main

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
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
	begin := time.Now()
	_, n, err := sendLogs(ctx, s.process, s.mesh, b.length)
	rate := float64(n) / time.Since(begin).Seconds()
	if err != nil {
		s.stop()
		return err
	}
	time.Sleep(2 * time.Second)
	cost := (s.stop() - start) / float64(n) * 1e6
	fmt.Printf("  floor, not decoded            %8.2f µs an entry\n", floor)
	fmt.Printf("  Binnacle, all in              %8.2f µs an entry   %.1f times the floor   (limit 5)   %.0f a second\n", cost, cost/floor, rate)
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

// streamLogs sends as many entries as logRate makes of length; on a machine that cannot
// keep up it takes longer, and sends as many.
func streamLogs(ctx context.Context, cc *grpc.ClientConn, i int, length time.Duration) (n int, err error) {
	st, err := als.NewAccessLogServiceClient(cc).StreamAccessLogs(ctx)
	if err != nil {
		return 0, err
	}
	l := newSidecar(i)
	gap := time.Second * entriesAMessage * logStreams / logRate
	next := time.Now()
	for range length / gap {
		if err := st.Send(l.message()); err != nil {
			return n, err
		}
		l.msg.Identifier = nil // the first message alone has it
		n += entriesAMessage
		next = next.Add(gap)
		time.Sleep(time.Until(next))
	}
	if _, err = st.CloseAndRecv(); errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// A sidecar is an Envoy that logs. Two stand at the ends of the same hops: that of
// the caller (even numbers) and that of the callee (odd). Of one hop they log the same
// trace id, request id and path, and each the id of its own span, as Envoys do: the
// callee's proxy makes a child of the caller's span and logs the traceparent that it
// sends on. No hop is of the trace of another.
//
// Its message is the same one each time with new values in it, so that the generator
// takes little of the processors that it shares with what it measures.
type sidecar struct {
	caller   bool
	hop, own *rand.Rand // what both ends draw, and what this end does
	msg      *als.StreamAccessLogsMessage
	entries  []*data.HTTPAccessLogEntry
	clusters [10]string
}

func newSidecar(i int) *sidecar {
	l := &sidecar{
		caller: i%2 == 0,
		hop:    rand.New(rand.NewPCG(uint64(i/2), 7)), //nolint:gosec // a load's chance
		own:    rand.New(rand.NewPCG(uint64(i), 8)),   //nolint:gosec // a load's chance
	}
	for k := range l.clusters {
		l.clusters[k] = fmt.Sprintf("outbound|8080||svc%d.shop.svc.cluster.local", i+1+k)
	}
	meta, err := structpb.NewStruct(map[string]any{"NAMESPACE": "shop", "WORKLOAD_NAME": fmt.Sprintf("svc%d-v1", i), "LABELS": map[string]any{"app": fmt.Sprintf("svc%d", i), "version": "v1"}})
	if err != nil {
		panic(err) // fixed input
	}
	for range entriesAMessage {
		l.entries = append(l.entries, emptyEntry())
	}
	l.msg = &als.StreamAccessLogsMessage{
		Identifier: &als.StreamAccessLogsMessage_Identifier{
			LogName: "http_envoy_accesslog",
			Node:    &core.Node{Id: fmt.Sprintf("sidecar~10.0.0.%d~svc%d-7d9f.shop~shop.svc.cluster.local", i, i), Cluster: fmt.Sprintf("svc%d.shop", i), Metadata: meta},
		},
		LogEntries: &als.StreamAccessLogsMessage_HttpLogs{HttpLogs: &als.StreamAccessLogsMessage_HTTPAccessLogEntries{LogEntry: l.entries}},
	}
	return l
}

// message is the next thirty hops; it holds until the next call.
func (l *sidecar) message() *als.StreamAccessLogsMessage {
	for _, e := range l.entries {
		l.fill(e)
	}
	return l.msg
}

// emptyEntry has what all entries share.
func emptyEntry() *data.HTTPAccessLogEntry {
	addr := func(ip string) *core.Address {
		return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{Address: ip, PortSpecifier: &core.SocketAddress_PortValue{}}}}
	}
	return &data.HTTPAccessLogEntry{
		CommonProperties: &data.AccessLogCommon{
			DownstreamRemoteAddress: addr("10.0.1.7"), DownstreamLocalAddress: addr("10.0.2.9"), UpstreamRemoteAddress: addr("10.0.3.4"), UpstreamLocalAddress: addr("10.0.1.7"),
			StartTime: &timestamppb.Timestamp{}, TimeToLastRxByte: durationpb.New(100 * time.Microsecond), TimeToFirstUpstreamTxByte: &durationpb.Duration{},
			TimeToLastUpstreamRxByte: &durationpb.Duration{}, TimeToLastDownstreamTxByte: &durationpb.Duration{}, Duration: &durationpb.Duration{},
			UpstreamCluster: "inbound|8080||", RouteName: "default", UpstreamRequestAttemptCount: 1, AccessLogType: data.AccessLogType_DownstreamEnd,
		},
		ProtocolVersion: data.HTTPAccessLogEntry_HTTP11,
		Request: &data.HTTPRequestProperties{
			RequestMethod: core.RequestMethod_GET, Scheme: "http", Authority: "svc.shop:8080", UserAgent: "Go-http-client/2.0", RequestHeaders: map[string]string{},
		},
		Response: &data.HTTPResponseProperties{ResponseCode: &wrapperspb.UInt32Value{}, ResponseCodeDetails: "via_upstream"},
	}
}

func (l *sidecar) fill(e *data.HTTPAccessLogEntry) {
	c, now := e.CommonProperties, time.Now()
	for _, a := range []*core.Address{c.DownstreamRemoteAddress, c.DownstreamLocalAddress, c.UpstreamRemoteAddress, c.UpstreamLocalAddress} {
		a.GetSocketAddress().PortSpecifier.(*core.SocketAddress_PortValue).PortValue = 30000 + l.own.Uint32N(20000)
	}
	c.StartTime.Seconds, c.StartTime.Nanos = now.Unix(), int32(now.Nanosecond()) //nolint:gosec // below a billion
	took := 1 + l.hop.Int32N(50)
	c.TimeToFirstUpstreamTxByte.Nanos = took * 125_000
	c.TimeToLastUpstreamRxByte.Nanos, c.TimeToLastDownstreamTxByte.Nanos, c.Duration.Nanos = took*1_000_000, took*1_000_000, took*1_000_000
	if l.caller {
		c.UpstreamCluster = l.clusters[l.own.IntN(len(l.clusters))]
	}
	var b [32]byte
	id := hexDigits(b[:0], l.hop, 2)
	c.StreamId = string(id[:8]) + "-" + string(id[8:12]) + "-4" + string(id[13:16]) + "-a" + string(id[17:20]) + "-" + string(id[20:])
	e.Request.RequestId = c.StreamId
	e.Request.Path = "/api/v1/items/" + strconv.Itoa(l.hop.IntN(1e6))
	var p [55]byte
	parent := append(hexDigits(append(p[:0], "00-"...), l.hop, 2), '-')
	e.Request.RequestHeaders["traceparent"] = string(append(hexDigits(parent, l.own, 1), "-01"...))
	e.Response.ResponseCode.Value = 200
	if l.hop.IntN(50) == 0 {
		e.Response.ResponseCode.Value = 503
	}
	e.Response.ResponseBodyBytes = l.hop.Uint64N(10000)
}

// hexDigits appends n random numbers of sixteen digits.
func hexDigits(dst []byte, r *rand.Rand, n int) []byte {
	for range n {
		dst = hex.AppendEncode(dst, binary.BigEndian.AppendUint64(nil, r.Uint64()))
	}
	return dst
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
