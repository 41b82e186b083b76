package binnacle

import (
	"encoding/xml"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A picture is what a reader of a format finds in it: the labels of nodes and of edges, by the names that the format gives to nodes.
type picture struct {
	nodes map[string]string
	edges map[string][]string // by "n0>n1", sorted
}

// legibleLines is what can be shown of the lines of a label.
func legibleLines(lines []string) string {
	var out []string
	for _, l := range lines {
		out = append(out, legibly(l))
	}
	return strings.Join(out, "\n")
}

// legibly is what can be shown of a name.
func legibly(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return '\uFFFD'
	}, s)
}

// pictureOf is the picture that every format is to give of a graph.
func pictureOf(g *foldedGraph, window string) picture {
	g = g.drawable()
	p := picture{map[string]string{}, map[string][]string{}}
	number := map[string]string{}
	for i, n := range g.nodes {
		number[n.ID] = fmt.Sprint("n", i)
		p.nodes[number[n.ID]] = legibleLines(g.nodeText(&n, window))
	}
	for _, e := range g.edges {
		between := number[e.Source] + ">" + number[e.Target]
		p.edges[between] = append(p.edges[between], legibleLines(g.edgeText(&e, window)))
	}
	for _, list := range p.edges {
		slices.Sort(list)
	}
	return p
}

// readDOT reads as much of the DOT language as we write, by the grammar of its manual.
func readDOT(text string) (picture, error) {
	p := picture{map[string]string{}, map[string][]string{}}
	tokens := regexp.MustCompile(`"(?:[^"\\]|\\.)*"|[A-Za-z_][A-Za-z_0-9]*|-?[0-9.]+|->|[{}\[\]=,;]|\S`).FindAllString(text, -1)
	at := 0
	take := func() string {
		if at == len(tokens) {
			return ""
		}
		at++
		return tokens[at-1]
	}
	isID := regexp.MustCompile(`^("(?s:.*)"|[A-Za-z_][A-Za-z_0-9]*|-?[0-9.]+)$`).MatchString
	plain := strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\n`, "\n", "&amp;", "&").Replace
	attributes := func() (label string, err error) {
		for {
			key, is, value := take(), take(), take()
			if !isID(key) || is != "=" || !isID(value) {
				return "", fmt.Errorf("attribute %q %q %q", key, is, value)
			}
			if key == "label" {
				label = plain(value[1 : len(value)-1])
			}
			switch sep := take(); sep {
			case "]":
				return label, nil
			case ",":
			default:
				return "", fmt.Errorf("after an attribute %q", sep)
			}
		}
	}
	if take() != "digraph" || !isID(take()) || take() != "{" {
		return p, fmt.Errorf("begins with %v", tokens[:min(3, len(tokens))])
	}
	for depth := 1; depth > 0; {
		name := take()
		switch {
		case name == "}":
			depth--
			continue
		case name == "subgraph":
			if !isID(take()) || take() != "{" {
				return p, fmt.Errorf("a subgraph without a body, at %d", at)
			}
			depth++
			continue
		case !isID(name):
			return p, fmt.Errorf("%q is no statement", name)
		}
		between, sep := "", take()
		if sep == "=" {
			if value, end := take(), take(); !isID(value) || end != ";" {
				return p, fmt.Errorf("%s = %q %q", name, value, end)
			}
			continue
		}
		if sep == "->" {
			between, sep = name+">"+take(), take()
		}
		if sep != "[" {
			return p, fmt.Errorf("after %s: %q", name, sep)
		}
		label, err := attributes()
		if end := take(); err != nil || end != ";" {
			return p, fmt.Errorf("%s ends with %q: %w", name, end, err)
		}
		if between != "" {
			p.edges[between] = append(p.edges[between], label)
			slices.Sort(p.edges[between])
		} else if name != "node" {
			p.nodes[name] = label
		}
	}
	if at != len(tokens) {
		return p, fmt.Errorf("%d tokens behind the end", len(tokens)-at)
	}
	return p, nil
}

// readMermaid reads as much of Mermaid's flowcharts as we write, line by line.
func readMermaid(text string) (picture, error) {
	p := picture{map[string]string{}, map[string][]string{}}
	node := regexp.MustCompile(`^ +(n[0-9]+)(?:\[|\[\(|\[\[|\(\[|\{\{)"([^"]*)"(?:\]|\)\]|\]\]|\]\)|\}\})$`)
	edge := regexp.MustCompile(`^ +(n[0-9]+) (?:-->|==>|-\.->)\|"([^"]*)"\| (n[0-9]+)$`)
	other := regexp.MustCompile(`^(---|title: "[^"]*"|flowchart LR|%% .*| +subgraph g[0-9]+\["[^"]*"\]| +end| +classDef [a-z]+ [a-z0-9#:, -]+| +class n[0-9]+ [a-z]+| +linkStyle [0-9]+ [a-z0-9#:,-]+)$`)
	entity := regexp.MustCompile(`#([0-9]+);`)
	plain := func(s string) string {
		return entity.ReplaceAllStringFunc(strings.ReplaceAll(s, "<br/>", "\n"), func(e string) string {
			n, _ := strconv.Atoi(e[1 : len(e)-1])
			return string(rune(n))
		})
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		if m := edge.FindStringSubmatch(line); m != nil {
			p.edges[m[1]+">"+m[3]] = append(p.edges[m[1]+">"+m[3]], plain(m[2]))
			slices.Sort(p.edges[m[1]+">"+m[3]])
		} else if m := node.FindStringSubmatch(line); m != nil {
			p.nodes[m[1]] = plain(m[2])
		} else if !other.MatchString(line) {
			return p, fmt.Errorf("%q is no line of a flowchart", line)
		}
	}
	return p, nil
}

// graphMLFile is a file as encoding/xml reads it.
type graphMLFile struct {
	Keys []struct {
		ID  string `xml:"id,attr"`
		For string `xml:"for,attr"`
	} `xml:"key"`
	Graph struct {
		Default string        `xml:"edgedefault,attr"`
		Nodes   []graphMLItem `xml:"node"`
		Edges   []graphMLItem `xml:"edge"`
	} `xml:"graph"`
}

type graphMLItem struct {
	ID     string `xml:"id,attr"`
	Source string `xml:"source,attr"`
	Target string `xml:"target,attr"`
	Data   []struct {
		Key   string `xml:"key,attr"`
		Value string `xml:",chardata"`
	} `xml:"data"`
}

func (i *graphMLItem) data() map[string]string {
	out := map[string]string{}
	for _, d := range i.Data {
		out[d.Key] = d.Value
	}
	return out
}

// inXML is what XML can have of a text.
func inXML(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' || r >= ' ' && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 {
			return r
		}
		return '\uFFFD'
	}, s)
}

// checkExports reads a graph back from each format.
func checkExports(t rapid.TB, g *foldedGraph) {
	t.Helper()
	want := pictureOf(g, "10s")
	for name, read := range map[string]func() (picture, error){
		"dot":     func() (picture, error) { return readDOT(string(appendDOT(nil, g.drawable(), "10s"))) },
		"mermaid": func() (picture, error) { return readMermaid(string(appendMermaid(nil, g.drawable(), "10s"))) },
	} {
		got, err := read()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(picture{})); diff != "" {
			t.Fatalf("%s: %s", name, diff)
		}
	}
	var f graphMLFile
	if err := xml.Unmarshal(appendGraphML(nil, g.drawable(), "10s"), &f); err != nil {
		t.Fatalf("graphml: %v", err)
	}
	d := g.drawable()
	if len(f.Graph.Nodes) != len(d.nodes) || len(f.Graph.Edges) != len(d.edges) || f.Graph.Default != "directed" {
		t.Fatalf("graphml: %d nodes, %d edges", len(f.Graph.Nodes), len(f.Graph.Edges))
	}
	known := map[string]string{}
	for _, k := range f.Keys {
		known[k.ID] = k.For
	}
	ids := map[string]string{}
	for i, got := range f.Graph.Nodes {
		n, data := &d.nodes[i], got.data()
		ids[got.ID] = n.ID
		for key, want := range map[string]string{"node_id": inXML(n.ID), "node_name": inXML(n.Name), "node_namespace": inXML(n.Namespace), "node_kind": n.kind(), "node_rate": fmt.Sprintf("%.6g", n.Windows["10s"].Rate)} {
			if data[key] != want {
				t.Fatalf("graphml: %s of node %d is %q, not %q", key, i, data[key], want)
			}
		}
		for key := range data {
			if known[key] != "node" {
				t.Fatalf("graphml: a node has %s, which is not declared for nodes", key)
			}
		}
	}
	for i, got := range f.Graph.Edges {
		e, data := &d.edges[i], got.data()
		if ids[got.Source] != e.Source || ids[got.Target] != e.Target || data["edge_id"] != inXML(e.ID) || data["edge_requests"] != strconv.FormatUint(e.Totals.Requests, 10) {
			t.Fatalf("graphml: edge %d leads from %q to %q: %v", i, ids[got.Source], ids[got.Target], data)
		}
		for key := range data {
			if known[key] != "edge" {
				t.Fatalf("graphml: an edge has %s, which is not declared for edges", key)
			}
		}
	}
}

// TestExports: each format has every node and edge of the graph, folded or not.
func TestExports(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := mesh(t)
		f := unfolded(g)
		if rapid.Bool().Draw(t, "folded") {
			v := viewport{window: "10s"}
			for id := range groups(fold(g, v)) {
				if rapid.Bool().Draw(t, "open") {
					v.open = append(v.open, id)
				}
			}
			f = fold(g, v)
		}
		if rapid.IntRange(0, 5).Draw(t, "stray") == 0 {
			f.edges = append(f.edges, foldedEdge{GraphEdge: telemetry.GraphEdge{ID: "stray", Source: "nobody", Target: "n00"}})
		}
		if rapid.IntRange(0, 5).Draw(t, "damage") == 0 {
			f.damaged = []telemetry.Damage{{File: "a \"b\"\n\\", Reason: "<&>"}}
		}
		checkExports(t, f)
	})
}

// FuzzExports: names are any bytes, and stay names.
func FuzzExports(f *testing.F) {
	for _, s := range []string{"cart", "", `a"b\`, `\N\"; rm [label="x"]`, "<b>&amp;#35;</b>", "end", "\x00\xff\u2028\n`x`", "ünï 漢字"} {
		f.Add(s, s)
		f.Add("shop", s)
	}
	f.Fuzz(func(t *testing.T, namespace, name string) {
		g := &telemetry.Graph{
			Nodes: []telemetry.GraphNode{
				{ID: namespace + "/" + name, Name: name, Namespace: namespace, Kind: telemetry.NodeService},
				{ID: "queue:" + name, Name: name, Kind: telemetry.NodeQueue, System: name, Versions: []string{name}},
			},
		}
		g.Edges = []telemetry.GraphEdge{{ID: g.Nodes[0].ID + ">" + g.Nodes[1].ID, Source: g.Nodes[0].ID, Target: g.Nodes[1].ID, Windows: map[string]telemetry.Signals{"10s": {Rate: 3, ErrorRate: 1}}}}
		checkExports(t, unfolded(g))
		text := string(appendDOT(nil, unfolded(g), "10s")) + string(appendMermaid(nil, unfolded(g), "10s"))
		for _, r := range text {
			if !unicode.IsGraphic(r) && r != '\n' && r != '\t' {
				t.Fatalf("there is a %q in it", r)
			}
		}
	})
}

func TestShort(t *testing.T) {
	t.Parallel()
	for f, want := range map[float64]string{0.00012345: "0.000123", 12.345: "12.3", 1234567: "1230000", 3: "3"} {
		if got := short(f); got != want {
			t.Errorf("%v is %s, not %s", f, got, want)
		}
	}
}
