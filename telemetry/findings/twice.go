package findings

import (
	"fmt"
	"math"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The problem: where two proxies stand on one side of a hop and both report as the service, or one reports connections and another the requests in them, the map shows twice the traffic
// or two edges for one.
//
// The rule: one witness tells of at least 1.6 times as many requests as each of two others that agree, one of them at the other end of the hop. Attempts that were repeated do not look so:
// then spans and logs of the callee's side are more alike. Nor is it said of who had no tracer until just now: the logs of such meet nothing, and callers' spans meet others. Or: the same caller has an edge of TCP and one of a protocol within it, and logs tell of as many on the one as on the other.
const (
	double       = 1.6
	agree        = 0.7
	beyondChance = 5.0 // standard deviations of what the others tell of
	enoughAtOnce = 50  // requests of a few seconds; where there are fewer the minute is looked at
)

func reportedTwice(s *Service, _ *Mesh) (Opinion, telemetry.Finding) {
	t := &s.Minute
	if s.Logs.quick() && (s.Spans.Last == 0 || s.Spans.quick()) && max(s.Recent.In[telemetry.ServerLog], s.Recent.Out[telemetry.ClientLog]) >= enoughAtOnce {
		t = &s.Recent
	}
	if o, f := layers(s); o == Wrong {
		return o, f
	}
	switch {
	case !s.Traced || t.In[telemetry.ServerLog] < someRequests && t.Out[telemetry.ClientLog] < someRequests:
		return Unsure, telemetry.Finding{}
	case !twice(t):
		return Well, telemetry.Finding{}
	}
	f := telemetry.Finding{Severity: telemetry.SeverityWarning}
	n, side := t.In, "came to it"
	most, others := n[telemetry.ServerLog], max(n[telemetry.ServerSpan], n[telemetry.ClientLog], n[telemetry.ClientSpan])
	if !doubled(most, n[telemetry.ServerSpan], n[telemetry.ClientLog], n[telemetry.ClientSpan]) {
		n, side = t.Out, "it made"
		most, others = n[telemetry.ClientLog], max(n[telemetry.ClientSpan], n[telemetry.ServerLog], n[telemetry.ServerSpan])
		for i := range s.Callees {
			f.Edges = append(f.Edges, s.Callees[i].Edge)
		}
	} else {
		f.Edges = calling(s)
	}
	f.Says = fmt.Sprintf("requests of %s are logged %.1f times: its proxies' logs tell of %d that %s in %s, all others of %d", s.Name, float64(most)/float64(others), most, side, seconds(t.Seconds), others)
	f.Remedy = "have one proxy a side report: switch the access log off in the other (a waypoint beside a sidecar, an L4 proxy beside an L7 one), or have that one report under a name of its own"
	f.Evidence = []string{"in the last minute, of what came to it: " + witnesses(&s.Minute.In)}
	if names := reporters(s); names != "" {
		f.Evidence = append(f.Evidence, "those that log as "+s.Name+": "+names)
	}
	return Wrong, f
}

// twice says that a service's logs are double.
func twice(t *Traffic) bool {
	return doubled(t.In[telemetry.ServerLog], t.In[telemetry.ServerSpan], t.In[telemetry.ClientLog], t.In[telemetry.ClientSpan]) ||
		doubled(t.Out[telemetry.ClientLog], t.Out[telemetry.ClientSpan], t.Out[telemetry.ServerLog], t.Out[telemetry.ServerSpan])
}

// doubled says that one count is about twice, or more, what two others agree on: one of the same side, and the better of the other side's.
func doubled(most, same, log, span uint64) bool {
	other := max(log, span)
	least, best := min(same, other), max(same, other)
	return most >= someRequests && least >= someRequests/2 && float64(least) >= agree*float64(best) && float64(most) >= double*float64(best) &&
		float64(most-best) >= beyondChance*math.Sqrt(float64(best))
}

// layers says that connections and the requests in them are both reported.
func layers(s *Service) (Opinion, telemetry.Finding) {
	for i := range s.Callers {
		tcp := &s.Callers[i]
		if tcp.Protocol != telemetry.ProtocolTCP || tcp.Logged < someRequests {
			continue
		}
		for j := range s.Callers {
			of := &s.Callers[j]
			if of.ID != tcp.ID || of.Protocol != telemetry.ProtocolHTTP && of.Protocol != telemetry.ProtocolGRPC || of.Logged < someRequests {
				continue
			}
			if ratio := float64(tcp.Logged) / float64(of.Logged); ratio < 0.9 || ratio > 1.1 {
				continue
			}
			return Wrong, telemetry.Finding{
				Severity: telemetry.SeverityWarning, Nodes: []string{s.ID, of.ID}, Edges: []string{of.Edge, tcp.Edge},
				Says:   fmt.Sprintf("calls of %s to %s are reported as requests and as connections: %d and %d in the last minute", of.Name, s.Name, of.Logged, tcp.Logged),
				Remedy: "have either the L4 or the L7 proxy of this hop report",
			}
		}
	}
	return Unsure, telemetry.Finding{}
}

// reporters names up to four replicas that log.
func reporters(s *Service) (names string) {
	n := 0
	for i := range s.Replicas {
		if r := &s.Replicas[i]; !r.Spans && n < 4 && s.Now-r.Last < 10e9 {
			if names != "" {
				names += ", "
			}
			names += r.Name
			n++
		}
	}
	return names
}
