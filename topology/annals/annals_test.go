package annals

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

const start = int64(1_790_000_000e9)

func config() Config { return Config{Vanishes: 72 * time.Hour, Pairs: 100, Nodes: 100} }

// A clerk looks at a graph every ten seconds of hours that pass at once.
type clerk struct {
	t    *testing.T
	a    *Annals
	now  int64
	mute bool // nothing at all is heard
	told []string
}

func newClerk(t *testing.T) *clerk {
	t.Helper()
	return &clerk{t: t, a: New(config()), now: start}
}

// pass lets time pass, in steps, while some pairs are seen at each.
func (c *clerk) pass(d, step time.Duration, seen ...string) {
	c.t.Helper()
	for end := c.now + int64(d); c.now < end; {
		c.now += int64(step)
		received := c.now
		if c.mute {
			received = 0
		}
		c.a.Begin(c.now, received)
		for _, pair := range seen {
			c.see(pair)
		}
		for _, v := range c.a.End() {
			c.told = append(c.told, "gone "+v.Source)
		}
	}
}

func (c *clerk) see(pair string) {
	number := uint64(0)
	for _, b := range []byte(pair) {
		number = number*31 + uint64(b)
	}
	if p := c.a.Known(number); p.Remembered() {
		if c.a.Seen(p, c.now) {
			c.told = append(c.told, "back "+pair)
		}
		return
	}
	if _, news := c.a.Add(Sight{Number: number, Source: pair, Target: "x", First: c.now, Last: c.now, Junk: pair[0] == '!'}); news {
		c.told = append(c.told, "new "+pair)
	}
}

func (c *clerk) expect(what string, want ...string) {
	c.t.Helper()
	if fmt.Sprint(c.told) != fmt.Sprint(want) {
		c.t.Errorf("%s: told are %q, want %q", what, c.told, want)
	}
	c.told = nil
	// What is saved and read again is the same, and goes on the same way.
	b := c.a.Append(nil)
	read, err := Read(b, c.a.cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	if !bytes.Equal(read.Append(nil), b) {
		c.t.Fatalf("%s: it is another once it was read", what)
	}
	c.a = read
}

func TestWhatIsNewAndWhatIsGone(t *testing.T) {
	t.Parallel()
	c := newClerk(t)
	c.pass(10*time.Minute, 10*time.Second, "a", "b", "weekly")
	c.expect("at first all is taken as having been there")
	c.pass(time.Minute, 10*time.Second, "a", "b", "c")
	c.expect("a new one", "new c")
	c.pass(2*time.Hour, time.Minute, "a", "b", "c", "weekly")
	c.expect("nothing new")
	c.pass(12*time.Hour, time.Minute, "a")
	c.expect("a night")
	c.mute = true
	c.pass(30*24*time.Hour, time.Minute)
	c.expect("nothing at all is heard for a month")
	c.mute = false
	c.pass(4*time.Hour, time.Minute, "a", "b", "c")
	c.expect("all are back but one, which has been silent for 16 hours in which others were heard")
	c.pass(57*time.Hour, time.Minute, "a", "b", "c")
	c.expect("three days, in which it is not missed yet, are over", "gone weekly")
	c.pass(time.Hour, time.Minute, "a", "b", "c")
	c.expect("and it is missed once")
	c.pass(95*time.Hour, time.Minute, "a", "b")
	c.expect("another one", "gone c")
	c.pass(time.Minute, time.Minute, "a", "b", "weekly")
	c.expect("one that is back", "back weekly")
	c.pass(7*24*time.Hour, time.Minute, "a", "b")
	c.expect("one whose silence is known is not missed a week later")
	c.pass(8*24*time.Hour, time.Minute, "a", "b")
	c.expect("but after twice as long as it ever was silent", "gone weekly")
}

func TestWhatWasShortIsNotMissed(t *testing.T) {
	t.Parallel()
	c := newClerk(t)
	c.pass(time.Hour, time.Minute, "a")
	c.pass(30*time.Minute, time.Minute, "a", "trial")
	c.expect("it came", "new trial")
	c.pass(200*time.Hour, time.Minute, "a")
	c.expect("it went")
}

// Junk is remembered as that: it is no news, it is not missed, and makes room first.
func TestJunkMakesRoom(t *testing.T) {
	t.Parallel()
	c := newClerk(t)
	c.pass(time.Hour, time.Minute, "a", "b")
	for i := range 500 {
		c.pass(time.Minute, time.Minute, fmt.Sprint("!", i))
	}
	c.expect("a flood")
	if s := c.a.Stats(); s.Pairs > 100 || s.LeftOut != 500 || s.Displaced == 0 {
		t.Errorf("stats are %+v", s)
	}
	c.pass(time.Minute, time.Minute, "a", "b")
	c.expect("who was there before is known")
	c.pass(100*time.Hour, time.Minute, "a", "b")
	c.expect("none is missed")
}

// There is so much news of one in an hour, and of all, and no more.
func TestNewsHasABudget(t *testing.T) {
	t.Parallel()
	c := newClerk(t)
	c.pass(time.Hour, time.Minute, "a")
	told := 0
	for range 100 {
		if c.a.Afford("flood", "") {
			told++
		}
	}
	if told != newsOfOne || !c.a.Afford("other") {
		t.Errorf("%d of one are told", told)
	}
	for i := range 1000 {
		if c.a.Afford(strconv.Itoa(i)) {
			told++
		}
	}
	if told != newsOfAll-1 {
		t.Errorf("%d of all are told", told)
	}
	c.pass(time.Hour, time.Minute, "a")
	if !c.a.Afford("flood") {
		t.Error("the next hour has no news")
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	c := newClerk(t)
	see := func(version string) bool {
		c.pass(2*time.Minute, time.Minute, "a")
		_, news := c.a.Version(7, "shop/cart", version, c.now)
		return news
	}
	see("v0")
	c.pass(time.Hour, time.Minute, "a")
	for _, step := range []struct {
		version string
		news    bool
	}{{"v0", false}, {"v1", true}, {"v1", false}, {"v0", false}, {"v2", true}} {
		if see(step.version) != step.news {
			t.Errorf("%s: news is %t", step.version, !step.news)
		}
	}
	before, news := c.a.Version(7, "shop/cart", "v3", c.now)
	if !news || fmt.Sprint(before) != "[v1 v0 v2]" {
		t.Errorf("before v3 were %q", before)
	}
	for i := range 100 {
		see(fmt.Sprint("w", i))
	}
	if n := len(c.a.nodes[7].editions); n != mostVersions {
		t.Errorf("%d versions are remembered", n)
	}
	c.expect("it is saved")
}

// The oldest events make room, and it is said since when all are known.
func TestEventsAreBounded(t *testing.T) {
	t.Parallel()
	c := newClerk(t)
	c.pass(time.Hour, time.Minute, "a")
	for i := range mostEvents + 10 {
		c.a.Tell(telemetry.GraphEvent{Kind: telemetry.EventCycle, At: c.now + int64(i), Service: "a", Nodes: []string{"a", "b"}, Says: "they do", TraceID: telemetry.TraceID{1}})
	}
	list, since := c.a.Events()
	if len(list) > mostEvents || list[0].At != since || c.a.Stats().Forgotten != mostEvents/8 {
		t.Errorf("%d events since %d, the first of %d; %+v", len(list), since, list[0].At, c.a.Stats())
	}
	c.expect("they are saved")
}

// Whatever the bytes, reading them does not panic, and what is read can be written and read again.
func FuzzRead(f *testing.F) {
	a := New(config())
	a.Begin(start, start)
	a.Add(Sight{Number: 1, Source: "a", Target: "b", First: start, Last: start})
	a.Version(2, "a", "v1", start)
	a.Tell(telemetry.GraphEvent{Service: "a", Edges: []string{"a>b|http"}})
	f.Add(a.Append(nil))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := Read(sealed(b), config())
		if err != nil {
			return
		}
		if _, err := Read(a.Append(nil), config()); err != nil {
			t.Errorf("what was read cannot be read again: %v", err)
		}
	})
}

// sealed is b with a checksum that is right.
func sealed(b []byte) []byte {
	if len(b) < 4 {
		return b
	}
	b = bytes.Clone(b)
	binary.LittleEndian.PutUint32(b[len(b)-4:], crc32.Checksum(b[:len(b)-4], castagnoli))
	return b
}
