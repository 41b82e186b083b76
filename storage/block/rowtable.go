package block

import (
	"encoding/binary"
	"math/bits"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// rowTable is rows and the index of their traces.
type rowTable struct {
	chunks []*rowChunk
	n      int
	traces int
	slots  []uint64 // hash<<32 | row+1 of the trace's newest row
	k0, k1 uint64   // secrets of the hash
}

// hash mixes a trace id with the table's secrets, since senders choose ids.
func (t *rowTable) hash(id *telemetry.TraceID) uint64 {
	hi, lo := bits.Mul64(binary.LittleEndian.Uint64(id[:8])^t.k0, binary.LittleEndian.Uint64(id[8:])^t.k1)
	hi, lo = bits.Mul64(hi^lo^t.k0, t.k1|1)
	return (hi ^ lo) >> 32
}

// add makes room for a row of the trace and chains it.
func (t *rowTable) add(p *pools, id telemetry.TraceID) int {
	row := t.n
	if row%chunkRows == 0 {
		t.chunks = append(t.chunks, p.rowChunk())
	}
	t.n++
	h := t.hash(&id)
	mask := uint64(len(t.slots) - 1)
	c := t.chunks[row/chunkRows]
	c.trace[row%chunkRows] = id
	i := h & mask
	for ; t.slots[i] != 0; i = (i + 1) & mask {
		if last := uint32(t.slots[i]); t.slots[i]>>32 == h && t.chunks[(last-1)/chunkRows].trace[(last-1)%chunkRows] == id {
			c.prev[row%chunkRows] = last
			t.slots[i] = h<<32 | uint64(row+1)
			return row
		}
	}
	c.prev[row%chunkRows] = 0
	t.slots[i] = h<<32 | uint64(row+1)
	if t.traces++; 2*t.traces > len(t.slots) {
		t.slots = p.grown(t.slots)
	}
	return row
}

// newest is row+1 of the trace's newest row, 0 where there is none. The caller
// holds the head's mu.
func (t *rowTable) newest(id telemetry.TraceID) uint32 {
	h := t.hash(&id)
	mask := uint64(len(t.slots) - 1)
	for i := h & mask; t.slots[i] != 0; i = (i + 1) & mask {
		if last := uint32(t.slots[i]); t.slots[i]>>32 == h && t.chunks[(last-1)/chunkRows].trace[(last-1)%chunkRows] == id {
			return last
		}
	}
	return 0
}

func (t *rowTable) bytes() int64 { return int64(len(t.chunks))*rowChunkBytes + int64(len(t.slots))*8 }
