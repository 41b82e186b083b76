package findings

import (
	"fmt"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The problem: who receives a request and calls others for it must pass the trace headers on. Who does not has his calls begin traces of their own: the map
// stays whole, and each trace ends at him. But not every call that begins a trace is one of those: jobs, polls and heartbeats do so by right.
//
// The rule: of the service's own client's spans at least a quarter have no parent, and these are calls that it makes while it answers: they lie within its server's
// spans, at least half of them, and twice as often as they would by chance. Of a service that is answering something most of the time that says nothing: there at least half of its calls
// must have no parent, and be a quarter of what it is asked, which no heartbeat is.
//
// The other place is between two services: the caller's spans tell of calls, none of which a callee's span belongs to, and the callee's begin traces. Then what is between
// takes the headers off, or the callee's tracer reads another form of them.
//
// Not chosen: to follow requests through the service by their ids (who drops the one header drops the other); the share of roots alone (a heartbeat in an idle service).
const (
	someRoots  = 8  // fewer tell nothing
	rootShare  = 4  // one in so many
	healthyOne = 20 // of calls that begin a trace: no more than one in so many is well
)

func headersDropped(s *Service, _ *Mesh) (Opinion, telemetry.Finding) {
	if o, f := lostBefore(s); o == Wrong {
		return o, f
	}
	t := &s.Recent
	if n := t.Out[telemetry.ClientSpan]; n >= someRequests && t.Roots*healthyOne <= n {
		return Well, telemetry.Finding{}
	}
	if t.Roots < someRoots {
		t = &s.Minute
	}
	calls, roots := t.Out[telemetry.ClientSpan], t.Roots
	switch r := &s.Rooted; {
	case calls < someRoots:
		return Unsure, telemetry.Finding{}
	case roots*healthyOne <= calls:
		return Well, telemetry.Finding{}
	case roots < someRoots || roots*rootShare < calls || r.Calls < someRoots:
		return Unsure, telemetry.Finding{}
	case !duringAnswers(t, r):
		return Unsure, telemetry.Finding{}
	}
	f := telemetry.Finding{
		Severity: telemetry.SeverityWarning,
		Says:     fmt.Sprintf("%s does not pass trace headers on: %d of the %d calls that it made in %s begin a trace of their own, so that traces end at it", s.Name, min(roots, calls), calls, seconds(t.Seconds)),
		Remedy:   "have " + s.Name + " send the headers traceparent and tracestate (or b3) of the request that it is answering with each call that it makes for it; an OpenTelemetry SDK does so where its context is handed on",
		Evidence: []string{
			fmt.Sprintf("%d of %d such calls were made while it was answering a request; by chance it would be %d", s.Rooted.Within, s.Rooted.Calls, s.Rooted.Chance),
			fmt.Sprintf("it was called %d times in the same time", max(t.In[telemetry.ServerSpan], t.In[telemetry.ServerLog])),
		},
	}
	for i := range s.Callees {
		if p := &s.Callees[i]; p.Said > 0 && p.Protocol != telemetry.ProtocolDatabase && p.Protocol != telemetry.ProtocolMessaging {
			f.Edges = append(f.Edges, p.Edge)
		}
	}
	return Wrong, f
}

// duringAnswers says that calls are made for the requests that the service is answering.
func duringAnswers(t *Traffic, r *Rooted) bool {
	if 2*r.Chance < r.Calls {
		return 2*r.Within >= r.Calls && r.Within >= 2*r.Chance
	}
	return 2*t.Roots >= t.Out[telemetry.ClientSpan] && 4*t.Roots >= t.In[telemetry.ServerSpan] && t.In[telemetry.ServerSpan] > 0
}

// lostBefore says that headers do not reach the service.
func lostBefore(s *Service) (Opinion, telemetry.Finding) {
	var said, met uint64
	f := telemetry.Finding{Nodes: []string{s.ID}}
	var names []string
	for i := range s.Callers {
		p := &s.Callers[i]
		if p.Protocol == telemetry.ProtocolMessaging || p.Said < someRoots || p.Met*healthyOne > p.Said {
			continue
		}
		said, met = said+p.Said, met+p.Met
		f.Edges = append(f.Edges, p.Edge)
		names = append(names, p.Name)
	}
	begun := s.Settled.Begun
	if said < 2*someRoots || begun*2 < said-met {
		return Unsure, f
	}
	f.Severity = telemetry.SeverityWarning
	f.Says = fmt.Sprintf("trace headers are lost on the way to %s: of %d calls that %s made of it in %s no span of its own belongs to %d, and %d of its own began a trace",
		s.Name, said, some4(names), seconds(s.Settled.Seconds), said-met, begun)
	f.Remedy = "see that what is between them passes the headers traceparent and tracestate on, and that the tracer of " + s.Name + " reads the form that its callers send (W3C or B3)"
	return Wrong, f
}
