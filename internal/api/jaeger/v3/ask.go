package v3

import (
	"time"

	"github.com/binnacle-mesh/binnacle/internal/api/jaeger"
	"github.com/binnacle-mesh/binnacle/internal/api/params"
	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// readQuery reads a search, whose names come in two spellings.
func readQuery(p *params.Params) (telemetry.SpanQuery, error) {
	from := p.RFC3339(time.Time{}, "query.startTimeMin", "query.start_time_min")
	to := p.RFC3339(time.Time{}, "query.startTimeMax", "query.start_time_max")
	if from.IsZero() || to.IsZero() {
		p.Fail("query.startTimeMin", "it and query.startTimeMax must both be given")
	}
	if v, name := p.Get("query.filter"); v != "" {
		p.Fail(name, "structured filters are not supported; ask by service, operation, attributes and duration")
	}
	f := query.Form{
		Service:     p.Text("query.serviceName", "query.service_name"),
		Operation:   p.Text("query.operationName", "query.operation_name"),
		MinDuration: p.Duration(0, "query.durationMin", "query.duration_min"),
		MaxDuration: p.Duration(0, "query.durationMax", "query.duration_max"),
	}
	limit := p.Number(jaeger.Limit, 1, params.MaxLimit, "query.searchDepth", "query.search_depth", "query.numTraces", "query.num_traces")
	p.Boolean("query.rawTraces", "query.raw_traces") // traces are always as they were stored
	jaeger.SetTags(&f, p.JSONMap("query.attributes"))
	return p.Search(f, from, to, limit)
}

// readRange reads the range of dependencies. What is longer than most is cut to it, and clamped says so.
func readRange(p *params.Params, now time.Time, most time.Duration) (from, to time.Time, clamped string) {
	to = p.RFC3339(now, "endTime", "end_time")
	from = p.RFC3339(to.Add(-jaeger.DependencyLookback), "startTime", "start_time")
	if to.Sub(from) > most {
		from = to.Add(-most)
		clamped = "start_time=" + from.UTC().Format(time.RFC3339Nano)
	}
	return from, to, clamped
}
