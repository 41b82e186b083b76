package telemetry

import (
	"encoding/binary"
	"errors"
)

// A record is a batch in the log: one self-contained run of bytes. docs/format/record.md
// draws it.
//
// The problem: everything that Binnacle acknowledges is written once more than
// it is received, so the record must cost little to make and be small; and
// it must say the same after an upgrade.
//
// The form: varints and deltas, row by row; the batch's string table first, then
// all attributes, then what refers to them. Ids and numbers that repeat the row before
// cost a bit in the row's flag byte. What FinishSpan derived is kept, so that a
// replay by a newer version, which may derive more, yields the graph that was shown.
// Well-known strings are named by number and not written; a record says how many
// it knew, and a reader that knows more maps the ids above.
//
// Not chosen: the sender's own bytes (no encoding cost, but five times the size, a decoder a
// protocol at replay, and enrichment would be lost); protobuf (twice the cost for
// the same size); memory images of the arrays (three times the size).
//
// Version 2 holds a request's addresses and id in fewer bytes; 1 is read as well. Version 3 says of spans for how many requests they
// stand; a batch of which none stands for more than itself is written as version 2.
const (
	recordVersion   = 3
	unsampledRecord = 2
)

// weighted is set in the byte of a span's kind if its weight follows the three bytes.
const weighted = 0x80

// Errors of DecodeRecord.
var (
	errShort = errors.New("record ends in the middle of a value")
	errRange = errors.New("record refers to something it does not hold")
)

// Bits of a request's flag byte. Those of version 1 had the first alone.
const (
	hasTrace = 1 << iota // trace and span id
	hasUUID              // the request's id is a UUID
	hasPeer              // an identity of the peer
)

// Bits of a span's flag byte.
const (
	sameTrace    = 1 << iota // trace id of the span before
	noParent                 // root
	sameParent               // parent id of the span before
	parentIsPrev             // parent is the span before
	sameResource             // resource of the span before
	sameScope                // instrumentation scope of the span before
	noExtras                 // no status message, trace state, events, links
	noPeer                   // no peer, cluster, response flags
)

// AppendRecord appends the batch's record to dst.
func (b *Batch) AppendRecord(dst []byte) []byte {
	e := encoder{dst}
	version := len(e.b)
	e.b = append(e.b, unsampledRecord)
	e.uint(uint64(numWellKnown))
	e.fixed(uint64(b.Received))
	e.uint(uint64(len(b.ends) - int(numWellKnown)))
	for i := int(numWellKnown); i < len(b.ends); i++ {
		e.uint(uint64(b.ends[i] - b.ends[i-1]))
	}
	e.b = append(e.b, b.arena[b.ends[numWellKnown-1]:]...)
	e.attrs(b.Attrs)
	e.resources(b.Resources)
	e.uint(uint64(len(b.Events)))
	var next uint32
	for i := range b.Events {
		ev := &b.Events[i]
		e.int(ev.Time - b.Received)
		e.uint(uint64(ev.Name))
		next = e.rng(ev.Attrs, next)
	}
	e.uint(uint64(len(b.Links)))
	for i := range b.Links {
		l := &b.Links[i]
		e.b = append(e.b, l.TraceID[:]...)
		e.b = append(e.b, l.SpanID[:]...)
		next = e.rng(l.Attrs, next)
	}
	if e.spans(b.Spans, b.Received) {
		e.b[version] = recordVersion
	}
	e.requests(b.Requests, b.Received)
	return e.b
}

type encoder struct{ b []byte }

func (e *encoder) uint(v uint64) {
	if v < 0x80 {
		e.b = append(e.b, byte(v))
		return
	}
	e.b = binary.AppendUvarint(e.b, v)
}
func (e *encoder) int(v int64)    { e.uint(uint64(v)<<1 ^ uint64(v>>63)) }
func (e *encoder) fixed(v uint64) { e.b = binary.LittleEndian.AppendUint64(e.b, v) }
func (e *encoder) byte(v byte)    { e.b = append(e.b, v) }

// rng writes a range; next is where the one before ended, as ranges mostly
// follow one another.
func (e *encoder) rng(r Range, next uint32) uint32 {
	e.uint(uint64(r.Len))
	if r.Len == 0 {
		return next
	}
	e.int(int64(r.Start) - int64(next))
	return r.Start + r.Len
}

func (e *encoder) attrs(as []Attr) {
	e.uint(uint64(len(as)))
	for _, a := range as {
		e.uint(uint64(a.Key)<<3 | uint64(a.Type))
		switch a.Type {
		case AttrInt:
			e.int(int64(a.Value))
		case AttrFloat:
			e.fixed(a.Value)
		default:
			e.uint(a.Value)
		}
	}
}

func (e *encoder) resources(rs []Resource) {
	e.uint(uint64(len(rs)))
	var next uint32
	for i := range rs {
		e.identity(&rs[i].Identity)
		next = e.rng(rs[i].Attrs, next)
	}
}

func (e *encoder) identity(id *Identity) {
	for _, s := range [...]StrID{id.Cluster, id.Namespace, id.Workload, id.Service, id.App, id.Version, id.Instance, id.Principal} {
		e.uint(uint64(s))
	}
}

// spans writes the spans; sampled says that one has a weight.
func (e *encoder) spans(spans []Span, received int64) (sampled bool) {
	e.uint(uint64(len(spans)))
	prev := &Span{Start: received}
	var next uint32
	for i := range spans {
		s := &spans[i]
		f := spanBits(s, prev, i > 0)
		e.b = append(e.b, f, byte(s.Kind)|byte(s.Status)<<4, byte(s.Protocol)|byte(s.Outcome)<<4)
		if s.Weight != 0 {
			sampled = true
			e.b[len(e.b)-2] |= weighted
			e.byte(byte(s.Weight))
		}
		if f&sameTrace == 0 {
			e.b = append(e.b, s.TraceID[:]...)
		}
		e.b = append(e.b, s.SpanID[:]...)
		if f&(noParent|sameParent|parentIsPrev) == 0 {
			e.b = append(e.b, s.ParentID[:]...)
		}
		e.int(s.Start - prev.Start)
		e.uint(uint64(s.Duration))
		e.uint(uint64(s.Name))
		if f&sameResource == 0 {
			e.uint(uint64(s.Resource))
		}
		if f&sameScope == 0 {
			e.uint(uint64(s.ScopeName))
			e.uint(uint64(s.ScopeVersion))
		}
		next = e.rng(s.Attrs, next)
		e.uint(uint64(s.Flags))
		e.int(int64(s.Code))
		if f&noPeer == 0 {
			e.byte(byte(s.PeerKind))
			e.uint(uint64(s.Peer))
			e.uint(uint64(s.PeerNamespace))
			e.uint(uint64(s.PeerSys))
			e.uint(uint64(s.Cluster))
			e.uint(uint64(s.Response))
		}
		if f&noExtras == 0 {
			e.uint(uint64(s.StatusMessage))
			e.uint(uint64(s.TraceState))
			e.rng(s.Events, 0)
			e.rng(s.Links, 0)
		}
		prev = s
	}
	return sampled
}

func spanBits(s, prev *Span, hasPrev bool) (f byte) {
	if hasPrev {
		if s.TraceID == prev.TraceID {
			f |= sameTrace
		}
		if s.Resource == prev.Resource {
			f |= sameResource
		}
		if s.ScopeName == prev.ScopeName && s.ScopeVersion == prev.ScopeVersion {
			f |= sameScope
		}
	}
	switch {
	case s.ParentID.IsZero():
		f |= noParent
	case hasPrev && s.ParentID == prev.ParentID:
		f |= sameParent
	case hasPrev && s.ParentID == prev.SpanID:
		f |= parentIsPrev
	}
	if s.StatusMessage == 0 && s.TraceState == 0 && s.Events.Len == 0 && s.Links.Len == 0 {
		f |= noExtras
	}
	if s.PeerKind == 0 && s.Peer == 0 && s.PeerNamespace == 0 && s.PeerSys == 0 && s.Cluster == 0 && s.Response == 0 {
		f |= noPeer
	}
	return f
}

func (e *encoder) requests(rs []Request, received int64) {
	e.uint(uint64(len(rs)))
	var next uint32
	for i := range rs {
		r := &rs[i]
		var f byte
		if !r.TraceID.IsZero() {
			f |= hasTrace
		}
		if r.RequestID.UUID != [16]byte{} {
			f |= hasUUID
		}
		if r.Peer != (Identity{}) {
			f |= hasPeer
		}
		e.byte(f)
		if f&hasTrace != 0 {
			e.b = append(append(e.b, r.TraceID[:]...), r.SpanID[:]...)
		}
		if f&hasUUID != 0 {
			e.b = append(e.b, r.RequestID.UUID[:]...)
		} else {
			e.uint(uint64(r.RequestID.Text))
		}
		e.b = append(e.b, byte(r.Side)|byte(r.Protocol)<<4, byte(r.TLS)|byte(r.Outcome)<<4, byte(r.PeerKind))
		e.int(r.Start - received)
		e.uint(uint64(r.Duration))
		e.uint(uint64(r.Resource))
		if f&hasPeer != 0 {
			e.identity(&r.Peer)
		}
		e.uint(uint64(r.Response))
		e.int(int64(r.Code))
		for _, s := range [...]StrID{r.Method, r.Path, r.Authority, r.Route, r.Cluster, r.Upstream.Host, r.Remote.Host} {
			e.uint(uint64(s))
		}
		e.uint(uint64(r.Upstream.Port))
		e.uint(uint64(r.Remote.Port))
		e.uint(uint64(r.Attempts))
		e.uint(r.BytesIn)
		e.uint(r.BytesOut)
		next = e.rng(r.Attrs, next)
	}
}
