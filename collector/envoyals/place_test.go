package envoyals

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	logpb "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	alspb "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// told is a request as the tests compare it:
// reporter side> peer (kind) protocol code outcome tls.
func told(b *telemetry.Batch, r *telemetry.Request) string {
	who := func(id *telemetry.Identity) string {
		return b.CopyStr(id.Namespace) + "/" + b.CopyStr(id.Service) + "@" + b.CopyStr(id.Version)
	}
	s := fmt.Sprintf("%s %s> %s (%s) %s %d %s", who(&b.Resources[r.Resource].Identity), r.Side, who(&r.Peer), r.PeerKind, r.Protocol, r.Code, r.Outcome)
	if r.TLS != telemetry.TLSUnknown {
		s += " " + r.TLS.String()
	}
	if r.Peer.Principal != 0 {
		s += " as " + b.CopyStr(r.Peer.Principal)
	}
	return s
}

func decodeMessage(t *testing.T, msg *alspb.StreamAccessLogsMessage) *telemetry.Batch {
	t.Helper()
	var from sender
	d := &decoder{Fill: &collector.Fill{}}
	newRig(t).In.Begin(d.Fill)
	raw := marshal(t, msg)
	if err := from.identify(raw); err != nil {
		t.Fatal(err)
	}
	if err := d.decode(&from, raw); err != nil {
		t.Fatal(err)
	}
	return d.Batch
}

func TestPlace(t *testing.T) {
	t.Parallel()
	const cart, frontend = "spiffe://cluster.local/ns/shop/sa/cart", "spiffe://cluster.local/ns/web/sa/frontend"
	type entry = logpb.HTTPAccessLogEntry
	sidecar := istioNode("sidecar", "cart", "shop", "v1")
	plain := &corepb.Node{Id: "cart-7f", Cluster: "cart"}
	for name, c := range map[string]struct {
		node   *corepb.Node
		change func(e *entry)
		want   []string
	}{
		"istio inbound, plain text": {
			sidecar, func(e *entry) { e.CommonProperties.UpstreamCluster = "inbound|9080||" },
			[]string{"shop/cart@v1 server> /@ (unknown) http 200 ok none"},
		},
		"istio inbound, mutual TLS": {sidecar, func(e *entry) {
			e.CommonProperties.UpstreamCluster, e.CommonProperties.TlsProperties = "inbound|9080||", mtls(cart, frontend)
		}, []string{"shop/cart@v1 server> web/@ (unknown) http 200 ok mtls as cluster.local/ns/web/sa/frontend"}},
		"istio inbound, one-way TLS": {sidecar, func(e *entry) {
			e.CommonProperties.UpstreamCluster, e.CommonProperties.TlsProperties = "inbound|9080||", mtls(cart, "")
		}, []string{"shop/cart@v1 server> /@ (unknown) http 200 ok tls"}},
		"istio inbound, caller named by header": {sidecar, func(e *entry) {
			e.CommonProperties.UpstreamCluster = "inbound|9080||"
			e.Request.RequestHeaders["x-envoy-downstream-service-cluster"] = "web"
		}, []string{"shop/cart@v1 server> /web@ (service) http 200 ok none"}},
		"istio outbound": {
			sidecar, func(e *entry) {
				e.CommonProperties.UpstreamCluster = "outbound|9080|v2|pricing.billing.svc.cluster.local"
			},
			[]string{"shop/cart@v1 client> billing/pricing@v2 (service) http 200 ok"},
		},
		"istio outbound to a host outside": {
			sidecar, func(e *entry) { e.CommonProperties.UpstreamCluster = "outbound|443||api.bank.example" },
			[]string{"shop/cart@v1 client> /api.bank.example@ (external) http 200 ok"},
		},
		"istio passthrough": {sidecar, func(e *entry) {
			e.CommonProperties.UpstreamCluster, e.Request.Authority = "PassthroughCluster", "api.bank.example:443"
		}, []string{"shop/cart@v1 client> /api.bank.example@ (external) http 200 ok"}},
		"istio inbound passthrough": {
			sidecar, func(e *entry) { e.CommonProperties.UpstreamCluster = "InboundPassthroughClusterIpv4" },
			[]string{"shop/cart@v1 server> /@ (unknown) http 200 ok none"},
		},
		"istio gateway": {istioNode("router", "gateway", "edge", "v1"), func(e *entry) {
			e.CommonProperties.UpstreamCluster = "outbound|9080|v1|cart.shop.svc.cluster.local"
		}, []string{
			"edge/gateway@v1 client> shop/cart@v1 (service) http 200 ok",
			"edge/gateway@v1 server> /@ (unknown) http 200 ok none",
		}},
		"gateway that limits by itself": {istioNode("router", "gateway", "edge", "v1"), func(e *entry) {
			e.CommonProperties.UpstreamCluster, e.CommonProperties.UpstreamRemoteAddress = "", nil
			e.CommonProperties.ResponseFlags = &logpb.ResponseFlags{RateLimited: true}
			e.Response.ResponseCode.Value = 429
		}, []string{"edge/gateway@v1 server> /@ (unknown) http 429 throttled none"}},
		"rate limited on the way in": {sidecar, func(e *entry) {
			e.CommonProperties.UpstreamCluster = ""
			e.CommonProperties.ResponseFlags = &logpb.ResponseFlags{RateLimited: true}
			e.Request.Authority, e.Response.ResponseCode.Value = "cart.shop.svc.cluster.local:9080", 429
		}, []string{"shop/cart@v1 server> /@ (unknown) http 429 throttled none"}},
		"no route on the way out": {sidecar, func(e *entry) {
			e.CommonProperties.UpstreamCluster = ""
			e.CommonProperties.ResponseFlags = &logpb.ResponseFlags{NoRouteFound: true}
			e.Request.Authority, e.Response.ResponseCode.Value = "pricing.billing.svc.cluster.local:9080", 404
		}, []string{"shop/cart@v1 client> billing/pricing@ (service) http 404 ok"}},
		"plain cluster": {
			plain, func(e *entry) { e.CommonProperties.UpstreamCluster = "pricing" },
			[]string{"/cart@ client> /pricing@ (unknown) http 200 ok"},
		},
		"plain cluster, own service": {
			plain, func(e *entry) { e.CommonProperties.UpstreamCluster = "cart" },
			[]string{"/cart@ server> /@ (unknown) http 200 ok none"},
		},
		"plain cluster, local_app": {
			plain, func(e *entry) { e.CommonProperties.UpstreamCluster = "local_app" },
			[]string{"/cart@ server> /@ (unknown) http 200 ok none"},
		},
		"consul": {
			&corepb.Node{Id: "web-sidecar-proxy", Cluster: "web", Metadata: mustStruct(t, map[string]any{"namespace": "default", "partition": "default"})},
			func(e *entry) {
				e.CommonProperties.UpstreamCluster = "pong.default.dc2.internal.0a1b2c3d.consul"
			},
			[]string{"/web@ client> /pong@ (unknown) http 200 ok"},
		},
		"consul, inbound": {
			&corepb.Node{Id: "web-sidecar-proxy", Cluster: "web", Metadata: mustStruct(t, map[string]any{"namespace": "default", "partition": "default"})},
			func(e *entry) {
				e.CommonProperties.UpstreamCluster = "local_app"
				e.CommonProperties.TlsProperties = mtls("spiffe://0a1b.consul/ns/default/dc/dc1/svc/web", "spiffe://0a1b.consul/ns/default/dc/dc1/svc/api")
			},
			[]string{"/web@ server> /api@ (service) http 200 ok mtls as 0a1b.consul/ns/default/dc/dc1/svc/api"},
		},
		"app mesh": {
			&corepb.Node{Id: "mesh/shop/virtualNode/cart", Cluster: "mesh/shop/virtualNode/cart"},
			func(e *entry) { e.CommonProperties.UpstreamCluster = "cds_ingress_shop_cart_http_8080" },
			[]string{"/cart@ server> /@ (unknown) http 200 ok none"},
		},
		"peer metadata, outbound": {sidecar, func(e *entry) {
			e.CommonProperties.UpstreamCluster = "outbound|80||svc-behind-alias.x.svc.cluster.local"
			e.CommonProperties.FilterStateObjects = map[string]*anypb.Any{"upstream_peer": peerObject(t, map[string]any{
				"service": "reviews", "namespace": "books", "version": "v3", "workload": "reviews-v3", "identity": "spiffe://cluster.local/ns/books/sa/reviews",
			})}
		}, []string{"shop/cart@v1 client> books/reviews@v3 (service) http 200 ok as cluster.local/ns/books/sa/reviews"}},
		"peer metadata, inbound": {sidecar, func(e *entry) {
			e.CommonProperties.UpstreamCluster, e.CommonProperties.TlsProperties = "inbound|9080||", mtls(cart, frontend)
			e.CommonProperties.FilterStateObjects = map[string]*anypb.Any{"downstream_peer": peerObject(t, map[string]any{
				"service": "frontend", "namespace": "web", "version": "v2",
			})}
		}, []string{"shop/cart@v1 server> web/frontend@v2 (service) http 200 ok mtls as cluster.local/ns/web/sa/frontend"}},
		"grpc, by trailers": {sidecar, func(e *entry) {
			e.CommonProperties.UpstreamCluster = "outbound|9080||pricing.shop.svc.cluster.local"
			e.Response.ResponseTrailers = map[string]string{"grpc-status": "14"}
		}, []string{"shop/cart@v1 client> shop/pricing@ (service) grpc 14 error"}},
		"grpc, refused by a limit": {sidecar, func(e *entry) {
			e.CommonProperties.UpstreamCluster = "outbound|9080||pricing.shop.svc.cluster.local"
			e.Request.RequestHeaders["content-type"] = "application/grpc+proto"
			e.Response.ResponseHeaders = map[string]string{"grpc-status": "8"}
		}, []string{"shop/cart@v1 client> shop/pricing@ (service) grpc 8 throttled"}},
		"grpc, no status logged": {sidecar, func(e *entry) {
			e.CommonProperties.UpstreamCluster = "outbound|9080||pricing.shop.svc.cluster.local"
			e.Request.RequestHeaders["content-type"] = "application/grpc"
		}, []string{"shop/cart@v1 client> shop/pricing@ (service) grpc -1 ok"}},
		"grpc, no answer": {sidecar, func(e *entry) {
			e.CommonProperties.UpstreamCluster = "outbound|9080||pricing.shop.svc.cluster.local"
			e.Request.RequestHeaders["content-type"] = "application/grpc"
			e.Response.ResponseCode.Value = 503
		}, []string{"shop/cart@v1 client> shop/pricing@ (service) grpc 14 error"}},
		"upstream down": {sidecar, func(e *entry) {
			e.CommonProperties.UpstreamCluster = "outbound|9080||pricing.shop.svc.cluster.local"
			e.CommonProperties.ResponseFlags = &logpb.ResponseFlags{UpstreamConnectionFailure: true}
			e.Response.ResponseCode.Value = 503
		}, []string{"shop/cart@v1 client> shop/pricing@ (service) http 503 error"}},
		"periodic": {sidecar, func(e *entry) { e.CommonProperties.AccessLogType = logpb.AccessLogType_DownstreamPeriodic }, []string{}},
		"start":    {sidecar, func(e *entry) { e.CommonProperties.AccessLogType = logpb.AccessLogType_DownstreamStart }, []string{}},
		"upstream": {sidecar, func(e *entry) { e.CommonProperties.AccessLogType = logpb.AccessLogType_UpstreamEnd }, []string{}},
		"intermediate, of an older envoy": {sidecar, func(e *entry) {
			e.CommonProperties.AccessLogType, e.CommonProperties.IntermediateLogEntry = logpb.AccessLogType_NotSet, true
		}, []string{}},
		"nobody": {
			nil, func(e *entry) { e.CommonProperties.UpstreamCluster = "pricing" },
			[]string{"/@ client> /pricing@ (unknown) http 200 ok"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := httpEntry("", "GET", "/", 200)
			c.change(e)
			b := decodeMessage(t, httpMessage(c.node, e))
			got := []string{}
			for i := range b.Requests {
				got = append(got, told(b, &b.Requests[i]))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func mustStruct(t *testing.T, m map[string]any) *structpb.Struct {
	t.Helper()
	s, err := structpb.NewStruct(m)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func peerObject(t *testing.T, m map[string]any) *anypb.Any {
	t.Helper()
	a, err := anypb.New(mustStruct(t, m))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestRequestFields decodes an entry that has all, and compares all.
func TestRequestFields(t *testing.T) {
	t.Parallel()
	e := httpEntry("inbound|9080||", "POST", "/orders/7?token=secret#top", 503)
	e.CommonProperties.TlsProperties = mtls("spiffe://cluster.local/ns/shop/sa/cart", "spiffe://cluster.local/ns/web/sa/frontend")
	e.CommonProperties.CustomTags = map[string]string{"tenant": "blue"}
	e.CommonProperties.UpstreamTransportFailureReason = "connection refused"
	e.CommonProperties.DownstreamDirectRemoteAddress = address("2001:db8::7", 4444)
	e.CommonProperties.ResponseFlags = &logpb.ResponseFlags{UpstreamConnectionFailure: true, UnauthorizedDetails: &logpb.ResponseFlags_Unauthorized{}}
	e.Response.ResponseCodeDetails = "upstream_reset"
	b := decodeMessage(t, httpMessage(istioNode("sidecar", "cart", "shop", "v1"), e))
	if len(b.Requests) != 1 {
		t.Fatalf("%d requests, want 1", len(b.Requests))
	}
	r := &b.Requests[0]
	own := &b.Resources[r.Resource].Identity
	hostPort := func(a telemetry.Address) string {
		return net.JoinHostPort(b.CopyStr(a.Host), strconv.Itoa(int(a.Port)))
	}
	got := map[string]any{
		"trace": r.TraceID.String(), "span": r.SpanID.String(), "start": r.Start, "duration": time.Duration(r.Duration),
		"method": b.CopyStr(r.Method), "path": b.CopyStr(r.Path), "authority": b.CopyStr(r.Authority), "id": fmt.Sprintf("%x", r.RequestID.UUID),
		"route": b.CopyStr(r.Route), "cluster": b.CopyStr(r.Cluster), "upstream": hostPort(r.Upstream), "remote": hostPort(r.Remote),
		"attempts": r.Attempts, "in": r.BytesIn, "out": r.BytesOut, "flags": r.Response.String(),
		"own": strings.Join([]string{b.CopyStr(own.Cluster), b.CopyStr(own.Workload), b.CopyStr(own.App), b.CopyStr(own.Instance), b.CopyStr(own.Principal)}, " "),
	}
	for _, a := range b.AttrsOf(r.Attrs) {
		got["attr "+b.CopyStr(a.Key)] = b.CopyStr(a.String())
	}
	want := map[string]any{
		"trace": "0af7651916cd43dd8448eb211c80319c", "span": "b7ad6b7169203331",
		"start": testNow.Add(-time.Second).UnixNano(), "duration": 25 * time.Millisecond,
		"method": "POST", "path": "/orders/7", "authority": "shop.example", "id": "3c0f9a447a439d498ad55b1d5b5f8f10",
		"route": "default", "cluster": "inbound|9080||", "upstream": "10.1.0.9:9080", "remote": "[2001:db8::7]:4444",
		"attempts": uint32(1), "in": uint64(420), "out": uint64(3100), "flags": "UF,UAEX",
		"own":         " cart-v1 cart cart-v1-5d4f cluster.local/ns/shop/sa/cart",
		"attr tenant": "blue", "attr user_agent.original": "okhttp/4.12.0",
		"attr response_code_details": "upstream_reset", "attr upstream_transport_failure_reason": "connection refused",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTCP(t *testing.T) {
	t.Parallel()
	connection := func(kind logpb.AccessLogType, flags *logpb.ResponseFlags) *logpb.TCPAccessLogEntry {
		return &logpb.TCPAccessLogEntry{
			CommonProperties: &logpb.AccessLogCommon{
				StartTime: timestamppb.New(testNow.Add(-time.Minute)), Duration: durationpb.New(40 * time.Second),
				UpstreamCluster: "outbound|6379||cache.shop.svc.cluster.local", ResponseFlags: flags, AccessLogType: kind,
			},
			ConnectionProperties: &logpb.ConnectionProperties{ReceivedBytes: 11, SentBytes: 22},
		}
	}
	b := decodeMessage(t, tcpMessage(istioNode("sidecar", "cart", "shop", "v1"),
		connection(logpb.AccessLogType_TcpConnectionStart, nil),
		connection(logpb.AccessLogType_TcpPeriodic, nil),
		connection(logpb.AccessLogType_TcpPeriodic, nil),
		connection(logpb.AccessLogType_TcpConnectionEnd, nil),
		connection(logpb.AccessLogType_TcpConnectionEnd, &logpb.ResponseFlags{UpstreamConnectionFailure: true}),
	))
	var got []string
	for i := range b.Requests {
		r := &b.Requests[i]
		got = append(got, fmt.Sprintf("%s %v %d %d", told(b, r), time.Duration(r.Duration), r.BytesIn, r.BytesOut))
	}
	want := []string{
		"shop/cart@v1 client> shop/cache@ (service) tcp 0 ok 40s 11 22",
		"shop/cart@v1 client> shop/cache@ (service) tcp 0 error 40s 11 22",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
