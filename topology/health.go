package topology

import (
	"math"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// The health rule, of an edge's traffic or of a node's inbound traffic:
//
//	idle      no request in the last minute
//	failing   errors are at least FailingErrors of the recent requests; or the
//	          recent p90 is at least FailingLatency times that of the minutes before
//	degraded  the same with DegradedErrors and DegradedLatency; or at least the
//	          share Throttled of the recent requests were refused by a limit
//	ok        otherwise
//
// A count is taken as its lower bound, one standard deviation less (n - sqrt(n)), and one
// case is none: a few errors among few requests are chance more often than not, and a
// map that flickers is not looked at.
//
// Recent is the last 10 s if they hold 20 requests, else the last minute. The
// minutes before are the last 5 without the recent; latency is judged when both
// hold enough to have a p90 (20 and 50), and never below LatencyFloor. A limit that
// refuses is doing its work: throttling alone never makes more than degraded.
const (
	recentEnough   = 20
	baselineEnough = 50
)

func (c *HealthConfig) judge(s *[signal.Windows]signal.Sums, d *[signal.Windows]signal.Dist) telemetry.Health {
	if s[signal.Minute].Requests == 0 {
		return telemetry.HealthIdle
	}
	w := signal.TenSeconds
	if s[w].Requests < recentEnough {
		w = signal.Minute
	}
	all := float64(s[w].Requests)
	errs, refused := float64(s[w].Errors), float64(s[w].Throttled)
	slower := c.slower(&d[w], &d[signal.FiveMinutes])
	switch {
	case atLeast(errs, c.FailingErrors*all), slower >= c.FailingLatency:
		return telemetry.HealthFailing
	case atLeast(errs, c.DegradedErrors*all), atLeast(refused, c.Throttled*all), slower >= c.DegradedLatency:
		return telemetry.HealthDegraded
	default:
		return telemetry.HealthOK
	}
}

// atLeast says that a count is above a bound beyond chance, and no single case.
func atLeast(n, bound float64) bool { return n >= 2 && n-math.Sqrt(n) >= bound }

// slower is by how many times the recent p90 exceeds that of the time before,
// 0 where it cannot be told or does not matter.
func (c *HealthConfig) slower(recent, all *signal.Dist) float64 {
	if recent.Total < recentEnough || all.Total < recent.Total+baselineEnough {
		return 0
	}
	before := all.Without(recent)
	p90 := []float64{0.9}
	var now, was [1]float64
	if before.Total < baselineEnough || !recent.Quantiles(p90, now[:]) || !before.Quantiles(p90, was[:]) || now[0] < float64(c.LatencyFloor)/1e6 {
		return 0
	}
	return now[0] / was[0]
}
