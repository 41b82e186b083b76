package apitest

import (
	"fmt"
	"math"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// FailedCart is a trace of three spans in two services, of which one fails, and
// of two entries of proxies' logs.
func FailedCart() (telemetry.TraceID, *telemetry.Batch) {
	b := telemetry.NewBatch()
	id := TraceID(1)
	front := AddResource(b, "frontend", "shop", "v1", KV("k8s.pod.name", "frontend-7d9f"))
	cart := AddResource(b, "cart", "shop", "v2")
	scope, version := b.InternString("otel/http"), b.InternString("0.9.1")
	// Out of order, as senders send.
	sp := AddSpan(b, telemetry.Span{
		TraceID: id, SpanID: SpanID(3), ParentID: SpanID(2), Start: At(2500 * time.Microsecond), Duration: 70_123_456, Resource: cart,
		Kind: telemetry.KindServer, Status: telemetry.StatusError, StatusMessage: b.InternString("stock is empty"),
		ScopeName: scope, ScopeVersion: version, TraceState: b.InternString("vendor=1"),
	}, "GET /cart/{id}", KV("http.request.method", "GET"), KV("http.response.status_code", 500), KV("retry", false))
	sp.Events = telemetry.Range{Start: 0, Len: 2}
	b.Events = append(b.Events,
		telemetry.Event{Time: At(40 * time.Millisecond), Name: b.InternString("exception"), Attrs: AddAttrs(b, KV("exception.type", "EmptyStock"))},
		telemetry.Event{Time: At(41 * time.Millisecond), Name: b.InternString("ignored"), Attrs: AddAttrs(b, KV("event", "said by attribute"))})
	AddSpan(b, telemetry.Span{
		TraceID: id, SpanID: SpanID(1), Start: At(0), Duration: 81_400_000, Resource: front, Kind: telemetry.KindServer,
		Flags: 0x101, ScopeName: scope,
	}, "GET /cart", KV("http.response.status_code", 502))
	AddSpan(b, telemetry.Span{
		TraceID: id, SpanID: SpanID(2), ParentID: SpanID(1), Start: At(time.Millisecond), Duration: 80_000_000, Resource: front, Kind: telemetry.KindClient,
	}, "GET", KV("server.address", "cart.shop.svc.cluster.local"))
	b.Requests = append(b.Requests,
		telemetry.Request{
			TraceID: id, SpanID: SpanID(3), Start: At(2 * time.Millisecond), Duration: 71_000_000, Resource: cart, Side: telemetry.SideServer,
			Protocol: telemetry.ProtocolHTTP, Code: 500, Method: b.InternString("GET"), Path: b.InternString("/cart/7?token=secret"),
			Peer: telemetry.Identity{Service: b.InternString("frontend")}, Outcome: telemetry.OutcomeError,
		},
		telemetry.Request{
			TraceID: id, SpanID: SpanID(2), Start: At(1200 * time.Microsecond), Duration: 80_000_000, Resource: front, Side: telemetry.SideClient,
			Protocol: telemetry.ProtocolHTTP, Code: 500, Method: b.InternString("GET"), Path: b.InternString("/cart/7"),
			Cluster: b.InternString("outbound|8080|v2|cart.shop.svc.cluster.local"), Outcome: telemetry.OutcomeError, Response: telemetry.FlagRateLimited,
		})
	return id, b
}

// Oddities is a trace with a 64-bit id and one of every kind of value.
func Oddities() (telemetry.TraceID, *telemetry.Batch) {
	b := telemetry.NewBatch()
	id := telemetry.TraceID{15: 0xff}
	res := AddResource(b, "", "", "", KV("host.name", "box"))
	sp := AddSpan(b, telemetry.Span{
		TraceID: id, SpanID: SpanID(9), ParentID: SpanID(8), Start: At(-time.Second) + 123, Duration: 999, Resource: res,
		Status: telemetry.StatusOK, Kind: telemetry.KindConsumer,
	}, "take \"orders\"\n",
		KV("small", -1), KV("large", math.MaxInt64-1), KV("temperature", 72.5), KV("nan", math.NaN()), KV("blob", []byte{0, 0, 0x30, 0x39}),
		KV("list", JSONText(`["a",1,2.5,true,null,{"k":[]}]`)), KV("broken", JSONText(`["a"`)), KV("empty", ""), KV("separator", "a\u2028b</script>"))
	sp.Links = telemetry.Range{Start: 0, Len: 3}
	b.Links = append(b.Links,
		telemetry.Link{TraceID: TraceID(1), SpanID: SpanID(3)},
		telemetry.Link{TraceID: id, SpanID: SpanID(8), Attrs: AddAttrs(b, KV("opentracing.ref_type", "follows_from"))},
		telemetry.Link{TraceID: TraceID(1), SpanID: SpanID(1), Attrs: AddAttrs(b, KV("opentracing.ref_type", "child_of"))})
	return id, b
}

// ShopGraph is a live graph of three nodes.
func ShopGraph(version uint64, rate float64) *telemetry.Graph {
	p := func(f float64) *float64 { return &f }
	return &telemetry.Graph{
		Version: version, Time: Noon().UnixNano() + int64(version)*1e6,
		Nodes: []telemetry.GraphNode{
			{ID: "client:unknown", Name: "unknown", Kind: telemetry.NodeClient, Health: telemetry.HealthOK},
			{ID: "database:stock-0.db", Name: "stock-0.db", Kind: telemetry.NodeDatabase, System: "postgresql", Health: telemetry.HealthIdle},
			{
				ID: "shop/cart", Name: "cart", Namespace: "shop", Kind: telemetry.NodeService, Versions: []string{"v1", "v2"}, Health: telemetry.HealthOK, LastSeen: Noon().UnixNano(),
				Windows: map[string]telemetry.Signals{"5m": {}, "1s": {Rate: rate, ErrorRate: 1. / 3, P50: p(3.14159265), P90: p(8), P99: p(41.5)}},
			},
			{ID: "shop/frontend", Name: "frontend", Namespace: "shop", Kind: telemetry.NodeService, Health: telemetry.HealthOK},
		},
		Edges: []telemetry.GraphEdge{
			{ID: "client:unknown>shop/frontend|http", Source: "client:unknown", Target: "shop/frontend", Protocol: telemetry.ProtocolHTTP, Health: telemetry.HealthOK, Totals: telemetry.Totals{Requests: 9}, MTLS: -1},
			{ID: "shop/cart>database:stock-0.db|database", Source: "shop/cart", Target: "database:stock-0.db", Protocol: telemetry.ProtocolDatabase, Health: telemetry.HealthIdle, Totals: telemetry.Totals{Requests: 40}, MTLS: -1},
			{ID: "shop/frontend>shop/cart|grpc", Source: "shop/frontend", Target: "shop/cart", Protocol: telemetry.ProtocolGRPC, Health: telemetry.HealthOK, Totals: telemetry.Totals{Requests: 7}, MTLS: 1},
			{
				ID: "shop/frontend>shop/cart|http", Source: "shop/frontend", Target: "shop/cart", Protocol: telemetry.ProtocolHTTP, Health: telemetry.HealthFailing,
				Windows: map[string]telemetry.Signals{"10s": {Rate: rate}, "1s": {Rate: rate}},
				Totals:  telemetry.Totals{Requests: 90124, Errors: 61, Throttled: 2}, Witnesses: telemetry.WitnessCounts{ClientSpan: 90124, ServerSpan: 90120, ClientLog: 3, ServerLog: 4},
				MTLS:        0.5,
				ThrottledBy: []telemetry.RuleRate{{Rule: "shop/path_/checkout", Rate: 3.5}},
				Exemplars:   []telemetry.Exemplar{{TraceID: TraceID(1), SpanID: SpanID(3), Duration: 41_500_000, Error: true, Time: Noon().UnixNano()}},
				FirstSeen:   Noon().UnixNano() - 1e9, LastSeen: Noon().UnixNano(),
			},
		},
	}
}

// Large is a trace of 10,000 spans.
func Large() (telemetry.TraceID, *telemetry.Batch) {
	batch := telemetry.NewBatch()
	res := AddResource(batch, "cart", "shop", "v1")
	for i := range 10_000 {
		AddSpan(batch, telemetry.Span{
			TraceID: TraceID(1), SpanID: telemetry.SpanID{6: byte(i >> 8), 7: byte(i)}, ParentID: telemetry.SpanID{7: 1},
			Start: At(0) + int64(i)*1000, Duration: 5_123_456, Resource: res, Kind: telemetry.KindServer,
		}, fmt.Sprintf("GET /cart/%d", i%50), KV("http.request.method", "GET"), KV("http.response.status_code", 200), KV("url.path", "/cart"))
	}
	return TraceID(1), batch
}
