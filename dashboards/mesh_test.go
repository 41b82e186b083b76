package dashboards

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/binnacle-mesh/binnacle/aggregator"
	"github.com/binnacle-mesh/binnacle/aggregator/views"
	promapi "github.com/binnacle-mesh/binnacle/internal/api/prometheus"
	"github.com/binnacle-mesh/binnacle/internal/promql"
	"github.com/binnacle-mesh/binnacle/storage/series"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// hop is an edge of the synthetic mesh and what happens on it each 5 s.
type hop struct {
	edge      *telemetry.Edge
	plain     *telemetry.Edge // as spans know it, which tell neither version of the callee nor flags
	tls       telemetry.TLS
	sides     []telemetry.Side
	requests  int
	failures  int // of them, with a response of 503 and the flag UF
	throttled int // of them
}

func workload(name, version string) telemetry.Endpoint {
	return telemetry.Endpoint{
		Node:     telemetry.Node{Kind: telemetry.NodeService, Namespace: "shop", Name: name},
		Workload: name + "-" + version, App: name, Version: version, Principal: "cluster.local/ns/shop/sa/" + name,
	}
}

func virtual(kind telemetry.NodeKind, name string) telemetry.Endpoint {
	return telemetry.Endpoint{Node: telemetry.Node{Kind: kind, Name: name}}
}

// syntheticMesh is a shop: a way in, services in two versions under mutual TLS,
// one gRPC edge, a database and a host outside.
func syntheticMesh() []hop {
	both := []telemetry.Side{telemetry.SideClient, telemetry.SideServer}
	client := both[:1]
	edge := func(from, to telemetry.Endpoint, p telemetry.Protocol) *telemetry.Edge {
		return &telemetry.Edge{Source: from, Target: to, Protocol: p}
	}
	front, cart1, cart2, pay := workload("frontend", "v1"), workload("cart", "v1"), workload("cart", "v2"), workload("pay", "v1")
	return []hop{
		{edge: edge(virtual(telemetry.NodeClient, "unknown"), front, telemetry.ProtocolHTTP), sides: both[1:], requests: 20, failures: 1},
		{edge: edge(front, cart1, telemetry.ProtocolHTTP), tls: telemetry.TLSMutual, sides: both, requests: 24, failures: 2, throttled: 1},
		{edge: edge(front, cart2, telemetry.ProtocolHTTP), tls: telemetry.TLSNone, sides: both, requests: 8, failures: 1},
		{edge: edge(cart1, pay, telemetry.ProtocolGRPC), tls: telemetry.TLSMutual, sides: both, requests: 6, failures: 1},
		{edge: edge(cart1, virtual(telemetry.NodeDatabase, "postgresql"), telemetry.ProtocolDatabase), sides: client, requests: 12},
		{edge: edge(cart1, virtual(telemetry.NodeExternal, "rates.example"), telemetry.ProtocolHTTP), sides: client, requests: 5, failures: 1},
		{edge: edge(pay, virtual(telemetry.NodeExternal, "api.bank.example"), telemetry.ProtocolHTTP), sides: client, requests: 3, failures: 1},
	}
}

// startMesh runs ten minutes of the mesh through the real aggregator and store,
// and serves them by the real query API.
func startMesh(t *testing.T) *client {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	logger := slog.New(slog.DiscardHandler)
	dir := t.TempDir()
	db, err := series.Open(dir, series.DefaultConfig(), logger, reg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	agg, self := aggregator.New(aggregator.DefaultConfig(), reg), aggregator.NewSelfScraper(reg)
	const length, every = 10 * time.Minute, 5 * time.Second
	end := time.Now().Truncate(time.Second)
	hops := syntheticMesh()
	for i := range hops {
		plain := *hops[i].edge
		plain.Target.Version = ""
		hops[i].plain = &plain
	}
	ctx := context.Background()
	for i, at := 0, end.Add(-length); !at.After(end); i, at = i+1, at.Add(every) {
		batch := telemetry.NewBatch()
		batch.Received = at.UnixNano()
		spans(batch, hops)
		if err := agg.Consume(telemetry.Entry{Position: telemetry.Position(i + 1), Batch: batch}); err != nil {
			t.Fatal(err)
		}
		for _, h := range hops {
			h.observe(agg, at)
		}
		if err := agg.Flush(ctx, at, db); err != nil {
			t.Fatal(err)
		}
		if err := self.Scrape(ctx, at, db); err != nil {
			t.Fatal(err)
		}
	}
	engine, err := promql.New(promql.DefaultConfig(), logger, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	dialect := promapi.New(promapi.Options{
		Engine: engine, Views: views.New(db), DB: db, Dir: dir, Interval: every, Version: "test", Revision: "test",
		Started: end, Logger: logger, Gatherer: reg,
	})
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	mux := http.NewServeMux()
	for _, rt := range dialect.Routes() {
		mux.HandleFunc(rt.Pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := rt.Serve(w, r); err != nil {
				t.Error(err)
			}
		})
	}
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return &client{base: srv.URL, now: end, span: 5 * time.Minute}
}

func (h *hop) observe(agg *aggregator.Aggregator, at time.Time) {
	for _, side := range h.sides {
		for _, evidence := range []telemetry.Evidence{telemetry.EvidenceSpan, telemetry.EvidenceLog} {
			edge := h.edge
			if evidence == telemetry.EvidenceSpan {
				edge = h.plain
			}
			for i := range h.requests {
				o := telemetry.Observation{
					Edge: edge, At: at.UnixNano(), Duration: int64((i%7 + 1) * 4e6), Side: side, Evidence: evidence, TLS: h.tls,
					TraceID: telemetry.TraceID{1, byte(i)}, SpanID: telemetry.SpanID{2, byte(i)}, Code: 200,
				}
				if h.edge.Protocol == telemetry.ProtocolGRPC {
					o.Code = 0
				}
				switch {
				case i < h.failures:
					o.Outcome, o.Code, o.Response = telemetry.OutcomeError, 503, telemetry.ParseResponseFlags("UF")
					if h.edge.Protocol == telemetry.ProtocolGRPC {
						o.Code = 14
					}
				case i < h.failures+h.throttled:
					o.Outcome, o.Code, o.Response = telemetry.OutcomeThrottled, 429, telemetry.FlagRateLimited
				case i == h.requests-1 && h.edge.Protocol == telemetry.ProtocolHTTP:
					o.Code = 404
				}
				if evidence == telemetry.EvidenceSpan {
					o.Response = 0
				}
				agg.Observe(telemetry.Observed{Requests: []telemetry.Observation{o}})
			}
		}
	}
}

// spans are what the services of the hops report.
func spans(b *telemetry.Batch, hops []hop) {
	for _, h := range hops {
		n := h.edge.Target.Node
		if n.Kind != telemetry.NodeService {
			continue
		}
		r := uint32(len(b.Resources))
		b.Resources = append(b.Resources, telemetry.Resource{Identity: telemetry.Identity{
			Service: b.InternString(n.Name), Namespace: b.InternString(n.Namespace), Version: b.InternString(h.edge.Target.Version),
		}})
		for i := range h.requests {
			s := telemetry.Span{
				TraceID: telemetry.TraceID{1, byte(i)}, SpanID: telemetry.SpanID{3, byte(i)}, Start: b.Received, Duration: int64((i%7 + 1) * 4e6),
				Resource: r, Name: b.InternString(fmt.Sprintf("GET /%s/%d", n.Name, i)), Kind: telemetry.KindServer,
			}
			if i < h.failures {
				s.Status = telemetry.StatusError
			}
			b.Spans = append(b.Spans, s)
		}
	}
}
