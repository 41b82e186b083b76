package findings

import (
	"fmt"
	"math"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The problem: where one service keeps one trace in a hundred, or its spans get lost, and the others keep all, its edges' figures come from few spans and each trace through it
// is torn. In a mesh that keeps one in a hundred everywhere nothing is wrong.
//
// The rule: the share of requests of which there are spans is that of the service's own spans to its own proxy's log entries, which nobody samples; where there are no logs, that of its server's
// spans to its callers' spans. Wrong is less than half of the median share of all services, or more than twice that, and by at least 30 requests.
// Where its spans themselves say which share is kept, and its log tells of more than twice as many, the rest is lost on the way, whatever others keep.
//
// Counts of a few seconds are compared where spans and logs come at least every 1.5 s, else those of a minute. Log entries that are themselves double are another finding.
const (
	enoughToCompare = 60
	apart           = 2.0
	alike           = 1.4
	missing         = 30
)

func samplingDiffers(s *Service, m *Mesh) (Opinion, telemetry.Finding) {
	none := telemetry.Finding{}
	if s.Spans.Last == 0 || !s.Traced || twice(&s.Recent) || twice(&s.Minute) {
		return Unsure, none
	}
	t := &s.Minute
	if s.Spans.quick() && s.Logs.quick() {
		t = &s.Recent
	}
	spans, requests, by := t.spans(), t.logs(), "its proxy's log"
	usual := m.Kept
	if requests == 0 {
		t, by, usual = &s.Settled, "its callers' spans", 1
		spans, requests = t.In[telemetry.ServerSpan], t.In[telemetry.ClientSpan]
	}
	if requests < enoughToCompare || spans == 0 || usual == 0 {
		return Unsure, none
	}
	share := float64(spans) / float64(requests)
	expected := usual * float64(requests)
	byLog := by == "its proxy's log"
	lost := byLog && share*apart < s.Stated && s.Stated*float64(requests)-float64(spans) >= missing
	switch {
	case lost:
	case share*alike >= usual && share <= usual*alike:
		return Well, none
	case share*apart < usual && expected-float64(spans) >= missing:
	case share > usual*apart && float64(spans)-expected >= missing && byLog:
	default:
		return Unsure, none
	}
	f := telemetry.Finding{
		Severity: telemetry.SeverityWarning, Edges: calling(s),
		Says:     fmt.Sprintf("%s sends spans of %s of its requests where others do of %s: %d spans in %s against %d requests by %s", s.Name, percent(share), percent(usual), spans, seconds(t.Seconds), requests, by),
		Remedy:   "give " + s.Name + " the sampler of the others, one that follows its parent (parentbased); where it has that, see whether its exporter or a collector on the way loses spans",
		Evidence: []string{"in the last minute: " + witnesses(&s.Minute.In)},
	}
	switch {
	case lost:
		f.Says = fmt.Sprintf("spans of %s get lost: they say that %s of its requests are sampled, and those of %s came: %d spans in %s against %d requests by %s", s.Name, percent(s.Stated), percent(share), spans, seconds(t.Seconds), requests, by)
		f.Remedy = "see whether the exporter of " + s.Name + " or a collector on the way loses spans: a queue that is full, a limit of memory, a sampler behind it that does not say so in the spans"
		return Wrong, f
	case s.Stated > 0:
		f.Evidence = append(f.Evidence, "its spans say that their sampler keeps "+percent(s.Stated))
	}
	if n := math.Round(usual / share); n >= 2 {
		f.Evidence = append(f.Evidence, fmt.Sprintf("the counts part by a factor of %.0f", n))
	}
	return Wrong, f
}

// Share is of what share of its requests a service has spans, where its log can tell.
func Share(s *Service) (share float64, known bool) {
	t := &s.Minute
	if t.logs() < enoughToCompare || twice(t) {
		return 0, false
	}
	return float64(t.spans()) / float64(t.logs()), true
}

func percent(share float64) string {
	switch p := 100 * share; {
	case p >= 9.95:
		return fmt.Sprintf("%.0f %%", p)
	default:
		return fmt.Sprintf("%.1f %%", p)
	}
}
