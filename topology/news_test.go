package topology

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// lively is a mesh in which all that calls has been calling for longer than it takes to be no news.
func lively(cfg Config, names bool) (f *floodFeed, living [][2]string) {
	f = &floodFeed{feed: newFeed(cfg), names: names}
	for i := range 20 {
		living = append(living, [2]string{fmt.Sprintf("shop/s%d", i), fmt.Sprintf("db%d.example.com", i%7)})
	}
	for range 400 {
		f.calls(living...)
		f.pass(time.Second)
	}
	return f, living
}

// told are the events of dependencies as lines, the oldest first.
func (f *floodFeed) told() (out []string) {
	for _, e := range f.t.Events(time.Unix(0, 0), time.Unix(0, f.now+1)).List {
		out = append(out, e.Kind.String()+" "+strings.Join(e.Nodes, " "))
	}
	slices.Reverse(out)
	return out
}

// What is part of a flood of names is no news, whoever makes it and however late it is looked at, but it is counted, and a finding says so. What comes for the
// first time beside it is told.
func TestFloodIsNoNews(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		names bool
		junk  func(i int) [2]string
	}{
		{"services", false, func(i int) [2]string { return [2]string{fmt.Sprintf("junk-%d", i), "host.example.com"} }},
		{"services of no pattern", false, func(i int) [2]string { return [2]string{letters(i), "host.example.com"} }},
		{"hosts named by one service", false, func(i int) [2]string { return [2]string{"shop/egress", fmt.Sprintf("h%d.example.com", i)} }},
		{"names that one service calls", true, func(i int) [2]string { return [2]string{"shop/egress", fmt.Sprintf("peer%d", i)} }},
		{"pairs", false, func(i int) [2]string { return [2]string{fmt.Sprintf("a%d", i), fmt.Sprintf("b%d.example.com", i)} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := DefaultConfig()
			cfg.MaxNodes, cfg.MaxEdges = 8000, 8000
			f, living := lively(cfg, c.names)
			if got := f.told(); len(got) > 0 {
				t.Fatalf("what was there from the beginning is news: %q", got)
			}
			living = append(living, [2]string{"shop/s0", "fresh.example.com"})
			junk := 0
			for range 6 {
				var pairs [][2]string
				for range 250 {
					pairs = append(pairs, c.junk(junk))
					junk++
				}
				f.calls(pairs...)
				f.calls(living...)
				f.pass(time.Second)
			}
			if found := f.t.Findings(time.Time{}); len(found) != 1 || found[0].Kind != "names_flood" || !strings.Contains(found[0].Says, "no event tells of them") {
				t.Errorf("the flood is told as %+v", found)
			}
			for n := range 180 {
				if c.names && n%10 == 0 { // what only has a name is told of after two minutes: some are alive still
					for i := range 600 {
						f.calls(c.junk(i))
					}
				}
				f.calls(living...)
				f.pass(time.Second)
			}
			got, what := f.told(), "outside shop/s0 external:fresh.example.com"
			if c.names {
				what = "dependency shop/s0 fresh.example.com"
			}
			if !slices.Equal(got, []string{what}) {
				t.Errorf("%d events are told, such as %q; want only %q", len(got), got[:min(3, len(got))], what)
			}
			if left := f.t.Stats().Annals.LeftOut; left < 600 || left > 2*uint64(junk) {
				t.Errorf("%d are left out, of %d", left, junk)
			}
			if found := f.t.Findings(time.Time{}); len(found) != 0 {
				t.Errorf("the flood is over and still told: %+v", found)
			}
		})
	}
}

// Of one caller so many new dependencies are told of in an hour; that more are left out is a finding, until the hour is over.
func TestNewsThatIsTooMuchIsTold(t *testing.T) {
	t.Parallel()
	f, living := lively(DefaultConfig(), false)
	for i := range 60 {
		living = append(living, [2]string{"shop/s0", fmt.Sprintf("new%d.example.com", i)})
		for range 5 {
			f.calls(living...)
			f.pass(time.Second)
		}
	}
	for range 30 {
		f.calls(living...)
		f.pass(time.Second)
	}
	if n := len(f.told()); n != 32 {
		t.Errorf("%d are told of, want 32", n)
	}
	found := f.t.Findings(time.Time{})
	if left := f.t.Stats().Annals.LeftOut; left != 28 || len(found) != 1 || found[0].Kind != "news_left_out" || found[0].Count != 28 || found[0].Subject != "shop/s0" {
		t.Errorf("%d are left out, and told is %+v", left, found)
	}
	for f.now < storyStart+int64(time.Hour) {
		f.calls(living...)
		f.pass(10 * time.Second)
	}
	if found := f.t.Findings(time.Time{}); len(found) != 0 {
		t.Errorf("in the next hour is told %+v", found)
	}
}
