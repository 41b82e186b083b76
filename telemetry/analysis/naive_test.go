package analysis

import (
	stdcmp "cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The oracles: each answer again, from its definition, by the shortest program that gives it. They try all pairs of nodes, and
// look up everything by text.

// mesh is a graph of up to 9 nodes with whatever edges.
func mesh(t *rapid.T) *telemetry.Graph {
	n := rapid.IntRange(1, 9).Draw(t, "nodes")
	g := &telemetry.Graph{Version: 7, Time: 9e9}
	into := make([]float64, n)
	name := func(i int) string { return string(rune('a' + i)) }
	acyclic := rapid.Bool().Draw(t, "acyclic")
	type pair struct{ s, d int }
	have := map[pair]bool{}
	for range rapid.IntRange(0, 16).Draw(t, "edges") {
		p := pair{rapid.IntRange(0, n-1).Draw(t, "source"), rapid.IntRange(0, n-1).Draw(t, "target")}
		if acyclic && p.s >= p.d || have[p] {
			continue
		}
		have[p] = true
		for _, protocol := range []string{"grpc", "http"}[:rapid.IntRange(1, 2).Draw(t, "protocols")] {
			r := float64(rapid.IntRange(0, 40).Draw(t, "rate"))
			into[p.d] += r
			g.Edges = append(g.Edges, telemetry.GraphEdge{
				ID: name(p.s) + ">" + name(p.d) + "|" + protocol, Source: name(p.s), Target: name(p.d),
				Windows: map[string]telemetry.Signals{"1m": {Rate: r}},
			})
		}
	}
	slices.SortFunc(g.Edges, func(a, b telemetry.GraphEdge) int { return strings.Compare(a.ID, b.ID) })
	for i := range n {
		if rapid.IntRange(0, 4).Draw(t, "strangers") == 0 {
			into[i] += 5
		}
		kind := telemetry.NodeService
		if rapid.IntRange(0, 5).Draw(t, "client") == 0 {
			kind = telemetry.NodeClient
		}
		g.Nodes = append(g.Nodes, telemetry.GraphNode{ID: name(i), Kind: kind, Windows: map[string]telemetry.Signals{"1m": {Rate: into[i]}}})
	}
	return g
}

// far is that there is no way.
const far = 1 << 20

// distances is the fewest edges between each two nodes, by Floyd and Warshall.
func distances(g *telemetry.Graph) map[[2]string]int {
	d := map[[2]string]int{}
	for _, a := range g.Nodes {
		for _, b := range g.Nodes {
			d[[2]string{a.ID, b.ID}] = far
		}
		d[[2]string{a.ID, a.ID}] = 0
	}
	for _, e := range g.Edges {
		if e.Source != e.Target {
			d[[2]string{e.Source, e.Target}] = 1
		}
	}
	for _, k := range g.Nodes {
		for _, i := range g.Nodes {
			for _, j := range g.Nodes {
				ij := [2]string{i.ID, j.ID}
				d[ij] = min(d[ij], d[[2]string{i.ID, k.ID}]+d[[2]string{k.ID, j.ID}])
			}
		}
	}
	return d
}

func requestsOf(g *telemetry.Graph, id string) float64 {
	in, sent := 0.0, 0.0
	for _, n := range g.Nodes {
		if n.ID == id {
			in = n.Windows["1m"].Rate
		}
	}
	for _, e := range g.Edges {
		if e.Source == id {
			sent += e.Windows["1m"].Rate
		}
	}
	if in > 0 {
		return in
	}
	return sent
}

// upwards iterates the definition of calls until it holds; rounds is how many times that took.
func upwards(g *telemetry.Graph, x string) (calls map[string]float64, rounds int) {
	calls = map[string]float64{x: 1}
	for rounds = 1; rounds < 5000; rounds++ {
		next, moved := map[string]float64{x: 1}, 0.0
		for _, n := range g.Nodes {
			if r := requestsOf(g, n.ID); n.ID != x && r > 0 {
				for _, e := range g.Edges {
					if e.Source == n.ID {
						next[n.ID] += e.Windows["1m"].Rate * min(1, calls[e.Target]) / r
					}
				}
				moved = max(moved, math.Abs(next[n.ID]-calls[n.ID]))
			}
		}
		calls = next
		if moved < 1e-12 {
			break
		}
	}
	return calls, rounds
}

func downwards(g *telemetry.Graph, x string) (calls map[string]float64, rounds int) {
	calls = map[string]float64{x: 1}
	reached := distances(g)
	for rounds = 1; rounds < 5000; rounds++ {
		next, moved := map[string]float64{x: 1}, 0.0
		for _, n := range g.Nodes {
			for _, e := range g.Edges {
				if r := requestsOf(g, e.Source); e.Target == n.ID && n.ID != x && r > 0 && reached[[2]string{x, e.Source}] < far {
					next[n.ID] += calls[e.Source] * e.Windows["1m"].Rate / r
				}
			}
			moved = max(moved, math.Abs(next[n.ID]-calls[n.ID]))
		}
		calls = next
		if moved < 1e-12 {
			break
		}
	}
	return calls, rounds
}

// entriesOf are the nodes that nobody reaches whom they do not reach.
func entriesOf(g *telemetry.Graph, d map[[2]string]int) []string {
	var out []string
	for _, n := range g.Nodes {
		if !slices.ContainsFunc(g.Nodes, func(m telemetry.GraphNode) bool {
			return d[[2]string{m.ID, n.ID}] < far && d[[2]string{n.ID, m.ID}] >= far
		}) {
			out = append(out, n.ID)
		}
	}
	return out
}

func TestRadius(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := mesh(t)
		f := NewFlow(NewShape(g, nil), "1m")
		x, d := rapid.SampledFrom(g.Nodes).Draw(t, "x").ID, distances(g)
		up, _ := f.Up(x)
		down, _ := f.Down(x)
		callsUp, roundsUp := upwards(g, x)
		callsDown, roundsDown := downwards(g, x)
		check := func(what string, r Radius, dist func(string) int, calls map[string]float64, rounds int, known bool) {
			want := 0
			for _, n := range g.Nodes {
				if n.ID != x && dist(n.ID) < far {
					want++
				}
			}
			if len(r.Touched) != want {
				t.Fatalf("%s of %s has %d nodes, and %d are reached", what, x, len(r.Touched), want)
			}
			last := 0
			for _, got := range r.Touched {
				id := got.Node.ID
				if got.Hops != dist(id) || got.Hops < last {
					t.Fatalf("%s of %s: %s is %d away (before it one of %d), it says %d", what, x, id, dist(id), last, got.Hops)
				}
				last = got.Hops
				if !known || requestsOf(g, id) == 0 {
					if got.Calls != -1 || got.Share != -1 {
						t.Fatalf("%s of %s: %s has no traffic and says %v, %v", what, x, id, got.Calls, got.Share)
					}
					continue
				}
				// A cycle in which all goes round and round is cut off, and then short of what it should be.
				if math.Abs(got.Calls-calls[id]) > 1e-6 && (rounds < 60 || got.Calls > calls[id]) {
					t.Fatalf("%s of %s: %s makes %v calls, it says %v", what, x, id, calls[id], got.Calls)
				}
				if got.Share != min(1, got.Calls) || got.Share < 0 {
					t.Fatalf("%s of %s: share %v of %v calls", what, x, got.Share, got.Calls)
				}
			}
		}
		check("up", up, func(id string) int { return d[[2]string{id, x}] }, callsUp, roundsUp, true)
		check("down", down, func(id string) int { return d[[2]string{x, id}] }, callsDown, roundsDown, requestsOf(g, x) > 0)
		for _, got := range down.Touched {
			if got.Calls >= 0 && got.Calls*requestsOf(g, x) > requestsOf(g, got.Node.ID)*(1+1e-9) {
				t.Fatalf("%s sends %v of the %v requests that %s has", x, got.Calls*requestsOf(g, x), requestsOf(g, got.Node.ID), got.Node.ID)
			}
		}
		all, through := 0.0, 0.0
		for _, id := range entriesOf(g, d) {
			all += requestsOf(g, id)
			through += requestsOf(g, id) * min(1, callsUp[id])
		}
		want := -1.0
		if all > 0 {
			want = through / all
		}
		if math.Abs(up.Entries-want) > 1e-6 && roundsUp < 60 {
			t.Fatalf("of what enters %v passes through %s, it says %v", want, x, up.Entries)
		}
		n := rapid.IntRange(0, 9).Draw(t, "n")
		sorted := slices.Clone(up.Touched)
		slices.SortFunc(sorted, func(a, b Touched) int {
			return stdcmp.Or(stdcmp.Compare(b.Share, a.Share), stdcmp.Compare(a.Hops, b.Hops), stdcmp.Compare(b.Calls, a.Calls), stdcmp.Compare(a.Node.ID, b.Node.ID))
		})
		if diff := cmp.Diff(ids(sorted[:min(n, len(sorted))]), ids(Most(up.Touched, n))); diff != "" {
			t.Fatalf("the %d most: %s", n, diff)
		}
	})
}

func ids(list []Touched) []string {
	out := []string{}
	for _, t := range list {
		out = append(out, t.Node.ID)
	}
	return out
}

func TestCycles(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := mesh(t)
		d := distances(g)
		together := func(a, b string) bool { return d[[2]string{a, b}] < far && d[[2]string{b, a}] < far }
		var want, got []string
		for _, n := range g.Nodes {
			var text strings.Builder
			first, edges := true, 0
			for _, m := range g.Nodes {
				if together(n.ID, m.ID) {
					first = first && m.ID >= n.ID
					text.WriteString(m.ID)
				}
			}
			for _, e := range g.Edges {
				if together(n.ID, e.Source) && together(n.ID, e.Target) {
					text.WriteString(" " + e.ID)
					edges++
				}
			}
			if first && edges > 0 {
				want = append(want, text.String())
			}
		}
		last := far
		for _, c := range NewShape(g, nil).Cycles() {
			var text strings.Builder
			for _, n := range c.Nodes {
				text.WriteString(n.ID)
			}
			for _, e := range c.Edges {
				text.WriteString(" " + e.ID)
			}
			got = append(got, text.String())
			if len(c.Nodes) > last {
				t.Fatalf("a cycle of %d stands behind one of %d", len(c.Nodes), last)
			}
			last = len(c.Nodes)
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestCuts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := mesh(t)
		entries := entriesOf(g, distances(g))
		want, got := map[string][]string{}, map[string][]string{}
		for _, lost := range g.Nodes {
			without := *g
			without.Edges = slices.DeleteFunc(slices.Clone(g.Edges), func(e telemetry.GraphEdge) bool { return e.Source == lost.ID || e.Target == lost.ID })
			d := distances(&without)
			for _, n := range g.Nodes {
				if n.ID != lost.ID && lost.Kind != telemetry.NodeClient && !slices.ContainsFunc(entries, func(e string) bool { return e != lost.ID && d[[2]string{e, n.ID}] < far }) {
					want[lost.ID] = append(want[lost.ID], n.ID)
				}
			}
		}
		last := far
		for _, c := range NewShape(g, nil).Cuts() {
			for _, n := range c.Off {
				got[c.Node.ID] = append(got[c.Node.ID], n.ID)
			}
			slices.Sort(got[c.Node.ID])
			if len(c.Off) > last {
				t.Fatalf("%d stand behind %d", len(c.Off), last)
			}
			last = len(c.Off)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestNear(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := mesh(t)
		d := distances(g)
		focus := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "z"}), 0, 3).Draw(t, "focus")
		depth, way := rapid.IntRange(0, 3).Draw(t, "depth"), Direction(rapid.IntRange(0, 2).Draw(t, "direction"))
		near := func(id string) bool {
			return slices.ContainsFunc(focus, func(f string) bool {
				up, ok := d[[2]string{id, f}]
				return ok && (way != Down && up <= depth || way != Up && d[[2]string{f, id}] <= depth)
			})
		}
		want := *g
		want.Nodes = slices.DeleteFunc(slices.Clone(g.Nodes), func(n telemetry.GraphNode) bool { return !near(n.ID) })
		want.Edges = slices.DeleteFunc(append([]telemetry.GraphEdge{}, g.Edges...), func(e telemetry.GraphEdge) bool { return !near(e.Source) || !near(e.Target) })
		if diff := cmp.Diff(&want, NewShape(g, nil).Near(focus, depth, way)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// A shape that took over another's numbers is like one that was made anew.
func TestNumbersAreTakenOver(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := mesh(t), mesh(t)
		if rapid.Bool().Draw(t, "same") {
			c := *a
			c.Version, c.Nodes = 8, slices.Clone(a.Nodes)
			c.Nodes[0].Name = "another name"
			b = &c
		}
		old := NewShape(a, nil)
		made, took := NewShape(b, nil), NewShape(b, old)
		if took.Graph() != b {
			t.Fatal("it is still the old graph")
		}
		for _, n := range b.Nodes {
			if diff := cmp.Diff(made.Near([]string{n.ID}, 2, Both), took.Near([]string{n.ID}, 2, Both)); diff != "" {
				t.Fatal(diff)
			}
		}
		if diff := cmp.Diff(made.Cuts(), took.Cuts()); diff != "" {
			t.Fatal(diff)
		}
	})
}

// A chain is as deep as it is long, and a ring is one cycle: neither overflows a stack.
func TestDepth(t *testing.T) {
	t.Parallel()
	const n = 100_000
	g := &telemetry.Graph{}
	for i := range n {
		g.Nodes = append(g.Nodes, telemetry.GraphNode{ID: fmt.Sprintf("n%06d", i), Kind: telemetry.NodeService})
		if i > 0 {
			g.Edges = append(g.Edges, telemetry.GraphEdge{Source: g.Nodes[i-1].ID, Target: g.Nodes[i].ID, Windows: map[string]telemetry.Signals{"1m": {Rate: 1}}})
		}
	}
	f := NewFlow(NewShape(g, nil), "1m")
	up, _ := f.Up(g.Nodes[n-1].ID)
	if len(up.Touched) != n-1 || up.Touched[n-2].Hops != n-1 || up.Touched[n-2].Share != 1 || up.Entries != 1 {
		t.Errorf("the chain's last has %d above it, the first of them %+v, entries %v", len(up.Touched), up.Touched[len(up.Touched)-1], up.Entries)
	}
	if cuts := f.Cuts(); len(cuts) != n-1 || len(cuts[0].Off) != n-1 {
		t.Errorf("%d cuts, the first of %d", len(cuts), len(cuts[0].Off))
	}
	if c := f.Cycles(); len(c) != 0 {
		t.Errorf("a chain has %d cycles", len(c))
	}
	g.Edges = append(g.Edges, telemetry.GraphEdge{Source: g.Nodes[n-1].ID, Target: g.Nodes[0].ID})
	if c := NewShape(g, nil).Cycles(); len(c) != 1 || len(c[0].Nodes) != n || len(c[0].Edges) != n {
		t.Errorf("a ring has %d cycles", len(c))
	}
}

// An edge that names what is no node is passed over, and a node that is not there has no answer.
func TestStrayEnds(t *testing.T) {
	t.Parallel()
	g := &telemetry.Graph{Nodes: []telemetry.GraphNode{{ID: "a"}}, Edges: []telemetry.GraphEdge{{Source: "a", Target: "gone"}, {Source: "gone", Target: "a"}}}
	s := NewShape(g, nil)
	f := NewFlow(s, "1m")
	if r, ok := f.Up("a"); !ok || len(r.Touched) != 0 {
		t.Errorf("%+v %v", r, ok)
	}
	if _, ok := f.Up("gone"); ok {
		t.Error("a node that is not there has a radius")
	}
	if _, ok := f.Down("gone"); ok {
		t.Error("a node that is not there has a radius")
	}
	if s.Has("gone") || !s.Has("a") || len(s.Cycles())+len(s.Cuts()) != 0 {
		t.Error("a stray edge counts")
	}
}
