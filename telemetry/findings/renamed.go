package findings

import (
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The problem: a service that reports under another name from some moment on is two services to the graph: one that vanished, with all that is known of it, and one that is new.
//
// The rule: one that had reported for half a minute at least fell silent; another that had not been there reports since about then; and they stand at the same place: of all that call the one or the
// other, or are called by them, seven in ten do so with both, and most of their operations have the same names. It ends when the old one reports again, or is forgotten.
//
// A release that takes calls over to a service that was there before is none; a service that is split has two new names, of which neither has all its neighbours.
const (
	atLeastLived = 30 * time.Second
	sameMoment   = 15 * time.Second
	alikeShare   = 0.7
	sameNames    = 0.5
)

// Place is where in the graph a service stands, or stood before it fell silent.
type Place struct {
	ID, Name   string
	Edges      []string // those that lead to it or from it
	Since      int64    // when it was first heard of
	Reported   int64    // when it last reported
	Pause      time.Duration
	Callers    []string // ids, in order
	Callees    []string // ids, in order
	Operations uint64   // a bit for each name of an operation, by its hash
	Requests   uint64   // that it was told of, of late
}

// Silent says that a service that had lived reports no longer.
func (p *Place) Silent(now int64) bool {
	return time.Duration(now-p.Reported) >= max(3*time.Second, 3*p.Pause) && p.Reported-p.Since >= int64(atLeastLived)
}

// Fresh says that a service has reported for a moment only, and does.
func (p *Place) Fresh(now int64) bool {
	return time.Duration(now-p.Reported) < max(3*time.Second, 3*p.Pause) && p.Requests >= someRequests
}

// Renamed judges whether before reports as after now.
func Renamed(before, after *Place, now int64) Opined {
	o := Opined{Kind: ServiceRenamed, Opinion: Well, Finding: telemetry.Finding{Kind: string(ServiceRenamed), Subject: before.ID}}
	if !before.Silent(now) || time.Duration(after.Since-before.Reported).Abs() > sameMoment {
		return o
	}
	if !after.Fresh(now) {
		o.Opinion = Unsure
		return o
	}
	callers, allCallers := common(before.Callers, after.Callers)
	callees, allCallees := common(before.Callees, after.Callees)
	some, all := callers+callees, allCallers+allCallees
	operations, known := 1.0, before.Operations != 0 && after.Operations != 0
	if known {
		operations = float64(bits.OnesCount64(before.Operations&after.Operations)) / float64(bits.OnesCount64(after.Operations))
	}
	if float64(some) < alikeShare*float64(all) || operations < sameNames || some == 0 || some == 1 && !known {
		return o
	}
	o.Opinion = Wrong
	f := &o.Finding
	f.Severity, f.Nodes, f.Edges = telemetry.SeverityInfo, []string{before.ID, after.ID}, after.Edges
	f.Says = fmt.Sprintf("%s reports as %s since %s: the one fell silent when the other appeared, at the same place", before.Name, after.Name, clockTime(after.Since))
	f.Remedy = "if that was meant, nothing; what was learned of " + before.Name + " does not count for " + after.Name + ", and dashboards and rules that name the old one see nothing any more"
	f.Evidence = []string{fmt.Sprintf("both have %d of %d callers (%s) and %d of %d callees (%s)", callers, allCallers, some4(after.Callers), callees, allCallees, some4(after.Callees))}
	if known {
		f.Evidence = append(f.Evidence, percent(operations)+" of the new one's operations have the names of the old one's")
	}
	return o
}

// common is how many two ordered lists have in common, and how many are in either.
func common(a, b []string) (both, either int) {
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case j == len(b) || i < len(a) && a[i] < b[j]:
			i++
		case i == len(a) || b[j] < a[i]:
			j++
		default:
			both++
			i++
			j++
		}
		either++
	}
	return both, either
}

func some4(ids []string) string {
	if len(ids) == 0 {
		return "none"
	}
	if len(ids) > 4 {
		return strings.Join(ids[:4], ", ") + ", …"
	}
	return strings.Join(ids, ", ")
}
