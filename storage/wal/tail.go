package wal

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// tail is the newest durable records, in memory, so that who keeps up reads no file and decodes nothing.
//
// Invariants: entries are dense and end at last. An entry is there as long as a follower has not passed it and
// the whole takes at most tailBytes; who is further behind reads from disk. Whoever makes an entry's users 0 recycles it,
// without the lock.
type tail struct {
	mu        sync.Mutex
	entries   []*entry // the first `gone` of them have left
	gone      int
	memory    int64
	front     Extent // of the log before the first entry
	last      telemetry.Position
	sum       Extent // of the log up to last
	followers []*Follower
	closing   bool          // nobody is held back any more
	ended     bool          // there will be no more entries
	waiting   bool          // the committer waits for a follower
	moved     chan struct{} // capacity 1: a follower moved while it waits

	holes  []hole   // positions that no record has, in order
	damage Damage   // what the log has lost
	places []damage // where it is damaged, as far as that was told
}

// tailBytes is how much memory entries may take that some follower has not passed. A follower
// that reads on from disk needs them to join in again: what it reads there was written some time before.
const tailBytes = 32 << 20

// entryMemory is what an entry takes beyond its content: a batch's string table, most of all.
const entryMemory = 16 << 10

func (t *tail) init(last telemetry.Position, sum Extent, holes []hole) {
	t.last, t.sum, t.front, t.holes = last, sum, sum, holes
	t.moved = make(chan struct{}, 1)
}

// live are the entries.
func (t *tail) live() []*entry { return t.entries[t.gone:] }

// at is the entry of a position, nil if it is not in memory. mu is held.
func (t *tail) at(pos telemetry.Position) *entry {
	es := t.live()
	if len(es) == 0 || pos < es[0].pos || pos > t.last {
		return nil
	}
	return es[pos-es[0].pos]
}

// put adds a group that is durable; wakeAll tells the followers. It returns the entries that nobody wants.
func (t *tail) put(group []*entry) (unused []*entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range group {
		t.entries = append(t.entries, e)
		t.memory += e.memory() + entryMemory
	}
	t.last, t.sum = group[len(group)-1].pos, group[len(group)-1].end
	return t.trim()
}

// wakeAll has the followers look whether there is more.
func (t *tail) wakeAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.followers {
		f.wake()
	}
}

// trim lets entries go that all followers have passed, and the oldest where there is no room. mu is held.
func (t *tail) trim() (unused []*entry) {
	least := t.last + 1
	for _, f := range t.followers {
		least = min(least, f.next)
	}
	for t.gone < len(t.entries) {
		e := t.entries[t.gone]
		if e.pos >= least && t.memory <= tailBytes {
			break
		}
		t.entries[t.gone] = nil
		t.gone++
		t.memory -= e.memory() + entryMemory
		t.front = e.end
		if e.users--; e.users == 0 {
			unused = append(unused, e)
		}
	}
	if 2*t.gone >= len(t.entries) {
		n := copy(t.entries, t.entries[t.gone:])
		clear(t.entries[n:])
		t.entries, t.gone = t.entries[:n], 0
	}
	return unused
}

// room is how many bytes more each essential follower may be behind. held says that one is further behind than its policy allows, and the
// log is not closing: then moved tells when one has moved.
func (t *tail) room() (room int64, held bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	room = math.MaxInt64
	for _, f := range t.followers {
		if p := f.policy; p.Essential && p.MaxLag > 0 {
			room = min(room, p.MaxLag-f.behind().Bytes)
		}
	}
	t.waiting = room < 0 && !t.closing
	return room, t.waiting
}

// ease wakes the committer if it waits. mu is held.
func (t *tail) ease() {
	if !t.waiting {
		return
	}
	select {
	case t.moved <- struct{}{}:
	default:
	}
}

// close has nobody held back any more.
func (t *tail) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closing = true
	t.ease()
}

func (t *tail) isClosing() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closing
}

// end says that there will be no more entries.
func (t *tail) end() {
	t.mu.Lock()
	t.ended = true
	t.mu.Unlock()
	t.wakeAll()
}

// lose notes that positions from `from` on up to `next`-1 were found to be missing. mu is held.
func (t *tail) lose(from, next telemetry.Position) {
	if beyond, _ := overHole(t.holes, from); beyond >= next {
		return
	}
	h := hole{after: from - 1, next: next, lost: uint64(next - from)}
	i, _ := slices.BinarySearchFunc(t.holes, h, func(a, b hole) int { return cmp.Compare(a.after, b.after) })
	t.holes = slices.Insert(t.holes, i, h)
	t.damage.Missing += h.lost
}
