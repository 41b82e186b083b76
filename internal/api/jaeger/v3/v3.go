// Package v3 is version 3 of Jaeger's query API, by jaeger-idl's proto/api_v3/query_service.proto and its
// HTTP bindings. Traces are OpenTelemetry's JSON in an envelope named result; errors come in one named
// error, with the same status as the response.
package v3

import (
	"net/http"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/api/jaeger"
	"github.com/binnacle-mesh/binnacle/internal/api/jsonout"
	"github.com/binnacle-mesh/binnacle/internal/api/otlpjson"
	"github.com/binnacle-mesh/binnacle/internal/api/params"
	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A Dialect is the API over an engine.
type Dialect struct {
	query *query.Engine
	now   func() time.Time
}

// New is the API over e; now is the end of ranges that have none.
func New(e *query.Engine, now func() time.Time) *Dialect { return &Dialect{query: e, now: now} }

// Routes is what is served.
func (d *Dialect) Routes() []api.Route {
	return []api.Route{
		{Pattern: "GET /api/v3/services", Cost: api.Search, Answer: d.services},
		{Pattern: "GET /api/v3/operations", Cost: api.Search, Answer: d.operations},
		{Pattern: "GET /api/v3/traces", Cost: api.Search, Answer: d.search},
		{Pattern: "GET /api/v3/traces/{trace_id}", Cost: api.Search, Answer: d.trace},
		{Pattern: "GET /api/v3/trace-summaries", Cost: api.Search, Answer: d.summaries},
		{Pattern: "GET /api/v3/dependencies", Cost: api.Search, Answer: d.dependencies},
	}
}

// Error is an object named error.
func (d *Dialect) Error(status int, detail string) api.Answer {
	a := named("error", func(j *jsonout.Writer) {
		j.Open('{')
		j.Key("httpCode").Int(int64(status))
		j.Field("message", detail)
		j.Close('}')
	})
	a.Status = status
	return a
}

// named is an answer of one field.
func named(name string, value func(j *jsonout.Writer)) api.Answer {
	j := jsonout.Writer{}
	j.Open('{')
	value(j.Key(name))
	j.Close('}')
	return api.JSON(j.B)
}

func (d *Dialect) services(r *http.Request) (api.Answer, error) {
	names, err := jaeger.ServiceNames(r.Context(), d.query)
	return named("services", func(j *jsonout.Writer) { j.Texts(names) }), err
}

func (d *Dialect) operations(r *http.Request) (api.Answer, error) {
	ops, err := jaeger.Operations(r.Context(), d.query, params.Of(r.URL), "spanKind", "span_kind")
	return named("operations", func(j *jsonout.Writer) { jaeger.WriteOperations(j, ops) }), err
}

// marked is an answer that says in a header what could not be read; the body has no place for it.
func marked(a api.Answer, damaged []telemetry.Damage) api.Answer {
	if len(damaged) > 0 {
		a.Header = map[string]string{jaeger.IncompleteHeader: jaeger.Incomplete(damaged)}
	}
	return a
}

// result is whole traces. None is an error 404 there.
func result(traces []*query.Trace, damaged []telemetry.Damage) (api.Answer, error) {
	some := false
	a := named("result", func(j *jsonout.Writer) { some = otlpjson.Traces(j, traces) })
	if !some {
		detail := "No traces found"
		if len(damaged) > 0 {
			detail += "; " + jaeger.Incomplete(damaged)
		}
		return api.Answer{}, &api.Error{Status: http.StatusNotFound, Detail: detail}
	}
	return marked(a, damaged), nil
}

// find answers the search that r asks for.
func (d *Dialect) find(r *http.Request) (query.Found, error) {
	q, err := readQuery(params.Of(r.URL))
	if err != nil {
		return query.Found{}, err
	}
	return d.query.SearchWhole(r.Context(), q)
}

func (d *Dialect) search(r *http.Request) (api.Answer, error) {
	found, err := d.find(r)
	if err != nil {
		return api.Answer{}, err
	}
	return result(found.Traces, found.Damaged)
}

func (d *Dialect) trace(r *http.Request) (api.Answer, error) {
	p := params.Of(r.URL)
	id := p.TraceID("trace_id", r.PathValue("trace_id"))
	// The times only narrow where Jaeger looks; here the id finds the trace.
	p.RFC3339(time.Time{}, "startTime", "start_time")
	p.RFC3339(time.Time{}, "endTime", "end_time")
	p.Boolean("rawTraces", "raw_traces")
	if p.Err() != nil {
		return api.Answer{}, p.Err()
	}
	t, err := d.query.Trace(r.Context(), id)
	if err != nil {
		return api.Answer{}, err
	}
	return result([]*query.Trace{t}, t.Damaged)
}

// summaries answers what a list of results shows. It reads the traces
// themselves for the counts that a search does not keep (errors by service, orphans),
// and does without those where a trace was left out.
func (d *Dialect) summaries(r *http.Request) (api.Answer, error) {
	found, err := d.find(r)
	return marked(named("summaries", func(j *jsonout.Writer) {
		j.Open('[')
		for i := range found.Summaries {
			writeSummary(j, &found.Summaries[i], found.Traces[i])
		}
		j.Close(']')
	}), found.Damaged), err
}

func writeSummary(j *jsonout.Writer, s *telemetry.TraceSummary, t *query.Trace) {
	var shares []query.ServiceShare
	orphans := 0
	if t != nil {
		shares, orphans = t.Shares()
	} else {
		for _, x := range s.Services {
			shares = append(shares, query.ServiceShare{Name: x.Name, Spans: x.Spans})
		}
	}
	j.Open('{')
	j.Key("traceId").Hex(s.TraceID[:])
	j.Field("rootServiceName", s.RootService)
	j.Field("rootOperationName", s.RootOperation)
	j.Key("minStartTimeUnixNano").Quoted(s.Start)
	j.Key("maxEndTimeUnixNano").Quoted(s.Start + s.Duration)
	j.Key("spanCount").Int(int64(s.Spans))
	j.Key("errorSpanCount").Int(int64(s.Errors))
	j.Key("orphanSpanCount").Int(int64(orphans))
	j.Key("services")
	jsonout.List(j, shares, func(j *jsonout.Writer, x *query.ServiceShare) {
		j.Open('{')
		j.Field("name", x.Name)
		j.Key("spanCount").Int(int64(x.Spans))
		j.Key("errorSpanCount").Int(int64(x.Errors))
		j.Close('}')
	})
	j.Close('}')
}

func (d *Dialect) dependencies(r *http.Request) (api.Answer, error) {
	p := params.Of(r.URL)
	from, to, clamped := readRange(p, d.now(), d.query.Longest())
	if p.Err() != nil {
		return api.Answer{}, p.Err()
	}
	deps, err := d.query.Dependencies(r.Context(), from, to)
	a := named("dependencies", func(j *jsonout.Writer) {
		jaeger.WriteDependencies(j, deps, func(j *jsonout.Writer, calls uint64) { j.Quoted(int64(calls)) })
	})
	if clamped != "" {
		a.Header = map[string]string{jaeger.Clamped: clamped}
	}
	return a, err
}
