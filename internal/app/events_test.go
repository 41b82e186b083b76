package app

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology"
)

// happened are the events since a time as lines, the oldest first, but for findings: those who call here pass no headers on.
func (s *surfaces) happened(from time.Time) (out []string) {
	for _, e := range s.graph.Events(from, s.now.Add(time.Second)).List {
		if e.Kind == telemetry.EventFinding {
			continue
		}
		line := e.Kind.String() + " " + strings.Join(e.Nodes, " ")
		switch e.Kind {
		case telemetry.EventVersion:
			line += " " + e.Version
		case telemetry.EventCulprit, telemetry.EventHealth:
			line += " " + e.Health.String()
		default:
		}
		if e.Says == "" || len(e.Evidence) == 0 || e.Service != e.Nodes[0] {
			s.t.Errorf("event without evidence: %+v", e)
		}
		out = append(out, line)
	}
	slices.Reverse(out)
	return out
}

// What happens in a graph is told, each thing once, with what shows it; what was there from the beginning is not, nor is anything by a restart, which the events
// live through.
func TestEventsOfTheGraph(t *testing.T) {
	t.Parallel()
	s := newSurfaces(t)
	const ok = "http.request.method=GET http.response.status_code:=200"
	calls := []call{
		{from: "front", to: "cart", name: "GET /", took: 20 * time.Millisecond, attrs: ok},
		{from: "cart", to: "stock", name: "GET /", took: 10 * time.Millisecond, attrs: ok},
	}
	live := func(d time.Duration) {
		for end := s.now.Add(d); s.now.Before(end); {
			for _, c := range calls {
				s.send(20, c)
			}
			s.pass(5 * time.Second)
		}
	}
	live(8 * time.Minute)
	if got := s.happened(time.Unix(0, 0)); len(got) > 0 {
		t.Errorf("what was there from the beginning is told as news: %q", got)
	}
	calls = append(calls, call{from: "stock", to: "front", name: "GET /", took: time.Millisecond, attrs: ok})
	live(time.Minute)
	want := []string{"dependency shop/stock shop/front", "cycle shop/stock shop/front shop/cart"}
	if got := s.happened(time.Unix(0, 0)); !slices.Equal(sorted(got), sorted(want)) {
		t.Errorf("told are %q, want %q", got, want)
	}
	calls[1].attrs, calls[1].failed = "http.request.method=GET http.response.status_code:=503", true
	live(time.Minute)
	calls[1].attrs, calls[1].failed = ok, false
	live(2 * time.Minute)
	got := s.happened(time.Unix(0, 0))
	for _, line := range []string{"culprit shop/stock failing", "health shop/stock ok"} {
		if !slices.Contains(got, line) {
			t.Errorf("%q is not told: %q", line, got)
		}
	}
	all := s.graph.Events(time.Unix(0, 0), s.now.Add(time.Second))

	// A restart.
	var graph, annals, doubts bytes.Buffer
	if err := s.graph.Save(&graph); err != nil {
		t.Fatal(err)
	}
	if err := s.graph.Annals().Save(&annals); err != nil {
		t.Fatal(err)
	}
	if err := s.graph.Doubts().Save(&doubts); err != nil {
		t.Fatal(err)
	}
	next := topology.New(topology.DefaultConfig())
	if err := next.Load(&graph); err != nil {
		t.Fatal(err)
	}
	use, err := next.Annals().Prepare(&annals)
	if err != nil {
		t.Fatal(err)
	}
	use()
	if use, err = next.Doubts().Prepare(&doubts); err != nil {
		t.Fatal(err)
	}
	use()
	s.graph = next
	live(2 * time.Minute)
	after := s.graph.Events(time.Unix(0, 0), s.now.Add(time.Second))
	if fmt.Sprint(after) != fmt.Sprint(all) {
		t.Errorf("after a restart told are\n%+v, before it\n%+v", after, all)
	}
	if news, n := s.graph.News(0); n > 0 {
		t.Errorf("a restart is news: %+v", news)
	}
	s.now = s.now.Add(10 * time.Hour) // a night in which all are silent, and the graph forgets them
	live(2 * time.Minute)
	news, _ := s.graph.News(0)
	if news = slices.DeleteFunc(news, func(e telemetry.GraphEvent) bool { return e.Kind == telemetry.EventFinding }); len(news) > 0 {
		t.Errorf("a night is news: %+v", news)
	}
	ids := map[uint64]bool{}
	for _, e := range after.List {
		ids[e.ID()] = true
	}
	if len(ids) != len(after.List) {
		t.Errorf("%d events have %d ids", len(after.List), len(ids))
	}
	var answer struct {
		Found  int
		Events []struct{ Kind, Service string }
	}
	s.get(s.dialect(), "/api/v1/events?kind=cycle,dependency&service=shop/cart", &answer)
	if answer.Found != 1 || answer.Events[0].Kind != "cycle" || answer.Events[0].Service != "shop/stock" {
		t.Errorf("asked for cycles and dependencies of the cart: %+v", answer)
	}
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}
