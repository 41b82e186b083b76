package api

import (
	"math"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// kv is an attribute as a test writes it: its value's Go type is its type.
type kv struct {
	key   string
	value any
}

// jsonText is an array or a map, as the collector keeps it.
type jsonText string

func addAttrs(b *telemetry.Batch, list ...kv) telemetry.Range {
	r := telemetry.Range{Start: uint32(len(b.Attrs)), Len: uint32(len(list))}
	for _, x := range list {
		a := telemetry.Attr{Key: b.InternString(x.key)}
		switch v := x.value.(type) {
		case string:
			a.Value = uint64(b.InternString(v))
		case int:
			a.Type, a.Value = telemetry.AttrInt, uint64(int64(v))
		case float64:
			a.Type, a.Value = telemetry.AttrFloat, math.Float64bits(v)
		case bool:
			a.Type = telemetry.AttrBool
			if v {
				a.Value = 1
			}
		case []byte:
			a.Type, a.Value = telemetry.AttrBytes, uint64(b.Intern(v))
		case jsonText:
			a.Type, a.Value = telemetry.AttrJSON, uint64(b.InternString(string(v)))
		default:
			panic("a test's attribute is of no type that telemetry has")
		}
		b.Attrs = append(b.Attrs, a)
	}
	return r
}

func addResource(b *telemetry.Batch, service, namespace, version string, more ...kv) uint32 {
	list := more
	if service != "" {
		list = append([]kv{{"service.name", service}}, more...)
	}
	b.Resources = append(b.Resources, telemetry.Resource{
		Identity: telemetry.Identity{Service: b.InternString(service), Namespace: b.InternString(namespace), Version: b.InternString(version)},
		Attrs:    addAttrs(b, list...),
	})
	return uint32(len(b.Resources) - 1)
}

func addSpan(b *telemetry.Batch, s telemetry.Span, name string, attrs ...kv) *telemetry.Span {
	s.Name = b.InternString(name)
	s.Attrs = addAttrs(b, attrs...)
	b.Spans = append(b.Spans, s)
	b.FinishSpan(len(b.Spans) - 1)
	return &b.Spans[len(b.Spans)-1]
}

func traceID(low byte) (id telemetry.TraceID) {
	id[0], id[15] = 0x6f, low
	return id
}

func spanID(low byte) (id telemetry.SpanID) {
	id[0], id[7] = 0xa0, low
	return id
}

func at(d time.Duration) int64 { return noon.Add(-time.Minute + d).UnixNano() }

// failedCart is a trace of three spans in two services, of which one fails, and
// of two entries of proxies' logs.
func failedCart() (telemetry.TraceID, *telemetry.Batch) {
	b := telemetry.NewBatch()
	id := traceID(1)
	front := addResource(b, "frontend", "shop", "v1", kv{"k8s.pod.name", "frontend-7d9f"})
	cart := addResource(b, "cart", "shop", "v2")
	scope, version := b.InternString("otel/http"), b.InternString("0.9.1")
	// Out of order, as senders send.
	sp := addSpan(b, telemetry.Span{
		TraceID: id, SpanID: spanID(3), ParentID: spanID(2), Start: at(2500 * time.Microsecond), Duration: 70_123_456, Resource: cart,
		Kind: telemetry.KindServer, Status: telemetry.StatusError, StatusMessage: b.InternString("stock is empty"),
		ScopeName: scope, ScopeVersion: version, TraceState: b.InternString("vendor=1"),
	}, "GET /cart/{id}", kv{"http.request.method", "GET"}, kv{"http.response.status_code", 500}, kv{"retry", false})
	sp.Events = telemetry.Range{Start: 0, Len: 2}
	b.Events = append(b.Events,
		telemetry.Event{Time: at(40 * time.Millisecond), Name: b.InternString("exception"), Attrs: addAttrs(b, kv{"exception.type", "EmptyStock"})},
		telemetry.Event{Time: at(41 * time.Millisecond), Name: b.InternString("ignored"), Attrs: addAttrs(b, kv{"event", "said by attribute"})})
	addSpan(b, telemetry.Span{
		TraceID: id, SpanID: spanID(1), Start: at(0), Duration: 81_400_000, Resource: front, Kind: telemetry.KindServer,
		Flags: 0x101, ScopeName: scope,
	}, "GET /cart", kv{"http.response.status_code", 502})
	addSpan(b, telemetry.Span{
		TraceID: id, SpanID: spanID(2), ParentID: spanID(1), Start: at(time.Millisecond), Duration: 80_000_000, Resource: front, Kind: telemetry.KindClient,
	}, "GET", kv{"server.address", "cart.shop.svc.cluster.local"})
	b.Requests = append(b.Requests,
		telemetry.Request{
			TraceID: id, SpanID: spanID(3), Start: at(2 * time.Millisecond), Duration: 71_000_000, Resource: cart, Side: telemetry.SideServer,
			Protocol: telemetry.ProtocolHTTP, Code: 500, Method: b.InternString("GET"), Path: b.InternString("/cart/7?token=secret"),
			Peer: telemetry.Identity{Service: b.InternString("frontend")}, Outcome: telemetry.OutcomeError,
		},
		telemetry.Request{
			TraceID: id, SpanID: spanID(2), Start: at(1200 * time.Microsecond), Duration: 80_000_000, Resource: front, Side: telemetry.SideClient,
			Protocol: telemetry.ProtocolHTTP, Code: 500, Method: b.InternString("GET"), Path: b.InternString("/cart/7"),
			Cluster: b.InternString("outbound|8080|v2|cart.shop.svc.cluster.local"), Outcome: telemetry.OutcomeError, Response: telemetry.FlagRateLimited,
		})
	return id, b
}

// oddities is a trace with a 64-bit id and one of every kind of value.
func oddities() (telemetry.TraceID, *telemetry.Batch) {
	b := telemetry.NewBatch()
	id := telemetry.TraceID{15: 0xff}
	res := addResource(b, "", "", "", kv{"host.name", "box"})
	sp := addSpan(b, telemetry.Span{
		TraceID: id, SpanID: spanID(9), ParentID: spanID(8), Start: at(-time.Second) + 123, Duration: 999, Resource: res,
		Status: telemetry.StatusOK, Kind: telemetry.KindConsumer,
	}, "take \"orders\"\n",
		kv{"small", -1}, kv{"large", math.MaxInt64 - 1}, kv{"temperature", 72.5}, kv{"nan", math.NaN()}, kv{"blob", []byte{0, 0, 0x30, 0x39}},
		kv{"list", jsonText(`["a",1,2.5,true,null,{"k":[]}]`)}, kv{"broken", jsonText(`["a"`)}, kv{"empty", ""}, kv{"separator", "a\u2028b</script>"})
	sp.Links = telemetry.Range{Start: 0, Len: 3}
	b.Links = append(b.Links,
		telemetry.Link{TraceID: traceID(1), SpanID: spanID(3)},
		telemetry.Link{TraceID: id, SpanID: spanID(8), Attrs: addAttrs(b, kv{"opentracing.ref_type", "follows_from"})},
		telemetry.Link{TraceID: traceID(1), SpanID: spanID(1), Attrs: addAttrs(b, kv{"opentracing.ref_type", "child_of"})})
	return id, b
}

// shopGraph is a live graph of three nodes.
func shopGraph(version uint64, rate float64) *telemetry.Graph {
	p := func(f float64) *float64 { return &f }
	return &telemetry.Graph{
		Version: version, Time: noon.UnixNano() + int64(version)*1e6,
		Nodes: []telemetry.GraphNode{
			{ID: "client:unknown", Name: "unknown", Kind: telemetry.NodeClient, Health: telemetry.HealthOK},
			{ID: "database:stock-0.db", Name: "stock-0.db", Kind: telemetry.NodeDatabase, System: "postgresql", Health: telemetry.HealthIdle},
			{
				ID: "shop/cart", Name: "cart", Namespace: "shop", Kind: telemetry.NodeService, Versions: []string{"v1", "v2"}, Health: telemetry.HealthOK, LastSeen: noon.UnixNano(),
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
				Exemplars:   []telemetry.Exemplar{{TraceID: traceID(1), SpanID: spanID(3), Duration: 41_500_000, Error: true, Time: noon.UnixNano()}},
				FirstSeen:   noon.UnixNano() - 1e9, LastSeen: noon.UnixNano(),
			},
		},
	}
}

// shop is a world with the two traces and the graph.
func shop(w *world) *world {
	w.store.put(failedCart())
	w.store.put(oddities())
	w.live.set(shopGraph(4711, 12.4))
	g := shopGraph(0, 1)
	g.Origin = telemetry.OriginSeries
	w.past.graph = g
	return w
}
