package findings

import (
	"fmt"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The problem: a service that sends no spans is on the map by what others say of it, or by its proxy's log, and its traces have a hole. It must be told from one that nobody
// calls, from one that keeps one request in a hundred, and from one whose exporter sends every ten seconds.
//
// The rule: its own proxy's log tells of requests, and no span of its own has come for 5 s and for three times its longest pause of late. Of one that never sent any, or of which
// only its callers tell, what is more than ten seconds old counts, and half a minute must have passed since it was first heard of.
//
// In a mesh where nobody traces, nobody lacks a tracer.
const (
	silentFor    = 5 * time.Second
	patientFor   = 30 * time.Second
	someRequests = 20
)

func noTracer(s *Service, m *Mesh) (Opinion, telemetry.Finding) {
	if s.Spans.Fresh(s.Now) {
		return Well, telemetry.Finding{}
	}
	pause := s.Spans.pause(s.Now)
	switch {
	case s.SamplesLess && pause < patientFor:
		return Unsure, telemetry.Finding{}
	case s.Spans.Last > 0 && (pause < max(silentFor, 3*s.Spans.Usual) || s.Spans.Usual == 0 && pause < patientFor):
		return Unsure, telemetry.Finding{}
	case s.Spans.Last == 0 && s.Now-s.Since < int64(patientFor):
		return Unsure, telemetry.Finding{}
	}
	callers := calling(s)
	if m.Traced == 0 || s.Spans.Last == 0 && s.Settled.In[telemetry.ClientSpan] == 0 && m.Traced < 2 {
		return Unsure, telemetry.Finding{}
	}
	f := telemetry.Finding{Severity: telemetry.SeverityWarning, Edges: callers}
	logs := s.Recent.logs()
	switch {
	case s.Logs.Fresh(s.Now) && logs >= someRequests:
		f.Says = fmt.Sprintf("%s sends no spans: its proxy's log tells of %d requests in %s", s.Name, logs, seconds(s.Recent.Seconds))
	case s.Answered >= someRequests && (s.Spans.Last == 0 || pause > 70*time.Second):
		f.Says = fmt.Sprintf("%s sends no spans: its callers tell of %d requests that it answered well in %s", s.Name, s.Answered, seconds(s.Settled.Seconds))
	default:
		return Unsure, telemetry.Finding{}
	}
	if s.Spans.Last > 0 {
		f.Says += "; its last span came at " + clockTime(s.Spans.Last)
		f.Remedy = "see why the tracer of " + s.Name + " stopped: its exporter's address, its configuration since the last release, or tracing switched off in its proxy"
	} else {
		f.Says += ", and none has ever come"
		f.Remedy = "give " + s.Name + " a tracer: an OpenTelemetry SDK or agent, or switch tracing on in its proxy; until then traces have a hole there"
	}
	f.Evidence = []string{
		"in the last minute: " + witnesses(&s.Minute.In),
		fmt.Sprintf("%d services send spans", m.Traced),
	}
	return Wrong, f
}

// calling are the edges by which a service is called.
func calling(s *Service) (edges []string) {
	for i := range s.Callers {
		edges = append(edges, s.Callers[i].Edge)
	}
	return edges
}

// witnesses says in words what each told.
func witnesses(n *Seen) string {
	return fmt.Sprintf("callers' spans tell of %d requests, its own of %d, callers' logs of %d, its own of %d",
		n[telemetry.ClientSpan], n[telemetry.ServerSpan], n[telemetry.ClientLog], n[telemetry.ServerLog])
}

// seconds is a length of time in words.
func seconds(s float64) string { return strings.TrimSuffix(fmt.Sprintf("%.0f", s), ".") + " s" }

// clockTime is a moment in words.
func clockTime(at int64) string { return time.Unix(0, at).UTC().Format("15:04:05") + " UTC" }
