package binnacle

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/api/params"
	"github.com/binnacle-mesh/binnacle/internal/ask"
	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/analysis"
)

// A graph can be asked for as others read it: as text of Graphviz, Mermaid or GraphML, in part (focus, depth) and folded, as in JSON.
//
// Names are whatever was sent. In each format a node is called n0, n1, ... in the order of ids, and its own names are text, which
// can be escaped in all of them; a name as identifier cannot (a '/' is none in GraphML, anything but letters none in Mermaid). What is no text, such
// as half a UTF-8 character or a control character, is shown as U+FFFD, so that two ids may look alike and still be two nodes.

const (
	mostFocused  = 64
	mostDepth    = 32
	defaultDepth = 2
	// exportedBytes is about what a node or an edge is as text.
	exportedBytes = 600
)

// An exportForm is what a request says about which part of the graph it wants, and how.
type exportForm struct {
	format    string // as formats has it; "json" unless asked for
	focus     []string
	depth     int
	direction analysis.Direction
	window    string // of text: whose figures are written
}

// formats are how a graph is written.
var formats = []string{"json", "dot", "mermaid", "graphml"} //nolint:gochecknoglobals // immutable

func exportFormOf(p *params.Params, past bool) exportForm {
	x := exportForm{format: formatOf(p), focus: p.All("focus"), depth: p.Number(defaultDepth, 0, mostDepth, "depth"), direction: directionOf(p)}
	switch {
	case len(x.focus) > mostFocused:
		p.Fail("focus", fmt.Sprintf("at most %d nodes are in focus at once", mostFocused))
	case len(x.focus) == 0:
		for _, of := range []string{"depth", "direction"} {
			if v, _ := p.Get(of); v != "" {
				p.Fail(of, "it says how much is shown around a node: name one by focus")
			}
		}
	}
	if x.format != "json" {
		x.window = windowOf(p, past)
	}
	return x
}

// formatOf is how the answer is to be written.
func formatOf(p *params.Params) string {
	f := p.Text("format")
	if f == "" {
		return "json"
	}
	if !slices.Contains(formats, f) {
		p.Fail("format", params.Quote(f)+" is none of "+strings.Join(formats, ", "))
	}
	return f
}

// part is the part of the graph that is in focus.
func (x *exportForm) part(s *analysis.Shape) (*telemetry.Graph, error) {
	if !slices.ContainsFunc(x.focus, s.Has) {
		return nil, &api.Error{Status: http.StatusNotFound, Detail: fmt.Sprintf(
			"the graph has no node %s; GET /api/v1/graph/find?q= finds nodes by a part of their name", params.Quote(strings.Join(x.focus, ", ")))}
	}
	return s.Near(x.focus, x.depth, x.direction), nil
}

// export is a graph as text.
func (x *exportForm) export(r *http.Request, g *foldedGraph) (api.Answer, error) {
	g = g.drawable()
	if err := ask.Of(r.Context()).Take(int64(len(g.nodes)+len(g.edges)) * exportedBytes); err != nil {
		return api.Answer{}, err
	}
	var a api.Answer
	switch x.format {
	case "dot":
		a = api.Answer{Type: "text/vnd.graphviz; charset=utf-8", Body: appendDOT(nil, g, x.window)}
	case "mermaid":
		a = api.Answer{Type: "text/vnd.mermaid; charset=utf-8", Body: appendMermaid(nil, g, x.window)}
	default:
		a = api.Answer{Type: "application/graphml+xml; charset=utf-8", Body: appendGraphML(nil, g, x.window)}
	}
	if len(g.damaged) > 0 {
		a.Header = map[string]string{"Binnacle-Incomplete": query.Lacks(g.damaged)}
	}
	return a, nil
}

// unfolded is a graph as it is, in the form of a folded one.
func unfolded(g *telemetry.Graph) *foldedGraph {
	f := &foldedGraph{version: g.Version, time: g.Time, origin: g.Origin, damaged: g.Incomplete, nodes: make([]foldedNode, len(g.Nodes)), edges: make([]foldedEdge, len(g.Edges))}
	for i := range g.Nodes {
		f.nodes[i] = foldedNode{GraphNode: g.Nodes[i]}
	}
	for i := range g.Edges {
		f.edges[i] = foldedEdge{GraphEdge: g.Edges[i]}
	}
	return f
}

// drawable is the graph without groups all of whose members are shown, which no edge leads to, and without edges that lead nowhere.
func (g *foldedGraph) drawable() *foldedGraph {
	out := *g
	out.nodes = slices.DeleteFunc(slices.Clone(g.nodes), func(n foldedNode) bool { return n.group != nil && n.group.shown == n.group.members })
	known := make(map[string]bool, len(out.nodes))
	for i := range out.nodes {
		known[out.nodes[i].ID] = true
	}
	out.edges = slices.DeleteFunc(slices.Clone(g.edges), func(e foldedEdge) bool { return !known[e.Source] || !known[e.Target] })
	return &out
}

// numbers is each node's number by its id.
func (g *foldedGraph) numbers() map[string]int {
	out := make(map[string]int, len(g.nodes))
	for i := range g.nodes {
		out[g.nodes[i].ID] = i
	}
	return out
}

// A box is the nodes that are drawn together: a namespace's, or those of an open group.
type box struct {
	name  string
	nodes []int
}

// boxes are those with a name, by it, and the nodes that are in none.
func (g *foldedGraph) boxes() (named []box, rest []int) {
	at := map[string]int{}
	for i := range g.nodes {
		n := &g.nodes[i]
		name := n.Namespace
		if n.within != "" {
			name = strings.TrimPrefix(strings.TrimPrefix(n.within, groupPrefix), "~")
		}
		if name == "" || n.group != nil {
			rest = append(rest, i)
			continue
		}
		k, ok := at[name]
		if !ok {
			k = len(named)
			at[name] = k
			named = append(named, box{name: name})
		}
		named[k].nodes = append(named[k].nodes, i)
	}
	slices.SortFunc(named, func(a, b box) int { return strings.Compare(a.name, b.name) })
	return named, rest
}

// kind is the node's, or that it is a group.
func (n *foldedNode) kind() string {
	if n.group != nil {
		return "group"
	}
	return n.Kind.String()
}

// figures is what a label says of signals: rate, share of errors and p90.
func figures(s telemetry.Signals) string {
	if s.Rate <= 0 {
		return "idle"
	}
	out := short(s.Rate) + "/s"
	if s.ErrorRate > 0 {
		out += " " + short(100*s.ErrorRate/s.Rate) + " % errors"
	}
	if s.P90 != nil {
		out += " p90 " + short(*s.P90) + " ms"
	}
	return out
}

// short is a number to three digits, without an exponent.
func short(f float64) string {
	text := strconv.FormatFloat(f, 'g', 3, 64)
	if rounded, err := strconv.ParseFloat(text, 64); err == nil {
		return strconv.FormatFloat(rounded, 'f', -1, 64)
	}
	return text
}

// writeLegible calls write for each character of s that can be shown, and with U+FFFD for each that cannot.
func writeLegible(s string, write func(rune)) {
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		s = s[n:]
		if !unicode.IsGraphic(r) {
			r = utf8.RuneError
		}
		write(r)
	}
}
