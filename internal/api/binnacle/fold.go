package binnacle

import (
	"cmp"
	"slices"
	"strings"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Folding a graph.
//
// The problem: a page cannot show, nor a browser be sent four times a second, ten thousand services and fifty thousand
// edges. It is sent groups, and the members of those that are looked at.
//
// Invariants: sums are exact. What comes into a group from outside is the sum of the edges of the folded graph that lead to
// it or to its shown members from elsewhere, and of requests whose caller is not known; with what goes on within, all groups
// together have all requests of the graph. Whether a group is open changes no figure of any group. A pure function of (graph,
// viewport); a quantile of several edges is the highest of theirs, for quantiles cannot be added.
//
// The way: each node has a group, by its namespace. Each has an end, itself if it is shown or else its group, and edges are
// summed by their two ends.
//
// Not chosen: the browser folds. It would have to be sent all of it, about 40 MB, and parse what changes.
const (
	// foldFrom is from how many nodes on a graph is folded for who asks for it.
	foldFrom = 300
	// mostShown is how many members of one open group are shown; the others stay in it.
	mostShown = 400
	// groupPrefix begins a group's id.
	groupPrefix = "group:"
	// tallies is how many figures a tally has at most: one for each window.
	tallies = len(windowOrder)
)

// A viewport is what part of the graph a page shows.
type viewport struct {
	open   []string // ids of groups whose members are shown
	show   string   // a node whose group is open as well
	window string   // the only window that is sent; empty: all
}

// A foldedGraph is a graph of groups and of the shown members of open ones.
type foldedGraph struct {
	version uint64
	time    int64
	origin  telemetry.Origin
	nodes   []foldedNode
	edges   []foldedEdge
	damaged []telemetry.Damage
	// culprits are those of the whole graph, also such as are in folded groups.
	culprits []string
	findings []telemetry.Finding // likewise
	// comparison says what became of nodes and edges where the graph is the difference of two, else nil.
	comparison *comparison
}

// A foldedNode is a group, or a node that is shown.
type foldedNode struct {
	telemetry.GraphNode
	within string     // of a node: its group
	group  *groupInfo // of a group
}

type groupInfo struct {
	members, shown    int
	failing, degraded int
	culprits, victims int     // members that are ill by themselves, and because of another
	worst             *guilty // of the culprits among the members
	open              bool
	inner             map[string]telemetry.Signals
}

// A foldedEdge is an edge between two shown nodes, or the sum of bundle edges.
type foldedEdge struct {
	telemetry.GraphEdge
	bundle int
}

// A tally adds up signals, one for each window.
type tally [tallies]telemetry.Signals

// A folding is the work of one fold.
type folding struct {
	g       *telemetry.Graph
	windows []string
	node    map[string]int32 // index in g.Nodes by id
	group   []int32          // by node
	names   []string         // of groups, without prefix
	members [][]int32        // by group
	shown   []bool           // by node
	inner   []tally          // by group
	into    []tally          // by group: from outside
	suffer  map[string]int   // how many nodes are ill because of a node, by its id
}

func newFolding(g *telemetry.Graph) *folding {
	f := &folding{g: g, node: make(map[string]int32, len(g.Nodes))}
	for i := range g.Nodes {
		f.node[g.Nodes[i].ID] = int32(i) //nolint:gosec // a graph has less than 2^31 nodes
	}
	f.assign()
	f.suffer = suffering(g)
	return f
}

// groupsOf is the id of each node's group, by the node's.
func groupsOf(g *telemetry.Graph) map[string]string {
	f := newFolding(g)
	out := make(map[string]string, len(g.Nodes))
	for i := range g.Nodes {
		out[g.Nodes[i].ID] = groupPrefix + f.names[f.group[i]]
	}
	return out
}

func fold(g *telemetry.Graph, v viewport) *foldedGraph {
	f := newFolding(g)
	switch {
	case g.Origin == telemetry.OriginSeries:
		f.windows = []string{"range"}
	case v.window != "":
		f.windows = []string{v.window}
	default:
		f.windows = windowOrder[:]
	}
	open := f.opened(v)
	out := &foldedGraph{version: g.Version, time: g.Time, origin: g.Origin, edges: f.edges(), culprits: g.Culprits, findings: g.Findings, damaged: g.Incomplete}
	for i := range g.Nodes {
		if f.shown[i] {
			n := g.Nodes[i]
			n.Windows = f.only(n.Windows)
			out.nodes = append(out.nodes, foldedNode{GraphNode: n, within: groupPrefix + f.names[f.group[i]]})
		}
	}
	for k, name := range f.names {
		out.nodes = append(out.nodes, f.summed(k, name, open[k]))
	}
	return out
}

// assign gives each node its group: its namespace's; that of the only namespace that uses it, for a database or a queue;
// or that of its kind.
func (f *folding) assign() {
	user := make([]string, len(f.g.Nodes)) // the only namespace that uses a virtual node; "~" for several
	use := func(virtual, by int32) {
		n := &f.g.Nodes[virtual]
		if n.Kind != telemetry.NodeDatabase && n.Kind != telemetry.NodeQueue {
			return
		}
		switch ns := f.g.Nodes[by].Namespace; user[virtual] {
		case ns:
		case "":
			user[virtual] = cmp.Or(ns, "~")
		default:
			user[virtual] = "~"
		}
	}
	for i := range f.g.Edges {
		if s, t, ok := f.ends(&f.g.Edges[i]); ok {
			use(s, t)
			use(t, s)
		}
	}
	f.group, f.shown = make([]int32, len(f.g.Nodes)), make([]bool, len(f.g.Nodes))
	known := map[string]int32{}
	for i := range f.g.Nodes {
		n := &f.g.Nodes[i]
		name := n.Namespace
		if n.Kind != telemetry.NodeService {
			name = user[i]
		}
		if n.Kind != telemetry.NodeService && (name == "" || name == "~") {
			name = "~" + n.Kind.String()
		}
		k, ok := known[name]
		if !ok {
			k = int32(len(f.names)) //nolint:gosec // at most a group a node
			known[name] = k
			f.names, f.members = append(f.names, name), append(f.members, nil)
		}
		f.group[i] = k
		f.members[k] = append(f.members[k], int32(i)) //nolint:gosec // as above
	}
	f.inner, f.into = make([]tally, len(f.names)), make([]tally, len(f.names))
}

func (f *folding) ends(e *telemetry.GraphEdge) (source, target int32, ok bool) {
	source, okSource := f.node[e.Source]
	target, okTarget := f.node[e.Target]
	return source, target, okSource && okTarget
}

// opened says which groups are open and marks the members that are shown: of many, those that are unwell, and then those
// with the most edges.
func (f *folding) opened(v viewport) []bool {
	open := make([]bool, len(f.names))
	for _, id := range v.open {
		if k := slices.Index(f.names, strings.TrimPrefix(id, groupPrefix)); k >= 0 {
			open[k] = true
		}
	}
	show, shows := f.node[v.show]
	if shows {
		open[f.group[show]] = true
	}
	var degree []int32
	for k := range open {
		if !open[k] {
			continue
		}
		list := f.members[k]
		if len(list) > mostShown {
			if degree == nil {
				degree = f.degrees()
			}
			list = slices.Clone(list)
			slices.SortFunc(list, func(a, b int32) int {
				if shows && (a == show) != (b == show) {
					return map[bool]int{true: -1, false: 1}[a == show]
				}
				return cmp.Or(cmp.Compare(f.g.Nodes[b].Health, f.g.Nodes[a].Health), cmp.Compare(degree[b], degree[a]), cmp.Compare(a, b))
			})
			list = list[:mostShown]
		}
		for _, i := range list {
			f.shown[i] = true
		}
	}
	return open
}

func (f *folding) degrees() []int32 {
	degree := make([]int32, len(f.g.Nodes))
	for i := range f.g.Edges {
		if s, t, ok := f.ends(&f.g.Edges[i]); ok {
			degree[s]++
			degree[t]++
		}
	}
	return degree
}

// edges is the folded graph's, by id. On the way it adds up what comes into groups and what goes on within.
func (f *folding) edges() []foldedEdge {
	end := func(i int32) int32 { // of a node that is not shown: its group, as a negative number
		if f.shown[i] {
			return i
		}
		return -1 - f.group[i]
	}
	bundles := map[[2]int32]*bundle{}
	seen := make([]tally, len(f.g.Nodes)) // what edges bring to a node
	var out []foldedEdge
	for i := range f.g.Edges {
		e := &f.g.Edges[i]
		s, t, ok := f.ends(e)
		if !ok {
			continue
		}
		f.add(&seen[t], e.Windows)
		if f.group[s] == f.group[t] {
			f.add(&f.inner[f.group[t]], e.Windows)
		} else {
			f.add(&f.into[f.group[t]], e.Windows)
		}
		switch pair := [2]int32{end(s), end(t)}; {
		case f.shown[s] && f.shown[t]:
			whole := *e
			whole.Windows = f.only(e.Windows)
			out = append(out, foldedEdge{GraphEdge: whole})
		case pair[0] == pair[1]: // within a group that is folded
		default:
			b := bundles[pair]
			if b == nil {
				b = newBundle(f.id(pair[0]), f.id(pair[1]), e)
				bundles[pair] = b
			}
			f.add(&b.sum, e.Windows)
			b.take(e)
		}
	}
	f.addStrangers(seen)
	for _, b := range bundles {
		out = append(out, b.edge(f.named(&b.sum)))
	}
	slices.SortFunc(out, func(a, b foldedEdge) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// addStrangers adds what a node has and no edge shows: requests whose caller is not known yet.
func (f *folding) addStrangers(seen []tally) {
	for i := range f.g.Nodes {
		for w, name := range f.windows {
			s, ok := f.g.Nodes[i].Windows[name]
			if rest := s.Rate - seen[i][w].Rate; ok && rest > 1e-9*s.Rate {
				into := &f.into[f.group[i]][w]
				into.Rate += rest
				into.ErrorRate += max(0, s.ErrorRate-seen[i][w].ErrorRate)
				into.ThrottledRate += max(0, s.ThrottledRate-seen[i][w].ThrottledRate)
				raise(into, &s)
			}
		}
	}
}

func (f *folding) id(end int32) string {
	if end < 0 {
		return groupPrefix + f.names[-1-end]
	}
	return f.g.Nodes[end].ID
}

// summed is a group.
func (f *folding) summed(k int, name string, open bool) foldedNode {
	info := &groupInfo{members: len(f.members[k]), open: open, inner: f.named(&f.inner[k])}
	n := telemetry.GraphNode{ID: groupPrefix + name, Name: strings.TrimPrefix(name, "~"), Windows: f.named(&f.into[k])}
	if !strings.HasPrefix(name, "~") {
		n.Namespace = name
	}
	for i, m := range f.members[k] {
		of := &f.g.Nodes[m]
		n.Health = max(n.Health, of.Health)
		n.LastSeen = max(n.LastSeen, of.LastSeen)
		if i == 0 {
			n.Cluster = of.Cluster
		} else if n.Cluster != of.Cluster {
			n.Cluster = ""
		}
		switch of.Health {
		case telemetry.HealthFailing:
			info.failing++
		case telemetry.HealthDegraded:
			info.degraded++
		case telemetry.HealthIdle, telemetry.HealthOK:
		}
		if f.shown[m] {
			info.shown++
		}
		info.blame(of, f.suffer)
	}
	return foldedNode{GraphNode: n, group: info}
}

func (f *folding) add(t *tally, windows map[string]telemetry.Signals) {
	for w, name := range f.windows {
		if s, ok := windows[name]; ok {
			t[w].Rate += s.Rate
			t[w].ErrorRate += s.ErrorRate
			t[w].ThrottledRate += s.ThrottledRate
			raise(&t[w], &s)
		}
	}
}

// raise gives t the higher of the quantiles.
func raise(t, s *telemetry.Signals) {
	higher := func(a, b *float64) *float64 {
		if a == nil || b != nil && *b > *a {
			return b
		}
		return a
	}
	t.P50, t.P90, t.P99 = higher(t.P50, s.P50), higher(t.P90, s.P90), higher(t.P99, s.P99)
}

// named is a tally by the names of windows; windows without traffic are left out.
func (f *folding) named(t *tally) map[string]telemetry.Signals {
	out := make(map[string]telemetry.Signals, len(f.windows))
	for w, name := range f.windows {
		if t[w].Rate > 0 {
			out[name] = t[w]
		}
	}
	return out
}

// only is those of the windows that are sent.
func (f *folding) only(windows map[string]telemetry.Signals) map[string]telemetry.Signals {
	if len(f.windows) >= len(windows) {
		return windows
	}
	out := make(map[string]telemetry.Signals, len(f.windows))
	for _, name := range f.windows {
		if s, ok := windows[name]; ok {
			out[name] = s
		}
	}
	return out
}
