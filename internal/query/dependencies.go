package query

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A Dependency is how often one service called another. Services of one name
// in several namespaces are one: those who ask (Jaeger's clients) know names only.
type Dependency struct {
	Parent, Child string
	Calls         uint64
}

// Dependencies is who called whom in a past range, by parent and then child.
// Callers that send no telemetry are left out, because they have no name;
// databases, queues and hosts outside the mesh are in.
func (e *Engine) Dependencies(ctx context.Context, from, to time.Time) ([]Dependency, error) {
	g, err := e.Graph(ctx, from, to)
	if err != nil {
		return nil, err
	}
	return dependencies(g), nil
}

func dependencies(g *telemetry.Graph) []Dependency {
	names := make(map[string]string, len(g.Nodes))
	for i := range g.Nodes {
		if n := &g.Nodes[i]; n.Kind != telemetry.NodeClient {
			names[n.ID] = n.Name
		}
	}
	type pair struct{ parent, child string }
	calls := map[pair]uint64{}
	for i := range g.Edges {
		e := &g.Edges[i]
		parent, ok := names[e.Source]
		child, ok2 := names[e.Target]
		if ok && ok2 && e.Totals.Requests > 0 {
			calls[pair{parent, child}] += e.Totals.Requests
		}
	}
	out := make([]Dependency, 0, len(calls))
	for p, n := range calls {
		out = append(out, Dependency{p.parent, p.child, n})
	}
	slices.SortFunc(out, func(a, b Dependency) int {
		return cmp.Or(cmp.Compare(a.Parent, b.Parent), cmp.Compare(a.Child, b.Child))
	})
	return out
}
