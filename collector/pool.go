package collector

import (
	"sync"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// keepBytes is how large a batch may be and still go back to the pool. A larger one is left
// to the garbage collector: otherwise one extraordinary message would hold its memory for ever.
const keepBytes = 8 << 20

// Pool lends batches: decoders take them, and the appender gives them back when nobody
// uses them any more (I3). It is safe for concurrent use.
type Pool struct{ p sync.Pool }

// NewPool returns a pool that makes batches as they are asked for.
func NewPool() *Pool { return &Pool{p: sync.Pool{New: func() any { return telemetry.NewBatch() }}} }

// Get returns an empty batch.
func (p *Pool) Get() *telemetry.Batch { return p.p.Get().(*telemetry.Batch) }

// Put takes a batch back, to which nobody may refer any more.
func (p *Pool) Put(b *telemetry.Batch) {
	if b.Size() > keepBytes {
		return
	}
	b.Reset()
	p.p.Put(b)
}
