package api

import (
	"fmt"
	"net/http"
	"time"
)

// graph answers the live graph, or that of a past range.
func (a *API) graph(w http.ResponseWriter, r *http.Request) {
	p := readParams(r.URL)
	from := p.moment(time.Time{}, "from")
	to := p.moment(time.Time{}, "to")
	if from.IsZero() && !to.IsZero() {
		p.fail("from", "a range that ends needs a beginning")
	}
	switch {
	case p.err != nil:
		a.fail(w, r, p.err)
	case from.IsZero():
		a.liveGraph(w, r)
	default:
		if to.IsZero() {
			to = a.now()
		}
		a.pastGraph(w, r, from, to)
	}
}

func (a *API) liveGraph(w http.ResponseWriter, r *http.Request) {
	g := a.deps.Query.Live().Snapshot()
	w.Header().Set("Cache-Control", "no-cache")
	// Versions begin anew with the process; the time tells two lives apart.
	if notModified(w, r, fmt.Sprintf(`W/"%d-%d"`, g.Version, g.Time/1e6)) {
		return
	}
	a.write(w, r, http.StatusOK, jsonType, a.graphs.encode(g))
}

func (a *API) pastGraph(w http.ResponseWriter, r *http.Request, from, to time.Time) {
	if !a.takeTurn(w, r) {
		return
	}
	defer func() { <-a.turns }()
	g, err := a.deps.Query.Graph(r.Context(), from, to)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.answerJSON(w, r, appendGraph(nil, g))
}
