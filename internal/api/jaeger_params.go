package api

import (
	"time"

	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

const (
	// What Jaeger assumes where a question does not say.
	jaegerLimit    = 100
	jaegerLookback = 48 * time.Hour
	// A page that shows dependencies asks for a day.
	dependencyLookback = 24 * time.Hour
	// maxTraceIDs bounds how many traces may be named one by one.
	maxTraceIDs = 100
)

// readJaegerQuery reads the search of the legacy API: times in microseconds,
// durations as Go writes them, tags as a JSON object or as key:value. lookback counts
// where there is no start.
func readJaegerQuery(p *params, now time.Time) (telemetry.SpanQuery, error) {
	end := p.unix(now, time.Microsecond, "end")
	back := jaegerLookback
	if v, _ := p.get("lookback"); v != "" && v != "custom" { // Jaeger's page says custom where it sends both ends
		back = p.duration(back, "lookback")
	}
	tags := append(p.jsonMap("tags"), p.pairs("tag", ":")...)
	f := query.Form{
		Service:     p.text("service"),
		Operation:   p.text("operation"),
		MinDuration: p.duration(0, "minDuration"),
		MaxDuration: p.duration(0, "maxDuration"),
	}
	setJaegerTags(&f, tags)
	return p.search(f, p.unix(end.Add(-back), time.Microsecond, "start"), end, p.number(jaegerLimit, 1, maxLimit, "limit"))
}

// readJaeger3Query reads the search of v3, whose names come in two spellings.
func readJaeger3Query(p *params) (telemetry.SpanQuery, error) {
	from := p.rfc3339(time.Time{}, "query.startTimeMin", "query.start_time_min")
	to := p.rfc3339(time.Time{}, "query.startTimeMax", "query.start_time_max")
	if from.IsZero() || to.IsZero() {
		p.fail("query.startTimeMin", "it and query.startTimeMax must both be given")
	}
	if v, name := p.get("query.filter"); v != "" {
		p.fail(name, "structured filters are not supported; ask by service, operation, attributes and duration")
	}
	f := query.Form{
		Service:     p.text("query.serviceName", "query.service_name"),
		Operation:   p.text("query.operationName", "query.operation_name"),
		MinDuration: p.duration(0, "query.durationMin", "query.duration_min"),
		MaxDuration: p.duration(0, "query.durationMax", "query.duration_max"),
	}
	limit := p.number(jaegerLimit, 1, maxLimit, "query.searchDepth", "query.search_depth", "query.numTraces", "query.num_traces")
	p.boolean("query.rawTraces", "query.raw_traces") // traces are always as they were stored
	setJaegerTags(&f, p.jsonMap("query.attributes"))
	return p.search(f, from, to, limit)
}

// setJaegerTags puts tags into a form. Jaeger shows some fields of a span as
// tags, so people ask for them as tags; those are asked of the fields.
func setJaegerTags(f *query.Form, tags []query.AttributeMatch) {
	for _, t := range tags {
		switch {
		case t.Key == "error" && t.Value == "true":
			f.Status = telemetry.StatusError.String()
		case t.Key == "otel.status_code" && t.Value == "ERROR":
			f.Status = telemetry.StatusError.String()
		case t.Key == "otel.status_code" && t.Value == "OK":
			f.Status = telemetry.StatusOK.String()
		case t.Key == "span.kind":
			f.Kind = t.Value
		default:
			f.Attributes = append(f.Attributes, t)
		}
	}
}

// readJaegerRange reads the range of /api/dependencies: its end and how far
// back, in milliseconds.
func readJaegerRange(p *params, now time.Time) (from, to time.Time, err error) {
	to = p.unix(now, time.Millisecond, "endTs")
	back := dependencyLookback
	if v, _ := p.get("lookback"); v != "" {
		back = time.Duration(p.number(0, 1, maxDays*24*60*60*1000, "lookback")) * time.Millisecond
	}
	return to.Add(-back), to, p.err
}
