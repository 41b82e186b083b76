package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

const (
	defaultLimit  = 20
	defaultSearch = time.Hour // back from now
)

// searchTraces answers which traces have a span of that kind.
func (a *API) searchTraces(w http.ResponseWriter, r *http.Request) {
	q, err := readSpanQuery(readParams(r.URL), a.now())
	if err != nil {
		a.fail(w, r, err)
		return
	}
	found, stats, err := a.deps.Query.Search(r.Context(), q)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.answerJSON(w, r, appendSearch(nil, found, stats))
}

func readSpanQuery(p *params, now time.Time) (telemetry.SpanQuery, error) {
	to := p.moment(now, "to")
	return p.search(query.Form{
		Service:     p.text("service"),
		Namespace:   p.text("namespace"),
		Operation:   p.text("operation"),
		Kind:        p.text("kind"),
		Attributes:  p.pairs("attribute", "="),
		MinDuration: p.duration(0, "min_duration"),
		MaxDuration: p.duration(0, "max_duration"),
		Status:      p.text("status"),
	}, p.moment(to.Add(-defaultSearch), "from"), to, p.number(defaultLimit, 1, maxLimit, "limit"))
}

// maxLimit is only what a number may be; query.Limits says what is granted.
const maxLimit = 1 << 30

func appendSearch(b []byte, found []telemetry.TraceSummary, stats telemetry.SearchStats) []byte {
	j := jsonWriter{b: b}
	j.open('{')
	j.key("traces")
	j.open('[')
	for i := range found {
		j.summary(&found[i])
	}
	j.close(']')
	j.key("searched")
	j.open('{')
	j.key("spans")
	j.int(int64(stats.Spans))
	j.key("blocks")
	j.int(int64(stats.Blocks))
	j.key("took")
	j.millis(stats.Took.Nanoseconds())
	j.close('}')
	j.close('}')
	return j.b
}

func (j *jsonWriter) summary(t *telemetry.TraceSummary) {
	j.open('{')
	j.key("trace_id")
	j.hex(t.TraceID[:])
	j.key("start")
	j.millis(t.Start)
	j.key("duration")
	j.millis(t.Duration)
	j.field("root_service", t.RootService)
	j.field("root_operation", t.RootOperation)
	j.key("spans")
	j.int(int64(t.Spans))
	j.key("errors")
	j.int(int64(t.Errors))
	j.key("services")
	j.open('[')
	for _, s := range t.Services {
		j.open('{')
		j.field("name", s.Name)
		j.key("spans")
		j.int(int64(s.Spans))
		j.close('}')
	}
	j.close(']')
	j.close('}')
}

// trace answers one trace, whole.
func (a *API) trace(w http.ResponseWriter, r *http.Request) {
	p := readParams(r.URL)
	id := p.traceID("trace_id", r.PathValue("trace_id"))
	if p.err != nil {
		a.fail(w, r, p.err)
		return
	}
	t, err := a.deps.Query.Trace(r.Context(), id)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.answerJSON(w, r, appendTrace(nil, t))
}

func appendTrace(b []byte, t *query.Trace) []byte {
	j := jsonWriter{b: b}
	j.open('{')
	j.key("trace_id")
	j.hex(t.ID[:])
	j.key("start")
	j.millis(t.Start)
	j.key("duration")
	j.millis(t.End - t.Start)
	j.key("spans")
	j.open('[')
	for _, i := range t.Spans {
		j.span(t, &t.Batch.Spans[i])
	}
	j.close(']')
	j.key("requests")
	j.open('[')
	for _, i := range t.Requests {
		j.request(t, &t.Batch.Requests[i])
	}
	j.close(']')
	j.close('}')
	return j.b
}

func (j *jsonWriter) span(t *query.Trace, s *telemetry.Span) {
	b := t.Batch
	res := &b.Resources[s.Resource]
	j.open('{')
	j.key("span_id")
	j.hex(s.SpanID[:])
	j.key("parent_span_id")
	j.spanID(s.ParentID)
	j.field("name", b.Str(s.Name))
	j.field("kind", s.Kind.String())
	j.field("service", t.Service(s))
	j.field("namespace", b.Str(res.Identity.Namespace))
	j.field("version", b.Str(res.Identity.Version))
	j.key("start")
	j.millis(s.Start - t.Start)
	j.key("duration")
	j.millis(s.Duration)
	j.field("status", s.Status.String())
	j.field("status_message", b.Str(s.StatusMessage))
	j.key("attributes")
	j.attributes(b, s.Attrs)
	j.key("resource")
	j.attributes(b, res.Attrs)
	j.key("events")
	j.events(t, s)
	j.key("links")
	j.links(t, s)
	j.close('}')
}

func (j *jsonWriter) events(t *query.Trace, s *telemetry.Span) {
	b := t.Batch
	j.open('[')
	for _, e := range b.Events[s.Events.Start : s.Events.Start+s.Events.Len] {
		j.open('{')
		j.key("time")
		j.millis(e.Time - t.Start)
		j.field("name", b.Str(e.Name))
		j.key("attributes")
		j.attributes(b, e.Attrs)
		j.close('}')
	}
	j.close(']')
}

func (j *jsonWriter) links(t *query.Trace, s *telemetry.Span) {
	b := t.Batch
	j.open('[')
	for _, l := range b.Links[s.Links.Start : s.Links.Start+s.Links.Len] {
		j.open('{')
		j.key("trace_id")
		j.hex(l.TraceID[:])
		j.key("span_id")
		j.hex(l.SpanID[:])
		j.key("attributes")
		j.attributes(b, l.Attrs)
		j.close('}')
	}
	j.close(']')
}

// request writes an entry of a proxy's log: service called target, and side says
// whose proxy wrote it.
func (j *jsonWriter) request(t *query.Trace, r *telemetry.Request) {
	b := t.Batch
	service, target := query.ServiceOf(b, r.Resource), peerName(b, r)
	if r.Side == telemetry.SideServer {
		service, target = target, service
	}
	path, _, _ := strings.Cut(b.Str(r.Path), "?") // what follows may be a secret
	j.open('{')
	j.field("service", service)
	j.field("target", target)
	j.field("side", r.Side.String())
	j.field("method", b.Str(r.Method))
	j.field("path", path)
	j.key("code")
	j.int(int64(r.Code))
	j.field("flags", r.Response.String())
	j.key("start")
	j.millis(r.Start - t.Start)
	j.key("duration")
	j.millis(r.Duration)
	j.close('}')
}

// peerName is the other end of a logged request by the best name that the
// entry has; "" where it has none.
func peerName(b *telemetry.Batch, r *telemetry.Request) string {
	for _, id := range [...]telemetry.StrID{r.Peer.Service, r.Peer.Workload} {
		if id != 0 {
			return b.Str(id)
		}
	}
	if r.Side == telemetry.SideServer {
		return ""
	}
	for _, host := range [...]string{telemetry.ParseClusterName(b.Str(r.Cluster)).Host, b.Str(r.Authority)} {
		if host != "" {
			name, _, _ := telemetry.ClassifyHost(host)
			return name
		}
	}
	return ""
}
