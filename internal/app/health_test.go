package app

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The live graph and the past one judge alike: what an incident's map showed while it
// lasted is what the graph of that minute shows later.
func TestHealthOfThePastIsThatOfThePresent(t *testing.T) {
	t.Parallel()
	s := newSurfaces(t)
	calm := func(to string) call {
		return call{from: "front", to: to, name: "GET /", took: 20 * time.Millisecond, attrs: "http.request.method=GET http.response.status_code:=200"}
	}
	as := func(c call, took time.Duration, attrs string) call {
		if c.took = took; attrs != "" {
			c.attrs = attrs
		}
		return c
	}
	const failed, limited = "http.request.method=GET http.response.status_code:=503", "http.request.method=GET http.response.status_code:=429"
	story := []struct {
		to   string
		well int
		ill  int
		call call
		want telemetry.Health
	}{
		{to: "calm", well: 60, want: telemetry.HealthOK},
		{to: "few-errors", well: 97, ill: 3, call: as(calm("few-errors"), 20*time.Millisecond, failed), want: telemetry.HealthOK},
		{to: "some-errors", well: 91, ill: 9, call: as(calm("some-errors"), 20*time.Millisecond, failed), want: telemetry.HealthDegraded},
		{to: "many-errors", well: 60, ill: 20, call: as(calm("many-errors"), 20*time.Millisecond, failed), want: telemetry.HealthFailing},
		{to: "limited", well: 20, ill: 60, call: as(calm("limited"), 20*time.Millisecond, limited), want: telemetry.HealthDegraded},
		{to: "slower", ill: 60, call: as(calm("slower"), 50*time.Millisecond, ""), want: telemetry.HealthDegraded},
		{to: "slow", ill: 60, call: as(calm("slow"), 150*time.Millisecond, ""), want: telemetry.HealthFailing},
		{to: "slow-for-few", well: 56, ill: 4, call: as(calm("slow-for-few"), 150*time.Millisecond, ""), want: telemetry.HealthOK},
		{to: "rarely-asked", ill: 9, call: as(calm("rarely-asked"), 150*time.Millisecond, ""), want: telemetry.HealthOK},
	}
	want := map[string]telemetry.Health{"shop/front": telemetry.HealthOK}
	for _, c := range story {
		want["shop/"+c.to] = c.want
		s.send(100, calm(c.to))
	}
	s.pass(2 * time.Minute)
	from := s.now
	for range 2 { // in halves, over half a minute: both are in the last minute, not both in the last 10 s
		for _, c := range story {
			s.send(c.well, calm(c.to))
			if c.ill > 0 {
				s.send(c.ill, c.call)
			}
		}
		s.pass(15 * time.Second)
	}
	live := verdicts(s.graph.Snapshot())
	s.pass(30 * time.Second) // all halves are final
	past := verdicts(s.between(from, s.now))
	if d := cmp.Diff(want, live); d != "" {
		t.Errorf("the live graph (-want +got):\n%s", d)
	}
	if d := cmp.Diff(live, past); d != "" {
		t.Errorf("the graph of the same minute, later (-live +past):\n%s", d)
	}
}

// verdicts are the healths of nodes; that of an edge must be its target's, which
// has no other.
func verdicts(g *telemetry.Graph) map[string]telemetry.Health {
	out := map[string]telemetry.Health{}
	for _, n := range g.Nodes {
		if n.Kind == telemetry.NodeService {
			out[n.ID] = n.Health
		}
	}
	for _, e := range g.Edges {
		if out[e.Target] != e.Health {
			out[e.ID] = e.Health
		}
	}
	return out
}
