package otlp

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"regexp"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// testNow is the wall's clock of the tests and of their messages.
var testNow = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func text(key, value string) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: value}}}
}

func number(key string, value int64) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: value}}}
}

// load makes export requests like those of a mesh that is instrumented by
// OpenTelemetry's SDKs: 40 services of 3 pods, 11 to 13 attributes a span,
// about 620 bytes a span, spans of one request grouped by pod.
type load struct{ r *rand.Rand }

func newLoad(seed uint64) *load { return &load{rand.New(rand.NewPCG(seed, 2))} }

const loadServices, loadPods = 40, 3

func (l *load) request(spans int) *collectorpb.ExportTraceServiceRequest {
	groups := map[[2]int]*tracepb.ScopeSpans{}
	req := &collectorpb.ExportTraceServiceRequest{}
	for range spans {
		at := [2]int{l.r.IntN(loadServices), l.r.IntN(loadPods)}
		g := groups[at]
		if g == nil {
			g = &tracepb.ScopeSpans{Scope: &commonpb.InstrumentationScope{
				Name: "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp", Version: "0.63.0",
			}}
			groups[at] = g
			req.ResourceSpans = append(req.ResourceSpans, &tracepb.ResourceSpans{
				Resource: l.resource(at[0], at[1]), ScopeSpans: []*tracepb.ScopeSpans{g},
			})
		}
		g.Spans = append(g.Spans, l.span(at[0]))
	}
	return req
}

func (l *load) resource(service, pod int) *resourcepb.Resource {
	name := fmt.Sprintf("service-%d", service)
	instance := fmt.Sprintf("%s-7d9f8b6c5-%08x%02x", name, uint32(service)*2654435761, pod)
	return &resourcepb.Resource{Attributes: []*commonpb.KeyValue{
		text("service.name", name),
		text("service.namespace", "shop"),
		text("service.version", "1.14.2"),
		text("service.instance.id", instance),
		text("deployment.environment.name", "prod"),
		text("k8s.cluster.name", "eu-west-1a"),
		text("k8s.namespace.name", "shop"),
		text("k8s.deployment.name", name),
		text("k8s.pod.name", instance),
		text("k8s.node.name", fmt.Sprintf("ip-10-0-%d-%d.eu-west-1.compute.internal", pod, service)),
		text("k8s.container.name", "app"),
		text("host.name", instance),
		text("telemetry.sdk.name", "opentelemetry"),
		text("telemetry.sdk.language", "go"),
		text("telemetry.sdk.version", "1.38.0"),
	}}
}

func (l *load) id(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(1 + l.r.IntN(255))
	}
	return b
}

func (l *load) ip(net int) string {
	return fmt.Sprintf("10.%d.%d.%d", net, l.r.IntN(32), l.r.IntN(250))
}

// span is a server's, a client's or a database client's, by HTTP or gRPC.
func (l *load) span(service int) *tracepb.Span {
	start := uint64(testNow.UnixNano()) - 1_000_000_000 + uint64(l.r.IntN(900_000_000))
	s := &tracepb.Span{
		TraceId: l.id(16), SpanId: l.id(8), ParentSpanId: l.id(8), Flags: 0x101,
		StartTimeUnixNano: start, EndTimeUnixNano: start + uint64(l.r.IntN(50_000_000)),
	}
	op := l.r.IntN(6)
	peer := fmt.Sprintf("service-%d", l.r.IntN(loadServices))
	host := peer + ".shop.svc.cluster.local"
	path := fmt.Sprintf("/api/v1/%s/op%d/", peer, op)
	switch l.r.IntN(5) {
	case 0, 1:
		s.Kind, s.Name = tracepb.Span_SPAN_KIND_SERVER, "GET "+path+"{id}"
		s.Attributes = []*commonpb.KeyValue{
			text("http.request.method", "GET"), text("url.path", fmt.Sprintf("%s%08x", path, l.r.Uint32())), text("url.scheme", "http"),
			text("http.route", path+"{id}"), number("http.response.status_code", 200),
			text("server.address", fmt.Sprintf("service-%d.shop.svc.cluster.local", service)), number("server.port", 8080),
			text("client.address", l.ip(42)), text("network.peer.address", l.ip(42)), number("network.peer.port", int64(32768+l.r.IntN(28000))),
			text("network.protocol.version", "1.1"), text("user_agent.original", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15"),
			number("http.response.body.size", int64(l.r.IntN(20000))),
		}
	case 2, 3:
		s.Kind, s.Name = tracepb.Span_SPAN_KIND_CLIENT, fmt.Sprintf("shop.%s.v1.Service/Op%d", peer, op)
		s.Attributes = []*commonpb.KeyValue{
			text("rpc.system", "grpc"), text("rpc.service", "shop."+peer+".v1.Service"), text("rpc.method", fmt.Sprintf("Op%d", op)),
			number("rpc.grpc.status_code", 0), text("server.address", host), number("server.port", 9090),
			text("network.peer.address", l.ip(43)), number("network.peer.port", 9090), text("network.transport", "tcp"),
			text("network.type", "ipv4"), text("peer.service", peer),
		}
	default:
		s.Kind, s.Name = tracepb.Span_SPAN_KIND_CLIENT, "SELECT items"
		s.Attributes = []*commonpb.KeyValue{
			text("db.system.name", "postgresql"), text("db.system", "postgresql"), text("db.namespace", "items"), text("db.collection.name", "items"),
			text("db.operation.name", "SELECT"), text("db.query.text", "SELECT id, sku, qty, price, created_at FROM items WHERE tenant = $1 AND id = $2 LIMIT 50"),
			text("server.address", "postgresql-0.db.svc.cluster.local"), number("server.port", 5432),
			text("network.peer.address", l.ip(44)), number("network.peer.port", 5432),
			number("db.response.returned_rows", int64(l.r.IntN(50))), text("peer.service", "postgresql"),
		}
	}
	if l.r.IntN(50) == 0 {
		s.Status = &tracepb.Status{Message: "upstream failed", Code: tracepb.Status_STATUS_CODE_ERROR}
	}
	return s
}

// otlpJSON is req in OTLP's JSON, which is protobuf's but for ids.
func otlpJSON(t testing.TB, req *collectorpb.ExportTraceServiceRequest) []byte {
	t.Helper()
	msg, err := protojson.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	return base64ID.ReplaceAllFunc(msg, func(m []byte) []byte {
		at := bytes.LastIndexByte(m[:len(m)-1], '"')
		id, err := base64.StdEncoding.DecodeString(string(m[at+1 : len(m)-1]))
		if err != nil {
			t.Fatal(err)
		}
		return append(append(append([]byte(nil), m[:at+1]...), hex.EncodeToString(id)...), '"')
	})
}

var base64ID = regexp.MustCompile(`"(traceId|spanId|parentSpanId)" *: *"[^"]*"`)
