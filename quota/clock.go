package quota

import (
	"sync/atomic"
	"time"
)

// The clock by which windows begin and end.
//
// The problem: a window is a stretch of the wall clock, and the wall clock can be set. Set back, it would open windows a second time
// that were used up; set forward and back again likewise.
//
// Invariants: the clock never goes back, not over a restart either, if it is begun at the latest time that was saved. It is never
// behind the wall clock for more than a second. It is ahead of it only by as much as that was set back, and then windows have their full
// length all the same, counted from elsewhere: no key is freed before its time, none is held longer.
//
// Decisions go by the monotonic clock from a reading of both, so that setting the wall clock cannot be seen in the middle of them. Once
// a second a new reading is taken: the later of the two is the time.
//
// Not chosen: the monotonic clock alone. It stands still while the machine sleeps, and a day's limit would be renewed a night late.
type clock struct {
	origin time.Time // monotonic readings count from here
	latest atomic.Pointer[reading]
}

// A reading is what the monotonic clock showed, counted from the origin, and what time it was; both in nanoseconds.
type reading struct{ mono, unix int64 }

// at is the time when the monotonic clock shows mono.
func (r reading) at(mono int64) int64 { return r.unix + mono - r.mono }

// next is the reading after r when the two clocks show mono and wall.
func (r reading) next(mono, wall int64) reading { return reading{mono, max(r.at(mono), wall)} }

// begin sets the clock going at now, or at saved, Unix nanoseconds, where that is later.
func (c *clock) begin(now time.Time, saved int64) {
	c.origin = now
	c.latest.Store(&reading{unix: max(now.UnixNano(), saved)})
}

// at is the time in Unix nanoseconds. Of times without a monotonic reading, as tests make them, it is their own.
func (c *clock) at(now time.Time) int64 { return c.latest.Load().at(int64(now.Sub(c.origin))) }

// follow takes a new reading. It is called once a second, by one goroutine.
func (c *clock) follow(now time.Time) {
	r := c.latest.Load().next(int64(now.Sub(c.origin)), now.UnixNano())
	c.latest.Store(&r)
}

// unix is the time in Unix seconds.
func (c *clock) unix(now time.Time) int64 { return floorSeconds(c.at(now)) }

// floorSeconds is the second that ns lies in, before 1970 too.
func floorSeconds(ns int64) int64 {
	s := ns / int64(time.Second)
	if ns%int64(time.Second) < 0 {
		s--
	}
	return s
}
