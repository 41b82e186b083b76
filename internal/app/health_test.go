package app

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The graph of a past range says what the live one said at the range's end: the same health, judgements and culprits, at every
// moment of an incident and after it.
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
		{to: "few-errors", well: 194, ill: 6, call: as(calm("few-errors"), 20*time.Millisecond, failed), want: telemetry.HealthOK},
		{to: "some-errors", well: 182, ill: 18, call: as(calm("some-errors"), 20*time.Millisecond, failed), want: telemetry.HealthDegraded},
		{to: "many-errors", well: 60, ill: 20, call: as(calm("many-errors"), 20*time.Millisecond, failed), want: telemetry.HealthFailing},
		{to: "limited", well: 20, ill: 60, call: as(calm("limited"), 20*time.Millisecond, limited), want: telemetry.HealthDegraded},
		{to: "slower", ill: 60, call: as(calm("slower"), 50*time.Millisecond, ""), want: telemetry.HealthDegraded},
		{to: "slow", ill: 60, call: as(calm("slow"), 150*time.Millisecond, ""), want: telemetry.HealthFailing},
		{to: "slow-for-few", well: 56, ill: 4, call: as(calm("slow-for-few"), 150*time.Millisecond, ""), want: telemetry.HealthOK},
		{to: "rarely-asked", ill: 1, call: as(calm("rarely-asked"), 150*time.Millisecond, ""), want: telemetry.HealthOK},
	}
	want := map[string]telemetry.Health{"shop/front": telemetry.HealthOK}
	for range 6 { // a minute in which it is learned what is usual
		for _, c := range story {
			want["shop/"+c.to] = c.want
			s.send(30, calm(c.to))
		}
		s.pass(10 * time.Second)
	}
	from := s.now
	type moment struct {
		at   time.Time
		live *telemetry.Graph
	}
	var moments []moment
	live := func(n int) {
		for range n {
			s.pass(time.Second)
			moments = append(moments, moment{s.now, s.graph.Snapshot()})
		}
	}
	for range 4 {
		for _, c := range story {
			s.send(c.well, calm(c.to))
			if c.ill > 0 {
				s.send(c.ill, c.call)
			}
		}
		live(5)
	}
	if d := cmp.Diff(want, verdicts(s.graph.Snapshot())); d != "" {
		t.Errorf("the live graph (-want +got):\n%s", d)
	}
	for range 8 {
		for _, c := range story {
			s.send(60, calm(c.to))
		}
		live(5)
	}
	for id, h := range verdicts(s.graph.Snapshot()) {
		if h != telemetry.HealthOK {
			t.Errorf("%s is %s after it recovered", id, h)
		}
	}
	s.pass(30 * time.Second) // all halves are final
	for _, m := range moments {
		past := s.between(from.Add(-time.Minute), m.at)
		if d := cmp.Diff(verdicts(m.live), verdicts(past)); d != "" {
			t.Errorf("health at %s, later (-live +past):\n%s", m.at, d)
		}
		if d := cmp.Diff(blamed(m.live), blamed(past)); d != "" {
			t.Errorf("judgements at %s, later (-live +past):\n%s", m.at, d)
		}
	}
}

// blamed are the judgements of a graph, without the figures, which a judgement that goes on has of its end.
func blamed(g *telemetry.Graph) map[string]telemetry.Judgement {
	out := map[string]telemetry.Judgement{}
	note := func(id string, j telemetry.Judgement) {
		if j.Says, j.Score = "", 0; j.Kind != telemetry.AilmentNone {
			out[id] = j
		}
	}
	for _, n := range g.Nodes {
		note(n.ID, n.Judgement)
	}
	for _, e := range g.Edges {
		note(e.ID, e.Judgement)
	}
	for _, id := range g.Culprits {
		out["culprit "+id] = telemetry.Judgement{}
	}
	return out
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
