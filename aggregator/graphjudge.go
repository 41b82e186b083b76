package aggregator

import (
	"maps"
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
)

// choose finds what an edge shows, as the live graph does: see topology/figures.go.
func (e *drawnEdge) choose() {
	better := func(a, b telemetry.Witness) telemetry.Witness {
		if e.witnesses[b].requests > e.witnesses[a].requests {
			return b
		}
		return a
	}
	spans, logs := better(telemetry.ClientSpan, telemetry.ServerSpan), better(telemetry.ClientLog, telemetry.ServerLog)
	if e.best = spans; e.witnesses[logs].requests > e.witnesses[spans].requests+e.alone.requests {
		e.best = logs
	}
	e.shown = seen{}
	e.shown.add(&e.witnesses[e.best])
	if e.best == spans {
		e.shown.add(&e.alone)
	}
}

// shows says whether what a series counted is of what the edge shows.
func (e *drawnEdge) shows(ls labels.Labels) bool {
	if aloneIn(ls) {
		return e.best.Evidence() == telemetry.EvidenceSpan
	}
	return witnessOf(ls) == e.best
}

// summarize is called when the range has been read. It finds what each edge shows,
// gives nodes what their inbound edges saw, and marks whose time before is wanted:
// where a latency is below what is ever ill, it need not be read.
func (d *drawing) summarize(pause func() error) error {
	// In the order of the edges: sums of floats depend on it.
	for _, id := range slices.Sorted(maps.Keys(d.edges)) {
		e := d.edges[id]
		e.choose()
		e.target.inbound.add(&e.shown)
		e.source.calls = true
		e.source.made += e.shown.requests
		e.compared = !d.known && d.rule.ComparesLatency(latencyOf(&e.shown))
		if err := pause(); err != nil {
			return err
		}
	}
	for _, n := range d.nodes {
		n.compared = !d.known && d.rule.ComparesLatency(latencyOf(&n.inbound))
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

// wantsBefore says whether a series' time before is wanted: that of what is
// shown of an edge whose latency is compared, or that leads to a node whose is.
func (d *drawing) wantsBefore(ls labels.Labels) bool {
	e := d.edgeOf(ls)
	return e != nil && e.compared && e.shows(ls)
}

// addBefore takes in what a canonical series counted in the time before.
func (d *drawing) addBefore(ls labels.Labels, inc increase) {
	e := d.edgeOf(ls)
	s := seen{requests: inc.count(), latency: inc.hist}
	e.before.add(&s)
	e.target.before.add(&s)
}

// judge is the health that the live graph gave; where that is not known, the one that the rule gives the range as a whole.
func (d *drawing) judge(judged telemetry.Judged, now, before *seen) telemetry.Health {
	switch {
	case judged.Kind != telemetry.AilmentNone:
		return judged.Health
	case d.known && now.requests == 0:
		return telemetry.HealthIdle
	case d.known:
		return telemetry.HealthOK
	}
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
