package envoyals

import (
	"net"
	"testing"

	logpb "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	alspb "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/binnacle-mesh/binnacle/collector/internal/countertest"
	"github.com/binnacle-mesh/binnacle/collector/internal/rig"
	"github.com/binnacle-mesh/binnacle/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start serves the rig's service, and returns what stops it and waits.
func start(t *testing.T, r *rig.Rig) (conn *grpc.ClientConn, stop func()) {
	t.Helper()
	s := New(r.In)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.ForceServerCodecV2(wire.Codec{}), grpc.MaxRecvMsgSize(1<<20))
	s.Register(server)
	go func() { _ = server.Serve(l) }()
	conn, err = grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	return conn, func() {
		_ = conn.Close()
		server.Stop()
		if err := r.Collector.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// send streams messages by the generated client, as an Envoy does, and closes.
func send(t *testing.T, conn *grpc.ClientConn, msgs ...*alspb.StreamAccessLogsMessage) error {
	t.Helper()
	stream, err := alspb.NewAccessLogServiceClient(conn).StreamAccessLogs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range msgs {
		if err := stream.Send(m); err != nil {
			break // CloseAndRecv has the reason
		}
	}
	_, err = stream.CloseAndRecv()
	return err
}

// TestStreamLeavesOut has an Envoy that logs a request at its start, while it lasts and at its end: the request is
// counted once, and nothing is said to be lost.
func TestStreamLeavesOut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	conn, stop := start(t, r)
	var entries []*logpb.HTTPAccessLogEntry
	for _, at := range []logpb.AccessLogType{logpb.AccessLogType_DownstreamStart, logpb.AccessLogType_DownstreamPeriodic, logpb.AccessLogType_DownstreamEnd} {
		e := httpEntry("outbound|80||pricing.shop.svc.cluster.local", "GET", "/", 200)
		e.CommonProperties.AccessLogType = at
		entries = append(entries, e)
	}
	if err := send(t, conn, httpMessage(istioNode("sidecar", "cart", "shop", "v1"), entries...)); err != nil {
		t.Error(err)
	}
	stop()
	if _, requests := r.Log.Count(t); requests != 1 {
		t.Errorf("%d requests, want 1", requests)
	}
	for name, want := range map[string]float64{"left_out": 2, "dropped": 0, "refused_messages": 0} {
		if got := countertest.Value(t, r.Reg, name, ""); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// TestStream has two proxies, each of which says who it is in its first
// message alone, and one that never does.
func TestStream(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	conn, stop := start(t, r)
	out := httpEntry("outbound|80||pricing.shop.svc.cluster.local", "GET", "/", 200)
	for _, app := range []string{"cart", "frontend"} {
		err := send(t, conn,
			httpMessage(istioNode("sidecar", app, "shop", "v1"), out),
			httpMessage(nil, out, out),
			httpMessage(nil, out),
		)
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := send(t, conn, httpMessage(nil, out), httpMessage(nil, out)); err != nil {
		t.Fatal(err)
	}
	stop()
	if _, got := r.Log.Count(t); got != 10 {
		t.Errorf("%d requests, want 10", got)
	}
	if got := countertest.Value(t, r.Reg, "requests", ""); got != 10 {
		t.Errorf("%v requests counted, want 10", got)
	}
	if got := countertest.Value(t, r.Reg, "repaired", "identity"); got != 1 {
		t.Errorf("%v streams without identity counted, want 1", got)
	}
	if got := r.In.Config().MaxInflightBytes; r.In.Admit(nil, int(got)) != nil {
		t.Error("not all bytes admitted were given back")
	}
}

// TestStreamRefuses sends what is no message, and what is too large; the
// stream ends with the reason, and others go on.
func TestStreamRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	conn, stop := start(t, r)
	out := httpEntry("outbound|80||pricing.shop.svc.cluster.local", "GET", "/", 200)
	raw := func(b []byte) error {
		stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true},
			"/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs", grpc.ForceCodecV2(wire.Codec{}))
		if err != nil {
			t.Fatal(err)
		}
		var f wire.Frame
		f.Set(b)
		if err := stream.SendMsg(&f); err != nil {
			t.Fatal(err)
		}
		return stream.RecvMsg(&f)
	}
	truncated := marshal(t, httpMessage(nil, out))
	if err := raw(truncated[:len(truncated)-3]); status.Code(err) != codes.InvalidArgument {
		t.Errorf("truncated: %v, want InvalidArgument", err)
	}
	if err := raw(make([]byte, 2<<20)); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("too large: %v, want ResourceExhausted", err)
	}
	if err := send(t, conn, httpMessage(istioNode("sidecar", "cart", "shop", "v1"), out)); err != nil {
		t.Errorf("a good stream beside them: %v", err)
	}
	stop()
	for reason, want := range map[string]float64{"malformed": 1, "too_large": 1} {
		if got := countertest.Value(t, r.Reg, "refused_messages", reason); got != want {
			t.Errorf("refused for %s: %v, want %v", reason, got, want)
		}
	}
	if _, got := r.Log.Count(t); got != 1 {
		t.Errorf("%d requests, want the good stream's 1", got)
	}
}
