// Package window counts hits per key in fixed windows of time, exactly, in bounded memory.
//
// Problem: a quota server is asked about millions of keys that clients make up. It must never admit more than a key's limit
// in a window, whatever comes at once, must not grow without end, and must not let those who make up keys crowd out the others.
//
// Invariants:
//   - A key has one owner: the shard that its hash names. Checking and incrementing happen under that shard's lock, so no
//     interleaving of callers admits more than the limit (I8).
//   - A window is [n*length, (n+1)*length) seconds since the Unix epoch, for every key alike. That is the convention of
//     envoyproxy/ratelimit (floor(now/unit)*unit): weeks start on a Thursday.
//   - What is counted for a key is never less than what it used in its window, and more only where its shard was full.
//
// Algorithm, for one hit:
//  1. lock the key's shard and probe its open-addressing table;
//  2. found in a window that has ended: it starts again at zero. Time does not run backwards within a shard, though callers
//     may have read their clocks in another order than they got the lock;
//  3. not found and room left: a new cell; every new cell also pays for looking at a few others and dropping the ended;
//  4. no room: ended cells of the shard are dropped first; if that does not help, a cell that is nearly unused gives way to the
//     new key (evict.go). The floor of its rule, one number a shard and window, is raised to what it had used;
//  5. a new cell starts at its rule's floor, for its key may be one that gave way;
//  6. no cell is nearly unused: the hit counts in the floor itself, which is then at least what each key without a cell used;
//  7. compare the count with the limit.
//
// So a key whose place was taken is never granted anew what it had used; one that has used more than an eighth of its limit keeps
// its place; and whoever floods the table with keys used once raises the floor by one each time that he fills it anew, up to
// an eighth. From then on new keys of his rule share what is left, and are refused too early, never too late.
//
// Not chosen: a key per window in a cache with eviction (forgets quotas under pressure: over-admission on demand for an
// attacker), one counter for all keys that find no room (first come, first kept: a flood takes the limits of all who come later),
// Go's map (its pointer-free form would do, but can be neither swept in steps nor shrunk), a log of hits per key
// (exact sliding windows, at memory in proportion to the limit).
//
// Time is an argument everywhere. Keys are 128-bit hashes, made by the caller with a secret seed, so that a client cannot aim
// its key at another's cell; by chance, two of a million keys collide with a probability of 1e-27.
package window

import (
	"context"
	"math"
	"sync"
)

// Key names a counter: a keyed 128-bit hash of everything that tells it from others, the window's length included.
type Key struct{ Hi, Lo uint64 }

// Hit is what one descriptor of a request asks of a counter.
type Hit struct {
	Key          Key
	Tag          uint32 // the rule's number: keys of one rule and length have one floor, and CountByTag counts by it
	Length       uint32 // of the window, in seconds, at least 1
	Limit        uint64 // hits admitted in a window
	N            uint64 // hits to add; 0 only looks
	Refund       bool   // take N away instead, down to zero; never refused
	OnlyAdmitted bool   // add nothing when the hit is refused (envoyproxy/ratelimit counts refused hits by default)
}

// Result is what became of a Hit.
type Result struct {
	Before, After uint64 // the count around this hit; equal when nothing was added
	Start         int64  // of the window in which it counted, Unix seconds
	Over          bool   // refused: admitting it would exceed the limit
	Shared        bool   // counted in the rule's floor itself, since the table is full and no cell could give way
	Full          bool   // refused because there are too many floors as well; nothing was counted
}

const (
	minCells       = 16      // of a shard's table
	maxFloors      = 1 << 14 // floors of a shard; with more rules than this in need of one, hits are refused
	sweepPerInsert = 4       // cells looked at for each new one: the table is swept faster than it can fill
)

// cell is 40 bytes. length 0 marks a free cell: real windows last at least a second.
type cell struct {
	key    Key
	count  uint64
	start  int64
	length uint32
	tag    uint32
}

func (c *cell) ended(now int64) bool { return now >= c.start+int64(c.length) }

// Table holds the counters. It is safe for concurrent use; no lock is held over more than one shard.
type Table struct {
	shards []shard
	mask   uint64
}

type shard struct {
	mu      sync.Mutex
	cells   []cell // length a power of two, probed linearly
	used    int
	max     int              // cells that may be used
	cursor  int              // where sweeping goes on
	clock   int64            // the latest time seen, so that time does not run backwards within a shard
	purged  int64            // the second in which all ended cells were last dropped for want of room
	floors  map[group]*floor // nil until needed
	dirty   []uint64         // a bit a cell: it changed since it was saved last
	telling []uint64         // a bit a cell: it has used more than an eighth of its limit
	given   uint64           // cells that gave way
	victim  int              // where looking for the next goes on
	_       [256 - 144]byte  // a shard has cache lines of its own
}

// A group is the keys of one rule. What a window's length can be is told by requests that bring their own limits, so that the
// groups of a shard are bounded (maxFloors).
type group struct{ tag, length uint32 }

// A floor is the most that a key of the group may have used that has no cell any more, in the window that began at start.
type floor struct {
	count uint64
	start int64
	dirty bool // as of a cell
}

func (f *floor) ended(now int64, length uint32) bool { return now >= f.start+int64(length) }

// New makes a table of at most about maxKeys counters (each shard has its even part of them), split in shards parts (rounded
// up to a power of two). 1 shard gives an exact bound.
func New(maxKeys, shards int) *Table {
	n := 1
	for n < shards {
		n *= 2
	}
	t := &Table{shards: make([]shard, n), mask: uint64(n - 1)}
	for i := range t.shards {
		t.shards[i].make(minCells)
		t.shards[i].max = max(1, maxKeys/n)
	}
	return t
}

// The shard comes from the high half of the key and the place within it from the low half, so that they are independent.
func (t *Table) shard(k Key) *shard { return &t.shards[k.Hi&t.mask] }

// Do counts hits one after the other at now, in Unix seconds, and writes what became of each to results, which is as long. It
// never fails, and what it does takes no time that a context could end.
func (t *Table) Do(_ context.Context, hits []Hit, results []Result, now int64) error {
	for i := range hits {
		results[i] = t.Count(&hits[i], now)
	}
	return nil
}

// Count counts one hit at now, in Unix seconds. It does not allocate, except when a shard's table grows or gets its first floor.
func (t *Table) Count(h *Hit, now int64) Result {
	s := t.shard(h.Key)
	s.mu.Lock()
	defer s.mu.Unlock()
	now = s.at(now)
	start := Start(now, h.Length)
	i := s.lookup(h.Key)
	if i < 0 {
		if i = s.place(h, start, now); i < 0 {
			return s.share(h, start, now)
		}
	}
	c := &s.cells[i]
	if c.ended(now) || c.ahead(now) {
		c.begin(start)
	}
	c.tag = h.Tag
	r := c.do(h)
	if r.Before != r.After {
		set(s.dirty, i, true)
		set(s.telling, i, r.After > max(1, h.Limit/8))
	}
	return r
}

// maxSkew is how far callers' readings of the clock may be out of order, in seconds. Further back, the clock has been set.
const maxSkew = 5

// at returns the time to work with. Callers read the clock before they get the lock; one that read it just before a window's
// end and comes just after the window was dropped must not open that window a second time.
func (s *shard) at(now int64) int64 {
	if now < s.clock && s.clock-now <= maxSkew {
		return s.clock
	}
	s.clock = now
	return now
}

// Start returns the start of the window of the given length that contains now.
func Start(now int64, length uint32) int64 {
	into := now % int64(length)
	if into < 0 {
		into += int64(length)
	}
	return now - into
}

func (c *cell) do(h *Hit) Result {
	r := Result{Before: c.count, Start: c.start}
	switch {
	case h.Refund:
		r.After = c.count - min(c.count, h.N)
	case h.OnlyAdmitted:
		// The sum may not wrap round: compare by what is left.
		left := h.Limit - min(h.Limit, c.count)
		r.After = c.count
		// Looking at a key that has used exactly its limit says refused: nothing here ever gets above it. A ban (limit 0) that
		// nobody ran into looks free, as it does in envoyproxy/ratelimit.
		if r.Over = h.N > left || c.count > h.Limit || (h.N == 0 && left == 0 && h.Limit > 0); !r.Over {
			r.After += h.N
		}
	default:
		r.After = c.count + min(h.N, math.MaxUint64-c.count)
		r.Over = r.After > h.Limit
	}
	c.count = r.After
	return r
}

func (c *cell) begin(start int64) { c.start, c.count = start, 0 }

// ahead says that the cell's window lies more than a whole one ahead: the wall clock was set back, and waiting for time to
// catch up would block the key for as long.
func (c *cell) ahead(now int64) bool { return c.start-now > int64(c.length) }
