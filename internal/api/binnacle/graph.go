package binnacle

import (
	"fmt"
	"net/http"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/api/params"
	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// graphCost tells the live graph as it is, which is in memory, from a past one, which is searched for, and from one of which a part is looked for or
// that is written anew for each that asks.
func graphCost(r *http.Request) api.Cost {
	if r.URL.RawQuery == "" {
		return api.Cheap
	}
	if q := r.URL.Query(); q.Has("from") || q.Has("focus") || q.Has("format") || q.Has("group") || q.Has("find") || q.Has("hide") {
		return api.Search
	}
	return api.Cheap
}

// graph answers the live graph, or that of a past range; whole or in part, and in the format that is asked for.
func (d *Dialect) graph(r *http.Request) (api.Answer, error) {
	p := params.Of(r.URL)
	from, to := d.rangeOf(p)
	s := selectionOf(p, !from.IsZero())
	x := exportFormOf(p, !from.IsZero() || s.grouped())
	v, folds, err := viewportOf(r.URL)
	switch {
	case p.Err() != nil:
		return api.Answer{}, p.Err()
	case err != nil:
		return api.Answer{}, err
	case s.grouped() && folds:
		return api.Answer{}, &query.InvalidError{Field: "fold", Reason: "a grouped graph is not folded; leave out one of fold and group"}
	case from.IsZero() && len(x.focus) == 0 && x.format == "json" && !s.grouped() && !s.filters():
		return d.liveGraph(r, v, folds), nil
	}
	g, err := d.selected(r, from, to, &s)
	if err != nil {
		return api.Answer{}, err
	}
	if len(x.focus) > 0 {
		shape, err := d.shapeOf(r, g, s.filters())
		if err != nil {
			return api.Answer{}, err
		}
		if g, err = x.part(shape); err != nil {
			return api.Answer{}, err
		}
	}
	folds = folds && large(g)
	switch {
	case x.format != "json" && folds:
		return x.export(r, fold(g, v))
	case x.format != "json":
		return x.export(r, unfolded(g))
	case folds:
		return api.JSON(appendFolded(nil, fold(g, v))), nil
	}
	return api.JSON(appendGraph(nil, g)), nil
}

// selected is the graph that is asked for, by groups, and what is meant of it.
func (d *Dialect) selected(r *http.Request, from, to time.Time, s *selection) (g *telemetry.Graph, err error) {
	if s.grouped() {
		g, err = d.groupedOf(r, from, to, s.by)
	} else {
		g, err = d.graphOf(r, from, to)
	}
	if err != nil {
		return nil, err
	}
	return s.apply(r, g)
}

func (d *Dialect) liveGraph(r *http.Request, v viewport, folds bool) api.Answer {
	g := d.deps.Query.Live().Snapshot()
	if folds && large(g) {
		return api.JSON(appendFolded(nil, fold(g, v)))
	}
	// Versions begin anew with the process; the time tells two lives apart.
	a := api.Answer{Cache: "no-cache", ETag: fmt.Sprintf(`W/"%d-%d"`, g.Version, g.Time/1e6)}
	if !api.Has(r, a.ETag) {
		a.Body = d.graphs.encode(g)
	}
	return a
}
