package signal

// Tick is the clock of accumulators, in nanoseconds.
const Tick = 100_000_000

// A Window is one of the sliding windows.
type Window int

// The windows.
const (
	Second Window = iota
	TenSeconds
	Minute
	FiveMinutes
	Windows = 4
)

var windowNames = [Windows]string{"1s", "10s", "1m", "5m"} //nolint:gochecknoglobals // immutable

// String is the window's name in the HTTP API.
func (w Window) String() string { return windowNames[w] }

const columns = 11 + 11 + 7 + 11

// level is the ring of slots of one window.
type level struct {
	width int64 // ticks a slot
	slots int64 // one more than fill the window
	first int   // column of slot 0
}

var levels = [Windows]level{{1, 11, 0}, {10, 11, 11}, {100, 7, 22}, {300, 11, 29}} //nolint:gochecknoglobals // immutable

// A Cursor is a tick with its slots and columns, which are costly enough to find to be
// found once a batch and not once a span.
type Cursor struct {
	tick int64
	slot [Windows]int64 // counted from the epoch
	col  [Windows]uint8
}

// At is the cursor of a tick.
func At(tick int64) Cursor {
	c := Cursor{tick: tick}
	for i, l := range levels {
		c.slot[i] = tick / l.width
		c.col[i] = uint8(int64(l.first) + c.slot[i]%l.slots) //nolint:gosec // below 40
	}
	return c
}

// Tick is the cursor's tick.
func (c *Cursor) Tick() int64 { return c.tick }

// Seconds is how long window w is at now, in Unix nanoseconds: its whole slots
// and what has passed of the one being filled.
func Seconds(w Window, now int64) float64 {
	l := levels[w]
	slot := l.width * Tick
	return float64((l.slots-1)*slot+now%slot) / 1e9
}
