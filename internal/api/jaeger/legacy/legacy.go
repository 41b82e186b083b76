// Package legacy is Jaeger's legacy query API, as its query service answered up to version 2.14 and
// as Grafana's Jaeger data source, Kiali and the Jaeger UI's trace page ask it. There
// is no description of it but Jaeger's own code; docs/api/http.md lists what is served.
package legacy

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/api/jaeger"
	"github.com/binnacle-mesh/binnacle/internal/api/jsonout"
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
		route("GET /api/services", d.services),
		route("GET /api/services/{service}/operations", d.serviceOperations),
		route("GET /api/operations", d.operations),
		route("GET /api/traces", d.search),
		route("GET /api/traces/{trace_id}", d.trace),
		route("GET /api/dependencies", d.dependencies),
	}
}

func route(pattern string, handle func(*http.Request) (reply, error)) api.Route {
	return api.Route{Pattern: pattern, Cost: api.Search, Answer: func(r *http.Request) (api.Answer, error) {
		reply, err := handle(r)
		if err != nil {
			return api.Answer{}, err
		}
		return reply.answer(), nil
	}}
}

// A reply is an answer's content.
type reply struct {
	data    func(j *jsonout.Writer) // writes the value of "data"
	total   int
	errs    []partial
	clamped string // what was answered in place of what was asked; "" as asked
}

// A partial is an error of a part of the answer, or of all of it.
type partial struct {
	code    int // 0: the answer is whole but for this
	msg     string
	traceID telemetry.TraceID
}

// answer puts a reply into the envelope that everything there comes in.
func (p *reply) answer() api.Answer {
	j := jsonout.Writer{}
	j.Open('{')
	p.data(j.Key("data"))
	j.Key("total").Int(int64(p.total))
	j.Key("limit").Int(0)
	j.Key("offset").Int(0)
	j.Key("errors")
	if len(p.errs) == 0 {
		j.Raw("null")
	} else {
		jsonout.List(&j, p.errs, writePartial)
	}
	j.Close('}')
	a := api.JSON(j.B)
	if p.clamped != "" {
		a.Header = map[string]string{jaeger.Clamped: p.clamped}
	}
	return a
}

func writePartial(j *jsonout.Writer, e *partial) {
	j.Open('{')
	if e.code != 0 {
		j.Key("code").Int(int64(e.code))
	}
	j.Field("msg", e.msg)
	if !e.traceID.IsZero() {
		traceID(j.Key("traceID"), e.traceID)
	}
	j.Close('}')
}

// Error is an error in the same envelope.
func (d *Dialect) Error(status int, detail string) api.Answer {
	none := reply{data: func(j *jsonout.Writer) { j.Raw("null") }, errs: []partial{{code: status, msg: detail}}}
	a := none.answer()
	a.Status = status
	return a
}

func texts(list []string) reply {
	return reply{total: len(list), data: func(j *jsonout.Writer) { j.Texts(list) }}
}

func (d *Dialect) services(r *http.Request) (reply, error) {
	names, err := jaeger.ServiceNames(r.Context(), d.query)
	return texts(names), err
}

func (d *Dialect) serviceOperations(r *http.Request) (reply, error) {
	ops, err := d.query.Operations(r.Context(), r.PathValue("service"), "")
	names := make([]string, len(ops))
	for i := range ops {
		names[i] = ops[i].Name
	}
	return texts(slices.Compact(names)), err
}

func (d *Dialect) operations(r *http.Request) (reply, error) {
	ops, err := jaeger.Operations(r.Context(), d.query, params.Of(r.URL), "spanKind")
	return reply{total: len(ops), data: func(j *jsonout.Writer) { jaeger.WriteOperations(j, ops) }}, err
}

func wholeTraces(traces []*query.Trace, errs []partial) reply {
	return reply{errs: errs, data: func(j *jsonout.Writer) {
		j.Open('[')
		for _, t := range traces {
			if t != nil {
				writeTrace(j, t)
			}
		}
		j.Close(']')
	}}
}

// search answers a search, or the traces that are named one by one.
func (d *Dialect) search(r *http.Request) (reply, error) {
	p := params.Of(r.URL)
	if ids := p.All("traceID"); len(ids) > 0 {
		return d.traces(r, p, ids)
	}
	q, err := readQuery(p, d.now())
	if err != nil {
		return reply{}, err
	}
	found, err := d.query.SearchWhole(r.Context(), q)
	var errs []partial
	if found.LeftOut > 0 {
		errs = append(errs, partial{msg: fmt.Sprintf(
			"%d traces were left out because the answer would have been too large; ask for fewer or open one by its id", found.LeftOut)})
	}
	return wholeTraces(found.Traces, append(errs, lacking(found.Damaged, telemetry.TraceID{})...)), err
}

// lacking is the error of an answer that may lack what could not be read.
func lacking(damaged []telemetry.Damage, id telemetry.TraceID) []partial {
	if len(damaged) == 0 {
		return nil
	}
	return []partial{{msg: jaeger.Incomplete(damaged), traceID: id}}
}

// maxTraceIDs bounds how many traces may be named one by one.
const maxTraceIDs = 100

func (d *Dialect) traces(r *http.Request, p *params.Params, ids []string) (reply, error) {
	if len(ids) > maxTraceIDs {
		p.Fail("traceID", fmt.Sprintf("%d traces are named, at most %d may be", len(ids), maxTraceIDs))
	}
	var traces []*query.Trace
	var errs []partial
	for _, s := range ids {
		id := p.TraceID("traceID", s)
		if p.Err() != nil {
			return reply{}, p.Err()
		}
		t, err := d.query.Trace(r.Context(), id)
		switch {
		case errors.Is(err, telemetry.ErrNotFound):
			errs = append(errs, partial{msg: "trace not found", traceID: id})
		case err != nil:
			return reply{}, err
		default:
			traces = append(traces, t)
			errs = append(errs, lacking(t.Damaged, id)...)
		}
	}
	return wholeTraces(traces, errs), nil
}

func (d *Dialect) trace(r *http.Request) (reply, error) {
	p := params.Of(r.URL)
	id := p.TraceID("traceID", r.PathValue("trace_id"))
	// The times only narrow where Jaeger looks; here the id finds the trace.
	p.Unix(time.Time{}, time.Microsecond, "start")
	p.Unix(time.Time{}, time.Microsecond, "end")
	p.Boolean("raw")
	if p.Err() != nil {
		return reply{}, p.Err()
	}
	t, err := d.query.Trace(r.Context(), id)
	if err != nil {
		return reply{}, err
	}
	return wholeTraces([]*query.Trace{t}, lacking(t.Damaged, id)), nil
}

func (d *Dialect) dependencies(r *http.Request) (reply, error) {
	p := params.Of(r.URL)
	service := p.Text("service")
	from, to, clamped := readRange(p, d.now(), d.query.Longest())
	if p.Err() != nil {
		return reply{}, p.Err()
	}
	deps, err := d.query.Dependencies(r.Context(), from, to)
	if service != "" {
		deps = slices.DeleteFunc(deps, func(d query.Dependency) bool { return d.Parent != service && d.Child != service })
	}
	return reply{clamped: clamped, data: func(j *jsonout.Writer) { jaeger.WriteDependencies(j, deps, (*jsonout.Writer).Uint) }}, err
}
