package embedded

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The ports are those that the components themselves understand, with their own defaults.
func TestListeners(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		user tree
		want []Listener
	}{
		"built in": {nil, []Listener{
			{"collector.receivers.jaeger.protocols.grpc.endpoint", "jaeger_grpc", "tcp", "127.0.0.1:14250", "Jaeger gRPC", true},
			{"collector.receivers.jaeger.protocols.thrift_http.endpoint", "jaeger_thrift_http", "tcp", "127.0.0.1:14268", "Jaeger Thrift over HTTP", true},
			{"collector.receivers.zipkin.endpoint", "zipkin", "tcp", "127.0.0.1:9411", "Zipkin", true},
		}},
		"the user's": {tree{"receivers": tree{
			"zipkin/b": tree{"endpoint": "127.0.0.1:1"},
			"jaeger":   tree{"protocols": tree{"thrift_compact": nil}},
			"otlp":     tree{"protocols": tree{"grpc": tree{"endpoint": "127.0.0.1:2"}}},
		}}, []Listener{
			{"collector.receivers.jaeger.protocols.thrift_compact.endpoint", "jaeger_thrift_compact", "udp", "localhost:6831", "Jaeger thrift compact over UDP", false},
			{"collector.receivers.otlp.protocols.grpc.endpoint", "otlp_grpc", "tcp", "127.0.0.1:2", "OTLP gRPC", false},
			{"collector.receivers.zipkin/b.endpoint", "zipkin", "tcp", "127.0.0.1:1", "Zipkin", false},
		}},
		"in no pipeline": {tree{"receivers": tree{"zipkin": nil}, "service": tree{"pipelines": tree{ownPipeline: tree{}}}}, nil},
	} {
		col, err := New(t.Context(), c.user, nil, Front{}, "test", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, col.Listeners()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestStartSaysWhy has others on two of three ports: the error names the settings of these two.
func TestStartSaysWhy(t *testing.T) {
	p, user := ownPorts(t)
	for _, addr := range []string{p.zipkin, p.grpc} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	col, err := New(t.Context(), user, nil, Front{}, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	want := "collector.receivers.jaeger.protocols.grpc.endpoint: " + p.grpc + " is in use, perhaps by another Binnacle; stop it, " +
		"set collector.receivers.jaeger.protocols.grpc.endpoint to another address, or remove the receiver\n" +
		"collector.receivers.zipkin.endpoint: " + p.zipkin + " is in use, perhaps by another Binnacle; stop it, " +
		"set collector.receivers.zipkin.endpoint to another address, or remove the receiver"
	if err := col.Start(t.Context()); err == nil || err.Error() != want {
		t.Errorf("Start on taken ports:\n%v\nwant\n%s", err, want)
	}
	if err := col.Stop(context.Background()); err != nil {
		t.Errorf("Stop, of what has not started: %v", err)
	}
}

// Who has written nothing is told how to close a port all the same.
func TestRemedyForBuiltIn(t *testing.T) {
	t.Parallel()
	got := Listener{Path: "collector.receivers.zipkin.endpoint", BuiltIn: true}.Remedy()
	for _, want := range []string{"set collector.receivers.zipkin.endpoint to another address", "collector: {receivers: {}} closes all"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q does not say %q", got, want)
		}
	}
}
