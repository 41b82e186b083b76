package clock

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// fake is a machine: seconds that pass, and a wall that can be set.
type fake struct{ wall, steady int64 }

func (f *fake) pass(d time.Duration) { f.wall += int64(d); f.steady += int64(d) }
func (f *fake) set(d time.Duration)  { f.wall += int64(d) }

func machine() (*fake, *Clock) {
	f := &fake{wall: int64(1_800_000_000) * int64(time.Second), steady: 1}
	return f, from(func() (int64, int64) { return f.wall, f.steady })
}

// run passes time as a server does: it looks at the clock twenty times a second.
func run(f *fake, c *Clock, d time.Duration) {
	for end := f.steady + int64(d); f.steady < end; {
		f.pass(50 * time.Millisecond)
		c.Now()
	}
}

func TestMistakeIsNotFollowed(t *testing.T) {
	t.Parallel()
	f, c := machine()
	start := c.Now()
	f.set(time.Hour)
	run(f, c, 50*time.Second)
	if got := c.Now().Sub(start); got != 50*time.Second {
		t.Errorf("50 s after the wall was set an hour ahead %s have passed", got)
	}
	f.set(-time.Hour)
	run(f, c, 50*time.Second)
	if got := c.Now().Sub(start); got != 100*time.Second {
		t.Errorf("set back, %s have passed of 100 s", got)
	}
	if c.Off() != 0 {
		t.Errorf("off by %s", c.Off())
	}
}

func TestSleepIsFollowed(t *testing.T) {
	t.Parallel()
	f, c := machine()
	start := c.Now()
	f.set(8 * time.Hour) // the machine slept
	run(f, c, 61*time.Second)
	if got := c.Now().Sub(start); got < 8*time.Hour || c.Off() != 0 {
		t.Errorf("a minute after a sleep of 8 h %s have passed; off by %s", got, c.Off())
	}
}

func TestSetBackIsNotFollowed(t *testing.T) {
	t.Parallel()
	f, c := machine()
	start := c.Now()
	f.set(-time.Hour)
	run(f, c, 100*time.Second)
	if got := c.Now().Sub(start); got < 99*time.Second-time.Millisecond || got > 100*time.Second {
		t.Errorf("in 100 s %s have passed", got)
	}
	if off := c.Off(); off < 59*time.Minute+58*time.Second || off > time.Hour {
		t.Errorf("off by %s", off)
	}
}

func TestRestartBeginsNoEarlier(t *testing.T) {
	t.Parallel()
	f, c := machine()
	before := c.Now().Add(time.Hour)
	c.NotBefore(before)
	c.NotBefore(before.Add(-time.Minute))
	if c.Off() != time.Hour {
		t.Errorf("off by %s", c.Off())
	}
	f.pass(time.Second)
	if now := c.Now(); now.Before(before) {
		t.Errorf("it is %s, before %s", now, before)
	}
}

// Whatever is done to the wall, time goes forward, at its pace but for a hundredth, unless it follows a wall that stayed ahead.
func TestNeverBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f, c := machine()
		last := c.Now()
		for range rapid.IntRange(1, 200).Draw(t, "looks") {
			if rapid.IntRange(0, 9).Draw(t, "what") == 0 {
				f.set(time.Duration(rapid.Int64Range(-int64(2*time.Hour), int64(2*time.Hour)).Draw(t, "step")))
			}
			d := time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "pass"))
			f.pass(d)
			now := c.Now()
			went := now.Sub(last)
			if went < 0 {
				t.Fatalf("time went back by %s", -went)
			}
			if went < d-d/slew-1 || went > d+d/slew+1 && c.Off() != 0 {
				t.Fatalf("%s passed and the clock went on by %s", d, went)
			}
			last = now
		}
	})
}
