package api

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The legacy API of Jaeger, as its query service answered up to version 2.14 and
// as Grafana's Jaeger data source, Kiali and the Jaeger UI's trace page ask it. There
// is no description of it but Jaeger's own code; docs/api/http.md lists what is served.

// legacy answers in the envelope that everything there comes in. data writes
// the value of "data".
func (a *API) legacy(w http.ResponseWriter, r *http.Request, total int, errs []legacyError, data func(j *jsonWriter)) {
	j := jsonWriter{}
	j.open('{')
	j.key("data")
	data(&j)
	j.envelope(total, errs)
	a.answerJSON(w, r, j.b)
}

// A legacyError is an error of a part of the answer, or of all of it.
type legacyError struct {
	code    int // 0: the answer is whole but for this
	msg     string
	traceID telemetry.TraceID
}

func (j *jsonWriter) envelope(total int, errs []legacyError) {
	j.key("total")
	j.int(int64(total))
	j.key("limit")
	j.int(0)
	j.key("offset")
	j.int(0)
	j.key("errors")
	if len(errs) == 0 {
		j.raw("null")
		j.close('}')
		return
	}
	j.open('[')
	for _, e := range errs {
		j.open('{')
		if e.code != 0 {
			j.key("code")
			j.int(int64(e.code))
		}
		j.field("msg", e.msg)
		if !e.traceID.IsZero() {
			j.key("traceID")
			j.traceID(e.traceID)
		}
		j.close('}')
	}
	j.close(']')
	j.close('}')
}

// legacyFail answers with an error in the envelope.
func (a *API) legacyFail(w http.ResponseWriter, r *http.Request, err error) {
	status, detail := a.classify(r, err)
	j := jsonWriter{}
	j.open('{')
	j.key("data")
	j.raw("null")
	j.envelope(0, []legacyError{{code: status, msg: detail}})
	w.Header().Set("Cache-Control", "no-store")
	a.write(w, r, status, jsonType, j.b)
}

func (a *API) jaegerServices(w http.ResponseWriter, r *http.Request) {
	names, err := a.serviceNames(r)
	if err != nil {
		a.legacyFail(w, r, err)
		return
	}
	a.legacy(w, r, len(names), nil, func(j *jsonWriter) { j.texts(names) })
}

// serviceNames is the names of all services, each once, in order.
func (a *API) serviceNames(r *http.Request) ([]string, error) {
	services, err := a.deps.Query.Services(r.Context())
	if err != nil {
		return nil, err
	}
	names := make([]string, len(services))
	for i := range services {
		names[i] = services[i].Name
	}
	return slices.Compact(names), nil
}

func (a *API) jaegerServiceOperations(w http.ResponseWriter, r *http.Request) {
	ops, err := a.deps.Query.Operations(r.Context(), r.PathValue("service"), "")
	if err != nil {
		a.legacyFail(w, r, err)
		return
	}
	names := make([]string, len(ops))
	for i := range ops {
		names[i] = ops[i].Name
	}
	names = slices.Compact(names)
	a.legacy(w, r, len(names), nil, func(j *jsonWriter) { j.texts(names) })
}

func (a *API) jaegerOperations(w http.ResponseWriter, r *http.Request) {
	p := readParams(r.URL)
	service, kind := p.text("service"), p.text("spanKind")
	if service == "" {
		p.fail("service", "it must be given")
	}
	if p.err != nil {
		a.legacyFail(w, r, p.err)
		return
	}
	ops, err := a.deps.Query.Operations(r.Context(), service, kind)
	if err != nil {
		a.legacyFail(w, r, err)
		return
	}
	a.legacy(w, r, len(ops), nil, func(j *jsonWriter) { j.operations(ops) })
}

func (j *jsonWriter) operations(ops []telemetry.OperationEntry) {
	j.open('[')
	for _, o := range ops {
		j.open('{')
		j.field("name", o.Name)
		j.field("spanKind", o.Kind)
		j.close('}')
	}
	j.close(']')
}

// jaegerSearch answers a search, or the traces that are named one by one.
func (a *API) jaegerSearch(w http.ResponseWriter, r *http.Request) {
	p := readParams(r.URL)
	if ids := p.values["traceID"]; len(ids) > 0 {
		a.jaegerTraces(w, r, p, ids)
		return
	}
	q, err := readJaegerQuery(p, a.now())
	if err != nil {
		a.legacyFail(w, r, err)
		return
	}
	found, err := a.deps.Query.SearchWhole(r.Context(), q)
	if err != nil {
		a.legacyFail(w, r, err)
		return
	}
	var errs []legacyError
	if found.LeftOut > 0 {
		errs = append(errs, legacyError{msg: fmt.Sprintf("%d traces were left out because the answer would have been too large; ask for fewer or open one by its id", found.LeftOut)})
	}
	a.legacy(w, r, 0, errs, func(j *jsonWriter) { j.legacyTraces(found.Traces) })
}

func (a *API) jaegerTraces(w http.ResponseWriter, r *http.Request, p *params, ids []string) {
	if len(ids) > maxTraceIDs {
		p.fail("traceID", fmt.Sprintf("%d traces are named, at most %d may be", len(ids), maxTraceIDs))
	}
	var traces []*query.Trace
	var errs []legacyError
	for _, s := range ids {
		id := p.traceID("traceID", s)
		if p.err != nil {
			a.legacyFail(w, r, p.err)
			return
		}
		t, err := a.deps.Query.Trace(r.Context(), id)
		switch {
		case errors.Is(err, telemetry.ErrNotFound):
			errs = append(errs, legacyError{msg: "trace not found", traceID: id})
		case err != nil:
			a.legacyFail(w, r, err)
			return
		default:
			traces = append(traces, t)
		}
	}
	a.legacy(w, r, 0, errs, func(j *jsonWriter) { j.legacyTraces(traces) })
}

func (j *jsonWriter) legacyTraces(traces []*query.Trace) {
	j.open('[')
	for _, t := range traces {
		if t != nil {
			j.legacyTrace(t)
		}
	}
	j.close(']')
}

func (a *API) jaegerTrace(w http.ResponseWriter, r *http.Request) {
	p := readParams(r.URL)
	id := p.traceID("traceID", r.PathValue("trace_id"))
	// The times only narrow where Jaeger looks; here the id finds the trace.
	p.unix(time.Time{}, time.Microsecond, "start")
	p.unix(time.Time{}, time.Microsecond, "end")
	p.boolean("raw")
	if p.err != nil {
		a.legacyFail(w, r, p.err)
		return
	}
	t, err := a.deps.Query.Trace(r.Context(), id)
	if err != nil {
		a.legacyFail(w, r, err)
		return
	}
	a.legacy(w, r, 0, nil, func(j *jsonWriter) { j.legacyTraces([]*query.Trace{t}) })
}

func (a *API) jaegerDependencies(w http.ResponseWriter, r *http.Request) {
	p := readParams(r.URL)
	service := p.text("service")
	from, to, err := readJaegerRange(p, a.now())
	if err != nil {
		a.legacyFail(w, r, err)
		return
	}
	deps, err := a.deps.Query.Dependencies(r.Context(), from, to)
	if err != nil {
		a.legacyFail(w, r, err)
		return
	}
	if service != "" {
		deps = slices.DeleteFunc(deps, func(d query.Dependency) bool { return d.Parent != service && d.Child != service })
	}
	a.legacy(w, r, 0, nil, func(j *jsonWriter) {
		j.open('[')
		for _, d := range deps {
			j.open('{')
			j.field("parent", d.Parent)
			j.field("child", d.Child)
			j.key("callCount")
			j.uint(d.Calls)
			j.close('}')
		}
		j.close(']')
	})
}
