package block

import (
	"encoding/binary"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The put methods append a pair to scratch. A value that is zero is left out. A
// code is put one higher, so that the unknown one, -1, is left out.

func (h *head) putUint(col int, v uint64) {
	if v != 0 {
		h.scratch = append(h.scratch, byte(col))
		h.scratch = binary.AppendUvarint(h.scratch, v)
	}
}

func (h *head) putInt(col int, v int64) { h.putUint(col, zigzag(v)) }

func (h *head) putStr(b *telemetry.Batch, col int, s telemetry.StrID) {
	if s != 0 {
		h.putUint(col, uint64(h.str(b, s)))
	}
}

// textUse is how often a column's strings were new, for putText to decide whether to
// look for them at all.
type textUse struct {
	seen, fresh int32
	unique      bool // they are not looked for, and equal ones may have different numbers
}

const (
	// textSample is after how many values of a column it is decided; those of the first
	// half are not judged, since there every string is new once.
	textSample = 4096
	// freshShare is the part of the judged values that must be new.
	freshShare = 4
)

// putText is putStr for a column whose values may be as many as its rows: ids,
// paths with ids in them, addresses of clients. To look for such a string
// costs several times what it costs to copy it. The column of the file gets no dictionary then.
func (h *head) putText(b *telemetry.Batch, col int, s telemetry.StrID) {
	if s == 0 {
		return
	}
	u := &h.texts[col]
	if u.unique {
		h.putUint(col, uint64(h.strings.add(b.Bytes(s), h.pools)))
		return
	}
	before := h.strings.held
	h.putStr(b, col, s)
	if u.seen < textSample {
		u.seen++
		if u.seen > textSample/2 && h.strings.held > before {
			u.fresh++
		}
		u.unique = u.seen == textSample && u.fresh > textSample/2/freshShare
	}
}

// putAttr appends an attribute, zero or not, and returns its key.
func (h *head) putAttr(b *telemetry.Batch, a telemetry.Attr) uint32 {
	k := h.key(b, a)
	h.written += int64(h.keys[k].size)
	h.scratch = binary.AppendUvarint(h.scratch, uint64(k)+colDynamic)
	switch a.Type {
	case telemetry.AttrInt:
		h.scratch = binary.AppendUvarint(h.scratch, zigzag(int64(a.Value)))
	case telemetry.AttrFloat:
		h.scratch = binary.LittleEndian.AppendUint64(h.scratch, a.Value)
	case telemetry.AttrBool:
		h.scratch = append(h.scratch, byte(a.Value&1))
	default:
		h.written += int64(len(b.Bytes(a.String())))
		h.scratch = binary.AppendUvarint(h.scratch, uint64(h.str(b, a.String())))
	}
	return k
}

func (h *head) putEvents(b *telemetry.Batch, s *telemetry.Span) {
	if s.Events.Len == 0 {
		return
	}
	h.putUint(colEvents, uint64(s.Events.Len))
	for _, ev := range b.Events[s.Events.Start : s.Events.Start+s.Events.Len] {
		h.scratch = binary.LittleEndian.AppendUint64(h.scratch, uint64(ev.Time))
		h.scratch = binary.AppendUvarint(h.scratch, uint64(h.str(b, ev.Name)))
		h.putNested(b, ev.Attrs)
	}
}

func (h *head) putLinks(b *telemetry.Batch, s *telemetry.Span) {
	if s.Links.Len == 0 {
		return
	}
	h.putUint(colLinks, uint64(s.Links.Len))
	for _, l := range b.Links[s.Links.Start : s.Links.Start+s.Links.Len] {
		h.scratch = append(append(h.scratch, l.TraceID[:]...), l.SpanID[:]...)
		h.putNested(b, l.Attrs)
	}
}

func (h *head) putNested(b *telemetry.Batch, r telemetry.Range) {
	for _, a := range b.AttrsOf(r) {
		h.putAttr(b, a)
	}
	h.scratch = append(h.scratch, colEnd)
}

func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }
