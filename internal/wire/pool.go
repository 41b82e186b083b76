package wire

import (
	"math/bits"
	"sync"

	"google.golang.org/grpc/mem"
)

// Pool lends buffers for messages, as gRPC's own does, but as they were given back: gRPC's clears each, which for a buffer that
// is written over at once costs as much as the copy that fills it. Buffers come in powers of two. The zero value is ready; a pool
// is safe for concurrent use, and must not be copied.
type Pool struct {
	classes [maxClass - minClass + 1]sync.Pool // of *[]byte
}

const minClass, maxClass = 10, 24 // 1 KiB, 16 MiB

var _ mem.BufferPool = (*Pool)(nil)

// Get returns a buffer of the length, with whatever was in it.
func (p *Pool) Get(length int) *[]byte {
	c := max(minClass, bits.Len(uint(max(length, 1)-1)))
	if c > maxClass {
		b := make([]byte, length)
		return &b
	}
	if b, ok := p.classes[c-minClass].Get().(*[]byte); ok {
		*b = (*b)[:length]
		return b
	}
	b := make([]byte, length, 1<<c)
	return &b
}

// Put takes a buffer back, of this pool or not.
func (p *Pool) Put(b *[]byte) {
	c := bits.Len(uint(cap(*b))) - 1
	if c < minClass || c > maxClass || cap(*b) != 1<<c {
		return
	}
	p.classes[c-minClass].Put(b)
}
