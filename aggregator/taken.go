package aggregator

import (
	"github.com/prometheus/prometheus/model/labels"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The problem: what was counted on an edge may have to be taken back, when the other half of the request comes late and says that it belongs to
// another (topology/late.go). A counter cannot fall: whoever reads it would take that for a new beginning, and count all of it again.
//
// The form: a series that had something taken back has a companion, of the same labels and the name canonical.Taken, which counts that. The two
// are made, written and left together, so that at each moment their difference is what the series counted and is still true. Readers
// take it off: the past graph (graphdraw.go), and what PromQL reads (aggregator/views/net.go).
//
// A companion does not count against the limit on series: there are no more of them than of the others.

// takeBack counts that an observation which s has counted is taken back. Where s has none left, since its request was counted in the overflow, that has.
func (a *Aggregator) takeBack(s *series, o *telemetry.Observation) {
	if s.left() == 0 {
		if over := a.edgeOverflow[o.Outcome]; over != nil && over.left() > 0 {
			s = over
		}
	}
	t := s.taken
	if t == nil {
		t = a.companion(s)
	}
	t.lastSeen = a.now
	t.latency.observe(o.Duration)
	t.dirty = true
}

// companion makes a series' companion.
func (a *Aggregator) companion(s *series) *series {
	ls := labels.NewBuilder(s.labels).Set(labels.MetricName, canonical.Taken).Labels()
	s.taken = a.newSeries(ls, s.fold)
	return s.taken
}

// left is how many requests the series has counted that were not taken back.
func (s *series) left() uint64 {
	n := s.latency.count
	if s.taken != nil {
		n -= min(n, s.taken.latency.count)
	}
	return n
}
