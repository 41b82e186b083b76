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

// find answers nodes of the live graph by a part of their name or namespace, or by their health: names that begin
// with the text first, then the unwell.
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
	type hit struct {
		node  *telemetry.GraphNode
		first int // 0: its name begins with the text
		at    int
	}
	var hits []hit
	for i := range g.Nodes {
		n := &g.Nodes[i]
		name := strings.ToLower(n.Name)
		switch {
		case strings.HasPrefix(name, text):
			hits = append(hits, hit{n, 0, i})
		case strings.Contains(strings.ToLower(n.ID), text), n.Health.String() == text:
			hits = append(hits, hit{n, 1, i})
		}
	}
	slices.SortFunc(hits, func(a, b hit) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(b.node.Health, a.node.Health), cmp.Compare(a.at, b.at))
	})
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
	jsonout.List(&j, hits, func(j *jsonout.Writer, h *hit) {
		j.Open('{')
		j.Field("id", h.node.ID)
		j.Field("name", h.node.Name)
		j.Field("namespace", h.node.Namespace)
		j.Field("kind", h.node.Kind.String())
		j.Field("health", h.node.Health.String())
		j.Field("group", groups[h.node.ID])
		j.Close('}')
	})
	j.Close('}')
	return api.JSON(j.B), nil
}
