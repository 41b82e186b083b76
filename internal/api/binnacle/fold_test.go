package binnacle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"math"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// mesh is a graph of up to 60 nodes in a few namespaces. A node's rate is what its edges bring, and sometimes more.
func mesh(t *rapid.T) *telemetry.Graph {
	g := &telemetry.Graph{Version: 3, Time: 5e9}
	n := rapid.IntRange(1, 60).Draw(t, "nodes")
	for i := range n {
		node := telemetry.GraphNode{
			ID: fmt.Sprintf("n%02d", i), Name: fmt.Sprintf("name-%d", i), Kind: telemetry.NodeService,
			Health: telemetry.Health(rapid.IntRange(0, 3).Draw(t, "health")),
		}
		if rapid.IntRange(0, 4).Draw(t, "virtual") == 0 {
			node.Kind = rapid.SampledFrom([]telemetry.NodeKind{telemetry.NodeDatabase, telemetry.NodeQueue, telemetry.NodeExternal, telemetry.NodeClient}).Draw(t, "kind")
		} else {
			node.Namespace = rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "namespace")
		}
		g.Nodes = append(g.Nodes, node)
	}
	into := make([]telemetry.Signals, n)
	for i := range rapid.IntRange(0, 150).Draw(t, "edges") {
		s, d := rapid.IntRange(0, n-1).Draw(t, "source"), rapid.IntRange(0, n-1).Draw(t, "target")
		sig := telemetry.Signals{Rate: float64(rapid.IntRange(1, 999).Draw(t, "rate")) / 8}
		sig.ErrorRate = sig.Rate / 4
		p99 := float64(rapid.IntRange(1, 999).Draw(t, "p99"))
		sig.P99 = &p99
		into[d].Rate += sig.Rate
		into[d].ErrorRate += sig.ErrorRate
		g.Edges = append(g.Edges, telemetry.GraphEdge{
			ID: fmt.Sprintf("e%03d", i), Source: g.Nodes[s].ID, Target: g.Nodes[d].ID, MTLS: -1,
			Windows: map[string]telemetry.Signals{"10s": sig}, Totals: telemetry.Totals{Requests: uint64(i)},
		})
	}
	for i := range g.Nodes {
		if rapid.IntRange(0, 9).Draw(t, "strangers") == 0 {
			into[i].Rate += 7
		}
		g.Nodes[i].Windows = map[string]telemetry.Signals{"10s": into[i]}
	}
	return g
}

func groups(f *foldedGraph) map[string]foldedNode {
	out := map[string]foldedNode{}
	for _, n := range f.nodes {
		if n.group != nil {
			out[n.ID] = n
		}
	}
	return out
}

// TestFoldKeepsSums: whatever is open, groups have all requests of the graph, what comes into a group is the sum of the
// edges drawn, and no group's figures depend on what is open.
func TestFoldKeepsSums(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := mesh(t)
		closed := fold(g, viewport{window: "10s"})
		v := viewport{window: "10s"}
		for id := range groups(closed) {
			if rapid.Bool().Draw(t, "open") {
				v.open = append(v.open, id)
			}
		}
		if rapid.Bool().Draw(t, "shows") {
			v.show = rapid.SampledFrom(g.Nodes).Draw(t, "show").ID
		}
		f := fold(g, v)
		all, want := 0.0, 0.0
		for _, n := range g.Nodes {
			want += n.Windows["10s"].Rate
		}
		var requests, wantRequests uint64
		inner := map[string]float64{} // drawn within open groups
		into := map[string]float64{}  // drawn from elsewhere
		of := map[string]string{}
		shown := map[string]bool{}
		for _, n := range f.nodes {
			of[n.ID] = n.within
			if n.group != nil {
				of[n.ID] = n.ID
			}
			shown[n.ID] = true
		}
		for _, e := range f.edges {
			if !shown[e.Source] || !shown[e.Target] {
				t.Fatalf("edge %s has an end that is not there", e.ID)
			}
			if of[e.Source] == of[e.Target] {
				inner[of[e.Target]] += e.Windows["10s"].Rate
			} else {
				into[of[e.Target]] += e.Windows["10s"].Rate
			}
			requests += e.Totals.Requests
		}
		for _, e := range g.Edges {
			wantRequests += e.Totals.Requests
		}
		for id, n := range groups(f) {
			was := groups(closed)[id]
			if diff := cmp.Diff(was.Windows, n.Windows, cmpopts.EquateApprox(1e-9, 0)); diff != "" {
				t.Fatalf("%s changed when groups were opened: %s", id, diff)
			}
			if diff := cmp.Diff(was.group.inner, n.group.inner, cmpopts.EquateApprox(1e-9, 0)); diff != "" {
				t.Fatalf("%s changed within: %s", id, diff)
			}
			all += n.Windows["10s"].Rate + n.group.inner["10s"].Rate
			strangers := 0.0
			for _, m := range g.Nodes {
				if groupsOf(g)[m.ID] == id {
					strangers += m.Windows["10s"].Rate
				}
			}
			strangers -= n.group.inner["10s"].Rate + into[id]
			if math.Abs(into[id]+strangers-n.Windows["10s"].Rate) > 1e-6 {
				t.Fatalf("%s: edges bring %v, strangers %v, it says %v", id, into[id], strangers, n.Windows["10s"].Rate)
			}
			if n.group.open && n.group.shown == n.group.members && math.Abs(inner[id]-n.group.inner["10s"].Rate) > 1e-6 {
				t.Fatalf("%s: %v drawn within, it says %v", id, inner[id], n.group.inner["10s"].Rate)
			}
		}
		if math.Abs(all-want) > 1e-6 {
			t.Fatalf("groups have %v, the graph %v", all, want)
		}
		if requests > wantRequests {
			t.Fatalf("bundles have %d requests, the graph %d", requests, wantRequests)
		}
		if v.show != "" && !shown[v.show] {
			t.Fatalf("%s is not shown", v.show)
		}
	})
}

// TestFoldedStreamTellsAll: a page that applies every event has the folded graph as it is.
func TestFoldedStreamTellsAll(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := &foldedStream{seed: maphash.MakeSeed()}
		page := map[string]any{}
		for step := range rapid.IntRange(1, 4).Draw(t, "steps") {
			whole := mesh(t)
			judge(t, whole)
			g := fold(whole, viewport{window: "10s", open: []string{"group:a"}})
			event, _ := f.event(g, step == 0)
			var got map[string]any
			if err := json.Unmarshal(event[bytes.IndexByte(event, '{'):], &got); err != nil {
				t.Fatalf("%v in %s", err, event)
			}
			for _, key := range []string{"nodes", "edges"} {
				for _, o := range got[key].([]any) {
					page[key+o.(map[string]any)["id"].(string)] = o
				}
				removed, _ := got["removed_"+key].([]any)
				for _, id := range removed {
					delete(page, key+id.(string))
				}
			}
			page["culprits"] = got["culprits"]
			var answer map[string]any
			if err := json.Unmarshal(appendFolded(nil, g), &answer); err != nil {
				t.Fatal(err)
			}
			want := map[string]any{"culprits": answer["culprits"]}
			for _, key := range []string{"nodes", "edges"} {
				for _, o := range answer[key].([]any) {
					want[key+o.(map[string]any)["id"].(string)] = o
				}
			}
			if diff := cmp.Diff(want, page); diff != "" {
				t.Fatalf("(-graph +page):\n%s", diff)
			}
			if again, changed := f.event(g, false); changed {
				t.Fatalf("nothing changed, and yet: %s", again)
			}
		}
	})
}

// BenchmarkFold is one fold of 10,000 services and 50,000 edges with one group open.
func BenchmarkFold(b *testing.B) {
	g := &telemetry.Graph{}
	for i := range 10_000 {
		g.Nodes = append(g.Nodes, telemetry.GraphNode{
			ID: fmt.Sprintf("ns%02d/s%05d", i/250, i), Namespace: fmt.Sprintf("ns%02d", i/250), Kind: telemetry.NodeService,
		})
	}
	p := 3.0
	for i := range 50_000 {
		s, t := i%10_000, (i%10_000+i/10_000*7+1)%10_000
		g.Edges = append(g.Edges, telemetry.GraphEdge{
			ID: strconv.Itoa(i), Source: g.Nodes[s].ID, Target: g.Nodes[t].ID,
			Windows: map[string]telemetry.Signals{"10s": {Rate: 2, P50: &p, P90: &p, P99: &p}},
		})
	}
	b.ReportAllocs()
	for b.Loop() {
		fold(g, viewport{window: "10s", open: []string{"group:ns07"}})
	}
}
