// Package pb reads and writes the protobuf wire format without generated code.
//
// Reading is done in place: a message is walked field by field with a [Reader], and
// every value is a view of the bytes that came off the connection. Writing appends one
// field after another to a slice; [Open] and [Shut] put a message into a message.
//
// The package knows no message type and allocates nothing. The decoders and encoders of
// the hot paths (spans, access logs, quota decisions) are written over it, one function a
// message type; what is rare uses the generated types. A message that protobuf's own
// decoder takes, a Reader walks, and the other way round, but for the text of strings,
// which the decoders check where it matters.
//
// Source: protobuf.dev/programming-guides/encoding.
package pb

import (
	"encoding/binary"
	"errors"
	"math"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
)

// Errors of a walk. All mean that the bytes are not a message.
var (
	ErrTruncated = errors.New("it ends in the middle of a field")
	ErrVarint    = errors.New("it has a number of more than 64 bits")
	ErrTag       = errors.New("it has a field number out of range")
	ErrWireType  = errors.New("it has an unknown wire type or a group that does not end")
)

// A Tag is a field's number and wire type, as it is on the wire: number<<3 | type.
type Tag uint32

// The wire types.
const (
	Varint  = 0
	Fixed64 = 1
	Bytes   = 2
	Fixed32 = 5

	startGroup = 3 // of an old protobuf: read over, as any field that is not known
)

// A Reader walks one message:
//
//	for r := pb.Over(b); r.Next(); {
//		switch r.Tag {
//		case 1<<3 | pb.Bytes:
//			name = r.Bytes()
//		case 6<<3 | pb.Varint:
//			kind = r.Uint
//		}
//	}
//
// Next reads the whole field, so that one which the switch does not know is
// skipped. A known number with another wire type is such a field, as it is for
// protobuf's own decoders. After the loop Err says whether it ended well.
type Reader struct {
	rest []byte
	Tag  Tag
	Uint uint64 // the value of a varint, fixed64 or fixed32 field
	val  []byte // the value of a bytes field
	Err  error
}

// Over returns a reader at the start of message b.
func Over(b []byte) Reader { return Reader{rest: b} }

// Bytes is the value of the field that Next read, a view of the message.
func (r *Reader) Bytes() []byte { return r.val }

// Next reads the next field. It is false at the end, and at an error.
func (r *Reader) Next() bool {
	b := r.rest
	if len(b) == 0 {
		return false
	}
	tag, n := uint64(b[0]), 1
	if tag >= 0x80 {
		if tag, n = uvarint(b); n <= 0 {
			return r.fail(n)
		}
	}
	if tag < 8 || tag > math.MaxUint32 {
		r.Err = ErrTag
		return false
	}
	b = b[n:]
	r.Tag = Tag(tag)
	switch tag & 7 {
	case Bytes:
		if len(b) == 0 {
			r.Err = ErrTruncated
			return false
		}
		size, n := uint64(b[0]), 1
		if size >= 0x80 {
			if size, n = uvarint(b); n <= 0 {
				return r.fail(n)
			}
		}
		b = b[n:]
		if size > uint64(len(b)) {
			r.Err = ErrTruncated
			return false
		}
		r.val, r.rest = b[:size], b[size:]
	case Varint:
		if len(b) > 0 && b[0] < 0x80 {
			r.Uint, r.rest = uint64(b[0]), b[1:]
			break
		}
		v, n := uvarint(b)
		if n <= 0 {
			return r.fail(n)
		}
		r.Uint, r.rest = v, b[n:]
	case Fixed64:
		if len(b) < 8 {
			r.Err = ErrTruncated
			return false
		}
		r.Uint, r.rest = binary.LittleEndian.Uint64(b), b[8:]
	case Fixed32:
		if len(b) < 4 {
			r.Err = ErrTruncated
			return false
		}
		r.Uint, r.rest = uint64(binary.LittleEndian.Uint32(b)), b[4:]
	case startGroup:
		n := protowire.ConsumeFieldValue(protowire.Number(tag>>3), protowire.StartGroupType, b) //nolint:gosec // below 2^29
		if n < 0 {
			r.Err = ErrWireType
			return false
		}
		r.rest = b[n:]
	default:
		r.Err = ErrWireType
		return false
	}
	return true
}

// Again reads the next field if it has the tag of the one just read, a bytes
// field of a number below 16, and is shorter than 128 bytes. Otherwise it does
// nothing, and the field is Next's to read. A loop over a run of like fields is
// the cheaper for it.
func (r *Reader) Again() bool {
	b := r.rest
	if len(b) < 2 || Tag(b[0]) != r.Tag || b[1] >= 0x80 || len(b)-2 < int(b[1]) {
		return false
	}
	n := 2 + int(b[1])
	r.val, r.rest = b[2:n], b[n:]
	return true
}

func (r *Reader) fail(n int) bool {
	r.Err = ErrTruncated
	if n < 0 {
		r.Err = ErrVarint
	}
	return false
}

// uvarint is binary.Uvarint, kept out of Next's fast path.
//
//go:noinline
func uvarint(b []byte) (uint64, int) { return binary.Uvarint(b) }

// View is b as a string, for a call that does not keep it.
func View(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
