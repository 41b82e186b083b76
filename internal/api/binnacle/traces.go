package binnacle

import (
	"net/http"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/api/params"
	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

const (
	defaultLimit  = 20
	defaultSearch = time.Hour // back from now
)

// searchTraces answers which traces have a span of that kind.
func (d *Dialect) searchTraces(r *http.Request) (api.Answer, error) {
	q, err := readSpanQuery(params.Of(r.URL), d.now())
	if err != nil {
		return api.Answer{}, err
	}
	found, stats, err := d.deps.Query.Search(r.Context(), q)
	if err != nil {
		return api.Answer{}, err
	}
	return api.JSON(appendSearch(nil, found, stats)), nil
}

func readSpanQuery(p *params.Params, now time.Time) (telemetry.SpanQuery, error) {
	to := p.Moment(now, "to")
	return p.Search(query.Form{
		Service:     p.Text("service"),
		Namespace:   p.Text("namespace"),
		Operation:   p.Text("operation"),
		Kind:        p.Text("kind"),
		Attributes:  p.Pairs("attribute", "="),
		MinDuration: p.Duration(0, "min_duration"),
		MaxDuration: p.Duration(0, "max_duration"),
		Status:      p.Text("status"),
	}, p.Moment(to.Add(-defaultSearch), "from"), to, p.Number(defaultLimit, 1, params.MaxLimit, "limit"))
}

// asked reads the trace that a path names.
func (d *Dialect) asked(r *http.Request) (*query.Trace, error) {
	p := params.Of(r.URL)
	id := p.TraceID("trace_id", r.PathValue("trace_id"))
	if p.Err() != nil {
		return nil, p.Err()
	}
	return d.deps.Query.Trace(r.Context(), id)
}

// trace answers one trace, whole.
func (d *Dialect) trace(r *http.Request) (api.Answer, error) {
	t, err := d.asked(r)
	if err != nil {
		return api.Answer{}, err
	}
	return api.JSON(appendTrace(nil, t)), nil
}
