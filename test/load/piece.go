package load

import (
	"encoding/binary"

	"github.com/binnacle-mesh/binnacle/internal/pb"
)

// A piece is an encoded message, or a part of one, with the places that are written anew each time it is sent.
type piece struct {
	bytes []byte
	marks []mark
}

// A mark is a place in a piece. What stands there is made of the mark's value and of the send's number.
type mark struct {
	at    int
	kind  markKind
	value uint64
}

type markKind uint8

const (
	traceID markKind = iota // 16 bytes; the value is the trace's number within the request
	spanID                  // 8 bytes
	clock                   // a fixed64: nanoseconds after the send's time
	digits                  // 8 hexadecimal digits, in a path
)

func (p *piece) uint(field int, v uint64) { p.bytes = pb.AppendUvarint(p.bytes, field, v) }

func (p *piece) fixed32(field int, v uint32) { p.bytes = pb.AppendFixed32(p.bytes, field, v) }

func (p *piece) text(field int, s string) { p.bytes = pb.AppendBytes(p.bytes, field, s) }

// nest appends a message field, whose marks become the piece's own.
func (p *piece) nest(field int, inner *piece) {
	p.bytes = pb.AppendBytes(p.bytes, field, inner.bytes)
	shift := len(p.bytes) - len(inner.bytes)
	for _, m := range inner.marks {
		m.at += shift
		p.marks = append(p.marks, m)
	}
}

// marked appends a bytes or text field of which the last n bytes are a place.
func (p *piece) marked(field int, s string, n int, kind markKind, value uint64) {
	p.text(field, s)
	p.marks = append(p.marks, mark{len(p.bytes) - n, kind, value})
}

func (p *piece) clock(field int, after uint64) {
	p.bytes = pb.AppendFixed64(p.bytes, field, 0)
	p.marks = append(p.marks, mark{len(p.bytes) - 8, clock, after})
}

// attr appends an OTLP KeyValue with a text.
func (p *piece) attr(field int, key, value string) {
	var kv, v piece
	v.text(1, value)
	kv.text(1, key)
	kv.nest(2, &v)
	p.nest(field, &kv)
}

// attrInt appends an OTLP KeyValue with a number.
func (p *piece) attrInt(field int, key string, value uint64) {
	var kv, v piece
	v.uint(3, value)
	kv.text(1, key)
	kv.nest(2, &v)
	p.nest(field, &kv)
}

// attrDigits appends an OTLP KeyValue with a text that ends with an item's number, another one at each send.
func (p *piece) attrDigits(field int, key, value string, item uint64) {
	var kv, v piece
	v.marked(1, value+"00000000", 8, digits, item)
	kv.text(1, key)
	kv.nest(2, &v)
	p.nest(field, &kv)
}

// fill is the piece in bytes of its own, as send number n of the run that run identifies has it.
func (p *piece) fill(run, n uint64, now int64) []byte {
	out := append([]byte(nil), p.bytes...)
	salt := mix(run + n)
	for _, m := range p.marks {
		switch at := out[m.at:]; m.kind {
		case traceID:
			id := traceOf(run, n, m.value)
			copy(at, id[:])
		case spanID:
			binary.BigEndian.PutUint64(at, m.value^salt)
		case clock:
			binary.LittleEndian.PutUint64(at, uint64(now)+m.value) //nolint:gosec // after 1970
		case digits:
			v := m.value ^ salt
			for i := range 8 {
				at[i] = "0123456789abcdef"[v&15]
				v >>= 4
			}
		}
	}
	return out
}

// traceOf is the id of trace k of send n: another for each.
func traceOf(run, n, k uint64) (id [16]byte) {
	binary.BigEndian.PutUint64(id[:], mix(run^n<<12^k))
	binary.BigEndian.PutUint64(id[8:], mix(n<<12|k))
	return id
}

// mix spreads v over 64 bits, without collisions (the finaliser of SplitMix64).
func mix(v uint64) uint64 {
	v += 0x9E3779B97F4A7C15
	v = (v ^ v>>30) * 0xBF58476D1CE4E5B9
	v = (v ^ v>>27) * 0x94D049BB133111EB
	return v ^ v>>31
}
