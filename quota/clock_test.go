package quota

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestClock: whatever is done to the wall clock, time goes on at its pace, never back, and never stays behind the wall clock.
func TestClock(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const day = 86400 * int64(time.Second)
		mono, wall := int64(0), 1_700_000_000*int64(time.Second)
		start := wall
		r := reading{unix: wall}
		last := r.at(0)
		highest := wall // of the wall clock
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			passed := rapid.Int64Range(0, int64(3*time.Second)).Draw(t, "passed")
			mono, wall = mono+passed, wall+passed
			if rapid.IntRange(0, 4).Draw(t, "set") == 0 {
				wall += rapid.Int64Range(-40*day, 40*day).Draw(t, "by")
			}
			highest = max(highest, wall)
			if got := r.at(mono); got-last < passed {
				t.Fatalf("%v passed, and the clock went %v", time.Duration(passed), time.Duration(got-last))
			}
			if rapid.Bool().Draw(t, "follow") {
				r = r.next(mono, wall)
				if got := r.at(mono); got < wall || got > max(highest, start)+mono {
					t.Fatalf("it is %d by the wall clock, which was at %d at most, and %d by ours", wall, highest, got)
				}
			}
			last = r.at(mono)
		}
	})
}

func TestClockOfTheSystem(t *testing.T) {
	t.Parallel()
	var c clock
	now := time.Now()
	c.begin(now, now.Add(time.Hour).UnixNano()) // saved before the wall clock was set back
	if got, want := c.unix(now.Add(time.Minute)), now.Add(time.Hour+time.Minute).Unix(); got != want {
		t.Errorf("%d, want %d", got, want)
	}
	c.follow(now.Add(2 * time.Hour).Round(0)) // the wall clock alone has moved: Round takes the monotonic reading away
	if got := c.at(now.Add(2 * time.Hour)); got < now.Add(2*time.Hour).UnixNano() {
		t.Errorf("the clock is behind, at %d", got)
	}
	if got := floorSeconds(-1); got != -1 {
		t.Errorf("a nanosecond before 1970 is in second %d", got)
	}
}
