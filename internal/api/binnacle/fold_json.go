package binnacle

import "github.com/binnacle-mesh/binnacle/internal/api/jsonout"

// appendFolded writes a folded graph: as a graph, with what groups and bundles have besides.
func appendFolded(b []byte, g *foldedGraph) []byte {
	j := jsonout.Writer{B: b}
	j.Open('{')
	j.Key("version").Uint(g.version)
	j.Key("time").Millisecond(g.time)
	j.Field("origin", g.origin.String())
	j.Key("nodes")
	jsonout.List(&j, g.nodes, writeFoldedNode)
	j.Key("edges")
	jsonout.List(&j, g.edges, writeFoldedEdge)
	j.Key("culprits").Texts(g.culprits)
	writeFindings(&j, g.findings)
	writeIncomplete(&j, g.damaged)
	j.Close('}')
	return j.B
}

func writeFoldedNode(j *jsonout.Writer, n *foldedNode) {
	j.Open('{')
	kind := "group"
	if n.group == nil {
		kind = n.Kind.String()
		j.FieldIf("within", n.within)
	} else {
		j.Key("group")
		writeGroup(j, n.group)
	}
	writeNodeFields(j, &n.GraphNode, kind)
	j.Close('}')
}

func writeGroup(j *jsonout.Writer, g *groupInfo) {
	j.Open('{')
	j.Key("members").Int(int64(g.members))
	j.Key("shown").Int(int64(g.shown))
	j.Key("open").Bool(g.open)
	j.Key("failing").Int(int64(g.failing))
	j.Key("degraded").Int(int64(g.degraded))
	j.Key("culprits").Int(int64(g.culprits))
	j.Key("victims").Int(int64(g.victims))
	if w := g.worst; w != nil {
		j.Key("worst")
		j.Open('{')
		j.Field("id", w.id)
		j.Field("name", w.name)
		j.Key("suffer").Int(int64(w.suffer))
		writeJudgement(j, &w.judgement)
		j.Close('}')
	}
	writeWindows(j.Key("inner"), g.inner)
	j.Close('}')
}

func writeFoldedEdge(j *jsonout.Writer, e *foldedEdge) {
	j.Open('{')
	if e.bundle > 0 {
		j.Key("bundle").Int(int64(e.bundle))
	}
	writeEdgeFields(j, &e.GraphEdge)
	j.Close('}')
}
