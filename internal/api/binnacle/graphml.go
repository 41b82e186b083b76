package binnacle

import (
	"bytes"
	"encoding/xml"
	"strconv"
	"strings"

	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// appendGraphML writes a graph as http://graphml.graphdrawing.org has it, for yEd, Gephi, networkx and igraph.
func appendGraphML(b []byte, g *foldedGraph, window string) []byte {
	x := graphML{bytes.NewBuffer(b)}
	x.raw(xml.Header + `<graphml xmlns="http://graphml.graphdrawing.org/xmlns">` + "\n")
	for _, of := range []string{"node", "edge"} {
		for _, k := range graphMLKeys[of] {
			x.raw(`<key id="` + of + "_" + k[0] + `" for="` + of + `" attr.name="` + k[0] + `" attr.type="` + k[1] + "\"/>\n")
		}
	}
	x.raw(`<key id="graph_window" for="graph" attr.name="window" attr.type="string"/>` + "\n" + `<key id="graph_incomplete" for="graph" attr.name="incomplete" attr.type="string"/>` + "\n" +
		`<key id="graph_title" for="graph" attr.name="title" attr.type="string"/>` + "\n")
	x.raw(`<graph edgedefault="directed">` + "\n")
	x.text("graph_window", window)
	if c := g.comparison; c != nil {
		x.text("graph_title", strings.Join(c.lines(), ". "))
	}
	if len(g.damaged) > 0 {
		x.text("graph_incomplete", query.Lacks(g.damaged))
	}
	for i := range g.nodes {
		x.node(g, i, window)
	}
	number := g.numbers()
	for i := range g.edges {
		e := &g.edges[i]
		x.raw(`<edge id="e` + strconv.Itoa(i) + `" source="n` + strconv.Itoa(number[e.Source]) + `" target="n` + strconv.Itoa(number[e.Target]) + `">`)
		x.edge(e, window)
		if c := g.comparison; c != nil {
			x.fate("edge_", c.edges[e.ID])
		}
		x.raw("</edge>\n")
	}
	x.raw("</graph>\n</graphml>\n")
	return x.b.Bytes()
}

// graphMLKeys are the attributes of nodes and edges with their types.
var graphMLKeys = map[string][][2]string{ //nolint:gochecknoglobals // immutable
	"node": append([][2]string{
		{"id", "string"},
		{"name", "string"},
		{"namespace", "string"},
		{"cluster", "string"},
		{"kind", "string"},
		{"system", "string"},
		{"versions", "string"},
		{"health", "string"},
		{"within", "string"},
		{"members", "int"},
		{"change", "string"},
		{"says", "string"},
	}, signalKeys...),
	"edge": append([][2]string{
		{"id", "string"}, {"protocol", "string"}, {"health", "string"}, {"bundle", "int"}, {"requests", "long"}, {"errors", "long"}, {"throttled", "long"}, {"mtls", "double"}, {"change", "string"}, {"says", "string"},
	}, signalKeys...),
}

var signalKeys = [][2]string{ //nolint:gochecknoglobals // immutable
	{"rate", "double"}, {"error_rate", "double"}, {"throttled_rate", "double"}, {"p50", "double"}, {"p90", "double"}, {"p99", "double"},
}

type graphML struct{ b *bytes.Buffer }

func (x *graphML) raw(s string) { x.b.WriteString(s) }

// text writes a value that is not empty. Where a character cannot stand in XML, U+FFFD does.
func (x *graphML) text(key, value string) {
	if value == "" {
		return
	}
	x.raw(`<data key="` + key + `">`)
	_ = xml.EscapeText(x.b, []byte(value)) // a buffer takes all
	x.raw("</data>")
}

func (x *graphML) number(key string, f float64) {
	x.text(key, strconv.FormatFloat(f, 'g', 6, 64))
}

func (x *graphML) node(g *foldedGraph, i int, window string) {
	n := &g.nodes[i]
	x.raw(`<node id="n` + strconv.Itoa(i) + `">`)
	x.text("node_id", n.ID)
	x.text("node_name", n.Name)
	x.text("node_namespace", n.Namespace)
	x.text("node_cluster", n.Cluster)
	x.text("node_kind", n.kind())
	x.text("node_system", n.System)
	x.text("node_versions", strings.Join(n.Versions, " "))
	x.text("node_health", n.Health.String())
	x.text("node_within", n.within)
	if n.group != nil {
		x.text("node_members", strconv.Itoa(n.group.members))
	}
	x.signals("node_", n.Windows[window])
	if c := g.comparison; c != nil {
		x.fate("node_", c.nodes[n.ID])
	}
	x.raw("</node>\n")
}

// fate writes what became of a node or an edge.
func (x *graphML) fate(of string, m mark) {
	if m.changed {
		x.text(of+"change", m.fate.String())
		x.text(of+"says", strings.Join(m.says, "; "))
	}
}

func (x *graphML) edge(e *foldedEdge, window string) {
	x.text("edge_id", e.ID)
	x.text("edge_protocol", e.Protocol.String())
	x.text("edge_health", e.Health.String())
	if e.bundle > 0 {
		x.text("edge_bundle", strconv.Itoa(e.bundle))
	}
	x.text("edge_requests", strconv.FormatUint(e.Totals.Requests, 10))
	x.text("edge_errors", strconv.FormatUint(e.Totals.Errors, 10))
	x.text("edge_throttled", strconv.FormatUint(e.Totals.Throttled, 10))
	if e.MTLS >= 0 {
		x.number("edge_mtls", e.MTLS)
	}
	x.signals("edge_", e.Windows[window])
}

func (x *graphML) signals(of string, s telemetry.Signals) {
	x.number(of+"rate", s.Rate)
	x.number(of+"error_rate", s.ErrorRate)
	x.number(of+"throttled_rate", s.ThrottledRate)
	for _, q := range []struct {
		name string
		ms   *float64
	}{{"p50", s.P50}, {"p90", s.P90}, {"p99", s.P99}} {
		if q.ms != nil {
			x.number(of+q.name, *q.ms)
		}
	}
}
