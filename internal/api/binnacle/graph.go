package binnacle

import (
	"fmt"
	"net/http"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/api/params"
)

// graphCost tells the live graph, which is in memory, from a past one, which is searched for.
func graphCost(r *http.Request) api.Cost {
	if r.URL.RawQuery == "" || !r.URL.Query().Has("from") {
		return api.Cheap
	}
	return api.Search
}

// graph answers the live graph, or that of a past range.
func (d *Dialect) graph(r *http.Request) (api.Answer, error) {
	p := params.Of(r.URL)
	from := p.Moment(time.Time{}, "from")
	to := p.Moment(time.Time{}, "to")
	v, folds, err := viewportOf(r.URL)
	if err != nil {
		return api.Answer{}, err
	}
	if from.IsZero() && !to.IsZero() {
		p.Fail("from", "a range that ends needs a beginning")
	}
	switch {
	case p.Err() != nil:
		return api.Answer{}, p.Err()
	case from.IsZero():
		return d.liveGraph(r, v, folds), nil
	case to.IsZero():
		to = d.now()
	}
	g, err := d.deps.Query.Graph(r.Context(), from, to)
	if err != nil {
		return api.Answer{}, err
	}
	if folds && large(g) {
		return api.JSON(appendFolded(nil, fold(g, v))), nil
	}
	return api.JSON(appendGraph(nil, g)), nil
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
