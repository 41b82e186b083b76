// Package window counts hits per key in fixed windows of time, exactly, in bounded memory.
//
// Problem: a quota server is asked about millions of keys that clients make up. It must never admit more than a key's limit
// in a window, whatever comes at once, and must not grow without end.
//
// Invariants:
//   - A key has one owner: the shard that its hash names. Checking and incrementing happen under that shard's lock, so no
//     interleaving of callers admits more than the limit (I8).
//   - A window is [n*length, (n+1)*length) seconds since the Unix epoch, for every key alike. That is the convention of
//     envoyproxy/ratelimit (floor(now/unit)*unit): weeks start on a Thursday.
//   - A live count is never dropped; only windows that have ended are.
//
// Algorithm, for one hit:
//  1. lock the key's shard and probe its open-addressing table;
//  2. found in a window that has ended: it starts again at zero. Time does not run backwards within a shard, though callers
//     may have read their clocks in another order than they got the lock;
//  3. not found and room left: a new cell; every new cell also pays for looking at a few others and dropping the ended;
//  4. no room: ended cells of the shard are dropped first; if that does not help, the hit counts in a cell that all such keys
//     of the rule share in this shard, and so does every later new key of the rule until that window ends, so that no key is
//     ever counted in two places within a window. A shared cell counts at least what each of its keys used: it may refuse
//     early, it cannot admit too much;
//  5. compare the count with the limit.
//
// Not chosen: a key per window in a cache with eviction (forgets quotas under pressure: over-admission on demand for an
// attacker), Go's map (its pointer-free form would do, but can be neither swept in steps nor shrunk), a log of hits per key
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
	Rule         Key    // the counter shared by keys of this rule for which there is no room
	Tag          uint32 // the rule's number, for CountByTag
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
	Shared        bool   // counted in the rule's shared counter, since the table is full
	Full          bool   // refused because even the shared counters are exhausted; nothing was counted
}

const (
	minCells       = 16      // of a shard's table
	maxShared      = 1 << 14 // shared counters of a shard; with more rules than this in overflow, hits are refused
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
	mu     sync.Mutex
	cells  []cell // length a power of two, probed linearly
	used   int
	max    int            // cells that may be used
	cursor int            // where sweeping goes on
	clock  int64          // the latest time seen, so that time does not run backwards within a shard
	purged int64          // the second in which all ended cells were last dropped for want of room
	shared map[Key]*cell  // by rule; nil until needed
	_      [128 - 80]byte // a shard has cache lines of its own
}

// New makes a table of at most about maxKeys counters (each shard has its even part of them), split in shards parts (rounded
// up to a power of two). 1 shard gives an exact bound.
func New(maxKeys, shards int) *Table {
	n := 1
	for n < shards {
		n *= 2
	}
	t := &Table{shards: make([]shard, n), mask: uint64(n - 1)}
	for i := range t.shards {
		t.shards[i].cells = make([]cell, minCells)
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

// Count counts one hit at now, in Unix seconds. It does not allocate, except when a shard's table grows.
func (t *Table) Count(h *Hit, now int64) Result {
	s := t.shard(h.Key)
	s.mu.Lock()
	defer s.mu.Unlock()
	now = s.at(now)
	start := Start(now, h.Length)
	c, shared := s.find(h, start, now)
	switch {
	case c == nil:
		return Result{Start: start, Over: !h.Refund, Full: true}
	case shared && h.Refund:
		// What one key gives back may have been used by another: a shared count only grows.
		return Result{Before: c.count, After: c.count, Start: c.start, Shared: true}
	}
	r := c.do(h)
	r.Shared = shared
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

// find returns the cell that counts h, reset if its window has ended, and whether it is a shared one.
func (s *shard) find(h *Hit, start, now int64) (c *cell, shared bool) {
	if c = s.lookup(h.Key); c != nil {
		if c.ended(now) {
			// A key whose window ended and whose rule overflows now stays where it is: the new window starts in its own cell.
			c.begin(start)
		}
		c.tag = h.Tag
		c.rewind(start, now)
		return c, false
	}
	if c = s.shared[h.Rule]; c != nil && !c.ended(now) {
		c.rewind(start, now)
		return c, true
	}
	if s.room(now) {
		return s.insert(h, start, now), false
	}
	return s.share(h, start, now), true
}

func (c *cell) begin(start int64) { c.start, c.count = start, 0 }

// rewind starts again a cell that lies more than a whole window ahead: the wall clock was set back, and waiting for time to
// catch up would block the key for as long.
func (c *cell) rewind(start, now int64) {
	if c.start-now > int64(c.length) {
		c.begin(start)
	}
}
