package pair

import (
	"encoding/binary"
	"errors"
	"slices"
)

// EncodedSize is the size of a half as Append writes it.
const EncodedSize = 16 + 8 + 8 + 8 + 8 + 4 + 4 + 2 + 2

var errSize = errors.New("pending halves end in the middle of one")

// Append writes the halves in order of arrival. The owner's numbers are written
// as route and reporter have them, which say what the reader will call them. Slots and
// links are not written: they follow from the order, and from who owns its id.
func (t *Table) Append(dst []byte, route func(Route) Route, reporter func(Endpoint) Endpoint) []byte {
	dst = slices.Grow(dst, t.Count()*EncodedSize)
	for r := t.tail; r != t.head; r++ {
		if r == 0 {
			continue // the place that refs leave out
		}
		h := t.At(r)
		dst = append(dst, h.Trace[:]...)
		dst = append(dst, h.Span[:]...)
		dst = append(dst, h.Refers[:]...)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(h.Start)) //nolint:gosec // bits
		dst = binary.LittleEndian.AppendUint64(dst, h.took)
		var place uint32
		if h.Has(Void) {
			place = uint32(reporter(h.Reporter()))
		} else {
			place = uint32(route(h.Route()))
		}
		dst = binary.LittleEndian.AppendUint32(dst, h.place&^placeMask|place)
		dst = binary.LittleEndian.AppendUint32(dst, h.Response)
		dst = binary.LittleEndian.AppendUint16(dst, uint16(h.Code)) //nolint:gosec // bits
		dst = binary.LittleEndian.AppendUint16(dst, h.flags)
	}
	return dst
}

// Restore fills an empty table with what Append wrote. accept may refuse a
// half that makes no sense. What is more than the limit is handed to spill, oldest
// first, and does not enter.
func (t *Table) Restore(b []byte, accept func(*Half) error, spill func(*Half)) error {
	if len(b)%EncodedSize != 0 {
		return errSize
	}
	over := len(b)/EncodedSize - (t.limit - 1)
	for ; len(b) > 0; b = b[EncodedSize:] {
		var h Half
		copy(h.Trace[:], b)
		copy(h.Span[:], b[16:])
		copy(h.Refers[:], b[24:])
		h.Start = int64(binary.LittleEndian.Uint64(b[32:])) //nolint:gosec // bits
		h.took = binary.LittleEndian.Uint64(b[40:])
		h.place = binary.LittleEndian.Uint32(b[48:])
		h.Response = binary.LittleEndian.Uint32(b[52:])
		h.Code = int16(binary.LittleEndian.Uint16(b[56:])) //nolint:gosec // bits
		h.flags = binary.LittleEndian.Uint16(b[58:])
		if err := accept(&h); err != nil {
			return err
		}
		if over > 0 {
			over--
			spill(&h)
			continue
		}
		var own, refers uint64
		if h.Has(owner) {
			own = t.Key(&h.Trace, h.Span)
		}
		if !h.Refers.IsZero() {
			refers = t.Key(&h.Trace, h.Refers)
		}
		t.Push(&h, own, refers)
	}
	return nil
}
