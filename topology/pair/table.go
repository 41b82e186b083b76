package pair

import (
	"encoding/binary"
	"iter"
	"math/bits"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The problem: some ten thousand halves a second, each to be found by two ids
// for ten seconds and more, at a cost of a few cache misses and no work for the
// garbage collector.
//
// The form: halves lie in order of arrival in a row of chunks, so that the oldest is at
// its tail and expiry is popping. A chunk that all halves have left is used again at the head: memory is
// that of the halves there are, and growing copies none. A half's Ref is its place in the endless row
// of all halves; a Ref is live if it lies between tail and head, so that links
// to halves that have gone are recognised and need not be cut. A hash table
// (open addressing, linear probing) has one slot for each id that any live half
// has or refers to:
//
//	slot(id) = { owner: the half whose own id it is, first: the latest half that refers to id }
//	half.next = the half before, that refers to the same id
//
// A half that arrives looks at two slots: its own (who refers to me?) and the
// one it refers to (whose am I?). When a half leaves, a slot in which nothing
// live remains is deleted, so there are at most two slots a half.
//
// Invariants: slots hold a live ref or are absent; refs to one id are linked
// from the latest to the oldest; a list is as good as cut at its first dead ref.
//
// An id is the 64-bit mix of trace and span id, taken for the ids themselves: with
// a million halves a false meeting is expected once in 10^13 lookups. The mix is
// seeded, so that senders cannot aim for one slot.
//
// Not chosen: one ring that doubles (copying a million halves stalls the graph, and while it does both rings are
// there); a Go map to structs (pointers in a million entries, and three
// times the memory); a list and map for each side (four tables to keep alike);
// halves joined into records of hops (a hop has no size: fan-out, retries and
// four witnesses).

// Ref names a half; 0 is none.
type Ref uint32

type slot struct {
	key   uint64 // 0: free
	owner Ref
	first Ref
}

// Table is the table of pending halves.
type Table struct {
	chunks     []*chunk // length is a power of two; half r is in chunk r/chunkHalves modulo the length
	spare      []*chunk // that all halves have left, maxSpare at most
	slots      []slot   // length is a power of two
	used       int
	head, tail Ref // live refs are those from tail up to, not including, head
	limit      int
	seed       uint64
}

// A chunk is a run of halves that are allocated together.
type chunk [chunkHalves]Half

const chunkHalves, minChunks, minSlots = 1 << 10, 1 << 2, 1 << 12

// maxSpare is how many chunks are kept that nobody needs now: halves leave in bursts, those of a tick together.
const maxSpare = 64

// New makes a table of at most limit halves, rounded up to a power of two.
// seed is any number that senders do not know; nothing observable depends on it.
func New(limit int, seed uint64) *Table {
	n := chunkHalves
	for n < limit {
		n *= 2
	}
	return &Table{chunks: make([]*chunk, minChunks), slots: make([]slot, minSlots), head: 1, tail: 1, limit: n, seed: seed | 1}
}

// Limit bounds the table anew, below what New rounds up to; for tests.
func (t *Table) Limit(n int) { t.limit = min(t.limit, n+1) }

// Max is how many halves the table holds at most.
func (t *Table) Max() int { return t.limit - 1 }

// Len is how many halves the table holds.
func (t *Table) Len() int { return int(t.head - t.tail) }

// Count is how many halves Append writes: all but the place that refs leave
// out, if it lies between them.
func (t *Table) Count() int {
	if t.head < t.tail {
		return t.Len() - 1
	}
	return t.Len()
}

// Full says that a half must leave before another can come. One place stays
// free for the ref that is left out when refs begin anew.
func (t *Table) Full() bool { return t.Len() >= t.limit-1 }

// Oldest is the half that came first, 0 if there is none.
func (t *Table) Oldest() Ref {
	if t.head == t.tail {
		return 0
	}
	return t.tail
}

// At is a live half. The pointer is good until the next Push or Pop.
func (t *Table) At(r Ref) *Half {
	return &t.chunks[int(r/chunkHalves)&(len(t.chunks)-1)][r%chunkHalves]
}

// live says that r is in the table. 0 never is: see Push.
func (t *Table) live(r Ref) bool { return r != 0 && r-t.tail < t.head-t.tail }

// Key is the id of a span, or of whatever else the two are made of.
func (t *Table) Key(trace *telemetry.TraceID, span telemetry.SpanID) uint64 {
	a := binary.LittleEndian.Uint64(trace[:8])
	b := binary.LittleEndian.Uint64(trace[8:])
	s := binary.LittleEndian.Uint64(span[:])
	h := mix(a^t.seed, b^0x9e3779b97f4a7c15)
	h = mix(h^s, t.seed^0xd1342543de82ef95)
	if h == 0 {
		return 1
	}
	return h
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a|1<<63, b)
	return hi ^ lo ^ a
}

// Prefetch reads the place where an id would be, and answers nothing of use. Tables
// are larger than caches; places of many ids that are read one right after the
// other are fetched at once, where Look would wait for each.
func (t *Table) Prefetch(key uint64) uint64 { return t.slots[key&uint64(len(t.slots)-1)].key }

// PrefetchOldest reads what Pop will need for the n oldest halves.
func (t *Table) PrefetchOldest(n int) (sum uint64) {
	n = min(n, t.Len())
	for r := t.tail; n > 0; r, n = r+1, n-1 {
		h := t.At(r)
		sum += t.Prefetch(t.Key(&h.Trace, h.Span)) + t.Prefetch(t.Key(&h.Trace, h.Refers))
	}
	return sum
}

// Look finds what is known of an id: the half that owns it, and the latest
// half that refers to it; 0 where there is none.
func (t *Table) Look(key uint64) (owner, first Ref) {
	mask := uint64(len(t.slots) - 1)
	for i := key & mask; ; i = (i + 1) & mask {
		s := &t.slots[i]
		if s.key == key {
			if t.live(s.owner) {
				owner = s.owner
			}
			if t.live(s.first) {
				first = s.first
			}
			return owner, first
		}
		if s.key == 0 {
			return 0, 0
		}
	}
}

// MaxKin bounds how many halves that refer to one id are looked at when
// another comes: a trace that hangs ten thousand spans on one parent costs no more
// than this for each.
const MaxKin = 64

// Kin walks the halves that refer to one id, of which first is the latest, from
// there to the oldest, MaxKin at most. The table must not change meanwhile.
func (t *Table) Kin(first Ref) iter.Seq2[Ref, *Half] {
	return func(yield func(Ref, *Half) bool) {
		for n, r := 0, first; r != 0 && n < MaxKin; n++ {
			h := t.At(r)
			if !yield(r, h) {
				return
			}
			if r = h.next; !t.live(r) {
				return
			}
		}
	}
}

// All walks all halves, from the oldest on. The table must not change meanwhile.
func (t *Table) All() iter.Seq[*Half] {
	return func(yield func(*Half) bool) {
		for r := t.tail; r != t.head; r++ {
			if r != 0 && !yield(t.At(r)) {
				return
			}
		}
	}
}

// Push takes a half in. own is the key of its span id, and asks that Look finds
// it as the owner; refers is the key of h.Refers. Either may be 0 for none. An
// owner that the half replaces is no longer found by its own id.
func (t *Table) Push(h *Half, own, refers uint64) Ref {
	t.ready(t.head)
	r := t.head
	t.head++
	if t.head == 0 {
		t.head = 1 // after 2^32 halves: 0 stays free, at the cost of an empty place
		t.ready(0)
		*t.At(0) = Half{flags: uint16(Void | Emitted)}
	}
	p := t.At(r)
	*p = *h
	p.next = 0
	p.Clear(owner)
	if refers != 0 {
		s := t.slot(refers)
		if t.live(s.first) {
			p.next = s.first
		}
		s.first = r
	}
	if own != 0 {
		s := t.slot(own)
		if t.live(s.owner) {
			t.At(s.owner).Clear(owner)
		}
		s.owner = r
		p.Set(owner)
	}
	return r
}

// Pop lets the oldest half go.
func (t *Table) Pop() {
	h := t.At(t.tail)
	left := t.tail / chunkHalves
	t.tail++
	if t.tail == 0 {
		t.tail = 1
	}
	if h.Has(owner) {
		t.tidy(t.Key(&h.Trace, h.Span))
	}
	if !h.Refers.IsZero() {
		t.tidy(t.Key(&h.Trace, h.Refers))
	}
	if left != t.tail/chunkHalves { // h, in the chunk that is left, was needed until here
		c := &t.chunks[int(left)&(len(t.chunks)-1)]
		if len(t.spare) < maxSpare {
			t.spare = append(t.spare, *c)
		}
		*c = nil
	}
}

// tidy deletes a slot in which nothing live is left.
func (t *Table) tidy(key uint64) {
	mask := uint64(len(t.slots) - 1)
	i := key & mask
	for t.slots[i].key != key {
		if t.slots[i].key == 0 {
			return
		}
		i = (i + 1) & mask
	}
	if t.live(t.slots[i].owner) || t.live(t.slots[i].first) {
		return
	}
	// Shift back those that probed past the hole.
	for j := (i + 1) & mask; t.slots[j].key != 0; j = (j + 1) & mask {
		if home := t.slots[j].key & mask; (j-home)&mask >= (j-i)&mask {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = slot{}
	t.used--
}

// slot finds the slot of a key, or makes it.
func (t *Table) slot(key uint64) *slot {
	mask := uint64(len(t.slots) - 1)
	for i := key & mask; ; i = (i + 1) & mask {
		s := &t.slots[i]
		if s.key == key {
			return s
		}
		if s.key == 0 {
			if 8*t.used >= 5*len(t.slots) {
				t.growSlots()
				return t.slot(key)
			}
			t.used++
			s.key = key
			return s
		}
	}
}

func (t *Table) growSlots() {
	old := t.slots
	t.slots = make([]slot, 2*len(old))
	mask := uint64(len(t.slots) - 1)
	for _, s := range old {
		if s.key == 0 {
			continue
		}
		i := s.key & mask
		for t.slots[i].key != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = s
	}
}

// ready makes sure that there is a place for half r, the next at the head.
func (t *Table) ready(r Ref) {
	c := &t.chunks[int(r/chunkHalves)&(len(t.chunks)-1)]
	if *c != nil && r%chunkHalves != 0 {
		return
	}
	if t.Len() > (len(t.chunks)-1)*chunkHalves-chunkHalves { // it might be the chunk of the tail
		t.growRow()
		c = &t.chunks[int(r/chunkHalves)&(len(t.chunks)-1)]
	}
	if *c != nil {
		return
	}
	if n := len(t.spare); n > 0 {
		*c, t.spare = t.spare[n-1], t.spare[:n-1]
	} else {
		*c = new(chunk)
	}
}

// growRow makes room for twice as many chunks. No half moves.
func (t *Table) growRow() {
	old := t.chunks
	t.chunks = make([]*chunk, 2*len(old))
	first := int(t.tail / chunkHalves)
	for i := range old {
		t.chunks[(first+i)&(len(t.chunks)-1)] = old[(first+i)&(len(old)-1)]
	}
}
