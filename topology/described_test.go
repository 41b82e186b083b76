package topology

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Edges that hash alike are told apart, whatever comes and goes between them.
func TestDescribedThatHashAlike(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		edge := func(n int) telemetry.Edge { return telemetry.Edge{Protocol: telemetry.Protocol(n)} } //nolint:gosec // below 9
		d := newDescribed()
		d.hash = func(is telemetry.Edge) uint64 { return uint64(is.Protocol) / 3 }
		uses, is := map[int]int{}, map[int]*telemetry.Edge{}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			n := rapid.IntRange(0, 8).Draw(rt, "edge")
			if uses[n] > 0 && rapid.Bool().Draw(rt, "leave") {
				d.leave(is[n])
				if uses[n]--; uses[n] == 0 {
					delete(uses, n)
					delete(is, n)
				}
				continue
			}
			p := d.use(edge(n))
			if is[n] != nil && is[n] != p || *p != edge(n) {
				rt.Fatalf("edge %d is %p, then %p: %v", n, is[n], p, *p)
			}
			is[n], uses[n] = p, uses[n]+1
		}
		if len(d.by) != len(uses) {
			rt.Fatalf("%d are described, of %d", len(d.by), len(uses))
		}
		for n := range uses {
			if in := d.by[d.find(edge(n))]; in.is != is[n] || in.uses != uses[n] {
				rt.Fatalf("edge %d is used %d times, not %d", n, in.uses, uses[n])
			}
		}
	})
}
