package block

import (
	"hash/maphash"
	"slices"
	"sync"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Memory of the head comes in pieces that never move, so that a reader who
// took a view of what is complete may go on reading without a lock while the
// head grows; and that are used again by the next head, so that a store under
// a steady load makes no garbage.

const (
	arenaBits  = 18
	arenaChunk = 1 << arenaBits // bytes
	chunkRows  = 2048
	refRows    = 4096
	// maxHeadRows keeps row numbers and arena references within 32 bits.
	maxHeadRows = 4 << 20
)

// rowChunk holds what every row has, for a run of rows.
type rowChunk struct {
	trace    [chunkRows]telemetry.TraceID
	span     [chunkRows]telemetry.SpanID
	parent   [chunkRows]telemetry.SpanID
	start    [chunkRows]int64
	duration [chunkRows]int64
	name     [chunkRows]uint32 // string id
	resource [chunkRows]uint32
	rest     [chunkRows]uint32 // reference into the arena: the row's other values
	prev     [chunkRows]uint32 // row+1 of the row before of the same trace
	bits     [chunkRows]uint8  // kind | status<<4
}

const rowChunkBytes = chunkRows * (16 + 8 + 8 + 8 + 8 + 4*4 + 1)

// strRef is where a string lies in the arena.
type strRef struct{ ref, size uint32 }

type refChunk [refRows]strRef

// pools lend the pieces. They hold at most what two heads have given back.
type pools struct {
	mu    sync.Mutex
	rows  []*rowChunk
	bytes [][]byte
	refs  []*refChunk
	slots [][]uint64
}

func (p *pools) rowChunk() *rowChunk {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.rows); n > 0 {
		c := p.rows[n-1]
		p.rows = p.rows[:n-1]
		return c
	}
	return new(rowChunk)
}

func (p *pools) chunk() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.bytes); n > 0 {
		c := p.bytes[n-1]
		p.bytes = p.bytes[:n-1]
		return c
	}
	return make([]byte, arenaChunk)
}

func (p *pools) refChunk() *refChunk {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.refs); n > 0 {
		c := p.refs[n-1]
		p.refs = p.refs[:n-1]
		return c
	}
	return new(refChunk)
}

// table lends a cleared hash table of n slots.
func (p *pools) table(n int) []uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, s := range p.slots {
		if len(s) == n {
			p.slots[i] = p.slots[len(p.slots)-1]
			p.slots = p.slots[:len(p.slots)-1]
			clear(s)
			return s
		}
	}
	return make([]uint64, n)
}

// grown is a table twice as large with what old holds, slots of hash<<32 | value. Old goes back.
func (p *pools) grown(old []uint64) []uint64 {
	slots := p.table(2 * len(old))
	mask := uint64(len(slots) - 1)
	for _, v := range old {
		if v == 0 {
			continue
		}
		i := v >> 32 & mask
		for slots[i] != 0 {
			i = (i + 1) & mask
		}
		slots[i] = v
	}
	p.putTable(old)
	return slots
}

func (p *pools) putTable(s []uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	const kept = 24 // a head's tables of all sizes that it grew through
	if len(p.slots) < kept {
		p.slots = append(p.slots, s)
	}
}

func (p *pools) putArena(a *arena) {
	if a.oversize {
		return // its pieces overlap
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes = append(p.bytes, a.chunks...)
}

// trim lets go of half of what lies unused, so that a store that has gone quiet gives
// its memory back within some ticks.
func (p *pools) trim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rows = slices.Clone(p.rows[:len(p.rows)/2])
	p.bytes = slices.Clone(p.bytes[:len(p.bytes)/2])
	p.refs = slices.Clone(p.refs[:len(p.refs)/2])
	p.slots = slices.Clone(p.slots[:len(p.slots)/2])
}

// arena is bytes that are only appended to, named by a 32-bit reference.
type arena struct {
	chunks   [][]byte
	free     []byte // what is left of the last chunk
	oversize bool
}

// put copies b in one run and returns its reference.
func (a *arena) put(b []byte, p *pools) uint32 {
	if len(b) > len(a.free) {
		a.grow(len(b), p)
	}
	ref := uint32(len(a.chunks)<<arenaBits - len(a.free))
	copy(a.free, b)
	a.free = a.free[len(b):]
	return ref
}

func (a *arena) grow(n int, p *pools) {
	if n <= arenaChunk {
		a.free = p.chunk()
		a.chunks = append(a.chunks, a.free)
		return
	}
	// A run longer than a chunk gets several that lie side by side, each
	// seen up to the end of the last.
	a.oversize = true
	pieces := (n + arenaChunk - 1) / arenaChunk
	a.free = make([]byte, pieces*arenaChunk)
	for i := range pieces {
		a.chunks = append(a.chunks, a.free[i*arenaChunk:])
	}
}

func (a *arena) bytes() int64 { return int64(len(a.chunks)) * arenaChunk }

// arenaView reads an arena as it was when the view was taken.
type arenaView [][]byte

func (v arenaView) at(ref uint32) []byte { return v[ref>>arenaBits][ref&(arenaChunk-1):] }

// stringTable gives each distinct string of a head a number; "" is 0. A string
// that is not expected again is added without being looked for, and has a number
// of its own each time.
type stringTable struct {
	arena arena
	refs  []*refChunk
	n     uint32
	held  int      // how many of them slots has
	slots []uint64 // hash<<32 | id, 0 is free; a power of two
	seed  maphash.Seed
}

func (t *stringTable) init(p *pools) {
	t.seed = maphash.MakeSeed()
	t.slots = p.table(4096)
	t.refs = append(t.refs, p.refChunk())
	t.refs[0][0] = strRef{}
	t.n = 1
}

func (t *stringTable) intern(s []byte, p *pools) uint32 {
	if len(s) == 0 {
		return 0
	}
	return t.internAt(s, t.hash(s), p)
}

func (t *stringTable) hash(s []byte) uint64 { return maphash.Bytes(t.seed, s) >> 32 }

// near brings what internAt will read of a string into the processor's cache, and returns something of it, lest it be left out.
func (t *stringTable) near(h uint64) uint64 {
	v := t.slots[h&uint64(len(t.slots)-1)]
	if v>>32 != h {
		return v
	}
	id := uint32(v)
	return uint64(arenaView(t.arena.chunks).at(t.refs[id/refRows][id%refRows].ref)[0])
}

// internAt is intern of a string that is not empty and has the hash h.
func (t *stringTable) internAt(s []byte, h uint64, p *pools) uint32 {
	mask := uint64(len(t.slots) - 1)
	i := h & mask
	for ; t.slots[i] != 0; i = (i + 1) & mask {
		if t.slots[i]>>32 == h {
			if id := uint32(t.slots[i]); string(t.view().bytes(id)) == string(s) {
				return id
			}
		}
	}
	id := t.add(s, p)
	t.slots[i] = h<<32 | uint64(id)
	if t.held++; 2*t.held > len(t.slots) {
		t.slots = p.grown(t.slots)
	}
	return id
}

// add gives s a number of its own, by which nobody else will find it.
func (t *stringTable) add(s []byte, p *pools) uint32 {
	id := t.n
	if id%refRows == 0 {
		t.refs = append(t.refs, p.refChunk())
	}
	t.refs[id/refRows][id%refRows] = strRef{t.arena.put(s, p), uint32(len(s))}
	t.n++
	return id
}

func (t *stringTable) view() stringsView { return stringsView{t.arena.chunks, t.refs} }

func (t *stringTable) bytes() int64 {
	return t.arena.bytes() + int64(len(t.refs))*refRows*8 + int64(len(t.slots))*8
}

// stringsView reads the strings that were in the table when the view was taken.
type stringsView struct {
	arena arenaView
	refs  []*refChunk
}

func (v stringsView) bytes(id uint32) []byte {
	r := v.refs[id/refRows][id%refRows]
	if r.size == 0 {
		return nil
	}
	return v.arena.at(r.ref)[:r.size:r.size]
}
