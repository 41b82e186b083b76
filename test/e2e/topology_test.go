package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/internal/demo"
)

// firstSight is how long after the first request the graph may take to be whole: the promise of the README.
const firstSight = 10 * time.Second

// TestMeshTopology starts the real server and the whole mesh of real Envoys, once for each chapter of the story, and holds
// the graph API to what the demo declares: every edge, no other, mutual TLS where it is and not where it is not. Then each
// chapter must show on the edge of which it tells.
func TestMeshTopology(t *testing.T) {
	binary := envoyOrSkip(t)
	f := func(chapter string, shows func(g graph) string, added ...string) {
		t.Run(chapter, func(t *testing.T) {
			s := startServer(t)
			mesh := startMesh(t, s, demo.Config{Envoy: binary, Rate: 80, Chapter: chapter})
			begin := time.Now()
			want := demo.DeclaredTopology(added...)
			var g graph
			for {
				g = s.live(t)
				if cmp.Equal(want, g.topology()) {
					t.Logf("the graph was whole %v after the first request", time.Since(begin).Round(10*time.Millisecond))
					break
				}
				if time.Since(begin) > firstSight {
					t.Fatalf("%v after the first request the graph is not what the demo declares (-declared +seen):\n%s", firstSight, cmp.Diff(want, g.topology()))
				}
				sleepOrFail(t, mesh.Failed())
			}
			missing := shows(g)
			for deadline := time.Now().Add(20 * time.Second); missing != "" && time.Now().Before(deadline); {
				sleepOrFail(t, mesh.Failed())
				g = s.live(t)
				missing = shows(g)
			}
			if missing != "" {
				t.Errorf("the chapter does not show: %s", missing)
			}
			// What comes late must not add to it: halves that never meet are told of only after they were waited for.
			for settle := time.Now().Add(5 * time.Second); time.Now().Before(settle); {
				sleepOrFail(t, mesh.Failed())
			}
			g = s.live(t)
			if diff := cmp.Diff(want, g.topology()); diff != "" {
				t.Errorf("later the graph has changed (-declared +seen):\n%s", diff)
			}
			checkWitnesses(t, g)
		})
	}

	f(demo.ChapterCalm, func(g graph) string {
		for _, e := range g.Edges {
			if e.Totals.Throttled > 0 {
				return "no calm on " + e.ID
			}
		}
		return ""
	})
	f(demo.ChapterQuota, func(g graph) string {
		e := g.edge("shop/frontend>shop/search|http")
		if e.Totals.Throttled == 0 || e.Windows["10s"].ThrottledRate == 0 {
			return "nothing is throttled on " + e.ID
		}
		if e.Totals.Errors > 0 {
			return "throttled requests count as errors on " + e.ID
		}
		if !slices.ContainsFunc(e.ThrottledBy, func(by struct {
			Rule string  `json:"rule"`
			Rate float64 `json:"rate"`
		},
		) bool {
			return strings.Contains(by.Rule, "crawler") && by.Rate > 0
		}) {
			return "no rule for the crawler throttles " + e.ID
		}
		for _, id := range []string{"shop/search>shop/catalog|http", "shop/frontend>shop/catalog|http", "shop/checkout>billing/payment|http"} {
			if g.edge(id).Totals.Throttled > 0 {
				return "nothing but searches should be throttled, but so is " + id
			}
		}
		return ""
	})
	f(demo.ChapterSlow, func(g graph) string {
		slow, other := g.edge("shop/catalog>fulfil/inventory|http"), g.edge("shop/catalog>shop/pricing|http")
		if slow.Windows["10s"].P50 < 200 {
			return slow.ID + " is not slow"
		}
		if other.Windows["10s"].P50 >= slow.Windows["10s"].P50 {
			return other.ID + " is as slow as " + slow.ID
		}
		return ""
	})
	f(demo.ChapterErrors, func(g graph) string {
		failing, bank := g.edge("shop/checkout>billing/payment|http"), g.edge("billing/payment>external:api.bank.example|http")
		if failing.Windows["10s"].ErrorRate == 0 {
			return failing.ID + " has no errors"
		}
		if bank.Totals.Errors > 0 {
			return bank.ID + " has errors"
		}
		return ""
	})
	f(demo.ChapterRelease, func(g graph) string {
		for _, n := range g.Nodes {
			if n.ID == "shop/recommend" && slices.Contains(n.Versions, "v1") && slices.Contains(n.Versions, "v2") {
				return ""
			}
		}
		return "shop/recommend has not both versions"
	}, demo.ChapterRelease)
	f(demo.ChapterHeaders, func(graph) string { return "" })
}

// checkWitnesses holds every edge between two services to four witnesses: the spans and the logs of both Envoys.
func checkWitnesses(t *testing.T, g graph) {
	t.Helper()
	kinds := map[string]string{}
	for _, n := range g.Nodes {
		kinds[n.ID] = n.Kind
	}
	for _, e := range g.Edges {
		if kinds[e.Source] != "service" || kinds[e.Target] != "service" {
			continue
		}
		for _, witness := range []string{"client_span", "server_span", "client_log", "server_log"} {
			if e.Witnesses[witness] == 0 {
				t.Errorf("%s: no %s among %v", e.ID, witness, e.Witnesses)
			}
		}
	}
}

// sleepOrFail waits for a moment, in which the mesh must not fail.
func sleepOrFail(t *testing.T, failed <-chan error) {
	t.Helper()
	select {
	case err := <-failed:
		t.Fatal(err)
	case <-time.After(100 * time.Millisecond):
	}
}
