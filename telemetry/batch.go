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
// is appended to the log, where several followers may read it at the same time, and goes back to its pool when the last has
// passed it. Nothing may keep a pointer into it, nor a string from
// [Batch.Str] without copying it ([Batch.CopyStr]).
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

	arena []byte   // all strings, end to end
	ends  []uint32 // ends[i] is where string i ends in arena; string 0 is ""
	slots []uint64 // open addressing by hash; holds hash<<32 | StrID, 0 is free; len is a power of two
	// known is the hashes of the well-known strings, which arena and ends always begin
	// with: a batch of thirty log entries cannot afford to hash a hundred strings first.
	known [numWellKnown]uint32
	// deduped says that slots covers all strings. A batch decoded from a record
	// skips the table, which readers do not need; Intern builds it when asked.
	deduped bool
	// raw says that the table may hold what is not UTF-8, so that finding a text
	// there does not prove it valid.
	raw bool
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
	if len(b.slots) < minSlots {
		b.slots = make([]uint64, minSlots)
	} else {
		clear(b.slots)
	}
	b.deduped = true
	b.raw = false
	if len(b.ends) == 0 {
		b.ends = append(b.ends, 0)
		for i := 1; i < len(wellKnown); i++ {
			b.known[i] = uint32(maphash.String(seed, wellKnown[i]))
			b.arena = append(b.arena, wellKnown[i]...)
			b.ends = append(b.ends, uint32(len(b.arena)))
		}
	}
	b.ends = b.ends[:numWellKnown]
	b.arena = b.arena[:b.ends[numWellKnown-1]]
	for i := 1; i < len(wellKnown); i++ {
		b.slots[b.free(b.known[i])] = uint64(b.known[i])<<32 | uint64(i)
	}
}

// A Mark is how far a batch was filled at a moment.
type Mark struct{ strings, resources, spans, requests, attrs, events, links int }

// Mark is how far the batch is filled.
func (b *Batch) Mark() Mark {
	return Mark{len(b.ends), len(b.Resources), len(b.Spans), len(b.Requests), len(b.Attrs), len(b.Events), len(b.Links)}
}

// Truncate takes out what was put in after m, strings included. It is for faults: it builds the
// table of strings anew.
func (b *Batch) Truncate(m Mark) {
	if m.strings < len(b.ends) {
		b.ends = b.ends[:m.strings]
		b.arena = b.arena[:b.ends[m.strings-1]]
		clear(b.slots)
		b.fillSlots()
	}
	b.Resources, b.Spans, b.Requests = b.Resources[:m.resources], b.Spans[:m.spans], b.Requests[:m.requests]
	b.Attrs, b.Events, b.Links = b.Attrs[:m.attrs], b.Events[:m.events], b.Links[:m.links]
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

// Intern puts s, which is UTF-8, in the table, once, and returns its id. s is
// copied.
func (b *Batch) Intern(s []byte) StrID {
	if len(s) == 0 {
		return 0
	}
	id, h, slot := b.find(s)
	if id == 0 {
		id = b.add(s, h, slot)
	}
	return id
}

// find looks s up: its id, or 0 with its hash and the slot where it belongs.
func (b *Batch) find(s []byte) (id StrID, h uint32, slot uint32) {
	if !b.deduped {
		b.buildSlots()
	}
	h = uint32(maphash.Bytes(seed, s))
	mask := uint32(len(b.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		v := b.slots[i]
		if v == 0 {
			return 0, h, i
		}
		if id := StrID(v); uint32(v>>32) == h && string(b.Bytes(id)) == string(s) {
			return id, h, i
		}
	}
}

// InternRaw is Intern for bytes that need not be UTF-8, as the value of an
// [AttrBytes] attribute is.
func (b *Batch) InternRaw(s []byte) StrID {
	b.raw = b.raw || !utf8.Valid(s)
	return b.Intern(s)
}

// InternString is Intern for a string.
func (b *Batch) InternString(s string) StrID { return b.Intern(unsafeBytes(s)) }

// InternText is Intern for text off the wire: invalid UTF-8 is replaced by
// U+FFFD, and text longer than limit bytes is cut at a character's edge.
// changed says that either happened, so that the caller can count it.
func (b *Batch) InternText(s []byte, limit int) (id StrID, changed bool) {
	if len(s) == 0 {
		return 0, false
	}
	if len(s) <= limit && !b.raw {
		// Most texts are in the table already, and were valid when they came there.
		id, h, slot := b.find(s)
		if id != 0 {
			return id, false
		}
		if utf8.Valid(s) {
			return b.add(s, h, slot), false
		}
	}
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

// free is the slot where a string of this hash, which is not in the table, belongs.
func (b *Batch) free(h uint32) uint32 {
	mask := uint32(len(b.slots) - 1)
	i := h & mask
	for b.slots[i] != 0 {
		i = (i + 1) & mask
	}
	return i
}

func (b *Batch) add(s []byte, h, slot uint32) StrID {
	id := uint32(len(b.ends))
	b.arena = append(b.arena, s...)
	b.ends = append(b.ends, uint32(len(b.arena)))
	b.slots[slot] = uint64(h)<<32 | uint64(id)
	if 2*len(b.ends) > len(b.slots) {
		b.growSlots(2 * len(b.slots))
	}
	return StrID(id)
}

func (b *Batch) growSlots(n int) {
	old := b.slots
	b.slots = make([]uint64, n)
	for _, v := range old {
		if v != 0 {
			b.slots[b.free(uint32(v>>32))] = v
		}
	}
}

// buildSlots gives a batch that was decoded from a record its table. Whether
// all in it is UTF-8 is not known.
func (b *Batch) buildSlots() {
	n := minSlots
	for n < 4*len(b.ends) {
		n *= 2
	}
	b.slots = make([]uint64, n)
	b.fillSlots()
	b.deduped = true
	b.raw = true
}

// fillSlots puts all strings into the empty table, which has room for them.
func (b *Batch) fillSlots() {
	for id := 1; id < len(b.ends); id++ {
		h := uint32(maphash.Bytes(seed, b.Bytes(StrID(id))))
		b.slots[b.free(h)] = uint64(h)<<32 | uint64(id)
	}
}
