package top

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/quota/window"
)

func key(i int) window.Key { return window.Key{Hi: uint64(i), Lo: uint64(i) * 31} }

func add(s *Sketch, i int, n uint64, now float64) {
	s.Lock()
	defer s.Unlock()
	if it, fresh := s.Add(key(i), n, now); fresh {
		it.Label = append(it.Label[:0], byte('a'+i%26))
	}
}

func TestSketchRate(t *testing.T) {
	t.Parallel()
	s := NewSketch(4)
	now := 1_700_000_000.0
	for range 3000 { // five minutes of 10 and of 2.5 a second
		now += 0.1
		add(s, 0, 1, now)
		add(s, 1, 1, now-0.05)
		if int(now*10)%4 != 0 {
			continue
		}
		add(s, 2, 1, now)
	}
	got := s.Top(10, now)
	if len(got) != 3 || got[2].Label != "c" {
		t.Fatalf("got %+v", got)
	}
	for i, want := range []float64{10, 10, 2.5} {
		if math.Abs(got[i].Rate-want) > want*0.05 {
			t.Errorf("%s: rate %.2f, want about %v", got[i].Label, got[i].Rate, want)
		}
	}
	later := s.Top(10, now+60)
	if math.Abs(later[0].Rate-10/math.E) > 0.5 {
		t.Errorf("a minute later the rate is %.2f, want about %.2f", later[0].Rate, 10/math.E)
	}
	if gone := s.Top(10, now+3600); len(gone) != 0 {
		t.Errorf("an hour later there is still %+v", gone)
	}
}

// TestSketchKeepsTheHeavy: against exact counting, over a time in which nothing fades noticeably: every key with more than 1/k
// of all events is there, and no key is reported with more than it had.
func TestSketchKeepsTheHeavy(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.IntRange(1, 8).Draw(t, "k")
		s := NewSketch(k)
		exact, total := map[window.Key]float64{}, 0.0
		for range rapid.IntRange(1, 300).Draw(t, "events") {
			i := min(rapid.IntRange(0, 30).Draw(t, "key"), rapid.IntRange(0, 30).Draw(t, "or key"))
			n := rapid.Uint64Range(1, 4).Draw(t, "n")
			add(s, i, n, 1000)
			exact[key(i)] += float64(n)
			total += float64(n)
		}
		present := map[window.Key]bool{}
		for i := range s.items {
			present[s.items[i].Key] = true
		}
		for _, r := range s.Top(k, 1000) {
			if n := r.Rate / lambda; n > exact[r.Key]+1e-6 || r.Count > uint64(exact[r.Key]) {
				t.Fatalf("%v is said to have %v (%d), had %v", r.Key, n, r.Count, exact[r.Key])
			}
		}
		for i, n := range exact {
			if n > total/float64(k) && !present[i] {
				t.Fatalf("%v with %v of %v is missing among %d", i, n, total, k)
			}
		}
		if len(s.items) > k || len(s.index) != len(s.items) {
			t.Fatalf("%d items, %d indexed, of %d", len(s.items), len(s.index), k)
		}
	})
}

func TestBusiest(t *testing.T) {
	t.Parallel()
	var b Busiest
	offer := func(i int, before, after uint64, start int64) {
		if !b.Worth(before, after, 1000, start) {
			return
		}
		b.Lock()
		defer b.Unlock()
		if it, fresh := b.Offer(key(i), after, 1000, start); fresh {
			it.Label = append(it.Label[:0], byte(i))
		}
	}
	used := func() (keys []int) {
		for _, it := range b.List() {
			keys = append(keys, int(it.Label[0]))
		}
		slices.Sort(keys)
		return keys
	}
	for n := range uint64(200) { // keys 0..99, each with 2*i hits at the end
		for i := range 100 {
			if n < uint64(2*i) {
				offer(i, n, n+1, 60)
			}
		}
	}
	got := used()
	if len(got) != keep || got[keep-1] != 99 || got[0] < 40 {
		t.Fatalf("busiest are %v, want mostly those with the largest counts", got)
	}
	if b.Worth(1, 2, 1000, 60) {
		t.Fatal("a count below all that are listed is offered")
	}
	offer(7, 0, 1, 120) // a new window displaces the old one's keys, one by one
	if !slices.Contains(used(), 7) {
		t.Fatal("the new window's first key did not get in")
	}
	if b.Worth(700, 701, 1000, 120) {
		t.Fatal("a step too small to matter is offered")
	}
	if diff := cmp.Diff(keep, len(b.List())); diff != "" {
		t.Fatal(diff)
	}
}
