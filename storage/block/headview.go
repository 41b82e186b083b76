package block

import (
	"encoding/binary"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// headView is a head as it was at one moment, to be read without a lock.
type headView struct {
	strings   stringsView
	rest      arenaView
	keys      []attrKey
	resources []resource
	spans     rowsView
	requests  rowsView
	meta      meta
}

// rowsView is the rows below n.
type rowsView struct {
	chunks []*rowChunk
	n      int
}

func (h *head) view() headView {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return headView{
		strings: h.strings.view(), rest: h.rest.chunks, keys: h.keys, resources: h.resources, meta: h.meta,
		spans: rowsView{h.spans.chunks, h.spans.n}, requests: rowsView{h.requests.chunks, h.requests.n},
	}
}

// traceRows are the rows of a trace, newest first.
func (h *head) traceRows(t *rowTable, id telemetry.TraceID) []uint32 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var rows []uint32
	for r := t.newest(id); r != 0; r = t.chunks[(r-1)/chunkRows].prev[(r-1)%chunkRows] {
		rows = append(rows, r-1)
	}
	return rows
}

// A pair is one value of a row. What it holds depends on the column's kind; for
// events and links, bits is how many there are and data begins with the first.
type pair struct {
	col  int
	bits uint64
	data []byte
}

// next reads the pair that p begins with. ok is false at the row's end.
func (v *headView) next(p []byte, fixed []columnDef) (x pair, rest []byte, ok bool) {
	c := uint64(p[0])
	p = p[1:]
	if c >= 0x80 {
		var s uint
		for c, s = c&0x7f, 7; ; s += 7 {
			b := p[0]
			p = p[1:]
			c |= uint64(b&0x7f) << s
			if b < 0x80 {
				break
			}
		}
	}
	if c == colEnd {
		return pair{}, p, false
	}
	x.col = int(c)
	if c >= colDynamic {
		switch v.keys[c-colDynamic].typ {
		case telemetry.AttrFloat:
			x.bits, p = binary.LittleEndian.Uint64(p), p[8:]
		case telemetry.AttrBool:
			x.bits, p = uint64(p[0]), p[1:]
		case telemetry.AttrInt:
			x.bits, p = uvarint(p)
			x.bits = uint64(unzigzag(x.bits))
		default:
			x.bits, p = uvarint(p)
		}
		return x, p, true
	}
	if fixed[c].kind == kindUUID {
		x.data = p[:16]
		return x, p[16:], true
	}
	x.bits, p = uvarint(p)
	switch fixed[c].kind {
	case kindInt32, kindInt64:
		x.bits = uint64(unzigzag(x.bits))
		if c == colCode {
			x.bits--
		}
	case kindJSON:
		x.data = p
		p = v.skipNested(p, int(x.bits), c == colLinks)
	default:
	}
	return x, p, true
}

func uvarint(p []byte) (uint64, []byte) {
	if p[0] < 0x80 {
		return uint64(p[0]), p[1:]
	}
	v, n := binary.Uvarint(p)
	return v, p[n:]
}

// skipNested passes over n events or links.
func (v *headView) skipNested(p []byte, n int, links bool) []byte {
	for range n {
		if links {
			p = p[24:]
		} else {
			_, p = uvarint(p[8:])
		}
		for ok := true; ok; {
			_, p, ok = v.next(p, nil)
		}
	}
	return p
}
