package binnacle

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/api/jsonout"
	"github.com/binnacle-mesh/binnacle/internal/api/params"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

const (
	someFound = 20
	mostFound = 1000
	// mostSought is how many bytes of a text are looked for: no name is longer.
	mostSought = 256
)

// find answers nodes of the live graph by a part of their name or namespace, by their health, or by what is wrong with them: names that begin
// with the text first, then who is to blame, then the unwell.
func (d *Dialect) find(r *http.Request) (api.Answer, error) {
	p := params.Of(r.URL)
	text := strings.ToLower(p.Text("q"))
	limit := p.Number(someFound, 1, mostFound, "limit")
	if len(text) > mostSought {
		p.Fail("q", "is longer than any name")
	}
	if p.Err() != nil {
		return api.Answer{}, p.Err()
	}
	g := d.deps.Query.Live().Snapshot()
	hits := findNodes(g, text)
	found := len(hits)
	hits = hits[:min(found, limit)]
	groups := map[string]string{}
	if large(g) {
		groups = groupsOf(g)
	}
	j := jsonout.Writer{}
	j.Open('{')
	j.Key("found").Int(int64(found))
	j.Key("nodes")
	jsonout.List(&j, hits, func(j *jsonout.Writer, h **telemetry.GraphNode) {
		n := *h
		j.Open('{')
		j.Field("id", n.ID)
		j.Field("name", n.Name)
		j.Field("namespace", n.Namespace)
		j.Field("kind", n.Kind.String())
		j.Field("health", n.Health.String())
		writeJudgement(j, &n.Judgement)
		j.Field("group", groups[n.ID])
		j.Close('}')
	})
	j.Close('}')
	return api.JSON(j.B), nil
}

// findNodes are the nodes that a text in small letters names, the most telling first.
func findNodes(g *telemetry.Graph, text string) []*telemetry.GraphNode {
	var begin, others []*telemetry.GraphNode
	for i := range g.Nodes {
		n := &g.Nodes[i]
		switch {
		case strings.HasPrefix(strings.ToLower(n.Name), text):
			begin = append(begin, n)
		case strings.Contains(strings.ToLower(n.ID), text), n.Health.String() == text, isIll(n, text):
			others = append(others, n)
		}
	}
	for _, l := range [][]*telemetry.GraphNode{begin, others} {
		slices.SortStableFunc(l, func(a, b *telemetry.GraphNode) int {
			return cmp.Or(cmp.Compare(guiltOf(b), guiltOf(a)), cmp.Compare(b.Health, a.Health))
		})
	}
	return append(begin, others...)
}

// isIll says whether a node is ill in the way that a text names, or in that part: "slow", "cut off", "culprit", "victim".
func isIll(n *telemetry.GraphNode, text string) bool {
	j := &n.Judgement
	switch text {
	case "":
		return false
	case "culprit":
		return j.Kind != telemetry.AilmentNone && j.Because == ""
	case "victim":
		return j.Kind != telemetry.AilmentNone && j.Because != ""
	default:
		return j.Kind != telemetry.AilmentNone && j.Kind.String() == strings.ReplaceAll(text, " ", "_")
	}
}

// guiltOf is the score of who is to blame, the larger the worse, and 0 of all others.
func guiltOf(n *telemetry.GraphNode) float64 {
	if n.Judgement.Kind == telemetry.AilmentNone || n.Judgement.Because != "" {
		return 0
	}
	return n.Judgement.Score
}
