package aggregator

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
)

// Whatever a graph is grouped by, it has as many requests, errors and throttled requests as that of services, its nodes are the sums of their edges, and
// its groups are those of the names.
func TestGroupsAddUp(t *testing.T) {
	t.Parallel()
	db := openStore(t, t.TempDir())
	a := New(DefaultConfig(), prometheus.NewRegistry())
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test's
	end := func(k int) telemetry.Endpoint {
		if k == 6 {
			return telemetry.Endpoint{Node: telemetry.Node{Kind: telemetry.NodeDatabase, Name: "pg"}}
		}
		e := endpoint([]string{"shop", "bank"}[k%2], fmt.Sprint("s", k), []string{"", "v1", "v2"}[r.IntN(3)])
		e.Workload, e.App = fmt.Sprint("w", k/2, e.Version), fmt.Sprint("app", k%3)
		return e
	}
	var edges []*telemetry.Edge
	for range 60 {
		edges = append(edges, &telemetry.Edge{Source: end(r.IntN(6)), Target: end(r.IntN(7)), Protocol: telemetry.ProtocolHTTP})
	}
	at := time.Unix(0, epoch)
	for round := range 4 {
		at = at.Add(5 * time.Second)
		b := telemetry.NewBatch()
		b.Received = at.UnixNano()
		if err := a.Consume(telemetry.Entry{Position: telemetry.Position(round + 1), Batch: b}); err != nil {
			t.Fatal(err)
		}
		for range 2000 {
			o := telemetry.Observation{
				Edge: edges[r.IntN(len(edges))], At: at.UnixNano(), Duration: int64(1e6 * (1 + r.IntN(100))), Outcome: telemetry.Outcome(r.IntN(3)), //nolint:gosec // below 3
				Side: telemetry.Side(r.IntN(2)), Evidence: telemetry.Evidence(r.IntN(2)), //nolint:gosec // below 2
			}
			o.Alone = o.Side == telemetry.SideServer && o.Evidence == telemetry.EvidenceSpan && r.IntN(2) == 0
			a.Observe(observed(a, o))
		}
		if err := a.Flush(context.Background(), at, db); err != nil {
			t.Fatal(err)
		}
	}
	reader := NewGraphReader(db, health.DefaultConfig(), nil)
	from, to := time.Unix(0, epoch), at.Add(time.Second)
	whole, err := reader.Graph(context.Background(), from, to)
	if err != nil {
		t.Fatal(err)
	}
	want := totalsOf(whole)
	if want.Requests < 3000 {
		t.Fatalf("there are %+v", want)
	}
	for by := range telemetry.Grouping(telemetry.Groupings) {
		g, err := reader.Grouped(context.Background(), from, to, by)
		if err != nil {
			t.Fatal(err)
		}
		if got := totalsOf(g); got != want {
			t.Errorf("by %s there are %+v, and %+v by service", by, got, want)
		}
		var ids []string
		for _, n := range g.Nodes {
			ids = append(ids, n.ID)
			rate, failed := 0.0, 0.0
			for _, e := range g.Edges {
				if e.Target == n.ID {
					rate, failed = rate+e.Windows["range"].Rate, failed+e.Windows["range"].ErrorRate
				}
			}
			if w := n.Windows["range"]; math.Abs(w.Rate-rate) > 1e-9 || math.Abs(w.ErrorRate-failed) > 1e-9 {
				t.Errorf("by %s: %s has %+v, its edges %g and %g", by, n.ID, w, rate, failed)
			}
		}
		few := map[telemetry.Grouping][]string{
			telemetry.GroupNamespace: {"database:pg", "namespace:bank", "namespace:shop"},
			telemetry.GroupCluster:   {"cluster:-", "database:pg"},
			telemetry.GroupApp:       {"app:bank/app0", "app:bank/app1", "app:bank/app2", "app:shop/app0", "app:shop/app1", "app:shop/app2", "database:pg"},
		}[by]
		if few != nil && !slices.Equal(ids, few) {
			t.Errorf("by %s the nodes are %q, want %q", by, ids, few)
		}
		if by == telemetry.GroupVersion && (!slices.Contains(ids, "shop/s0@v1") || !slices.Contains(ids, "shop/s0") || slices.Contains(ids, "shop/s0@")) {
			t.Errorf("by version the nodes are %q", ids)
		}
		if by == telemetry.GroupWorkload && !slices.Contains(ids, "workload:shop/w0v1") {
			t.Errorf("by workload the nodes are %q", ids)
		}
	}
}

func totalsOf(g *telemetry.Graph) (all telemetry.Totals) {
	for _, e := range g.Edges {
		all.Requests += e.Totals.Requests
		all.Errors += e.Totals.Errors
		all.Throttled += e.Totals.Throttled
	}
	return all
}
