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

// What was found at a moment of the past, so that a graph of then says why it may be wrong, as the live graph of then did; and when each began and ended to be told, which are events.
//
// The form is the chronicle's: what is told now stands in doubts.told, with the time since which it is; what is over is a list, of which the latest mostFound are kept.

// mostFound is how many findings that are over are remembered. Their sentences make them about 1 kB each.
const mostFound = 1024

// A pastFinding was told from from until until, Unix nanoseconds. It has the words of its end.
type pastFinding struct {
	telemetry.Finding
	from, until int64
}

// turnFindings takes in another list of what is told, and gives what has ended.
func (d *doubts) turnFindings(told []telemetry.Finding, now int64) (ended []pastFinding) {
	place := func(list []telemetry.Finding, f *telemetry.Finding) int {
		return slices.IndexFunc(list, func(o telemetry.Finding) bool { return o.Kind == f.Kind && o.Subject == f.Subject })
	}
	since := make([]int64, len(told))
	for i := range told {
		since[i] = now
		if at := place(d.told, &told[i]); at >= 0 {
			since[i] = d.since[at]
		}
	}
	for i := range d.told {
		if place(told, &d.told[i]) < 0 {
			ended = append(ended, pastFinding{d.told[i], d.since[i], now})
			d.part(ended[len(ended)-1])
		}
	}
	d.told, d.since = told, since
	return ended
}

func (d *doubts) part(p pastFinding) {
	if len(d.over) >= mostFound {
		d.over = slices.Clone(d.over[mostFound/8:])
	}
	d.over = append(d.over, p)
}

// FoundAt is what the graph told at a moment of why it may be wrong, the gravest first. It belongs to the caller; what is in it does not.
func (t *Topology) FoundAt(at time.Time) (out []telemetry.Finding) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d, when := &t.doubts, at.UnixNano()
	for i := range d.over {
		if p := &d.over[i]; p.from <= when && when < p.until {
			out = append(out, p.Finding)
		}
	}
	for i := range d.told {
		if d.since[i] <= when {
			out = append(out, d.told[i])
		}
	}
	slices.SortStableFunc(out, func(a, b telemetry.Finding) int {
		return cmp.Or(cmp.Compare(a.Severity, b.Severity), a.Since.Compare(b.Since), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Subject, b.Subject))
	})
	return out
}

// foundEvents are the beginnings and the ends of findings.
func (d *doubts) foundEvents() (out []telemetry.GraphEvent) {
	for i := range d.over {
		p := &d.over[i]
		out = append(out, findingBegan(&p.Finding, p.from), findingEnded(&p.Finding, p.from, p.until))
	}
	for i := range d.told {
		out = append(out, findingBegan(&d.told[i], d.since[i]))
	}
	return out
}

func findingBegan(f *telemetry.Finding, at int64) telemetry.GraphEvent {
	return telemetry.GraphEvent{
		Kind: telemetry.EventFinding, At: at, Service: f.Subject, Nodes: f.Nodes, Edges: f.Edges, Says: f.Says, Finding: f.Kind,
		Evidence: append(slices.Clone(f.Evidence), "what to do: "+f.Remedy),
	}
}

func findingEnded(f *telemetry.Finding, from, until int64) telemetry.GraphEvent {
	e := findingBegan(f, until)
	e.Ended = true
	e.Says = fmt.Sprintf("%s is not found of %s any more, after %s", f.Kind, f.Subject, time.Duration(until-from).Round(time.Second))
	e.Evidence = []string{"at the end it said: " + f.Says}
	return e
}

// tellTurns passes on which findings began or ended just now.
func (t *Topology) tellTurns(ended []pastFinding) {
	d := &t.doubts
	for i := range ended {
		t.tell(findingEnded(&ended[i].Finding, ended[i].from, t.now), t.now)
	}
	for i := range d.told {
		if d.since[i] == t.now {
			t.tell(findingBegan(&d.told[i], t.now), t.now)
		}
	}
}

// pastFindings are those that are over, and, with until at the end of time, those that are told, as they are saved.
func (d *doubts) pastFindings() []pastFinding {
	all := slices.Clone(d.over)
	for i := range d.told {
		all = append(all, pastFinding{d.told[i], d.since[i], math.MaxInt64})
	}
	return all
}

// recallFindings takes them over.
func (t *Topology) recallFindings(all []pastFinding) {
	d := &t.doubts
	for _, p := range all {
		if p.until < math.MaxInt64 {
			d.part(p)
			continue
		}
		d.told, d.since = append(d.told, p.Finding), append(d.since, p.from)
	}
	d.book.Recall(d.told)
	t.tellFindings()
}
