package legacy

import (
	"fmt"
	"math"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/api/jaeger"
	"github.com/binnacle-mesh/binnacle/internal/api/params"
	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// readQuery reads a search: times in microseconds, durations as Go writes
// them, tags as a JSON object or as key:value. lookback counts where there is no start.
func readQuery(p *params.Params, now time.Time) (telemetry.SpanQuery, error) {
	end := p.Unix(now, time.Microsecond, "end")
	back := jaeger.Lookback
	if v, _ := p.Get("lookback"); v != "" && v != "custom" { // Jaeger's page says custom where it sends both ends
		back = p.Duration(back, "lookback")
	}
	tags := append(p.JSONMap("tags"), p.Pairs("tag", ":")...)
	f := query.Form{
		Service:     p.Text("service"),
		Operation:   p.Text("operation"),
		MinDuration: p.Duration(0, "minDuration"),
		MaxDuration: p.Duration(0, "maxDuration"),
	}
	jaeger.SetTags(&f, tags)
	return p.Search(f, p.Unix(end.Add(-back), time.Microsecond, "start"), end, p.Number(jaeger.Limit, 1, params.MaxLimit, "limit"))
}

// readRange reads the range of dependencies: its end and how far back, in
// milliseconds. What goes back further than most is cut to it, as Jaeger does, and clamped says so.
func readRange(p *params.Params, now time.Time, most time.Duration) (from, to time.Time, clamped string) {
	to = p.Unix(now, time.Millisecond, "endTs")
	back := jaeger.DependencyLookback
	if v, _ := p.Get("lookback"); v != "" {
		ms := p.Number(0, 1, math.MaxInt, "lookback")
		if int64(ms) > most.Milliseconds() {
			ms = int(most.Milliseconds())
			clamped = fmt.Sprintf("lookback=%d", ms)
		}
		back = time.Duration(ms) * time.Millisecond
	}
	return to.Add(-back), to, clamped
}
