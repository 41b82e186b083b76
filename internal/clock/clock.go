// Package clock keeps the time by which everything that is received is stamped and judged: the wall's, without its steps.
//
// The problem: graph, signals and series know nothing later than the latest time they have seen. Where a machine's clock is set an hour ahead
// by mistake and back again, all that comes afterwards is an hour old to them: edges are forgotten as they are made, and the series take no sample.
//
// The time here never goes back, and goes on by the machine's count of seconds, which nobody sets:
//
//	The wall is a little off: the difference is made up by a hundredth of the time that passes.
//	The wall is ahead by more than a second: it is believed, and followed at once, when it has stayed so for a minute. (A machine that slept is ahead for good.)
//	The wall is behind by more than that: as if it were a little off. Figures by the second stay right to a hundredth, and times are told ahead of the wall.
//	After a restart time begins no earlier than what was stamped before it.
//
// Not chosen: to follow the wall back and take samples out of their order. Each room would have to, the ages of what it keeps would be wrong for as long as the
// wall was, and rates over the seam would have no meaning.
package clock

import (
	"sync"
	"time"
)

const (
	step    = int64(time.Second) // ahead by more is no drift
	believe = int64(time.Minute) // how long the wall must be ahead before it is followed
	slew    = 100                // of so much time that passes, one part is made up
)

// A Clock tells the time. It is safe for concurrent use; make it by New.
type Clock struct {
	read func() (wall, steady int64) // nanoseconds: Unix, and since whenever

	mu    sync.Mutex
	now   int64 // Unix ns, as told last
	at    int64 // steady, then
	off   int64 // now less wall, then
	ahead int64 // steady, when the wall was first seen ahead by more than a step; 0: it is not
}

// New is a clock that agrees with the wall.
func New() *Clock {
	start := time.Now()
	return from(func() (int64, int64) {
		now := time.Now()
		return now.UnixNano(), int64(now.Sub(start)) + 1 // by the monotonic reading of both
	})
}

func from(read func() (wall, steady int64)) *Clock {
	c := &Clock{read: read}
	c.now, c.at = read()
	return c
}

// Now is the time. It never goes back.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(c.read())
	return time.Unix(0, c.now)
}

// advance brings the time from the last look to this one.
func (c *Clock) advance(wall, steady int64) {
	passed := max(0, steady-c.at)
	c.at = max(c.at, steady)
	c.now += passed
	ahead := wall - c.now
	if ahead <= step {
		c.ahead = 0
	} else if c.ahead == 0 {
		c.ahead = steady
	}
	switch give := passed / slew; {
	case c.ahead != 0 && steady-c.ahead >= believe:
		c.now, c.ahead = wall, 0
	case c.ahead != 0: // not believed yet
	default:
		c.now += max(-give, min(ahead, give))
	}
	c.off = c.now - wall
}

// NotBefore moves the time forward to t, if it is behind: what was stamped before a restart must not be of the future after it.
func (c *Clock) NotBefore(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := t.UnixNano(); at > c.now {
		c.off += at - c.now
		c.now = at
	}
}

// Off is by how much the time was ahead of the wall when it was told last; less than 0 where the wall is ahead.
func (c *Clock) Off() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(c.off)
}
