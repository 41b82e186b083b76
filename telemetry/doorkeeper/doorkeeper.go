// Package doorkeeper remembers, for a short time and in a fixed space, the keys that a
// full table turned away.
//
// The problem: a table whose keys senders choose is full, and most of what knocks is
// junk that never comes again. The first who come must not keep out the others, and junk must
// not push out what lives. So a key is let in when it is seen again: a [Door]
// holds a hash of each that was turned away, and says since when it knocks.
//
// Invariants:
//   - The space is fixed: 16 bytes a slot, from the first key on. Where no table is ever full it takes none.
//   - What the door says is a function of the hashes and times it was given (I6), so that it
//     can be saved, and a replay of the log comes to the same.
//   - A key that is younger than three times the patience is pushed out by nobody: under a flood
//     each call of an honest newcomer has a fair chance of a slot, and then keeps it until it is due and has called.
//
// Two keys of one hash are one key to the door: one in 2^64. The worst that comes of it, or of a
// sender who computes hashes, is that a key is let in at first sight or waits longer.
//
// Not chosen: a count-min sketch of frequencies, which needs aging, and says
// how often but not since when; what is asked here is whether a key lasts.
package doorkeeper

// ways is how many slots a hash may lie in.
const ways = 4

// guarded is for how many times the patience a key keeps its slot.
const guarded = 3

// A Door remembers keys. It is for one goroutine at a time.
type Door struct {
	slots    []slot // sets of ways; none before the first key
	mask     uint64 // number of sets less one
	patience int64
	memory   int64
}

type slot struct {
	hash  uint64
	first int64 // when the key knocked first; 0 is a free slot
}

// New makes a door of size slots, rounded up to a power of two. A key is due when it
// knocks at least patience after its first knock, and is forgotten memory after it. Both are of the
// caller's clock, which may count anything above 0 that rises.
func New(size int, patience, memory int64) *Door {
	sets := 1
	for sets*ways < size {
		sets *= 2
	}
	return &Door{mask: uint64(sets - 1), patience: patience, memory: memory}
}

// Knock notes a key, by its hash, and says whether it is due: it knocked at least the
// patience ago.
func (d *Door) Knock(hash uint64, now int64) (due bool) {
	d.open()
	set := d.set(hash)
	if s := d.find(set, hash, now); s != nil {
		return now-s.first >= d.patience
	}
	room := &set[0]
	for i := range set {
		s := &set[i]
		if d.forgotten(room, now) {
			break
		}
		if d.forgotten(s, now) || s.first < room.first {
			room = s
		}
	}
	if d.forgotten(room, now) || now-room.first >= guarded*d.patience {
		*room = slot{hash, now}
	}
	return false
}

// Due says what Knock would, and notes nothing.
func (d *Door) Due(hash uint64, now int64) bool {
	if d.slots == nil {
		return false
	}
	s := d.find(d.set(hash), hash, now)
	return s != nil && now-s.first >= d.patience
}

func (d *Door) open() {
	if d.slots == nil {
		d.slots = make([]slot, d.Size())
	}
}

func (d *Door) find(set []slot, hash uint64, now int64) *slot {
	for i := range set {
		if s := &set[i]; s.hash == hash && !d.forgotten(s, now) {
			return s
		}
	}
	return nil
}

// forgotten says that a slot is free, or as good as free.
func (d *Door) forgotten(s *slot, now int64) bool { return s.first == 0 || now-s.first > d.memory }

func (d *Door) set(hash uint64) []slot {
	at := (hash >> 32 & d.mask) * ways
	return d.slots[at : at+ways]
}

// Size is how many slots the door has.
func (d *Door) Size() int { return int(d.mask+1) * ways } //nolint:gosec // made of an int

// A Knocker is a key that the door remembers.
type Knocker struct {
	Slot  int
	Hash  uint64
	First int64 // when it knocked first
}

// Knockers are the keys that are remembered at a moment, by slot.
func (d *Door) Knockers(now int64) (all []Knocker) {
	for i := range d.slots {
		if s := &d.slots[i]; !d.forgotten(s, now) {
			all = append(all, Knocker{i, s.hash, s.first})
		}
	}
	return all
}

// Restore puts a key back where it was, into a door of the same size. It is false
// where the key can not have been there.
func (d *Door) Restore(k Knocker) bool {
	if k.First <= 0 || k.Slot < 0 || k.Slot >= d.Size() || uint64(k.Slot/ways) != k.Hash>>32&d.mask {
		return false
	}
	d.open()
	if d.slots[k.Slot].first != 0 {
		return false
	}
	d.slots[k.Slot] = slot{k.Hash, k.First}
	return true
}

// A Hash is made of a key's parts, by FNV-1a, which is the same in each process.
type Hash uint64

// NewHash begins a hash. Kinds of keys that share a door begin with different seeds.
func NewHash(seed byte) Hash { return Hash(0xcbf29ce484222325).Byte(seed) }

// Byte adds a byte.
func (h Hash) Byte(b byte) Hash { return (h ^ Hash(b)) * 0x100000001b3 }

// Text adds a text and its end.
func (h Hash) Text(s string) Hash {
	for i := 0; i < len(s); i++ {
		h = h.Byte(s[i])
	}
	return h.Byte(0xff)
}

// Bytes adds a text and its end.
func (h Hash) Bytes(s []byte) Hash {
	for _, b := range s {
		h = h.Byte(b)
	}
	return h.Byte(0xff)
}

// Sum is the hash of all that was added.
func (h Hash) Sum() uint64 {
	// FNV's upper bits, which choose the slot, are mixed less than the lower ones.
	v := uint64(h)
	v = (v ^ v>>29) * 0xbf58476d1ce4e5b9
	return v ^ v>>32
}
