package binnacle

import (
	"github.com/binnacle-mesh/binnacle/internal/api/jsonout"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/analysis"
)

// mostListed is how many members of cycles and cuts one answer lists: there may be as many cuts as nodes, each of nearly as many nodes.
const mostListed = 20_000

// A listing is what an answer may still list.
type listing int

// some is the first of n that are listed.
func (l *listing) some(n int) int {
	n = min(n, int(*l))
	*l -= listing(n)
	return n
}

// A blast is the answer to what is concerned when a node fails.
type blast struct {
	node     string
	window   string
	limit    int
	up, down *analysis.Radius // nil: not asked for
}

// openAnalysis begins an answer with which graph it is about.
func openAnalysis(j *jsonout.Writer, g *telemetry.Graph, window string) {
	j.Open('{')
	j.Key("version").Uint(g.Version)
	j.Key("time").Millisecond(g.Time)
	j.Field("origin", g.Origin.String())
	j.Field("window", window)
	writeIncomplete(j, g.Incomplete)
}

func appendBlast(b []byte, g *telemetry.Graph, x *blast) []byte {
	j := jsonout.Writer{B: b}
	openAnalysis(&j, g, x.window)
	j.Field("node", x.node)
	if x.up != nil {
		j.Key("up").Open('{')
		if x.up.Entries >= 0 {
			j.Key("entry_share").Signal(x.up.Entries)
		}
		writeTouched(&j, x.up.Touched, x.limit)
		j.Close('}')
	}
	if x.down != nil {
		j.Key("down").Open('{')
		writeTouched(&j, x.down.Touched, x.limit)
		j.Close('}')
	}
	j.Close('}')
	return j.B
}

func writeTouched(j *jsonout.Writer, list []analysis.Touched, limit int) {
	j.Key("found").Int(int64(len(list)))
	jsonout.List(j.Key("nodes"), analysis.Most(list, limit), func(j *jsonout.Writer, t *analysis.Touched) {
		j.Open('{')
		writeWho(j, t.Node)
		j.Key("hops").Int(int64(t.Hops))
		if t.Share >= 0 {
			j.Key("share").Signal(t.Share)
			j.Key("calls").Signal(t.Calls)
		}
		j.Close('}')
	})
}

// writeWho writes what a node is called.
func writeWho(j *jsonout.Writer, n *telemetry.GraphNode) {
	j.Field("id", n.ID)
	j.Field("name", n.Name)
	j.Field("namespace", n.Namespace)
	j.Field("kind", n.Kind.String())
	j.Field("health", n.Health.String())
}

func appendCycles(b []byte, g *telemetry.Graph, cycles []analysis.Cycle, window string, limit int) []byte {
	j := jsonout.Writer{B: b}
	openAnalysis(&j, g, window)
	j.Key("found").Int(int64(len(cycles)))
	left := listing(mostListed)
	jsonout.List(j.Key("cycles"), cycles[:min(limit, len(cycles))], func(j *jsonout.Writer, c *analysis.Cycle) {
		j.Open('{')
		j.Key("size").Int(int64(len(c.Nodes)))
		jsonout.List(j.Key("nodes"), c.Nodes[:left.some(len(c.Nodes))], writeID)
		j.Key("calls").Int(int64(len(c.Edges)))
		jsonout.List(j.Key("edges"), c.Edges[:left.some(len(c.Edges))], func(j *jsonout.Writer, e **telemetry.GraphEdge) {
			j.Open('{')
			j.Field("id", (*e).ID)
			j.Field("source", (*e).Source)
			j.Field("target", (*e).Target)
			j.Key("rate").Signal((*e).Windows[window].Rate)
			j.Close('}')
		})
		j.Close('}')
	})
	j.Close('}')
	return j.B
}

func writeID(j *jsonout.Writer, n **telemetry.GraphNode) { j.Text((*n).ID) }

func appendCuts(b []byte, g *telemetry.Graph, cuts []analysis.Cut, window string, limit int) []byte {
	j := jsonout.Writer{B: b}
	openAnalysis(&j, g, window)
	j.Key("found").Int(int64(len(cuts)))
	left := listing(mostListed)
	jsonout.List(j.Key("cuts"), cuts[:min(limit, len(cuts))], func(j *jsonout.Writer, c *analysis.Cut) {
		j.Open('{')
		writeWho(j, c.Node)
		j.Key("rate").Signal(c.Node.Windows[window].Rate)
		j.Key("cut_off").Int(int64(len(c.Off)))
		jsonout.List(j.Key("nodes"), c.Off[:left.some(len(c.Off))], writeID)
		j.Close('}')
	})
	j.Close('}')
	return j.B
}
