package baseline

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
)

// ErrEncoding says that bytes are no baseline.
var ErrEncoding = errors.New("not a baseline's encoding")

const packedSize = 16

// lateFlag says that late requests follow, of which the first binaries that wrote baselines did not know.
const (
	lateFlag = 0x80
	lateSize = 2 + 4 + 4
)

// append writes a sample; how many are in it is an hour's. Its requests and its p50 were written once.
func (p *packed) append(b []byte, seen uint8) []byte {
	for _, v := range [...]uint16{0, p.rate, p.errors, p.refused, 0, p.p90, p.mean, uint16(seen)} {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	return b
}

func (p *packed) read(b []byte) (seen uint8) {
	for i, v := range [...]*uint16{nil, &p.rate, &p.errors, &p.refused, nil, &p.p90, &p.mean} {
		if v != nil {
			*v = binary.LittleEndian.Uint16(b[2*i:])
		}
	}
	return uint8(min(binary.LittleEndian.Uint16(b[14:]), 255)) //nolint:gosec // bounded
}

// Append writes the baseline. Equal baselines are equal bytes.
func (b *Baseline) Append(dst []byte) []byte {
	dst = binary.AppendVarint(dst, int64(b.began))
	dst = binary.AppendUvarint(dst, uint64(b.taken))
	flags := b.filled << 2
	if b.holds {
		flags |= 1
	}
	if b.hours != nil {
		flags |= 2
	}
	if b.judged > 0 || b.heldLate != 0 {
		flags |= lateFlag
	}
	dst = append(dst, flags)
	if flags&lateFlag != 0 {
		dst = binary.LittleEndian.AppendUint16(dst, b.heldLate)
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(b.late))
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(b.judged))
	}
	if b.holds {
		dst = b.held.append(dst, 0)
	}
	for i := range b.ring[:b.filled] {
		dst = b.ring[i].append(dst, 0)
	}
	if b.hours != nil {
		for i := range b.hours.of {
			dst = b.hours.of[i].append(dst, b.hours.seen[i])
		}
	}
	return dst
}

// Read reads what Append wrote into an empty baseline, at Unix seconds now, and returns what follows.
func (b *Baseline) Read(src []byte, now int64) (rest []byte, err error) {
	began, n := binary.Varint(src)
	if n <= 0 || began < 0 || began > 1<<32-1 {
		return nil, ErrEncoding
	}
	src = src[n:]
	taken, n := binary.Uvarint(src)
	if n <= 0 || taken > 1<<32-1 || len(src) == n {
		return nil, ErrEncoding
	}
	flags := src[n]
	src = src[n+1:]
	b.began, b.taken, b.filled, b.holds = uint32(began), uint32(taken), flags&^lateFlag>>2, flags&1 != 0
	if flags&lateFlag != 0 {
		if len(src) < lateSize {
			return nil, ErrEncoding
		}
		b.heldLate = binary.LittleEndian.Uint16(src)
		b.late, b.judged = math.Float32frombits(binary.LittleEndian.Uint32(src[2:])), math.Float32frombits(binary.LittleEndian.Uint32(src[6:]))
		if src = src[lateSize:]; !(b.late >= 0 && b.late <= b.judged && b.judged <= math.MaxFloat32) || b.heldLate != 0 && !b.holds {
			return nil, ErrEncoding
		}
	}
	size := int(b.filled) * packedSize
	if b.holds {
		size += packedSize
	}
	if flags&2 != 0 {
		size += 24 * packedSize
		b.hours = new(hours)
	}
	if b.filled > recent || b.holds && b.taken == 0 || len(src) < size {
		return nil, ErrEncoding
	}
	next := func(p *packed) uint8 {
		seen := p.read(src)
		src = src[packedSize:]
		return seen
	}
	if b.holds {
		next(&b.held)
	}
	for i := range b.ring[:b.filled] {
		next(&b.ring[i])
	}
	if b.hours != nil {
		for i := range b.hours.of {
			b.hours.seen[i] = next(&b.hours.of[i])
		}
	}
	b.find(now)
	return src, nil
}

// Merge makes b the one of the two that has learned from more samples, and then more requests: in whatever order several
// are merged, the same is left. Their samples are not pooled, since both may be of the same requests.
func (b *Baseline) Merge(o *Baseline) {
	less := b.taken < o.taken
	if b.taken == o.taken {
		less = b.usual.requests < o.usual.requests
		if b.usual.requests == o.usual.requests {
			less = bytes.Compare(b.Append(nil), o.Append(nil)) < 0
		}
	}
	if !less {
		return
	}
	hours := o.hours
	*b = *o
	if hours != nil {
		own := *hours
		b.hours = &own
	}
}
