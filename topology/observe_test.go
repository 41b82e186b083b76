package topology

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What Consume and Tick return stands until one of them is called again, whatever
// else happens to the graph; what becomes final elsewhere comes with the next.
func TestObservationsAreLent(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.MaxPending = 1 << 18
	wait := int64(cfg.PairWait)
	f := newFeed(cfg)
	f.send(t, "shop/a", "x.example.com", 3)
	f.now += wait / 2
	f.send(t, "shop/b", "x.example.com", 2)
	seen := f.t.Tick(f.now + wait/2)
	if len(seen.Requests) != 3 || seen.From != 2 || seen.To != 2 {
		t.Fatalf("observed %+v, want three requests at position 2", seen)
	}
	before := slices.Clone(seen.Requests)
	f.t.SetThrottledBy(f.now+wait, nil)
	if diff := cmp.Diff(before, seen.Requests); diff != "" {
		t.Errorf("what was lent has changed:\n%s", diff)
	}
	if seen = f.t.Tick(f.now + wait); len(seen.Requests) != 2 {
		t.Errorf("observed %+v, want two requests", seen)
	}

	f.now += wait
	f.send(t, "shop/b", "x.example.com", keepObservations+1)
	if seen = f.t.Tick(f.now + wait); len(seen.Requests) != keepObservations+1 {
		t.Errorf("%d observations, want %d", len(seen.Requests), keepObservations+1)
	}
	if f.t.Tick(f.now + wait); cap(f.t.observed.list) > keepObservations {
		t.Errorf("room for %d observations is kept", cap(f.t.observed.list))
	}
}
