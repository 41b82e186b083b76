package block

import (
	"encoding/binary"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The head: the newest spans and requests, in memory, searchable at once.
//
// The problem: a span must cost little to put in, be small while it waits for
// its block, be found by trace id and by its fields, and then be turned into
// columns without having been decoded twice.
//
// The form: what a search reads lies in arrays (rowChunk). The rest of a row is
// one run of bytes in an arena: pairs of column number and value, values that are
// zero left out. Strings, resources and attribute keys are numbered per head, so
// a pair is two or three bytes. Rows of one trace are chained, newest first,
// from a hash table.
//
// One goroutine writes, under mu; a reader takes a headView under mu and then
// reads without it, because nothing below the view's row counts ever changes.
//
// Not chosen: keeping the log's records and decoding them again when the block
// is written. It costs the same memory (a record must be joined by arrays to be
// searched), twice the decoding, and every string is hashed again.
type head struct {
	pools *pools
	refs  atomic.Int32 // the store's own, and one a reader

	mu        sync.RWMutex
	strings   stringTable
	rest      arena
	keys      []attrKey
	counts    []keyCount // by key
	keySlots  map[uint64]uint32
	resources []resource
	resIndex  map[string]uint32
	spans     rowTable
	requests  rowTable
	texts     [numRequestColumns]textUse // of the columns that putText fills
	extra     int64                      // bytes of memory in keys and resources
	meta      meta

	scratch []byte
	memo    batchMemo
}

// An attrKey is an attribute key of one type.
type attrKey struct {
	name uint32 // string id
	typ  telemetry.AttrType
}

// keyCount is how many rows have a key. Unlike the key it changes while readers read,
// so it lies apart, and no view has it.
type keyCount struct{ spans, requests int }

// A resource is a telemetry.Resource in the head's own numbers.
type resource struct {
	identity [8]uint32 // string ids, in the order of telemetry.Identity
	attrs    uint32    // reference into rest: pairs as in a row
}

// batchMemo translates a batch's ids to the head's, once an id.
type batchMemo struct {
	strings   []uint32 // by StrID: head's id+1
	keys      []uint32 // by StrID*8+type: head's key+1
	resources []uint32 // by index: head's resource+1
}

func resize(s []uint32, n int) []uint32 {
	if cap(s) < n {
		return make([]uint32, n+n/4)[:n]
	}
	s = s[:n]
	clear(s)
	return s
}

// rowTable is rows and the index of their traces.
type rowTable struct {
	chunks []*rowChunk
	n      int
	traces int
	slots  []uint64 // hash<<32 | row+1 of the trace's newest row
	k0, k1 uint64   // secrets of the hash
}

func newHead(p *pools, k0, k1 uint64) *head {
	h := &head{pools: p, keySlots: map[uint64]uint32{}, resIndex: map[string]uint32{}}
	h.strings.init(p)
	for _, t := range [...]*rowTable{&h.spans, &h.requests} {
		t.slots, t.k0, t.k1 = p.table(1024), k0, k1
	}
	h.refs.Store(1)
	return h
}

// release gives the memory back when the last who holds the head lets go.
func (h *head) release() {
	if h.refs.Add(-1) > 0 {
		return
	}
	p := h.pools
	p.putArena(&h.strings.arena)
	p.putArena(&h.rest)
	for _, s := range [...][]uint64{h.strings.slots, h.spans.slots, h.requests.slots} {
		p.putTable(s)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rows = append(append(p.rows, h.spans.chunks...), h.requests.chunks...)
	p.refs = append(p.refs, h.strings.refs...)
}

// insert puts an entry's rows in.
func (h *head) insert(e telemetry.Entry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b := e.Batch
	h.meta.note(e)
	h.memo.strings = resize(h.memo.strings, b.Strings())
	h.memo.keys = resize(h.memo.keys, 8*b.Strings())
	h.memo.resources = resize(h.memo.resources, len(b.Resources))
	for i := range b.Spans {
		h.insertSpan(b, &b.Spans[i])
	}
	for i := range b.Requests {
		h.insertRequest(b, &b.Requests[i])
	}
}

func (h *head) str(b *telemetry.Batch, id telemetry.StrID) uint32 {
	if id == 0 {
		return 0
	}
	if v := h.memo.strings[id]; v != 0 {
		return v - 1
	}
	v := h.strings.intern(b.Bytes(id), h.pools)
	h.memo.strings[id] = v + 1
	return v
}

// key is the number of the column of an attribute.
func (h *head) key(b *telemetry.Batch, a telemetry.Attr) uint32 {
	m := &h.memo.keys[int(a.Key)*8+int(a.Type)]
	if *m != 0 {
		return *m - 1
	}
	name := h.str(b, a.Key)
	at := uint64(name)<<3 | uint64(a.Type)
	k, ok := h.keySlots[at]
	if !ok {
		k = uint32(len(h.keys))
		h.keys = append(h.keys, attrKey{name: name, typ: a.Type})
		h.counts = append(h.counts, keyCount{})
		h.keySlots[at] = k
		h.extra += 64
	}
	*m = k + 1
	return k
}

func (h *head) resource(b *telemetry.Batch, i uint32) uint32 {
	if v := h.memo.resources[i]; v != 0 {
		return v - 1
	}
	r := &b.Resources[i]
	var id [8]uint32
	h.scratch = h.scratch[:0]
	for j, s := range identityParts(&r.Identity) {
		id[j] = h.str(b, s)
		h.scratch = binary.LittleEndian.AppendUint32(h.scratch, id[j])
	}
	for _, a := range b.AttrsOf(r.Attrs) {
		h.putAttr(b, a)
	}
	h.scratch = append(h.scratch, colEnd)
	v, ok := h.resIndex[string(h.scratch)]
	if !ok {
		v = uint32(len(h.resources))
		h.resIndex[string(h.scratch)] = v
		h.resources = append(h.resources, resource{id, h.rest.put(h.scratch[4*len(id):], h.pools)})
		h.extra += int64(len(h.scratch)) + 96
	}
	h.memo.resources[i] = v + 1
	return v
}

func identityParts(id *telemetry.Identity) [8]telemetry.StrID {
	return [8]telemetry.StrID{id.Cluster, id.Namespace, id.Workload, id.Service, id.App, id.Version, id.Instance, id.Principal}
}

func identityOf(p [8]telemetry.StrID) telemetry.Identity {
	return telemetry.Identity{Cluster: p[0], Namespace: p[1], Workload: p[2], Service: p[3], App: p[4], Version: p[5], Instance: p[6], Principal: p[7]}
}

func (h *head) insertSpan(b *telemetry.Batch, s *telemetry.Span) {
	res, name := h.resource(b, s.Resource), h.str(b, s.Name)
	h.scratch = h.scratch[:0]
	h.putStr(b, colStatusMessage, s.StatusMessage)
	h.putStr(b, colTraceState, s.TraceState)
	h.putInt(colFlags, int64(s.Flags))
	h.putStr(b, colScopeName, s.ScopeName)
	h.putStr(b, colScopeVersion, s.ScopeVersion)
	h.putUint(colProtocol, uint64(s.Protocol))
	h.putUint(colOutcome, uint64(s.Outcome))
	h.putInt(colCode, int64(s.Code)+1)
	h.putStr(b, colPeer, s.Peer)
	h.putStr(b, colPeerNamespace, s.PeerNamespace)
	h.putStr(b, colPeerSystem, s.PeerSys)
	h.putUint(colPeerKind, uint64(s.PeerKind))
	h.putStr(b, colUpstreamCluster, s.Cluster)
	h.putInt(colResponseFlags, int64(s.Response))
	for _, a := range b.AttrsOf(s.Attrs) {
		h.counts[h.putAttr(b, a)].spans++
	}
	h.putEvents(b, s)
	h.putLinks(b, s)
	h.scratch = append(h.scratch, colEnd)
	row := h.spans.add(h.pools, s.TraceID)
	c, i := h.spans.chunks[row/chunkRows], row%chunkRows
	c.span[i], c.parent[i] = s.SpanID, s.ParentID
	c.start[i], c.duration[i] = s.Start, s.Duration
	c.name[i], c.resource[i] = name, res
	c.bits[i] = uint8(s.Kind) | uint8(s.Status)<<4
	c.rest[i] = h.rest.put(h.scratch, h.pools)
	h.meta.noteSpan(s.Start, s.Duration)
}

func (h *head) insertRequest(b *telemetry.Batch, r *telemetry.Request) {
	res := h.resource(b, r.Resource)
	h.scratch = h.scratch[:0]
	for i, s := range identityParts(&r.Peer) {
		h.putStr(b, colPeerCluster+i, s)
	}
	h.putUint(colPeerKind, uint64(r.PeerKind))
	h.putUint(colSide, uint64(r.Side))
	h.putUint(colProtocol, uint64(r.Protocol))
	h.putUint(colTLS, uint64(r.TLS))
	h.putUint(colOutcome, uint64(r.Outcome))
	h.putInt(colResponseFlags, int64(r.Response))
	h.putInt(colCode, int64(r.Code)+1)
	h.putStr(b, colMethod, r.Method)
	h.putText(b, colPath, r.Path)
	h.putStr(b, colAuthority, r.Authority)
	if r.RequestID.UUID != [16]byte{} {
		h.scratch = append(append(h.scratch, colRequestUUID), r.RequestID.UUID[:]...)
	} else {
		h.putText(b, colRequestID, r.RequestID.Text)
	}
	h.putStr(b, colRoute, r.Route)
	h.putStr(b, colUpstreamCluster, r.Cluster)
	h.putText(b, colUpstream, r.Upstream.Host)
	h.putInt(colUpstreamPort, int64(r.Upstream.Port))
	h.putText(b, colRemote, r.Remote.Host)
	h.putInt(colRemotePort, int64(r.Remote.Port))
	h.putInt(colAttempts, int64(r.Attempts))
	h.putInt(colBytesIn, int64(r.BytesIn))
	h.putInt(colBytesOut, int64(r.BytesOut))
	for _, a := range b.AttrsOf(r.Attrs) {
		h.counts[h.putAttr(b, a)].requests++
	}
	h.scratch = append(h.scratch, colEnd)
	row := h.requests.add(h.pools, r.TraceID)
	c, i := h.requests.chunks[row/chunkRows], row%chunkRows
	c.span[i], c.parent[i] = r.SpanID, telemetry.SpanID{}
	c.start[i], c.duration[i] = r.Start, r.Duration
	c.name[i], c.resource[i], c.bits[i] = 0, res, 0
	c.rest[i] = h.rest.put(h.scratch, h.pools)
}

// The put methods append a pair to scratch. A value that is zero is left out. A
// code is put one higher, so that the unknown one, -1, is left out.

func (h *head) putUint(col int, v uint64) {
	if v != 0 {
		h.scratch = append(h.scratch, byte(col))
		h.scratch = binary.AppendUvarint(h.scratch, v)
	}
}

func (h *head) putInt(col int, v int64) { h.putUint(col, zigzag(v)) }

func (h *head) putStr(b *telemetry.Batch, col int, s telemetry.StrID) {
	if s != 0 {
		h.putUint(col, uint64(h.str(b, s)))
	}
}

// textUse is how often a column's strings were new, for putText to decide whether to
// look for them at all.
type textUse struct {
	seen, fresh int32
	unique      bool // they are not looked for, and equal ones may have different numbers
}

const (
	// textSample is after how many values of a column it is decided; those of the first
	// half are not judged, since there every string is new once.
	textSample = 4096
	// freshShare is the part of the judged values that must be new.
	freshShare = 4
)

// putText is putStr for a column whose values may be as many as its rows: ids,
// paths with ids in them, addresses of clients. To look for such a string
// costs several times what it costs to copy it. The column of the file gets no dictionary then.
func (h *head) putText(b *telemetry.Batch, col int, s telemetry.StrID) {
	if s == 0 {
		return
	}
	u := &h.texts[col]
	if u.unique {
		h.putUint(col, uint64(h.strings.add(b.Bytes(s), h.pools)))
		return
	}
	before := h.strings.held
	h.putStr(b, col, s)
	if u.seen < textSample {
		u.seen++
		if u.seen > textSample/2 && h.strings.held > before {
			u.fresh++
		}
		u.unique = u.seen == textSample && u.fresh > textSample/2/freshShare
	}
}

// putAttr appends an attribute, zero or not, and returns its key.
func (h *head) putAttr(b *telemetry.Batch, a telemetry.Attr) uint32 {
	k := h.key(b, a)
	h.scratch = binary.AppendUvarint(h.scratch, uint64(k)+colDynamic)
	switch a.Type {
	case telemetry.AttrInt:
		h.scratch = binary.AppendUvarint(h.scratch, zigzag(int64(a.Value)))
	case telemetry.AttrFloat:
		h.scratch = binary.LittleEndian.AppendUint64(h.scratch, a.Value)
	case telemetry.AttrBool:
		h.scratch = append(h.scratch, byte(a.Value&1))
	default:
		h.scratch = binary.AppendUvarint(h.scratch, uint64(h.str(b, a.String())))
	}
	return k
}

func (h *head) putEvents(b *telemetry.Batch, s *telemetry.Span) {
	if s.Events.Len == 0 {
		return
	}
	h.putUint(colEvents, uint64(s.Events.Len))
	for _, ev := range b.Events[s.Events.Start : s.Events.Start+s.Events.Len] {
		h.scratch = binary.LittleEndian.AppendUint64(h.scratch, uint64(ev.Time))
		h.scratch = binary.AppendUvarint(h.scratch, uint64(h.str(b, ev.Name)))
		h.putNested(b, ev.Attrs)
	}
}

func (h *head) putLinks(b *telemetry.Batch, s *telemetry.Span) {
	if s.Links.Len == 0 {
		return
	}
	h.putUint(colLinks, uint64(s.Links.Len))
	for _, l := range b.Links[s.Links.Start : s.Links.Start+s.Links.Len] {
		h.scratch = append(append(h.scratch, l.TraceID[:]...), l.SpanID[:]...)
		h.putNested(b, l.Attrs)
	}
}

func (h *head) putNested(b *telemetry.Batch, r telemetry.Range) {
	for _, a := range b.AttrsOf(r) {
		h.putAttr(b, a)
	}
	h.scratch = append(h.scratch, colEnd)
}

func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

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
		t.grow(p)
	}
	return row
}

func (t *rowTable) grow(p *pools) {
	old := t.slots
	t.slots = p.table(2 * len(old))
	mask := uint64(len(t.slots) - 1)
	for _, v := range old {
		if v == 0 {
			continue
		}
		i := v >> 32 & mask
		for t.slots[i] != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = v
	}
	p.putTable(old)
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

func (h *head) rows() int { return h.spans.n + h.requests.n }

func (h *head) bytes() int64 {
	return h.strings.bytes() + h.rest.bytes() + h.spans.bytes() + h.requests.bytes() + h.extra
}

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
