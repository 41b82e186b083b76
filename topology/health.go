package topology

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// SetHealth changes the rule by which edges and nodes are judged. What is drawn
// is judged by it when its windows have slid, which is within seconds.
func (t *Topology) SetHealth(rule health.Config) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cfg.Health = rule
}

// judge has an edge or node judged by its windows. What is judged are the last
// 10 s if they hold enough requests, else the last minute; the time before are the
// last 5 minutes without them.
func (t *Topology) judge(sums *[signal.Windows]signal.Sums, took *[signal.Windows]signal.Dist) telemetry.Health {
	w := signal.TenSeconds
	if sums[w].Requests < health.RecentEnough {
		w = signal.Minute
	}
	s, cfg := &sums[w], &t.cfg.Health
	tr := health.Traffic{Requests: float64(s.Requests), Errors: float64(s.Errors), Throttled: float64(s.Throttled), Latency: latency(&took[w])}
	if all := &took[signal.FiveMinutes]; cfg.ComparesLatency(tr.Latency) && all.Total >= took[w].Total+health.BaselineEnough {
		before := all.Without(&took[w])
		tr.Before = latency(&before)
	}
	return cfg.Judge(tr)
}

// latency is what the rule sees of a distribution.
func latency(d *signal.Dist) health.Latency {
	l := health.Latency{Requests: float64(d.Total)}
	if d.Total >= health.RecentEnough {
		var ms [1]float64
		d.Quantiles([]float64{health.Quantile}, ms[:])
		l.P90 = ms[0]
	}
	return l
}
