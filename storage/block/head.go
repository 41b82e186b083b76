package block

import (
	"encoding/binary"
	"math"
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
	written   int64                      // bytes of attributes when each is written out, which sealing does; see maxWritten
	meta      meta

	scratch []byte
	memo    batchMemo
}

// An attrKey is an attribute key of one type.
type attrKey struct {
	name uint32 // string id
	size uint16 // bytes of the name
	typ  telemetry.AttrType
}

// keyCount is how many rows have a key. Unlike the key it changes while readers read,
// so it lies apart, and no view has it.
type keyCount struct{ spans, requests int }

// A resource is a telemetry.Resource in the head's own numbers.
type resource struct {
	identity [8]uint32 // string ids, in the order of telemetry.Identity
	attrs    uint32    // reference into rest: pairs as in a row
	size     uint32    // bytes of attrs when written out
}

// A head is full as well when its attributes, each written out, take maxWritten times as many bytes as its memory
// may: a text that comes a thousand times is held once, but is written a thousand times where it
// has no column, a page of rows at a time. So what a sender repeats does not grow when it is sealed. A resource is
// written once, and those over largeResource perhaps with each row.
const (
	maxWritten    = 2
	largeResource = 4 << 10
)

// batchMemo translates a batch's ids to the head's, once an id.
type batchMemo struct {
	strings   []uint32 // by StrID: head's id+1
	keys      []uint64 // by StrID: the type that it had last, and head's key+1
	resources []uint32 // by index: head's resource+1
	read      uint64   // by internAll
}

func resize[T uint32 | uint64](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n+n/4)[:n]
	}
	s = s[:n]
	clear(s)
	return s
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
	h.memo.keys = resize(h.memo.keys, b.Strings())
	h.memo.resources = resize(h.memo.resources, len(b.Resources))
	if len(b.Requests) == 0 {
		h.internAll(b)
	}
	for i := range b.Spans {
		h.insertSpan(b, &b.Spans[i])
	}
	for i := range b.Requests {
		h.insertRequest(b, &b.Requests[i])
	}
}

// internAll looks all strings of a batch up, some at a time: each look waits for memory three times, and those of one group wait together. Log
// entries have many that are not to be looked for; see putText.
func (h *head) internAll(b *telemetry.Batch) {
	const group = 16
	var hashes [group]uint64
	var read uint64
	for from := 1; from < b.Strings(); from += group {
		n := min(group, b.Strings()-from)
		for i := range n {
			hashes[i] = h.strings.hash(b.Bytes(telemetry.StrID(from + i)))
		}
		for _, hash := range hashes[:n] {
			read += h.strings.near(hash)
		}
		for i := range n {
			if s := b.Bytes(telemetry.StrID(from + i)); len(s) > 0 {
				h.memo.strings[from+i] = h.strings.internAt(s, hashes[i], h.pools) + 1
			}
		}
	}
	h.memo.read = read
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
	m := &h.memo.keys[a.Key]
	if k := uint32(*m); k != 0 && *m>>32 == uint64(a.Type) {
		return k - 1
	}
	name := h.str(b, a.Key)
	at := uint64(name)<<3 | uint64(a.Type)
	k, ok := h.keySlots[at]
	if !ok {
		k = uint32(len(h.keys))
		h.keys = append(h.keys, attrKey{name: name, size: uint16(min(len(b.Bytes(a.Key)), math.MaxUint16)), typ: a.Type})
		h.counts = append(h.counts, keyCount{})
		h.keySlots[at] = k
		h.extra += 64
	}
	*m = uint64(a.Type)<<32 | uint64(k+1)
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
	before := h.written
	for _, a := range b.AttrsOf(r.Attrs) {
		h.putAttr(b, a)
	}
	h.scratch = append(h.scratch, colEnd)
	v, ok := h.resIndex[string(h.scratch)]
	if !ok {
		v = uint32(len(h.resources))
		h.resIndex[string(h.scratch)] = v
		size := uint32(min(h.written-before, math.MaxUint32))
		h.resources = append(h.resources, resource{id, h.rest.put(h.scratch[4*len(id):], h.pools), size})
		h.extra += int64(len(h.scratch)) + 96
	} else {
		h.written = before
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
	h.noteResource(res)
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
	h.noteResource(res)
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

// noteResource notes that a row has the resource.
func (h *head) noteResource(res uint32) {
	if n := h.resources[res].size; n > largeResource {
		h.written += int64(n)
	}
}

func (h *head) rows() int { return h.spans.n + h.requests.n }

func (h *head) bytes() int64 {
	return h.strings.bytes() + h.rest.bytes() + h.spans.bytes() + h.requests.bytes() + h.extra
}
