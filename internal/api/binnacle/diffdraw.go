package binnacle

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/analysis"
)

// What changed, drawn: what is new is green, what is gone is dashed, what changed is bold and says how. An end of an edge that changed is drawn too, thin, where
// it did not change itself. This is the picture that people put beside a change of theirs; it is of the same differences as the JSON, in the same number.

// A comparison is what is drawn of a graph that is the difference of two.
type comparison struct {
	title        string
	left         string // what there was no room for, "" where all is drawn
	nodes, edges map[string]mark
}

// lines are what the picture says of itself.
func (c *comparison) lines() []string {
	if c.left == "" {
		return []string{c.title}
	}
	return []string{c.title, c.left}
}

// A mark is what became of a node or an edge; the zero one is of what did not change.
type mark struct {
	changed bool
	fate    analysis.Fate
	says    []string
}

// draw answers what changed as text in one of the formats of the graph.
func (x *diffForm) draw(r *http.Request, d *query.GraphDiff) (api.Answer, error) {
	return x.export.export(r, x.picture(d))
}

// picture is the graph of the differences that are shown.
func (x *diffForm) picture(d *query.GraphDiff) *foldedGraph {
	c := &comparison{title: x.title(), nodes: make(map[string]mark, len(x.nodes)), edges: make(map[string]mark, len(x.edges))}
	if left := x.foundNodes + x.foundEdges - len(x.nodes) - len(x.edges); left > 0 {
		c.left = fmt.Sprintf("%d more nodes and edges changed: ask for more by limit", left)
	}
	g := &foldedGraph{time: d.After.Graph.Time, origin: d.After.Graph.Origin, damaged: d.Incomplete, comparison: c}
	known := map[string]bool{}
	for i := range x.nodes {
		n := &x.nodes[i]
		of, at := lately(d, n)
		is := of.Nodes[at]
		known[is.ID] = true
		c.nodes[is.ID] = x.mark(n, figures(is.Windows["range"]))
		g.nodes = append(g.nodes, foldedNode{GraphNode: is})
	}
	end := func(id string) {
		if known[id] {
			return
		}
		for _, of := range [...]*telemetry.Graph{d.After.Graph, d.Before.Graph} {
			at, ok := slices.BinarySearchFunc(of.Nodes, id, func(n telemetry.GraphNode, id string) int { return strings.Compare(n.ID, id) })
			if ok {
				known[id] = true
				g.nodes = append(g.nodes, foldedNode{GraphNode: of.Nodes[at]})
				return
			}
		}
	}
	for i := range x.edges {
		n := &x.edges[i]
		of, at := lately(d, n)
		is := of.Edges[at]
		end(is.Source)
		end(is.Target)
		c.edges[is.ID] = x.mark(n, figures(is.Windows["range"]))
		g.edges = append(g.edges, foldedEdge{GraphEdge: is})
	}
	slices.SortFunc(g.nodes, func(a, b foldedNode) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(g.edges, func(a, b foldedEdge) int { return strings.Compare(a.ID, b.ID) })
	return g
}

// title says which ranges are compared.
func (x *diffForm) title() string {
	span := func(from, to time.Time) string {
		return from.UTC().Format("2006-01-02 15:04:05") + " to " + to.UTC().Format("2006-01-02 15:04:05") + " UTC"
	}
	return span(x.from, x.to) + " against " + span(x.against, x.againstTo)
}

// mark is what a label says of a difference. lately is what it carries, or did before it went.
func (x *diffForm) mark(n *analysis.Difference, lately string) mark {
	m := mark{changed: true, fate: n.Fate}
	if n.Fate != analysis.Changed {
		text := n.Fate.String() + ": " + lately
		if !n.Certain {
			text += ", may be chance"
		}
		m.says = append(m.says, text)
	}
	for i := range n.Changes {
		if c := &n.Changes[i]; x.all || c.Certain {
			text := says(c)
			if !c.Certain {
				text += ", may be chance"
			}
			m.says = append(m.says, text)
		}
	}
	return m
}

// nodeText is what the label of a node says, line by line.
func (g *foldedGraph) nodeText(n *foldedNode, window string) []string {
	if g.comparison != nil {
		return append([]string{n.Name}, g.comparison.nodes[n.ID].says...)
	}
	return []string{n.Name, figures(n.Windows[window])}
}

// edgeText is what the label of an edge says, line by line.
func (g *foldedGraph) edgeText(e *foldedEdge, window string) []string {
	if g.comparison != nil {
		return append([]string{e.Protocol.String()}, g.comparison.edges[e.ID].says...)
	}
	return []string{edgeLabel(e, window)}
}

// appendDOTFate is how DOT draws what became of a node or an edge.
func appendDOTFate(b []byte, m mark, node bool) []byte {
	switch {
	case !m.changed:
		return append(b, ", color=gray, fontcolor=gray"...)
	case m.fate == analysis.Added:
		return append(b, ", color=darkgreen, fontcolor=darkgreen, penwidth=2"...)
	case m.fate == analysis.Gone && node:
		return append(b, ", style=\"rounded,dashed\""...)
	case m.fate == analysis.Gone:
		return append(b, ", style=dashed"...)
	default:
		return append(b, ", penwidth=3"...)
	}
}

// mermaidArrow is how Mermaid draws an edge.
func (g *foldedGraph) mermaidArrow(e *foldedEdge) string {
	if g.comparison == nil {
		return "-->"
	}
	switch m := g.comparison.edges[e.ID]; {
	case m.changed && m.fate == analysis.Gone:
		return "-.->"
	case m.changed && m.fate == analysis.Changed:
		return "==>"
	default:
		return "-->"
	}
}

// appendMermaidFates colours what is new and dashes what is gone. Edges are called by their number.
func appendMermaidFates(b []byte, g *foldedGraph) []byte {
	b = append(b, "  classDef added stroke:#080,stroke-width:2px,color:#080\n  classDef gone stroke-dasharray:5 5\n  classDef changed stroke-width:4px\n"...)
	for i := range g.nodes {
		if m := g.comparison.nodes[g.nodes[i].ID]; m.changed {
			b = append(append(append(appendNumbered(append(b, "  class "...), i), ' '), m.fate.String()...), '\n')
		}
	}
	for i := range g.edges {
		if m := g.comparison.edges[g.edges[i].ID]; m.changed && m.fate == analysis.Added {
			b = fmt.Appendf(b, "  linkStyle %d stroke:#080,stroke-width:2px,color:#080\n", i)
		}
	}
	return b
}
