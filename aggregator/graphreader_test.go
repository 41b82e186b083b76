package aggregator

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
)

func endpoint(ns, name, version string) telemetry.Endpoint {
	return telemetry.Endpoint{Node: telemetry.Node{Kind: telemetry.NodeService, Namespace: ns, Name: name}, Version: version}
}

// The graph of a range holds that range's requests: none before, none after,
// each once, over a restart of the counter and a change of version.
func TestPastGraph(t *testing.T) {
	t.Parallel()
	db := openStore(t, t.TempDir())
	ctx := context.Background()
	a := New(DefaultConfig(), prometheus.NewRegistry())
	pos := telemetry.Position(0)
	now := func(sec int64) time.Time { return time.Unix(0, epoch+sec*second) }
	// tick lets the log's time come to sec, delivers observations, and flushes 5 s later.
	tick := func(sec int64, obs ...telemetry.Observation) {
		t.Helper()
		pos++
		b := telemetry.NewBatch()
		b.Received = epoch + sec*second
		if err := a.Consume(telemetry.Entry{Position: pos, Batch: b}); err != nil {
			t.Fatal(err)
		}
		for _, o := range obs {
			o.At = b.Received
			a.Observe(observed(a, o))
		}
		if err := a.Flush(ctx, now(sec+5), db); err != nil {
			t.Fatal(err)
		}
	}
	many := func(n int, o telemetry.Observation) (out []telemetry.Observation) {
		for range n {
			out = append(out, o)
		}
		return out
	}
	v1 := &telemetry.Edge{Source: endpoint("shop", "front", ""), Target: endpoint("shop", "cart", "v1"), Protocol: telemetry.ProtocolHTTP}
	v2 := &telemetry.Edge{Source: endpoint("shop", "front", ""), Target: endpoint("shop", "cart", "v2"), Protocol: telemetry.ProtocolHTTP}
	dbEdge := &telemetry.Edge{
		Source: endpoint("shop", "cart", ""), Protocol: telemetry.ProtocolDatabase,
		Target: telemetry.Endpoint{Node: telemetry.Node{Kind: telemetry.NodeDatabase, Name: "postgresql-0.db"}, System: "postgresql"},
	}
	server := telemetry.Observation{
		Edge: v1, Duration: 10e6, Code: 200, Side: telemetry.SideServer, Evidence: telemetry.EvidenceLog, TLS: telemetry.TLSMutual,
		TraceID: telemetry.TraceID{7}, SpanID: telemetry.SpanID{8},
	}
	client, failed, newer, query := server, server, server, server
	client.Side, client.Evidence, client.TLS, client.TraceID = telemetry.SideClient, telemetry.EvidenceSpan, telemetry.TLSUnknown, telemetry.TraceID{}
	failed.Code, failed.Outcome, failed.Duration, failed.TraceID = 500, telemetry.OutcomeError, 100e6, telemetry.TraceID{9}
	newer.Edge = v2
	query.Edge, query.Side, query.Evidence, query.TLS, query.Code = dbEdge, telemetry.SideClient, telemetry.EvidenceSpan, telemetry.TLSUnknown, -1

	if err := a.Flush(ctx, now(0), db); err != nil {
		t.Fatal(err)
	}
	tick(0, many(100, server)...) // before the range
	for s := int64(15); s <= 60; s += 15 {
		tick(s)
	}
	// The range begins at 70.
	tick(75, many(20, server)...)
	tick(90, append(many(15, client), many(4, failed)...)...)
	tick(105, many(10, newer)...)
	tick(120, many(3, query)...)
	// All fall silent, leave memory, and v1 comes back, counting from 0.
	tick(120+14*60, query)
	tick(120 + 16*60 + 61)
	tick(120+16*60+80, many(6, server)...)
	// The range ends at 1200.
	tick(1300, many(50, server)...)

	r := NewGraphReader(db, health.DefaultConfig(), nil)
	g, err := r.Graph(ctx, now(70), now(1200))
	if err != nil {
		t.Fatal(err)
	}
	if g.Origin != telemetry.OriginSeries || g.Time != now(1200).UnixNano() || len(g.Nodes) != 3 || len(g.Edges) != 2 {
		t.Fatalf("graph is %+v", g)
	}
	dbe, e := g.Edges[0], g.Edges[1]
	if e.ID != "shop/front>shop/cart|http" || dbe.ID != "shop/cart>database:postgresql-0.db|database" {
		t.Errorf("edges are %s and %s", e.ID, dbe.ID)
	}
	if d := cmp.Diff(telemetry.Totals{Requests: 40, Errors: 4}, e.Totals); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(telemetry.WitnessCounts{ServerLog: 40, ClientSpan: 15}, e.Witnesses); d != "" {
		t.Error(d)
	}
	if e.MTLS != 1 || dbe.MTLS != -1 || e.Health != telemetry.HealthDegraded || dbe.Totals.Requests != 4 {
		t.Errorf("edges are %+v and %+v", e, dbe)
	}
	w := e.Windows["range"]
	if math.Abs(w.Rate-40.0/1130) > 1e-9 || math.Abs(w.ErrorRate-4.0/1130) > 1e-9 {
		t.Errorf("rates are %+v", w)
	}
	if *w.P50 < 9 || *w.P50 > 11 || *w.P99 < 90 || *w.P99 > 110 {
		t.Errorf("quantiles are %v, %v, %v", *w.P50, *w.P90, *w.P99)
	}
	// 30 of v1, 4 of them failed, and 10 of v2: what the edge shows, and not what the client's spans saw besides.
	split, err := r.Versions(ctx, "shop/cart", now(70), now(1200))
	if err != nil || len(split.Versions) != 2 {
		t.Fatalf("versions are %+v: %v", split, err)
	}
	if d := cmp.Diff([]telemetry.Totals{{Requests: 30, Errors: 4}, {Requests: 10}}, []telemetry.Totals{split.Versions[0].Totals, split.Versions[1].Totals}); d != "" || split.Versions[0].Version != "v1" || split.Versions[1].Version != "v2" {
		t.Errorf("versions are %+v: %s", split, d)
	}
	for _, n := range g.Nodes {
		if sum := split.Versions[0].Signals.Rate + split.Versions[1].Signals.Rate; n.ID == "shop/cart" && math.Abs(sum-n.Windows["range"].Rate) > 1e-9 {
			t.Errorf("versions add up to %v a second, the node shows %v", sum, n.Windows["range"].Rate)
		}
	}
	if split, err := r.Versions(ctx, "shop/nobody", now(70), now(1200)); err != nil || len(split.Versions) != 0 {
		t.Errorf("of nobody they are %+v: %v", split, err)
	}
	if _, err := r.Versions(ctx, "shop/cart", now(70), now(70)); !errors.Is(err, errRange) {
		t.Errorf("of no time they are %v", err)
	}
	if len(e.Exemplars) != 1 || !e.Exemplars[0].Error || e.Exemplars[0].Duration != 100e6 || e.Exemplars[0].TraceID != (telemetry.TraceID{9}) {
		t.Errorf("exemplars are %+v", e.Exemplars)
	}
	cart, front, pg := g.Nodes[1], g.Nodes[2], g.Nodes[0]
	if cart.ID != "shop/cart" || cmp.Diff([]string{"v1", "v2"}, cart.Versions) != "" || cart.Health != telemetry.HealthDegraded {
		t.Errorf("cart is %+v", cart)
	}
	if front.Health != telemetry.HealthOK || front.Windows["range"].Rate != 0 || front.Windows["range"].P50 != nil {
		t.Errorf("front is %+v", front)
	}
	if pg.Kind != telemetry.NodeDatabase || pg.System != "postgresql" || pg.ID != "database:postgresql-0.db" {
		t.Errorf("the database is %+v", pg)
	}

	empty, err := r.Graph(ctx, now(-5000), now(-4000))
	if err != nil || len(empty.Nodes) != 0 || empty.Edges == nil {
		t.Errorf("a range without data: %+v, %v", empty, err)
	}
	if _, err := r.Graph(ctx, now(5), now(5)); !errors.Is(err, errRange) {
		t.Errorf("an empty range: %v", err)
	}
}

// Chunks that are skipped, lives that end and begin, and ranges that begin and
// end anywhere: what a range counts is what was flushed within it.
func TestPastGraphAgainstOracle(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 1))
			db := openStore(t, t.TempDir())
			ctx := context.Background()
			a := New(DefaultConfig(), prometheus.NewRegistry())
			e := &telemetry.Edge{Source: endpoint("shop", "front", ""), Target: endpoint("shop", "cart", ""), Protocol: telemetry.ProtocolHTTP}
			type flushed struct {
				at time.Time
				n  uint64
			}
			var log []flushed
			at, pos := time.Unix(0, epoch), telemetry.Position(0)
			step := func(d time.Duration, n int) {
				at = at.Add(d)
				pos++
				b := telemetry.NewBatch()
				b.Received = at.UnixNano()
				if err := a.Consume(telemetry.Entry{Position: pos, Batch: b}); err != nil {
					t.Fatal(err)
				}
				for range n {
					a.Observe(observed(a, telemetry.Observation{Edge: e, At: b.Received, Duration: int64(1e6 * (1 + 50*r.ExpFloat64())), Code: 200}))
				}
				if err := a.Flush(ctx, at, db); err != nil {
					t.Fatal(err)
				}
				log = append(log, flushed{at, uint64(n)})
			}
			step(0, 0)
			for range 4 {
				for range 100 + r.IntN(300) {
					step(5*time.Second, 1+r.IntN(4))
				}
				for range r.IntN(2) * 20 { // long enough to leave memory
					step(time.Minute, 0)
				}
			}
			reader := NewGraphReader(db, health.DefaultConfig(), nil)
			for range 40 {
				i, j := r.IntN(len(log)), r.IntN(len(log))
				from, to := log[min(i, j)].at, log[max(i, j)].at.Add(time.Millisecond)
				var want uint64
				for _, f := range log {
					if f.at.After(from) && f.at.Before(to) {
						want += f.n
					}
				}
				g, err := reader.Graph(ctx, from, to)
				if err != nil {
					t.Fatal(err)
				}
				var got uint64
				for _, e := range g.Edges {
					got += e.Totals.Requests
				}
				if got != want {
					t.Fatalf("from %v to %v: %d, want %d", from.Sub(log[0].at), to.Sub(log[0].at), got, want)
				}
			}
		})
	}
}

// A range in which an edge was slow is shown as slow, by the time before it; the
// edge beside it, as slow as ever, is not, and neither is the time after.
func TestPastGraphJudgesLatency(t *testing.T) {
	t.Parallel()
	db := openStore(t, t.TempDir())
	ctx := context.Background()
	a := New(DefaultConfig(), prometheus.NewRegistry())
	pay := &telemetry.Edge{Source: endpoint("shop", "cart", ""), Target: endpoint("shop", "pay", ""), Protocol: telemetry.ProtocolHTTP}
	mail := &telemetry.Edge{Source: endpoint("shop", "cart", ""), Target: endpoint("shop", "mail", ""), Protocol: telemetry.ProtocolHTTP}
	at := time.Unix(0, epoch)
	took := func(minute int) time.Duration {
		switch {
		case minute >= 30 && minute < 40:
			return 200 * time.Millisecond
		case minute >= 40 && minute < 50:
			return 70 * time.Millisecond
		}
		return 30 * time.Millisecond
	}
	for s := range 70 * 4 { // 70 minutes, in steps of 15 s
		at = at.Add(15 * time.Second)
		b := telemetry.NewBatch()
		b.Received = at.UnixNano()
		if err := a.Consume(telemetry.Entry{Position: telemetry.Position(s + 1), Batch: b}); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			o := telemetry.Observation{Edge: pay, At: b.Received, Duration: took(s / 4).Nanoseconds(), Code: 200, Evidence: telemetry.EvidenceLog}
			a.Observe(observed(a, o))
			o.Evidence = telemetry.EvidenceSpan // sees less, and differently: it is not to be mixed in
			if s%2 == 0 {
				o.Duration = 1e9
				a.Observe(observed(a, o))
			}
			a.Observe(observed(a, telemetry.Observation{Edge: mail, At: b.Received, Duration: 900e6, Code: 200}))
		}
		if err := a.Flush(ctx, at, db); err != nil {
			t.Fatal(err)
		}
	}
	r := NewGraphReader(db, health.DefaultConfig(), nil)
	for _, c := range []struct {
		from, to int // minutes
		want     telemetry.Health
	}{
		{10, 30, telemetry.HealthOK},
		{30, 31, telemetry.HealthFailing}, // its baseline is the five minutes before
		{30, 40, telemetry.HealthFailing},
		{25, 40, telemetry.HealthFailing}, // most of the range is slow
		{42, 50, telemetry.HealthOK},      // against minutes that were slower still
		{30, 60, telemetry.HealthFailing}, // a third of the range is slow
		{51, 60, telemetry.HealthOK},
		{0, 2, telemetry.HealthOK}, // nothing is before it
	} {
		minute := func(m int) time.Time { return time.Unix(0, epoch).Add(time.Duration(m) * time.Minute) }
		g, err := r.Graph(ctx, minute(c.from).Add(time.Second), minute(c.to).Add(time.Second))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range g.Edges {
			want := telemetry.HealthOK
			if e.Target == "shop/pay" {
				want = c.want
			}
			if e.Health != want {
				t.Errorf("minutes %d to %d: %s is %s, want %s", c.from, c.to, e.ID, e.Health, want)
			}
		}
		for _, n := range g.Nodes {
			if n.Name == "pay" && n.Health != c.want || n.Name != "pay" && n.Health != telemetry.HealthOK {
				t.Errorf("minutes %d to %d: %s is %s", c.from, c.to, n.ID, n.Health)
			}
		}
	}
}
