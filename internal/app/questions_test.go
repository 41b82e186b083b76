package app

import (
	"testing"

	"github.com/binnacle-mesh/binnacle/internal/ask"
)

// However few places there are, one may go through much; and where there are more of either, others find a place of the web port's and one of
// the engine's beside those.
func TestPlacesForOthers(t *testing.T) {
	t.Parallel()
	for underWay := 1; underWay <= 100; underWay++ {
		for engine := 1; engine <= 20; engine++ {
			p := places(underWay, 7, engine)
			if want := (ask.Places{UnderWay: underWay, Heavy: p.Heavy, Waiting: 7}); p != want || p.Heavy < 1 {
				t.Errorf("%d under way and %d in the engine: %+v", underWay, engine, p)
			}
			if underWay > 1 && p.Heavy >= underWay || engine > 1 && p.Heavy >= engine {
				t.Errorf("%d under way and %d in the engine: %d that go through much leave nothing to others", underWay, engine, p.Heavy)
			}
		}
	}
}
