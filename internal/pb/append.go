package pb

import (
	"encoding/binary"
	"slices"
)

// The functions below append one field to dst and return the longer slice, as append does.

// AppendUvarint appends a varint field, zero as well: in a oneof or an optional field zero is a value.
func AppendUvarint(dst []byte, field int, v uint64) []byte {
	dst = appendTag(dst, field, Varint)
	return binary.AppendUvarint(dst, v)
}

// AppendNonZero appends a plain varint field, which proto3 leaves out when it is zero.
func AppendNonZero(dst []byte, field int, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return AppendUvarint(dst, field, v)
}

// AppendFixed64 appends a fixed64 field, zero as well. A double is its math.Float64bits.
func AppendFixed64(dst []byte, field int, v uint64) []byte {
	dst = appendTag(dst, field, Fixed64)
	return binary.LittleEndian.AppendUint64(dst, v)
}

// AppendFixed32 appends a fixed32 field, zero as well. A float is its math.Float32bits.
func AppendFixed32(dst []byte, field int, v uint32) []byte {
	dst = appendTag(dst, field, Fixed32)
	return binary.LittleEndian.AppendUint32(dst, v)
}

// AppendBytes appends a bytes, text or message field, an empty one as well.
func AppendBytes[T ~[]byte | ~string](dst []byte, field int, v T) []byte {
	dst = appendTag(dst, field, Bytes)
	dst = binary.AppendUvarint(dst, uint64(len(v)))
	return append(dst, v...)
}

// Open begins a message field, whose own fields the caller then appends, and returns where they begin, for [Shut]:
//
//	dst, at := pb.Open(dst, 2)
//	dst = pb.AppendNonZero(dst, 1, code)
//	dst = pb.Shut(dst, at)
//
// It leaves one byte for the length, which is enough for most.
func Open(dst []byte, field int) (longer []byte, at int) {
	dst = appendTag(dst, field, Bytes)
	return append(dst, 0), len(dst) + 1
}

// Shut ends the message field that Open began at: it writes the length. A message of more than 127 bytes is moved for it.
func Shut(dst []byte, at int) []byte {
	n := len(dst) - at
	if n < 0x80 {
		dst[at-1] = byte(n)
		return dst
	}
	var length [binary.MaxVarintLen64]byte
	size := binary.PutUvarint(length[:], uint64(n)) //nolint:gosec // at is within dst
	dst = slices.Grow(dst, size-1)[:len(dst)+size-1]
	copy(dst[at-1+size:], dst[at:at+n])
	copy(dst[at-1:], length[:size])
	return dst
}

func appendTag(dst []byte, field, wireType int) []byte {
	return binary.AppendUvarint(dst, uint64(field)<<3|uint64(wireType)) //nolint:gosec // field numbers are positive
}
