package topology

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// How judgements turned is read out of the chronicle, which has them with their times; nothing of it is kept twice.

// turned tells of a node's judgement that has changed.
func (t *Topology) turned(id string, was, is *telemetry.Judged) {
	if x, ok := healthEvent(id, was, is, t.now); ok {
		t.tell(x, t.now)
	}
}

// healthEvent is what a change of judgement is to those who read it, unless it is the same illness with other figures.
func healthEvent(id string, was, is *telemetry.Judged, at int64) (x telemetry.GraphEvent, ok bool) {
	if was.Kind == is.Kind && was.Because == is.Because && was.Health == is.Health {
		return x, false
	}
	x = telemetry.GraphEvent{
		Kind: telemetry.EventHealth, At: at, Service: id, Nodes: []string{id}, Says: is.Says, Health: is.Health, Ailment: is.Kind, Because: is.Because,
	}
	before := "it was well before"
	if was.Kind != telemetry.AilmentNone {
		before = "before: " + was.Says
	}
	x.Evidence = []string{before}
	switch {
	case is.Kind == telemetry.AilmentNone:
		x.Health = telemetry.HealthOK
		x.Says = fmt.Sprintf("%s is judged ill no longer, after %s", id, time.Duration(at-was.Since).Round(time.Second))
	case is.Because == telemetry.SharedCause:
	case is.Because != "":
		x.Nodes = append(x.Nodes, is.Because)
	case was.Kind == telemetry.AilmentNone || was.Because != "":
		x.Kind = telemetry.EventCulprit
	}
	return x, true
}

// Events are what happened from from (inclusive) to to (exclusive), the latest first. They belong to the caller.
func (t *Topology) Events(from, to time.Time) telemetry.GraphEvents {
	t.mu.Lock()
	told, since := t.events.annals.Events()
	list := slices.Clone(told)
	past, began := t.observant.verdict.judgements(t), t.observant.verdict.past.began
	list = append(list, t.doubts.foundEvents()...)
	t.mu.Unlock()
	list = append(list, turns(past, began)...)
	start, end := from.UnixNano(), to.UnixNano()
	list = slices.DeleteFunc(list, func(e telemetry.GraphEvent) bool { return e.At < start || e.At >= end })
	slices.SortStableFunc(list, func(x, y telemetry.GraphEvent) int {
		return cmp.Or(cmp.Compare(y.At, x.At), strings.Compare(x.Service, y.Service), cmp.Compare(x.Kind, y.Kind))
	})
	return telemetry.GraphEvents{List: list, Since: max(since, began)}
}

// judgements are all of nodes that are known, those in force too.
func (v *verdict) judgements(t *Topology) (out []pastJudgement) {
	for i := range v.past.over {
		if !v.past.over[i].edge {
			out = append(out, v.past.over[i])
		}
	}
	for _, id := range v.nodes {
		if n := t.nodes.list[id]; n != nil && n.judged != nil {
			out = append(out, pastJudgement{judgement: *n.judged, id: n.drawnID(), until: math.MaxInt64})
		}
	}
	return out
}

// turns are the changes from one judgement to the next. began is since when they are known: what was in force already did not turn then.
func turns(past []pastJudgement, began int64) (out []telemetry.GraphEvent) {
	slices.SortFunc(past, func(x, y pastJudgement) int {
		return cmp.Or(strings.Compare(x.id, y.id), cmp.Compare(x.from, y.from))
	})
	well := telemetry.Judged{}
	add := func(id string, was, is *telemetry.Judged, at int64) {
		if x, ok := healthEvent(id, was, is, at); ok && at >= began {
			out = append(out, x)
		}
	}
	for i := range past {
		p := &past[i]
		was := &well
		if i > 0 && past[i-1].id == p.id && past[i-1].until == p.from {
			was = &past[i-1].Judged
		}
		add(p.id, was, &p.Judged, p.from)
		if next := i + 1; p.until < math.MaxInt64 && (next == len(past) || past[next].id != p.id || past[next].from != p.until) {
			add(p.id, &p.Judged, &well, p.until)
		}
	}
	return out
}

// News are the events that were told after so many, the oldest first, and how many there are now: what to ask with next.
func (t *Topology) News(after uint64) (list []telemetry.GraphEvent, told uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ev := &t.events
	if n := ev.told - min(after, ev.told); n > 0 {
		list = slices.Clone(ev.fresh[len(ev.fresh)-int(min(n, uint64(len(ev.fresh)))):]) //nolint:gosec // bounded
	}
	return list, ev.told
}
