package binnacle

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/analysis"
)

// some is a part of a mesh as it was in a range: what is said of edges that are left out of it, and of nodes that no edge touches, is drawn.
func some(t *rapid.T, g *telemetry.Graph) *telemetry.GraphRange {
	r := &telemetry.GraphRange{Seconds: 60, Graph: &telemetry.Graph{}}
	used := map[string]bool{}
	for _, e := range g.Edges {
		if rapid.IntRange(0, 3).Draw(t, "left out") == 0 {
			continue
		}
		s := e.Windows["10s"]
		s.Rate *= float64(rapid.IntRange(1, 3).Draw(t, "times"))
		e.Windows = map[string]telemetry.Signals{"range": s, "10s": s}
		used[e.Source], used[e.Target] = true, true
		r.Graph.Edges = append(r.Graph.Edges, e)
		r.Edges = append(r.Edges, telemetry.Counted{Requests: 60 * s.Rate, Errors: 60 * s.ErrorRate})
	}
	for _, n := range g.Nodes {
		if !used[n.ID] {
			continue
		}
		n.Windows = map[string]telemetry.Signals{"range": n.Windows["10s"], "10s": n.Windows["10s"]}
		r.Graph.Nodes = append(r.Graph.Nodes, n)
		r.Nodes = append(r.Nodes, telemetry.Counted{Requests: 60 * n.Windows["10s"].Rate, Versions: []telemetry.VersionCount{
			{Version: rapid.SampledFrom([]string{"v1", "v2", "a \"b\"\n\\"}).Draw(t, "version"), Requests: 30},
		}})
	}
	return r
}

// TestDrawnDifferences: each format has every difference that the JSON has, whatever the limit, and both ends of each edge.
func TestDrawnDifferences(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := mesh(t)
		before, after := some(t, g), some(t, g)
		d := &query.GraphDiff{Before: before, After: after, GraphDiff: analysis.CompareGraphs(before, after)}
		x := diffForm{limit: rapid.IntRange(1, 200).Draw(t, "limit"), all: rapid.Bool().Draw(t, "all")}
		x.choose(d)
		f := x.picture(d)
		for i := range x.nodes {
			of, at := lately(d, &x.nodes[i])
			if !slices.ContainsFunc(f.nodes, func(n foldedNode) bool { return n.ID == of.Nodes[at].ID }) || !f.comparison.nodes[of.Nodes[at].ID].changed {
				t.Fatalf("%s is not drawn", of.Nodes[at].ID)
			}
		}
		if n := len(f.drawable().edges); n != len(x.edges) || len(f.comparison.edges) != n {
			t.Fatalf("%d of %d edges are drawn", n, len(x.edges))
		}
		if left := x.foundNodes+x.foundEdges > len(x.nodes)+len(x.edges); left != (f.comparison.left != "") {
			t.Fatalf("it says that %q is left, of %d and %d", f.comparison.left, x.foundNodes, x.foundEdges)
		}
		checkExports(t, f)
	})
}

// TestDocumentedDifference: the picture in docs/api/http.md is what the server draws, to the letter.
func TestDocumentedDifference(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 1, 35, 0, 0, time.UTC)
	side := func(edges map[string]telemetry.Signals, versions map[string]string) *telemetry.GraphRange {
		r := &telemetry.GraphRange{Seconds: 300, Graph: &telemetry.Graph{}}
		into := map[string]telemetry.Signals{"front": {}}
		for _, to := range []string{"cart", "legacy", "price"} {
			s, ok := edges[to]
			if !ok {
				continue
			}
			into[to] = s
			id := "shop/front>shop/" + to + "|http"
			r.Graph.Edges = append(r.Graph.Edges, telemetry.GraphEdge{ID: id, Source: "shop/front", Target: "shop/" + to, Protocol: telemetry.ProtocolHTTP, Windows: map[string]telemetry.Signals{"range": s}})
			r.Edges = append(r.Edges, countedAs(s))
		}
		for _, name := range []string{"cart", "front", "legacy", "price"} {
			if s, ok := into[name]; ok {
				r.Graph.Nodes = append(r.Graph.Nodes, telemetry.GraphNode{ID: "shop/" + name, Name: name, Namespace: "shop", Kind: telemetry.NodeService, Windows: map[string]telemetry.Signals{"range": s}})
				c := countedAs(s)
				if v := versions[name]; v != "" {
					c.Versions = []telemetry.VersionCount{{Version: v, Requests: c.Requests}}
				}
				r.Nodes = append(r.Nodes, c)
			}
		}
		return r
	}
	before := side(map[string]telemetry.Signals{"cart": took(40, 12), "legacy": took(5, 8)}, map[string]string{"cart": "v1"})
	after := side(map[string]telemetry.Signals{"cart": took(40, 45), "price": took(10, 3)}, map[string]string{"cart": "v2"})
	d := &query.GraphDiff{Before: before, After: after, GraphDiff: analysis.CompareGraphs(before, after)}
	x := diffForm{from: at, to: at.Add(5 * time.Minute), against: at.Add(-5 * time.Minute), againstTo: at, limit: 100}
	x.choose(d)
	drawn := string(appendMermaid(nil, x.picture(d).drawable(), "range"))
	doc, err := os.ReadFile("../../../docs/api/http.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), "```mermaid\n"+drawn+"```\n") {
		t.Errorf("docs/api/http.md does not have the picture that is drawn:\n%s", drawn)
	}
	if dot := string(appendDOT(nil, x.picture(d).drawable(), "range")); strings.Count(dot, "darkgreen") != 4 || strings.Count(dot, "dashed") != 2 || strings.Count(dot, "penwidth=3") != 2 {
		t.Errorf("DOT draws\n%s", dot)
	}
}

// took are requests that all take as long.
func took(rate, ms float64) telemetry.Signals {
	return telemetry.Signals{Rate: rate, P50: &ms, P90: &ms, P99: &ms}
}

func countedAs(s telemetry.Signals) telemetry.Counted {
	c := telemetry.Counted{Requests: 300 * s.Rate}
	if s.P50 != nil {
		c.Times = []telemetry.TimeCount{{Bucket: int32(*s.P50), Count: c.Requests}}
	}
	return c
}
