package findings

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The problem: one of several replicas stops while its siblings go on, and the service's figures hardly change. It must be told from one that has its turn seldom, from a night in which all
// are quiet, and from a release, in which old replicas go and new ones come.
//
// The rule: from its share of the batches before, and from what its siblings sent since, follows how many it should have sent. Where that is 20 or more, it sent none, and it was silent for 3 s,
// it fell silent (but for a second proxy that logged what others log, too: that is well): by chance that happens once in 10^8 times. Spans and logs are counted apart, so that a tracer that is switched off is no replica's silence. It was replaced, and
// nothing is wrong, if another appeared since, or half a minute before. What stays silent for a quarter of an hour was meant to: a service that was scaled down.
const (
	shouldHave   = 20.0
	leastSilence = 3 * time.Second
	scaledDown   = 15 * time.Minute
	replacedBy   = 30 * time.Second
	someReports  = 10
	leastLife    = 10 * time.Second
)

func replicaSilent(s *Service, _ *Mesh) (Opinion, telemetry.Finding) {
	if len(s.Replicas) == 0 {
		return Unsure, telemetry.Finding{}
	}
	var silent []*Replica
	for i := range s.Replicas {
		r := &s.Replicas[i]
		if s.Now-r.Last < int64(scaledDown) && fellSilent(s, r) {
			silent = append(silent, r)
		}
	}
	came := 0
	names := map[string]bool{}
	for _, r := range silent {
		names[r.Name] = true
	}
	for i := range s.Replicas {
		n := &s.Replicas[i]
		if len(silent) > 0 && !names[n.Name] && n.Spans == silent[0].Spans && n.First > silent[0].Last-int64(replacedBy) && time.Duration(s.Now-n.Last) < 2*replacedBy {
			came++
		}
	}
	if len(names) == 0 || came >= len(names) {
		return Well, telemetry.Finding{}
	}
	gone := make([]string, 0, len(names))
	for name := range names {
		gone = append(gone, name)
	}
	slices.Sort(gone)
	r := silent[0]
	f := telemetry.Finding{
		Severity: telemetry.SeverityWarning, Count: uint64(len(gone)),
		Says:     fmt.Sprintf("%s, a replica of %s, fell silent at %s while its siblings go on", strings.Join(gone[:min(len(gone), 4)], ", "), s.Name, clockTime(r.Last)),
		Remedy:   "see whether it still runs, and whether it can reach this server; if " + s.Name + " was scaled down, this ends by itself a quarter of an hour after",
		Evidence: []string{fmt.Sprintf("by its share of late, and by the %d batches that its siblings sent since, it should have sent %.0f; it sent none", r.Since, math.Floor(due(r)))},
	}
	if len(gone) > 1 {
		f.Says = fmt.Sprintf("%d replicas of %s fell silent, %s the first at %s, while their siblings go on", len(gone), s.Name, strings.Join(gone[:min(len(gone), 4)], ", "), clockTime(r.Last))
	}
	return Wrong, f
}

func fellSilent(s *Service, r *Replica) bool {
	return !r.Second && r.Reports >= someReports && r.Last-r.First >= int64(leastLife) && s.Now-r.Last >= int64(leastSilence) && due(r) >= shouldHave
}

// due is how many batches a replica should have sent since its last.
func due(r *Replica) float64 {
	if r.All <= r.Reports {
		return 0 // it had no siblings
	}
	return float64(r.Since) * float64(r.Reports) / float64(r.All-r.Reports)
}
