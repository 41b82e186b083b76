package api

import (
	"net/http"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Version 3 of Jaeger's API, by jaeger-idl's proto/api_v3/query_service.proto and its
// HTTP bindings. Traces are OpenTelemetry's JSON (otlp_json.go) in an envelope named
// result; errors come in one named error, with the same status as the response.

func (a *API) fail3(w http.ResponseWriter, r *http.Request, err error) {
	status, detail := a.classify(r, err)
	a.error3(w, r, status, detail)
}

func (a *API) error3(w http.ResponseWriter, r *http.Request, status int, detail string) {
	j := jsonWriter{}
	j.open('{')
	j.key("error")
	j.open('{')
	j.key("httpCode")
	j.int(int64(status))
	j.field("message", detail)
	j.close('}')
	j.close('}')
	w.Header().Set("Cache-Control", "no-store")
	a.write(w, r, status, jsonType, j.b)
}

func (a *API) jaeger3Services(w http.ResponseWriter, r *http.Request) {
	names, err := a.serviceNames(r)
	if err != nil {
		a.fail3(w, r, err)
		return
	}
	j := jsonWriter{}
	j.open('{')
	j.key("services")
	j.texts(names)
	j.close('}')
	a.answerJSON(w, r, j.b)
}

func (a *API) jaeger3Operations(w http.ResponseWriter, r *http.Request) {
	p := readParams(r.URL)
	service, kind := p.text("service"), p.text("spanKind", "span_kind")
	if service == "" {
		p.fail("service", "it must be given")
	}
	if p.err != nil {
		a.fail3(w, r, p.err)
		return
	}
	ops, err := a.deps.Query.Operations(r.Context(), service, kind)
	if err != nil {
		a.fail3(w, r, err)
		return
	}
	j := jsonWriter{}
	j.open('{')
	j.key("operations")
	j.operations(ops)
	j.close('}')
	a.answerJSON(w, r, j.b)
}

// jaeger3Search answers whole traces. None found is an error 404 there.
func (a *API) jaeger3Search(w http.ResponseWriter, r *http.Request) {
	q, err := readJaeger3Query(readParams(r.URL))
	if err != nil {
		a.fail3(w, r, err)
		return
	}
	found, err := a.deps.Query.SearchWhole(r.Context(), q)
	if err != nil {
		a.fail3(w, r, err)
		return
	}
	j := jsonWriter{}
	j.open('{')
	j.key("result")
	if !j.otlpTraces(found.Traces) {
		a.error3(w, r, http.StatusNotFound, "No traces found")
		return
	}
	j.close('}')
	a.answerJSON(w, r, j.b)
}

func (a *API) jaeger3Trace(w http.ResponseWriter, r *http.Request) {
	p := readParams(r.URL)
	id := p.traceID("trace_id", r.PathValue("trace_id"))
	// The times only narrow where Jaeger looks; here the id finds the trace.
	p.rfc3339(time.Time{}, "startTime", "start_time")
	p.rfc3339(time.Time{}, "endTime", "end_time")
	p.boolean("rawTraces", "raw_traces")
	if p.err != nil {
		a.fail3(w, r, p.err)
		return
	}
	t, err := a.deps.Query.Trace(r.Context(), id)
	if err != nil {
		a.fail3(w, r, err)
		return
	}
	j := jsonWriter{}
	j.open('{')
	j.key("result")
	j.otlpTraces([]*query.Trace{t})
	j.close('}')
	a.answerJSON(w, r, j.b)
}

// jaeger3Summaries answers what a list of results shows. It reads the traces
// themselves for the counts that a search does not keep (errors by service, orphans),
// and does without those where a trace was left out.
func (a *API) jaeger3Summaries(w http.ResponseWriter, r *http.Request) {
	q, err := readJaeger3Query(readParams(r.URL))
	if err != nil {
		a.fail3(w, r, err)
		return
	}
	found, err := a.deps.Query.SearchWhole(r.Context(), q)
	if err != nil {
		a.fail3(w, r, err)
		return
	}
	j := jsonWriter{}
	j.open('{')
	j.key("summaries")
	j.open('[')
	for i := range found.Summaries {
		j.summary3(&found.Summaries[i], found.Traces[i])
	}
	j.close(']')
	j.close('}')
	a.answerJSON(w, r, j.b)
}

func (j *jsonWriter) summary3(s *telemetry.TraceSummary, t *query.Trace) {
	var shares []query.ServiceShare
	orphans := 0
	if t != nil {
		shares, orphans = t.Shares()
	} else {
		for _, x := range s.Services {
			shares = append(shares, query.ServiceShare{Name: x.Name, Spans: x.Spans})
		}
	}
	j.open('{')
	j.key("traceId")
	j.hex(s.TraceID[:])
	j.field("rootServiceName", s.RootService)
	j.field("rootOperationName", s.RootOperation)
	j.key("minStartTimeUnixNano")
	j.quoted(s.Start)
	j.key("maxEndTimeUnixNano")
	j.quoted(s.Start + s.Duration)
	j.key("spanCount")
	j.int(int64(s.Spans))
	j.key("errorSpanCount")
	j.int(int64(s.Errors))
	j.key("orphanSpanCount")
	j.int(int64(orphans))
	j.key("services")
	j.open('[')
	for _, x := range shares {
		j.open('{')
		j.field("name", x.Name)
		j.key("spanCount")
		j.int(int64(x.Spans))
		j.key("errorSpanCount")
		j.int(int64(x.Errors))
		j.close('}')
	}
	j.close(']')
	j.close('}')
}

func (a *API) jaeger3Dependencies(w http.ResponseWriter, r *http.Request) {
	p := readParams(r.URL)
	to := p.rfc3339(a.now(), "endTime", "end_time")
	from := p.rfc3339(to.Add(-dependencyLookback), "startTime", "start_time")
	if p.err != nil {
		a.fail3(w, r, p.err)
		return
	}
	deps, err := a.deps.Query.Dependencies(r.Context(), from, to)
	if err != nil {
		a.fail3(w, r, err)
		return
	}
	j := jsonWriter{}
	j.open('{')
	j.key("dependencies")
	j.open('[')
	for _, d := range deps {
		j.open('{')
		j.field("parent", d.Parent)
		j.field("child", d.Child)
		j.key("callCount")
		j.quoted(int64(d.Calls))
		j.close('}')
	}
	j.close(']')
	j.close('}')
	a.answerJSON(w, r, j.b)
}
