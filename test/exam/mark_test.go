package main

import (
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/demo"
)

func TestMarks(t *testing.T) {
	t.Parallel()
	const s = time.Second
	fault, _ := demo.FaultOf(demo.ChapterSlow)
	culprit := fault.Node
	struck := trial{chapter: demo.ChapterSlow, struck: true, fault: fault}
	quiet := trial{chapter: demo.ChapterHeaders}
	for _, c := range []struct {
		name   string
		of     trial
		sights []sight
		held   bool
		named  time.Duration
		lost   int
	}{
		{"named in time and for good", struck, []sight{{at: 5 * s}, {at: 9 * s, culprits: []string{culprit}}, {at: 20 * s, culprits: []string{culprit}}}, true, 9 * s, 0},
		{"too late", struck, []sight{{at: 15 * s}, {at: 16 * s}, {at: 17 * s, culprits: []string{culprit}}}, false, 17 * s, 1},
		{"never", struck, []sight{{at: 5 * s}, {at: 20 * s}}, false, -1, 1},
		{"let go within the first 15 s", struck, []sight{{at: 5 * s, culprits: []string{culprit}}, {at: 8 * s}, {at: 9 * s, culprits: []string{culprit}}}, false, 5 * s, 1},
		{"second", struck, []sight{{at: 20 * s, culprits: []string{"shop/cart", culprit}}}, false, -1, 1},
		{"another beside it", struck, []sight{{at: 5 * s, culprits: []string{culprit, "shop/cart"}}}, false, 5 * s, 0},
		{"nobody where nobody is struck", quiet, []sight{{at: 5 * s}}, true, -1, 0},
		{"somebody where nobody is struck", quiet, []sight{{at: 5 * s, culprits: []string{culprit}}}, false, -1, 0},
		{"never looked at", quiet, nil, false, -1, 0},
	} {
		m := newMark(c.of)
		for _, s := range c.sights {
			m.add(s)
		}
		if m.held() != c.held || m.named != c.named || m.lost != c.lost {
			t.Errorf("%s: held %v, named %v, lost %d", c.name, m.held(), m.named, m.lost)
		}
	}
	m := newMark(struck)
	m.add(sight{at: s, culprits: []string{culprit}})
	m.unanswered(2 * s)
	if m.held() {
		t.Error("a question without an answer did not count")
	}
}

func TestCalm(t *testing.T) {
	t.Parallel()
	var c calm
	for i, culprits := range [][]string{nil, {"a"}, {"a", "b"}, nil, {"a"}} {
		c.add(sight{culprits: culprits}, time.Duration(i)*time.Second)
	}
	if c.alarms != 2 || c.sights != 5 || c.length != 10*time.Second || c.named["a"] != 3 || c.named["b"] != 1 {
		t.Errorf("%+v", c)
	}
}

// A seed gives the same trials again; each chapter is told as often as it should be, short and long.
func TestTrials(t *testing.T) {
	t.Parallel()
	o := options{runs: 5, shortest: 20 * time.Second, longest: 6 * time.Minute, between: time.Minute, only: trialChapters(), seed: 7}
	all := trials(o)
	told, long := map[string]int{}, map[string]int{}
	for i, x := range trials(o) {
		if x != all[i] {
			t.Errorf("trial %d: %+v, and %+v at the second time", i, all[i], x)
		}
		told[x.chapter]++
		if x.length > 90*time.Second {
			long[x.chapter]++
		}
		if x.length < o.shortest || x.length > o.longest || x.before < o.between || x.before > o.between*3/2 {
			t.Errorf("%+v is out of its bounds", x)
		}
	}
	if len(told) != 5 {
		t.Errorf("chapters told: %v", told)
	}
	for chapter, n := range told {
		if n != 5 || long[chapter] < 2 || long[chapter] > 3 {
			t.Errorf("%s: told %d times, %d of them long", chapter, n, long[chapter])
		}
	}
	o.seed = 8
	same := 0
	for i, x := range trials(o) {
		if x == all[i] {
			same++
		}
	}
	if same == len(all) {
		t.Error("another seed gives the same")
	}
}
