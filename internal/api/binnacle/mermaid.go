package binnacle

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// appendMermaid writes a graph as a flowchart of Mermaid: https://mermaid.js.org/syntax/flowchart.html. Its pages draw no more than 500 edges
// and 50,000 characters unless they are told to.
func appendMermaid(b []byte, g *foldedGraph, window string) []byte {
	if c := g.comparison; c != nil {
		b = append(append(append(b, "---\ntitle: \""...), strings.Join(c.lines(), ". ")...), "\"\n---\n"...) // of it nothing is a sender's
	}
	b = append(b, "flowchart LR\n"...)
	if len(g.damaged) > 0 {
		b = append(append(append(b, "%% incomplete: "...), legible(query.Lacks(g.damaged))...), '\n')
	}
	named, rest := g.boxes()
	for k, x := range named {
		b = strconv.AppendInt(append(b, "  subgraph g"...), int64(k), 10)
		b = append(appendMermaidText(append(b, '['), x.name), "]\n"...)
		for _, i := range x.nodes {
			b = appendMermaidNode(append(b, "  "...), g, i, window)
		}
		b = append(b, "  end\n"...)
	}
	for _, i := range rest {
		b = appendMermaidNode(b, g, i, window)
	}
	number := g.numbers()
	for i := range g.edges {
		e := &g.edges[i]
		b = appendNumbered(append(b, "  "...), number[e.Source])
		b = append(append(append(b, ' '), g.mermaidArrow(e)...), '|')
		b = appendMermaidText(b, g.edgeText(e, window)...)
		b = append(appendNumbered(append(b, "| "...), number[e.Target]), '\n')
	}
	if g.comparison != nil {
		return appendMermaidFates(b, g)
	}
	b = append(b, "  classDef failing stroke:#d00,stroke-width:2px\n  classDef degraded stroke:#e80,stroke-width:2px\n  classDef idle stroke:#aaa\n"...)
	for _, h := range []telemetry.Health{telemetry.HealthFailing, telemetry.HealthDegraded, telemetry.HealthIdle} {
		for i := range g.nodes {
			if g.nodes[i].Health == h {
				b = append(append(append(appendNumbered(append(b, "  class "...), i), ' '), h.String()...), '\n')
			}
		}
	}
	return b
}

func appendMermaidNode(b []byte, g *foldedGraph, i int, window string) []byte {
	n := &g.nodes[i]
	b = appendNumbered(append(b, "  "...), i)
	open, end := "[", "]"
	switch n.kind() {
	case "database":
		open, end = "[(", ")]"
	case "queue":
		open, end = "[[", "]]"
	case "external", "client":
		open, end = "([", "])"
	case "group":
		open, end = "{{", "}}"
	}
	b = appendMermaidText(append(b, open...), g.nodeText(n, window)...)
	return append(append(b, end...), '\n')
}

// appendMermaidText writes lines as a quoted text. All but letters, digits and a few signs that mean nothing there are written as
// entities (#35; is '#'), since what a text may have in it has changed from version to version.
func appendMermaidText(b []byte, lines ...string) []byte {
	b = append(b, '"')
	for i, line := range lines {
		if i > 0 {
			b = append(b, "<br/>"...)
		}
		writeLegible(line, func(r rune) {
			if r < utf8.RuneSelf && !isWordy(byte(r)) {
				b = append(strconv.AppendInt(append(b, '#'), int64(r), 10), ';')
				return
			}
			b = utf8.AppendRune(b, r)
		})
	}
	return append(b, '"')
}

func isWordy(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(" -_./:,", c) >= 0
}

// legible is s on one line.
func legible(s string) string {
	var out strings.Builder
	writeLegible(s, func(r rune) { out.WriteRune(r) })
	return out.String()
}
