package baseline

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// ErrEncoding says that bytes are no baseline.
var ErrEncoding = errors.New("not a baseline's encoding")

const packedSize = 16

func (p *packed) append(b []byte) []byte {
	for _, v := range [...]uint16{p.requests, p.rate, p.errors, p.refused, p.p50, p.p90, p.mean, p.seen} {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	return b
}

func (p *packed) read(b []byte) {
	for i, v := range [...]*uint16{&p.requests, &p.rate, &p.errors, &p.refused, &p.p50, &p.p90, &p.mean, &p.seen} {
		*v = binary.LittleEndian.Uint16(b[2*i:])
	}
}

// Append writes the baseline. Equal baselines are equal bytes.
func (b *Baseline) Append(dst []byte) []byte {
	dst = binary.AppendVarint(dst, b.began)
	dst = binary.AppendUvarint(dst, uint64(b.taken))
	flags := b.filled << 2
	if b.holds {
		flags |= 1
	}
	if b.hours != nil {
		flags |= 2
	}
	dst = append(dst, flags)
	if b.holds {
		dst = b.held.append(dst)
	}
	for i := range b.ring[:b.filled] {
		dst = b.ring[i].append(dst)
	}
	if b.hours != nil {
		for i := range b.hours {
			dst = b.hours[i].append(dst)
		}
	}
	return dst
}

// Read reads what Append wrote into an empty baseline, at Unix seconds now, and returns what follows.
func (b *Baseline) Read(src []byte, now int64) (rest []byte, err error) {
	began, n := binary.Varint(src)
	if n <= 0 {
		return nil, ErrEncoding
	}
	src = src[n:]
	taken, n := binary.Uvarint(src)
	if n <= 0 || taken > 1<<32-1 || len(src) == n {
		return nil, ErrEncoding
	}
	flags := src[n]
	src = src[n+1:]
	b.began, b.taken, b.filled, b.holds = began, uint32(taken), flags>>2, flags&1 != 0
	size := int(b.filled) * packedSize
	if b.holds {
		size += packedSize
	}
	if flags&2 != 0 {
		size += 24 * packedSize
		b.hours = new([24]packed)
	}
	if b.filled > recent || len(src) < size {
		return nil, ErrEncoding
	}
	next := func(p *packed) { p.read(src); src = src[packedSize:] }
	if b.holds {
		next(&b.held)
	}
	for i := range b.ring[:b.filled] {
		next(&b.ring[i])
	}
	if b.hours != nil {
		for i := range b.hours {
			next(&b.hours[i])
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
		less = b.usual.Requests < o.usual.Requests
		if b.usual.Requests == o.usual.Requests {
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
