package telemetry_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// span makes a span of "key=value" attributes; a value after := is a number.
func span(kind telemetry.SpanKind, attrs ...string) (*telemetry.Batch, *telemetry.Span) {
	b := telemetry.NewBatch()
	b.Resources = append(b.Resources, telemetry.Resource{})
	for _, kv := range attrs {
		var a telemetry.Attr
		if k, v, ok := strings.Cut(kv, ":="); ok {
			var n int64
			_, _ = fmt.Sscan(v, &n)
			a = telemetry.Attr{Key: b.InternString(k), Type: telemetry.AttrInt, Value: uint64(n)}
		} else {
			k, v, _ := strings.Cut(kv, "=")
			a = telemetry.Attr{Key: b.InternString(k), Value: uint64(b.InternString(v))}
		}
		b.Attrs = append(b.Attrs, a)
	}
	b.Spans = append(b.Spans, telemetry.Span{Kind: kind, Attrs: telemetry.Range{Len: uint32(len(b.Attrs))}})
	return b, &b.Spans[0]
}

func TestFinishSpan(t *testing.T) {
	t.Parallel()
	f := func(want string, kind telemetry.SpanKind, status telemetry.Status, attrs ...string) {
		t.Helper()
		b, s := span(kind, attrs...)
		s.Status = status
		b.FinishSpan(0)
		got := fmt.Sprintf("%s %d %s", s.Protocol, s.Code, s.Outcome)
		if s.Peer != 0 {
			got += fmt.Sprintf(" peer=%s:%s/%s %s", s.PeerKind, b.Str(s.PeerNamespace), b.Str(s.Peer), b.Str(s.PeerSys))
		}
		if got = strings.TrimSpace(got); got != want {
			t.Errorf("%v %v\n got %s\nwant %s", kind, attrs, got, want)
		}
	}
	client, server := telemetry.KindClient, telemetry.KindServer
	unset, failed := telemetry.StatusUnset, telemetry.StatusError

	f("http 200 ok", server, unset, "http.request.method=GET", "http.response.status_code:=200")
	f("http 503 error", server, unset, "http.method=GET", "http.status_code=503")
	f("http 429 throttled", server, failed, "http.method=GET", "http.status_code=429")
	f("http 404 ok", client, failed, "http.request.method=GET", "http.response.status_code:=404")
	f("http 404 error", server, failed, "http.request.method=GET", "http.response.status_code:=404")
	f("http -1 error", client, unset, "http.request.method=GET", "error=true")
	f("grpc 0 ok", server, unset, "rpc.system=grpc", "rpc.grpc.status_code:=0")
	f("grpc 14 error", server, unset, "rpc.system=grpc", "rpc.response.status_code=UNAVAILABLE")
	f("grpc 8 throttled", client, failed, "rpc.system.name=grpc", "rpc.grpc.status_code:=8")
	f("unknown -1 error", telemetry.KindInternal, failed)

	// The far end, by the best name that the span gives.
	f("http -1 ok peer=unknown:/cart", client, unset, "http.method=GET", "peer.service=cart", "server.address=10.0.0.7")
	f("http -1 ok peer=service:shop/cart", client, unset, "http.method=GET", "peer.service=cart", "server.address=cart.shop.svc.cluster.local")
	f("http -1 ok peer=service:shop/cart", client, unset, "http.method=GET", "server.address=cart.shop.svc:8080")
	f("http -1 ok peer=external:/api.bank.example", client, unset, "http.method=GET", "server.address=api.bank.example")
	f("http -1 ok peer=unknown:/10.0.0.7", client, unset, "http.method=GET", "network.peer.address=10.0.0.7")
	f("http 200 ok peer=service:default/reviews", client, unset, "http.status_code=200", "upstream_cluster=outbound|9080|v1|reviews.default.svc.cluster.local", "server.address=10.0.0.7")
	f("database -1 ok peer=database:/orders-db postgresql", client, unset, "db.system.name=postgresql", "server.address=orders-db", "db.namespace=orders")
	f("database -1 error peer=database:/orders mysql", client, failed, "db.system=mysql", "db.name=orders")
	f("messaging -1 ok peer=queue:/orders kafka", telemetry.KindProducer, unset, "messaging.system=kafka", "messaging.destination.name=orders", "server.address=broker")
	f("http -1 ok", server, unset, "http.method=GET", "server.address=cart.shop.svc.cluster.local") // its own address, no peer

	// Envoy's own verdict goes before the code.
	f("http 503 throttled peer=unknown:/cart", client, failed, "http.status_code=503", "response_flags=RL", "upstream_cluster=cart")
}

func TestWellKnownKeysHaveTheirNumbers(t *testing.T) {
	t.Parallel()
	b := telemetry.NewBatch()
	for id, name := range map[telemetry.StrID]string{
		telemetry.KeyServiceName: "service.name", telemetry.KeyHTTPRoute: "http.route", telemetry.KeyComponent: "component",
	} {
		if got := b.InternString(name); got != id || b.Str(id) != name {
			t.Errorf("%q is %d in a fresh batch, want %d", name, got, id)
		}
	}
}

func TestParseClusterName(t *testing.T) {
	t.Parallel()
	f := func(s string, want telemetry.ClusterName) {
		t.Helper()
		if d := cmp.Diff(want, telemetry.ParseClusterName(s)); d != "" {
			t.Errorf("%s (-want +got)\n%s", s, d)
		}
	}
	f("outbound|9080|v1|reviews.default.svc.cluster.local", telemetry.ClusterName{Port: "9080", Subset: "v1", Host: "reviews.default.svc.cluster.local"})
	f("outbound|443||api.bank.example", telemetry.ClusterName{Port: "443", Host: "api.bank.example"})
	f("inbound|9080||", telemetry.ClusterName{Inbound: true, Port: "9080"})
	f("reviews", telemetry.ClusterName{Host: "reviews"})
	f("pong.default.dc2.internal.0b1d.consul", telemetry.ClusterName{Host: "pong"})
}

func TestResponseFlags(t *testing.T) {
	t.Parallel()
	f := func(s string, want telemetry.ResponseFlags, back string) {
		t.Helper()
		if got := telemetry.ParseResponseFlags(s); got != want || got.String() != back {
			t.Errorf("%q: %b %q, want %b %q", s, got, got, want, back)
		}
	}
	f("-", 0, "")
	f("RL", telemetry.FlagRateLimited, "RL")
	f("RL,UF,nonsense", telemetry.FlagRateLimited|1<<5, "UF,RL")
	f("DR", 1<<27, "DR")
}

func TestInternTextMendsAndCuts(t *testing.T) {
	t.Parallel()
	f := func(in, want string, limit int, changed bool) {
		t.Helper()
		b := telemetry.NewBatch()
		id, ch := b.InternText([]byte(in), limit)
		if got := b.Str(id); got != want || ch != changed {
			t.Errorf("%q limit %d: %q %v, want %q %v", in, limit, got, ch, want, changed)
		}
	}
	f("plain", "plain", 10, false)
	f("a\xff\xfeb", "a\uFFFDb", 10, true)
	f("héllo", "h", 2, true) // é is two bytes, the cut would split it
	f("\xff\xff", "", 2, true)
}

func TestParseIDs(t *testing.T) {
	t.Parallel()
	f := func(in, want string, ok bool) {
		t.Helper()
		id, err := telemetry.ParseTraceID(in)
		if (err == nil) != ok || ok && id.String() != want {
			t.Errorf("%q: %s %v", in, id, err)
		}
	}
	f("4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e4736", true)
	f("A3CE929D0E0E4736", "0000000000000000a3ce929d0e0e4736", true)
	f("f", "0000000000000000000000000000000f", true)
	f("", "", false)
	f("xyz", "", false)
	f(strings.Repeat("0", 33), "", false)
}
