//go:build !race

package envoyals

import (
	"testing"

	"github.com/binnacle-mesh/binnacle/collector"
)

// TestNoAllocationPerEntry holds the hot path's promise: what a message
// allocates does not grow with its entries.
func TestNoAllocationPerEntry(t *testing.T) {
	in := newRig(t).In
	for _, entries := range []int{4, 256} {
		msg := marshal(t, loadMessage(entries))
		var from sender
		d := &decoder{Fill: &collector.Fill{}}
		if err := from.identify(msg); err != nil {
			t.Fatal(err)
		}
		got := testing.AllocsPerRun(50, func() {
			in.Begin(d.Fill)
			if err := d.decode(&from, msg); err != nil {
				t.Fatal(err)
			}
			in.Abandon(d.Fill)
		})
		// The pool may lose a batch to the garbage collector now and then.
		if got > 2 {
			t.Errorf("%v allocations for a message of %d entries, want at most 2", got, entries)
		}
	}
}
