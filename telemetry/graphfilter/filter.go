// Package graphfilter is the language in which one says which nodes or edges of a graph are meant: Kiali's find and hide, with its operands, as far as the graph knows
// what they ask, and some of our own.
//
//	name = cart and httpin > 10
//	! healthy
//	rt > 500 and %httperr >= 5
//	(ns = shop or ns = bank) and not idle
//
// An expression is about nodes or about edges, by its operands, and not about both. A word alone is a flag, which holds or does not; an operand is compared by = != > >= < <= with
// a number or a text, texts also by *= (contains), ^= (begins with), $= (ends with) and their opposites !*= !^= !$=. A text in quotation marks may hold anything. and, or, not (also AND, OR, !, &&, ||) and parentheses as everywhere: not
// before and before or.
//
// What a node or an edge does not have compares with nothing: of an edge without traffic neither rt > 0 nor rt <= 0 holds.
package graphfilter

import (
	"fmt"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Bounds of what is asked.
const (
	MaxBytes = 4096
	maxTerms = 64
	maxDepth = 16
)

// A Filter says which nodes, or which edges, are meant. It never changes.
type Filter struct {
	edges bool
	root  expression
}

// Edges says that it is about edges.
func (f *Filter) Edges() bool { return f.edges }

// An Error says what cannot be read of an expression.
type Error struct {
	At     int // byte
	Reason string
}

// Error is the reason and the place.
func (e *Error) Error() string { return fmt.Sprintf("%s (at byte %d)", e.Reason, e.At) }

// expression is what an expression is made of.
type expression interface{ holds(s *subject) bool }

type (
	both   struct{ a, b expression }
	either struct{ a, b expression }
	not    struct{ a expression }
)

func (x both) holds(s *subject) bool   { return x.a.holds(s) && x.b.holds(s) }
func (x either) holds(s *subject) bool { return x.a.holds(s) || x.b.holds(s) }
func (x not) holds(s *subject) bool    { return !x.a.holds(s) }

// subject is what is asked about.
type subject struct {
	g    *graph
	node *telemetry.GraphNode
	edge *telemetry.GraphEdge
}

// graph is what is known of all nodes and edges together.
type graph struct {
	of     *telemetry.Graph
	window string
	nodes  map[string]*telemetry.GraphNode
	in     map[string]map[telemetry.Protocol]float64 // requests a second, by node
	out    map[string]map[telemetry.Protocol]float64
	called map[string]int // by how many
	rank   map[string]int
}

func newGraph(g *telemetry.Graph, window string) *graph {
	x := &graph{
		of: g, window: window, nodes: make(map[string]*telemetry.GraphNode, len(g.Nodes)),
		in: map[string]map[telemetry.Protocol]float64{}, out: map[string]map[telemetry.Protocol]float64{}, called: map[string]int{},
	}
	for i := range g.Nodes {
		x.nodes[g.Nodes[i].ID] = &g.Nodes[i]
	}
	add := func(m map[string]map[telemetry.Protocol]float64, id string, e *telemetry.GraphEdge) {
		if m[id] == nil {
			m[id] = map[telemetry.Protocol]float64{}
		}
		m[id][e.Protocol] += e.Windows[window].Rate
	}
	for i := range g.Edges {
		e := &g.Edges[i]
		add(x.in, e.Target, e)
		add(x.out, e.Source, e)
		x.called[e.Target]++
	}
	return x
}

// Apply is what find and hide leave of a graph, by the figures of one window; each may be nil. Of find about nodes those are left that are meant, with the
// edges between them; of find about edges those, with their ends. Of hide about nodes those go, with their edges; of hide about edges those, with
// the nodes that have no edge left. Figures stay those of the whole graph. g does not change.
func Apply(g *telemetry.Graph, window string, find, hide *Filter) *telemetry.Graph {
	x := newGraph(g, window)
	nodes, edges := make([]bool, len(g.Nodes)), make([]bool, len(g.Edges))
	at := make(map[string]int, len(g.Nodes))
	for i := range g.Nodes {
		at[g.Nodes[i].ID] = i
		s := subject{g: x, node: &g.Nodes[i]}
		nodes[i] = (find == nil || find.edges || find.root.holds(&s)) && (hide == nil || hide.edges || !hide.root.holds(&s))
	}
	left := make([]int, len(g.Nodes)) // edges
	had := make([]bool, len(g.Nodes))
	for i := range g.Edges {
		e := &g.Edges[i]
		source, okSource := at[e.Source]
		target, okTarget := at[e.Target]
		if !okSource || !okTarget {
			continue
		}
		had[source], had[target] = true, true
		s := subject{g: x, edge: e}
		edges[i] = nodes[source] && nodes[target] && (find == nil || !find.edges || find.root.holds(&s)) && (hide == nil || !hide.edges || !hide.root.holds(&s))
		if edges[i] {
			left[source]++
			left[target]++
		}
	}
	out := &telemetry.Graph{Version: g.Version, Time: g.Time, Origin: g.Origin, Culprits: []string{}, Incomplete: g.Incomplete, Nodes: []telemetry.GraphNode{}, Edges: []telemetry.GraphEdge{}}
	byEdges := find != nil && find.edges
	lonely := hide != nil && hide.edges
	for i := range g.Nodes {
		if nodes[i] && (left[i] > 0 || !byEdges && (!lonely || !had[i])) {
			out.Nodes = append(out.Nodes, g.Nodes[i])
		} else {
			nodes[i] = false
		}
	}
	for i := range g.Edges {
		if edges[i] {
			out.Edges = append(out.Edges, g.Edges[i])
		}
	}
	for _, id := range g.Culprits {
		if i, ok := at[id]; ok && nodes[i] {
			out.Culprits = append(out.Culprits, id)
		}
	}
	return out
}
