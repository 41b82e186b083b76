package aggregator

import (
	"maps"
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
)

// summarize is called when the range has been read. It finds each edge's best witness,
// gives nodes what their inbound edges saw, and marks whose time before is wanted:
// where a latency is below what is ever ill, it need not be read.
func (d *drawing) summarize(pause func() error) error {
	// In the order of the edges: sums of floats depend on it.
	for _, id := range slices.Sorted(maps.Keys(d.edges)) {
		e := d.edges[id]
		for w := range e.witnesses {
			if e.witnesses[w].requests > e.witnesses[e.best].requests {
				e.best = telemetry.Witness(w)
			}
		}
		best := &e.witnesses[e.best]
		e.target.inbound.add(best)
		e.source.calls = true
		e.compared = d.rule.ComparesLatency(latencyOf(best))
		if err := pause(); err != nil {
			return err
		}
	}
	for _, n := range d.nodes {
		n.compared = d.rule.ComparesLatency(latencyOf(&n.inbound))
		if err := pause(); err != nil {
			return err
		}
	}
	for _, e := range d.edges {
		e.compared = e.compared || e.target.compared
		d.compares = d.compares || e.compared
	}
	return nil
}

// wantsBefore says whether a series' time before is wanted: that of the best
// witness of an edge whose latency is compared, or that leads to a node whose is.
func (d *drawing) wantsBefore(ls labels.Labels) bool {
	e := d.edgeOf(ls)
	return e != nil && e.compared && witnessOf(ls) == e.best
}

// addBefore takes in what a canonical series counted in the time before.
func (d *drawing) addBefore(ls labels.Labels, inc increase) {
	e := d.edgeOf(ls)
	s := seen{requests: inc.count(), latency: inc.hist}
	e.before.add(&s)
	e.target.before.add(&s)
}

// judge applies the live graph's rule to the range as a whole.
func (d *drawing) judge(now, before *seen) telemetry.Health {
	return d.rule.Judge(health.Traffic{
		Requests: now.requests, Errors: now.errors, Throttled: now.throttled,
		Latency: latencyOf(now), Before: latencyOf(before),
	})
}

func latencyOf(s *seen) health.Latency {
	if s.requests == 0 {
		return health.Latency{}
	}
	return health.Latency{P90: quantile(s.latency, health.Quantile), Requests: s.requests}
}
