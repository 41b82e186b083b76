package binnacle

import (
	"net/http"

	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/api/jsonout"
	"github.com/binnacle-mesh/binnacle/internal/api/params"
	"github.com/binnacle-mesh/binnacle/internal/ask"
	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// somePaths is of how many traces an operation's critical path is added up unless more are asked for.
const somePaths = 100

// criticalPath answers which spans of one trace it had to wait for.
func (d *Dialect) criticalPath(r *http.Request) (api.Answer, error) {
	t, err := d.asked(r)
	if err != nil {
		return api.Answer{}, err
	}
	path := t.CriticalPath()
	return api.JSON(appendPath(nil, t, &path)), nil
}

func appendPath(b []byte, t *query.Trace, p *query.Path) []byte {
	var sums query.PathSums
	sums.Add(t, p)
	j := jsonout.Writer{B: b}
	j.Open('{')
	j.Key("trace_id").Hex(t.ID[:])
	start := t.Start
	if len(p.Steps) > 0 {
		start = p.Steps[0].From
	}
	j.Key("start").Millis(start)
	j.Key("duration").Millis(p.Duration())
	j.Key("root")
	if p.Root >= 0 {
		j.SpanID(t.Batch.Spans[p.Root].SpanID)
	} else {
		j.SpanID(telemetry.SpanID{})
	}
	jsonout.List(j.Key("steps"), p.Steps, func(j *jsonout.Writer, step *query.PathStep) {
		s := &t.Batch.Spans[step.Span]
		j.Open('{')
		j.Key("span_id").Hex(s.SpanID[:])
		j.Field("service", t.Service(s))
		j.Field("operation", t.Batch.Str(s.Name))
		j.Field("kind", s.Kind.String())
		j.Key("start").Millis(step.From - start)
		j.Key("duration").Millis(step.To - step.From)
		j.Close('}')
	})
	writePathShares(&j, &sums, len(p.Steps))
	writeIncomplete(&j, t.Damaged)
	j.Close('}')
	return j.B
}

// writePathShares writes what operations have of paths, the first limit of them.
func writePathShares(j *jsonout.Writer, sums *query.PathSums, limit int) {
	shares := sums.Shares()
	jsonout.List(j.Key("operations"), shares[:min(limit, len(shares))], func(j *jsonout.Writer, o *query.PathShare) {
		j.Open('{')
		j.Field("service", o.Service)
		j.Field("operation", o.Operation)
		j.Key("share").Signal(float64(o.Self) / float64(max(1, sums.Duration)))
		j.Key("self").Millis(o.Self)
		j.Key("paths").Int(int64(o.Paths))
		j.Close('}')
	})
}

// operationPath answers what an operation had to wait for, over many traces.
func (d *Dialect) operationPath(r *http.Request) (api.Answer, error) {
	p := params.Of(r.URL)
	to := p.Moment(d.now(), "to")
	from := p.Moment(to.Add(-defaultSearch), "from")
	form := query.Form{Service: p.Text("service"), Operation: p.Text("operation")}
	if form.Service == "" {
		p.Fail("service", "it is missing: whose requests are looked at")
	}
	q, err := p.Search(form, from, to, p.Number(somePaths, 1, params.MaxLimit, "limit"))
	if err != nil {
		return api.Answer{}, err
	}
	found, err := d.deps.Query.SearchWhole(r.Context(), q)
	if err != nil {
		return api.Answer{}, err
	}
	var sums query.PathSums
	traces := 0
	for _, t := range found.Traces {
		if t == nil {
			continue
		}
		if err := ask.Of(r.Context()).Yield(r.Context()); err != nil {
			return api.Answer{}, err
		}
		traces++
		for _, path := range t.CriticalPaths(func(s *telemetry.Span) bool {
			return t.Service(s) == form.Service && (form.Operation == "" || t.Batch.Str(s.Name) == form.Operation)
		}) {
			sums.Add(t, &path)
		}
	}
	j := jsonout.Writer{}
	j.Open('{')
	j.Key("traces").Int(int64(traces))
	j.Key("left_out").Int(int64(found.LeftOut))
	j.Key("paths").Int(int64(sums.Paths))
	j.Key("duration").Millis(sums.Duration)
	writePathShares(&j, &sums, mostAnalysed)
	writeIncomplete(&j, found.Damaged)
	j.Close('}')
	return api.JSON(j.B), nil
}
