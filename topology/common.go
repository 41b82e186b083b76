package topology

import (
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/blame"
	"github.com/binnacle-mesh/binnacle/telemetry/findings"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
)

// Before somebody is named it is asked whether many have the same at once: see blame.Common. Where many services are, a sample is asked, so that the work of a sitting has
// a bound; who is in it follows from the hashes of names, and so not from places.

// surveyed is how many nodes are asked at most, about.
const surveyed = 128

// survey is what was asked in one sitting, by window; nil: not yet.
type survey [health.Windows]*blame.Common

// common is what many have at once in a window.
func (t *Topology) common(s *survey, window int) *blame.Common {
	if s[window] != nil {
		return s[window]
	}
	all := new(blame.Common)
	s[window] = all
	caller := t.nodes.byKey[callerNode()]
	stride := uint64(1 + t.nodes.live/surveyed) //nolint:gosec // not negative
	var calls []health.Figures
	for id, n := range t.nodes.list {
		if n == nil || id == nowhere || len(n.in) == 0 || nodeID(id) == caller || n.hash%stride != 0 { //nolint:gosec // an index
			continue
		}
		if n.watch.Usual(t.now).Requests < health.BaselineEnough {
			continue
		}
		ws := t.nodeWindows(n)
		requests := ws[window].Requests
		if requests == 0 {
			continue
		}
		f := t.figures(&n.watch, &ws, window)
		calls = calls[:0]
		for _, e := range n.out {
			if e.dst != nodeID(id) { //nolint:gosec // an index
				of := t.edgeWindows(e)
				calls = append(calls, t.figures(&e.watch, &of, window))
			}
		}
		all.Ask(n.drawnID(), requests, &f, calls)
	}
	return all
}

// manySubject is whom the finding is about that many services are ill of what they share.
const manySubject = "the mesh"

// noteShared has it told that several are ill of what they share.
func (t *Topology) noteShared(s *blame.Shared) {
	o := findings.Opined{Kind: findings.CauseShared, Opinion: findings.Well, Finding: telemetry.Finding{Kind: string(findings.CauseShared), Subject: manySubject}}
	if s != nil {
		o.Opinion = findings.Wrong
		f := &o.Finding
		f.Severity, f.Nodes, f.Says, f.Evidence, f.Count = telemetry.SeverityInfo, s.Nodes, s.Says, s.Evidence, uint64(len(s.Nodes))
		f.Remedy = "look at what they share, and not at one of them: the host and its neighbours, the network, a database or queue that sends no telemetry, the collector that measures them"
	}
	t.doubts.book.Note(t.now, &o)
}
