package app

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// found is what a graph of the API says of findings: their kinds and subjects, and which nodes and edges are marked.
type found struct {
	Findings []struct{ Kind, Subject string }
	Nodes    []struct {
		ID       string
		Findings []string
	}
	Edges []struct {
		ID       string
		Findings []string
	}
}

func (f *found) String() string {
	var b strings.Builder
	for _, x := range f.Findings {
		fmt.Fprintln(&b, x.Kind, x.Subject)
	}
	for _, n := range f.Nodes {
		if len(n.Findings) > 0 {
			fmt.Fprintln(&b, n.ID, n.Findings)
		}
	}
	for _, e := range f.Edges {
		if len(e.Findings) > 0 {
			fmt.Fprintln(&b, e.ID, e.Findings)
		}
	}
	return b.String()
}

// A past graph, as the map plays it, says why it may be wrong as the live graph of then did: before the finding, during it, and after. The list of events has its beginning and its end.
func TestThePastSaysWhyItMayBeWrong(t *testing.T) {
	t.Parallel()
	s := newSurfaces(t)
	s.ahead = map[string]time.Duration{}
	d := s.dialect()
	const ok = "http.request.method=GET http.response.status_code:=200"
	live := map[time.Time]string{}
	some := 0
	for second := range 150 {
		if s.ahead["cart"] = 0; second >= 60 && second < 100 {
			s.ahead["cart"] = 3 * time.Second
		}
		for _, pair := range [][2]string{{"front", "cart"}, {"cart", "stock"}, {"front", "mail"}} {
			took := 10 * time.Millisecond
			if pair[1] == "stock" {
				took = 30 * time.Millisecond // longer than what cart answers: it is called for nobody, and no header is missing
			}
			s.send(5, call{from: pair[0], to: pair[1], name: "GET /", took: took, attrs: ok})
		}
		s.now = s.now.Add(time.Second)
		s.pass(0)
		if second%6 == 0 {
			var now found
			s.get(d, "/api/v1/graph", &now)
			if live[s.now] = now.String(); len(now.Findings) > 0 {
				some++
			}
		}
	}
	if some < 4 {
		t.Fatalf("the clock was found to be off %d times", some)
	}
	s.pass(30 * time.Second)
	for at, want := range live {
		var past found
		s.get(d, fmt.Sprintf("/api/v1/graph?from=%d&to=%d", at.Add(-time.Minute).UnixMilli(), at.UnixMilli()+1), &past)
		if got := past.String(); got != want {
			t.Errorf("%s: the live graph said\n%s, the past one says\n%s", at.UTC().Format(time.TimeOnly), want, got)
		}
	}
	var told struct {
		Events []struct {
			Kind, Service, Finding string
			Ended                  bool
			Evidence               []string
		}
	}
	s.get(d, "/api/v1/events?kind=finding", &told)
	if len(told.Events) != 2 || !told.Events[0].Ended || told.Events[1].Ended || told.Events[1].Finding != "clock_off" || told.Events[1].Service != "shop/cart" || len(told.Events[1].Evidence) < 2 {
		t.Errorf("events are %+v", told.Events)
	}
}
