// Package health judges traffic. It holds the one rule by which the live graph,
// the graph of a past range, and through them the API and the web view call an edge or a
// node ok, degraded or failing. The rule sees plain figures and keeps nothing.
package health

import (
	"fmt"
	"math"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The rule, of an edge's traffic or of a node's inbound traffic:
//
//	idle      no request in the window
//	failing   errors are at least FailingErrors of the requests; or the p90 is at
//	          least FailingLatency times that of the time before
//	degraded  the same with DegradedErrors and DegradedLatency; or at least the
//	          share Throttled of the requests were refused by a limit
//	ok        otherwise
//
// A count is taken as its lower bound, one standard deviation less (n - sqrt(n)), and one
// case is none: a few errors among few requests are chance more often than not, and a
// map that flickers is not looked at.
//
// A limit that refuses is doing its work: throttling alone never makes more than
// degraded. Latency is judged only where both windows hold enough requests to have a
// p90, and never below LatencyFloor.

// How many requests a window must hold.
const (
	// RecentEnough is how many make the window that is judged tell anything.
	RecentEnough = 20
	// BaselineEnough is how many make the time before a measure to judge by.
	BaselineEnough = 50
)

// Quantile is the one of the latencies that is compared.
const Quantile = 0.9

// Config says what is ill. Shares are of requests, from 0 to 1.
type Config struct {
	// DegradedErrors and FailingErrors are the shares of errors from which on it is.
	DegradedErrors float64 `yaml:"degraded_errors"`
	FailingErrors  float64 `yaml:"failing_errors"`
	// Throttled is the share that a limit refuses from which on it is degraded.
	Throttled float64 `yaml:"throttled"`
	// DegradedLatency and FailingLatency are by how many times the p90 exceeds
	// that of the time before.
	DegradedLatency float64 `yaml:"degraded_latency"`
	FailingLatency  float64 `yaml:"failing_latency"`
	// LatencyFloor is the p90 below which nothing is slow, whatever it was before.
	LatencyFloor time.Duration `yaml:"latency_floor"`
}

// DefaultConfig is the configuration of an empty section.
func DefaultConfig() Config {
	return Config{
		DegradedErrors: 0.05, FailingErrors: 0.1, Throttled: 0.05,
		DegradedLatency: 2, FailingLatency: 5, LatencyFloor: 10 * time.Millisecond,
	}
}

// Validate reports the first field that makes no sense, by its path in the section.
func (c *Config) Validate() error {
	for _, f := range []struct {
		ok         bool
		path, want string
		have       any
	}{
		{share(c.DegradedErrors), "degraded_errors", "above 0, at most 1", c.DegradedErrors},
		{share(c.FailingErrors), "failing_errors", "above 0, at most 1", c.FailingErrors},
		{share(c.Throttled), "throttled", "above 0, at most 1", c.Throttled},
		{c.DegradedLatency > 1, "degraded_latency", "above 1", c.DegradedLatency},
		{c.FailingLatency > 1, "failing_latency", "above 1", c.FailingLatency},
		{c.LatencyFloor >= 0, "latency_floor", "0 or more", c.LatencyFloor},
	} {
		if !f.ok {
			return fmt.Errorf("%s: %v is not %s", f.path, f.have, f.want)
		}
	}
	return nil
}

func share(f float64) bool { return f > 0 && f <= 1 }

// A Latency is how long the requests of a window took.
type Latency struct {
	P90      float64 // milliseconds; of no meaning where Requests is 0
	Requests float64 // of which the p90 is
}

// Traffic is what is judged: the requests of one window, those among them that
// failed and that a limit refused (see telemetry.Outcome; none is both), and how long
// they took, beside the time before. A zero Latency is one that is not known.
type Traffic struct {
	Requests, Errors, Throttled float64
	Latency, Before             Latency
}

// Judge applies the rule.
func (c *Config) Judge(t Traffic) telemetry.Health {
	if t.Requests == 0 {
		return telemetry.HealthIdle
	}
	slower := c.slower(t.Latency, t.Before)
	switch {
	case atLeast(t.Errors, c.FailingErrors*t.Requests), slower >= c.FailingLatency:
		return telemetry.HealthFailing
	case atLeast(t.Errors, c.DegradedErrors*t.Requests), atLeast(t.Throttled, c.Throttled*t.Requests), slower >= c.DegradedLatency:
		return telemetry.HealthDegraded
	default:
		return telemetry.HealthOK
	}
}

// ComparesLatency says whether a latency is compared with the time before at all.
// Where it is not, Traffic.Before need not be found out.
func (c *Config) ComparesLatency(l Latency) bool {
	return l.Requests >= RecentEnough && l.P90*float64(time.Millisecond) >= float64(c.LatencyFloor)
}

// atLeast says that a count is above a bound beyond chance, and no single case.
func atLeast(n, bound float64) bool { return n >= 2 && n-math.Sqrt(n) >= bound }

// slower is by how many times the p90 exceeds that of the time before, 0 where
// it cannot be told or does not matter.
func (c *Config) slower(now, before Latency) float64 {
	if !c.ComparesLatency(now) || before.Requests < BaselineEnough || before.P90 <= 0 {
		return 0
	}
	return now.P90 / before.P90
}
