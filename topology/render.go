package topology

import (
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// drawnEdge is how an edge was last rendered; publisher.drawn has the whole.
type drawnEdge struct {
	id      string
	due     int64                  // tick at which its windows have slid enough to look again; 0: never
	windows *[signal.Windows]shown // never changed in place: what is published points into it
	at      int32                  // where it is in the latest snapshot's edges, or the next one's; good while visible
	visible bool
}

// drawnID is the id by which an edge is drawn.
func (t *Topology) drawnID(e *edge) string {
	if e.drawn.id == "" {
		src := e.src
		if src == nowhere {
			src = t.nodes.byKey[callerNode()]
		}
		e.drawn.id = t.nodes.list[src].drawnID() + ">" + t.nodes.list[e.dst].drawnID() + "|" + e.protocol.String()
	}
	return e.drawn.id
}

// renderEdge renders an edge anew; changed says that it differs from what was
// shown. An edge of the unknown client is rendered with its node, which may have a rest for it
// (see inbound.go); one from nowhere shows that alone, in the unknown client's name.
func (t *Topology) renderEdge(e *edge, more *rest) (changed bool) {
	d := &e.drawn
	src := e.src
	if src == nowhere {
		src = t.nodes.byKey[callerNode()]
	}
	tr := &t.pub.traffic
	tr.reset()
	if e.src != nowhere {
		e.gather(tr, t.now)
	}
	if more != nil {
		more.addTo(tr, t.now)
	}
	windows := tr.show()
	is := telemetry.GraphEdge{
		ID:          t.drawnID(e),
		Source:      t.nodes.list[src].drawnID(),
		Target:      t.nodes.list[e.dst].drawnID(),
		Protocol:    e.protocol,
		Health:      e.judged.health(tr.sums[signal.Minute].Requests),
		Judgement:   e.judged.is().Judgement,
		MTLS:        e.mutual(),
		ThrottledBy: t.pub.throttled[edgeKey{src, e.dst, e.protocol}],
		Findings:    kindsOf(e.found),
		FirstSeen:   e.first,
		LastSeen:    e.last,
	}
	var total signal.Sums
	var seen [telemetry.Witnesses]uint64
	if e.src != nowhere {
		total, seen = e.total(), e.witnessed()
	}
	if more != nil {
		total = plus(total, more.totals)
		seen[more.by.witness()] += more.totals.Requests
	}
	is.Witnesses = telemetry.WitnessCounts{
		ClientSpan: seen[telemetry.ClientSpan], ServerSpan: seen[telemetry.ServerSpan], ClientLog: seen[telemetry.ClientLog], ServerLog: seen[telemetry.ServerLog],
	}
	if e.src != nowhere {
		is.Estimate = e.estimate(total.Requests, &seen)
	}
	is.Totals = telemetry.Totals{Requests: total.Requests, Errors: total.Errors, Throttled: total.Throttled}
	if e.src == nowhere {
		if d.due = 0; t.now-e.last < 310e9 { // what waits may yet be more than others show
			d.due = t.tick + 10
		}
		if total.Requests == 0 {
			changed = d.visible
			d.visible, t.pub.reorder = false, t.pub.reorder || changed
			return changed
		}
	} else {
		d.due = t.nextLook(e, tr)
	}
	t.pub.reorder = t.pub.reorder || !d.visible
	exemplars, examples := e.exemplars(t.now)
	old := t.pub.drawn(e)
	if d.visible && windows == *d.windows && is.Health == old.Health && is.Judgement == old.Judgement && is.Totals == old.Totals && is.Witnesses == old.Witnesses && is.Estimate.Same(old.Estimate) &&
		is.MTLS == old.MTLS && is.FirstSeen == old.FirstSeen && is.LastSeen == old.LastSeen && sameRates(is.ThrottledBy, old.ThrottledBy) && sameStrings(is.Findings, old.Findings) &&
		slices.Equal(exemplars[:examples], old.Exemplars) {
		return false
	}
	d.windows = new(windows)
	is.Windows = signals(d.windows)
	if examples > 0 {
		is.Exemplars = slices.Clone(exemplars[:examples])
	}
	t.pub.draw(e, &is)
	return true
}

// nextLook is when an edge without new traffic is worth another look: each
// second while the short windows drain, then every five, and never once all are empty.
func (t *Topology) nextLook(e *edge, tr *traffic) int64 {
	switch {
	case tr.sums[signal.FiveMinutes].Requests == 0:
		return 0
	case t.now-e.last < 12e9:
		return t.tick + 10
	default:
		return t.tick + 50
	}
}

// mutual is the share of requests under mutual TLS, by those who know; of
// the last 5 min, or of all time where those are silent.
func (e *edge) mutual() float64 {
	var secured, mutual, everSecured, everMutual uint64
	for _, a := range e.acc {
		if a == nil || a.Total().Secured == 0 {
			continue
		}
		s := a.Sums(signal.FiveMinutes)
		secured, mutual = secured+s.Secured, mutual+s.Mutual
		everSecured, everMutual = everSecured+a.Total().Secured, everMutual+a.Total().Mutual
	}
	switch {
	case secured > 0:
		return round3(float64(mutual) / float64(secured))
	case everSecured > 0:
		return round3(float64(everMutual) / float64(everSecured))
	default:
		return -1
	}
}

func sameRates(a, b []telemetry.RuleRate) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
