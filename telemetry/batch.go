package telemetry

import (
	"hash/maphash"
	"unicode/utf8"
)

// A Batch is what one sender sent at one moment: spans, requests, and all that
// they refer to, in arrays.
//
// Ownership (invariant I3): whoever is handed a batch borrows it for the call. A
// batch is filled by exactly one goroutine (a decoder), is read-only once it
// is appended to the log, and goes back to its pool when the last sink has
// returned. Nothing may keep a pointer into it, nor a string from
// [Batch.Str] without copying it ([Batch.CopyStr]). What may be kept is the
// encoded record ([Entry.Record]), which is immutable.
//
// Strings are held once each in a table and named by [StrID]; a sink that
// needs something costly per string (a lookup in a process-wide table, say)
// keeps an array indexed by StrID for the length of the call and pays once per
// distinct string, not once per span.
//
// The zero Batch is not ready; use [NewBatch].
type Batch struct {
	// Received is the moment of admission in Unix nanoseconds: the log's own
	// clock, which the cores use in place of the wall's.
	Received int64

	Resources []Resource
	Spans     []Span
	Requests  []Request
	Attrs     []Attr  // spans, resources, requests, events and links hold ranges of it
	Events    []Event // spans hold ranges of it
	Links     []Link  // spans hold ranges of it

	arena  []byte   // all strings, end to end
	ends   []uint32 // ends[i] is where string i ends in arena; string 0 is ""
	hashes []uint32 // hashes[i] belongs to string i
	slots  []uint32 // open addressing by hash; holds StrID+1, 0 is free; len is a power of two
	// deduped says that slots covers all strings. A batch decoded from a record
	// skips the table, which readers do not need; Intern builds it when asked.
	deduped bool
}

// StrID names a string of one batch; 0 is the empty string, and the ids from 1
// to the number of well-known strings are those of semconv.go in every batch.
type StrID uint32

// Range is a run of one of a batch's arrays.
type Range struct{ Start, Len uint32 }

// minSlots keeps a batch of some hundred spans from growing its table.
const minSlots = 1024

// seed makes the table's order unpredictable to senders; nothing outlives the
// process that depends on it.
var seed = maphash.MakeSeed() //nolint:gochecknoglobals // immutable

// NewBatch returns an empty batch, ready to be filled.
func NewBatch() *Batch {
	b := &Batch{}
	b.Reset()
	return b
}

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	b.Received = 0
	b.Resources = b.Resources[:0]
	b.Spans = b.Spans[:0]
	b.Requests = b.Requests[:0]
	b.Attrs = b.Attrs[:0]
	b.Events = b.Events[:0]
	b.Links = b.Links[:0]
	b.arena = b.arena[:0]
	b.ends = b.ends[:0]
	b.hashes = b.hashes[:0]
	if len(b.slots) < minSlots {
		b.slots = make([]uint32, minSlots)
	} else {
		clear(b.slots)
	}
	b.deduped = true
	b.ends = append(b.ends, 0)
	b.hashes = append(b.hashes, 0)
	for i := 1; i < len(wellKnown); i++ {
		b.internNew([]byte(wellKnown[i]))
	}
}

// Len is how many spans and requests the batch holds.
func (b *Batch) Len() int { return len(b.Spans) + len(b.Requests) }

// Size is roughly how many bytes of memory the batch's content takes.
func (b *Batch) Size() int {
	return len(b.arena) + 8*len(b.ends) + 16*len(b.Attrs) + 176*len(b.Spans) + 256*len(b.Requests) +
		40*len(b.Events) + 48*len(b.Links) + 48*len(b.Resources)
}

// Strings is how many strings the table holds, so that a sink can size an
// array indexed by StrID.
func (b *Batch) Strings() int { return len(b.ends) }

// Bytes is string id, borrowed: it is valid as long as the batch is.
func (b *Batch) Bytes(id StrID) []byte {
	if id == 0 {
		return nil
	}
	return b.arena[b.ends[id-1]:b.ends[id]:b.ends[id]]
}

// Str is string id, borrowed: it is valid as long as the batch is, and is
// fit for a map lookup or a comparison. To keep it, use CopyStr.
func (b *Batch) Str(id StrID) string { return unsafeString(b.Bytes(id)) }

// CopyStr is string id as a string that may be kept.
func (b *Batch) CopyStr(id StrID) string { return string(b.Bytes(id)) }

// Intern puts s in the table, once, and returns its id. s is copied.
func (b *Batch) Intern(s []byte) StrID {
	if len(s) == 0 {
		return 0
	}
	if !b.deduped {
		b.buildSlots()
	}
	h := uint32(maphash.Bytes(seed, s))
	mask := uint32(len(b.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		v := b.slots[i]
		if v == 0 {
			return b.add(s, h, i)
		}
		if id := v - 1; b.hashes[id] == h && string(b.Bytes(StrID(id))) == string(s) {
			return StrID(id)
		}
	}
}

// InternString is Intern for a string.
func (b *Batch) InternString(s string) StrID { return b.Intern(unsafeBytes(s)) }

// InternText is Intern for text off the wire: invalid UTF-8 is replaced by
// U+FFFD, and text longer than limit bytes is cut at a character's edge.
// changed says that either happened, so that the caller can count it.
func (b *Batch) InternText(s []byte, limit int) (id StrID, changed bool) {
	if len(s) > limit {
		changed = true
		for limit > 0 && !utf8.RuneStart(s[limit]) {
			limit--
		}
		s = s[:limit]
	}
	if !utf8.Valid(s) {
		changed = true
		s = toValid(s)
		if len(s) > limit && limit > 0 { // replacing may lengthen
			for limit > 0 && !utf8.RuneStart(s[limit]) {
				limit--
			}
			s = s[:limit]
		}
	}
	return b.Intern(s), changed
}

// toValid replaces each run of invalid bytes by one U+FFFD.
func toValid(s []byte) []byte {
	out := make([]byte, 0, len(s)+8)
	bad := false
	for len(s) > 0 {
		r, n := utf8.DecodeRune(s)
		if r == utf8.RuneError && n == 1 {
			if !bad {
				out = append(out, "\uFFFD"...)
			}
			bad = true
		} else {
			out = append(out, s[:n]...)
			bad = false
		}
		s = s[n:]
	}
	return out
}

func (b *Batch) internNew(s []byte) {
	h := uint32(maphash.Bytes(seed, s))
	mask := uint32(len(b.slots) - 1)
	i := h & mask
	for b.slots[i] != 0 {
		i = (i + 1) & mask
	}
	b.add(s, h, i)
}

func (b *Batch) add(s []byte, h, slot uint32) StrID {
	id := uint32(len(b.ends))
	b.arena = append(b.arena, s...)
	b.ends = append(b.ends, uint32(len(b.arena)))
	b.hashes = append(b.hashes, h)
	b.slots[slot] = id + 1
	if 2*len(b.ends) > len(b.slots) {
		b.growSlots(2 * len(b.slots))
	}
	return StrID(id)
}

func (b *Batch) growSlots(n int) {
	b.slots = make([]uint32, n)
	mask := uint32(n - 1)
	for id := 1; id < len(b.ends); id++ {
		i := b.hashes[id] & mask
		for b.slots[i] != 0 {
			i = (i + 1) & mask
		}
		b.slots[i] = uint32(id) + 1
	}
}

// buildSlots gives a batch that was decoded from a record its table.
func (b *Batch) buildSlots() {
	b.hashes = b.hashes[:0]
	for id := range b.ends {
		b.hashes = append(b.hashes, uint32(maphash.Bytes(seed, b.Bytes(StrID(id)))))
	}
	n := minSlots
	for n < 4*len(b.ends) {
		n *= 2
	}
	b.growSlots(n)
	b.deduped = true
}
