package binnacle

import (
	"strconv"
	"unicode/utf8"

	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// appendDOT writes a graph in the language of Graphviz: https://graphviz.org/doc/info/lang.html. A node's and an edge's attribute id is
// that of the graph.
func appendDOT(b []byte, g *foldedGraph, window string) []byte {
	b = append(b, "digraph binnacle {\n"...)
	if len(g.damaged) > 0 {
		b = append(appendDOTText(append(b, "\tcomment="...), "incomplete: "+query.Lacks(g.damaged)), ";\n"...)
	}
	if c := g.comparison; c != nil {
		b = append(appendDOTText(append(b, "\tlabel="...), c.lines()...), ";\n"...)
	}
	b = append(b, "\trankdir=LR;\n\tnode [shape=box, style=rounded];\n"...)
	named, rest := g.boxes()
	for k, x := range named {
		b = append(strconv.AppendInt(append(b, "\tsubgraph cluster_"...), int64(k), 10), " {\n\t\tlabel="...)
		b = append(appendDOTText(b, x.name), ";\n"...)
		for _, i := range x.nodes {
			b = appendDOTNode(append(b, '\t'), g, i, window)
		}
		b = append(b, "\t}\n"...)
	}
	for _, i := range rest {
		b = appendDOTNode(b, g, i, window)
	}
	number := g.numbers()
	for i := range g.edges {
		e := &g.edges[i]
		b = appendNumbered(append(b, '\t'), number[e.Source])
		b = appendNumbered(append(b, " -> "...), number[e.Target])
		b = appendDOTText(append(b, " [id="...), e.ID)
		b = appendDOTText(append(b, ", label="...), g.edgeText(e, window)...)
		if c := g.comparison; c != nil {
			b = appendDOTFate(b, c.edges[e.ID], false)
		} else {
			b = appendDOTHealth(b, e.Health)
		}
		b = append(b, "];\n"...)
	}
	return append(b, "}\n"...)
}

func appendNumbered(b []byte, i int) []byte { return strconv.AppendInt(append(b, 'n'), int64(i), 10) }

func appendDOTNode(b []byte, g *foldedGraph, i int, window string) []byte {
	n := &g.nodes[i]
	b = appendNumbered(append(b, '\t'), i)
	b = appendDOTText(append(b, " [id="...), n.ID)
	b = appendDOTText(append(b, ", label="...), g.nodeText(n, window)...)
	if shape, ok := dotShapes[n.kind()]; ok {
		b = append(append(b, ", shape="...), shape...)
	}
	if c := g.comparison; c != nil {
		b = appendDOTFate(b, c.nodes[n.ID], true)
	} else {
		b = appendDOTHealth(b, n.Health)
	}
	return append(b, "];\n"...)
}

// dotShapes are the shapes of what is no service.
var dotShapes = map[string]string{"database": "cylinder", "queue": "cds", "external": "house", "client": "ellipse", "group": "folder"} //nolint:gochecknoglobals // immutable

func appendDOTHealth(b []byte, h telemetry.Health) []byte {
	switch h {
	case telemetry.HealthFailing:
		return append(b, ", color=red, penwidth=2"...)
	case telemetry.HealthDegraded:
		return append(b, ", color=orange, penwidth=2"...)
	case telemetry.HealthIdle:
		return append(b, ", color=gray"...)
	case telemetry.HealthOK:
	}
	return b
}

// edgeLabel says what an edge carries.
func edgeLabel(e *foldedEdge, window string) string {
	protocol := e.Protocol.String() + " "
	if e.bundle > 0 {
		protocol = strconv.Itoa(e.bundle) + " edges, "
	}
	return protocol + figures(e.Windows[window])
}

// appendDOTText writes lines as a quoted string. In it a backslash begins an escape and an ampersand an entity; nothing but a quotation mark
// ends it.
func appendDOTText(b []byte, lines ...string) []byte {
	b = append(b, '"')
	for i, line := range lines {
		if i > 0 {
			b = append(b, `\n`...)
		}
		writeLegible(line, func(r rune) {
			switch r {
			case '"', '\\':
				b = append(b, '\\', byte(r))
			case '&':
				b = append(b, "&amp;"...)
			default:
				b = utf8.AppendRune(b, r)
			}
		})
	}
	return append(b, '"')
}
