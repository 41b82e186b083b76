package pair

import (
	"math"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Numbers of the table's owner, which alone knows what they lead to.
type (
	// Route is where a half is counted; 0 is nowhere.
	Route uint32
	// Endpoint is who reported a half.
	Endpoint uint32
)

// Half is one report of one request by one witness: 64 bytes, and nothing
// that the garbage collector must follow.
type Half struct {
	Trace telemetry.TraceID
	Span  telemetry.SpanID // the span's own id; for a log entry the id that it names
	// Refers is the id under which the other half is looked for: the parent of
	// a span, the id that a log entry names. Zero refers to nothing.
	Refers   telemetry.SpanID
	Start    int64  // Unix nanoseconds
	took     uint64 // 47 bits of nanoseconds, then 16 bits of tick; the top bit is Tells
	place    uint32 // its Route, of a void half its Endpoint, in 27 bits; then the high bits of its weight
	next     Ref    // the half before this one that refers to the same id
	Response uint32 // the flags of the response, of 28 bits, two of the half's own (see Alone and Met), and the low bits of its weight
	Code     int16
	flags    uint16
}

// Flags are what the owner marks a half with.
type Flags uint16

// The flags. The low nine bits are the witness, outcome, TLS and protocol.
const (
	Emitted  Flags = 1 << (9 + iota) // its observation is out, or never will be
	Void                             // not a hop of its own; counted nowhere
	Paired                           // both ends of its edge are known from their own reports
	Named                            // its far end is a queue or database, and needs no other half
	owner                            // Table.Look finds it as the owner of its span id
	Presumed                         // its far end is a guess, which any word replaces
	Inner                            // void, and of no side: it is a hop only if its parent is another service's
)

// The bits of Response that no response has.
const (
	alone        = 1 << 28
	met          = 1 << 29
	responseBits = alone - 1
	weightAt     = 30
)

// The bits of place: of routes there are at most some 2^23, of endpoints 2^26 (topology's limits).
const (
	placeBits = 27
	placeMask = 1<<placeBits - 1
)

// The two words of took: 47 bits of nanoseconds and one that says whether the far end was named, then 16 bits of tick.
const (
	maxTook = 1<<47 - 1
	tells   = 1 << 63
)

// SetWhat fills in what the half reports.
func (h *Half) SetWhat(w telemetry.Witness, o telemetry.Outcome, s telemetry.TLS, p telemetry.Protocol) {
	h.flags = h.flags&^0x1ff | uint16(w) | uint16(o)<<2 | uint16(s)<<4 | uint16(p)<<6
}

// Witness is who reported it.
func (h *Half) Witness() telemetry.Witness { return telemetry.Witness(h.flags & 3) }

// Outcome is how the request ended.
func (h *Half) Outcome() telemetry.Outcome { return telemetry.Outcome(h.flags >> 2 & 3) }

// TLS is how the connection was secured.
func (h *Half) TLS() telemetry.TLS { return telemetry.TLS(h.flags >> 4 & 3) }

// Protocol is what the witness says was spoken.
func (h *Half) Protocol() telemetry.Protocol { return telemetry.Protocol(h.flags >> 6 & 7) }

// Alone says that a server span's half refers to a caller's span that has not been counted: it is a hop of its own.
func (h *Half) Alone() bool { return h.Response&alone != 0 }

// SetAlone says whether the half, which is a server span's, is alone.
func (h *Half) SetAlone(is bool) { h.mark(alone, is) }

// Met says that one server span's half is counted as the other side of this one, a client span's.
func (h *Half) Met() bool { return h.Response&met != 0 }

// SetMet says whether the half, which is a client span's, has met one.
func (h *Half) SetMet(is bool) { h.mark(met, is) }

func (h *Half) mark(bit uint32, is bool) {
	h.Response &^= bit
	if is {
		h.Response |= bit
	}
}

// ResponseFlags are the flags of the response.
func (h *Half) ResponseFlags() telemetry.ResponseFlags {
	return telemetry.ResponseFlags(h.Response & responseBits)
}

// Valid says that the half's fields are what SetWhat can have set.
func (h *Half) Valid() bool {
	if h.Alone() && h.Witness() != telemetry.ServerSpan || h.Met() && h.Witness() != telemetry.ClientSpan {
		return false
	}
	if w := h.Weight(); !w.Valid() || w != 0 && h.Witness().Evidence() != telemetry.EvidenceSpan {
		return false
	}
	return h.Outcome() <= telemetry.OutcomeThrottled && h.Protocol() <= telemetry.ProtocolMessaging
}

// Has says that all of f are set.
func (h *Half) Has(f Flags) bool { return Flags(h.flags)&f == f }

// Set sets f.
func (h *Half) Set(f Flags) { h.flags |= uint16(f) }

// Clear clears f.
func (h *Half) Clear(f Flags) { h.flags &^= uint16(f) }

// Route is where the half is counted; 0 if it is void.
func (h *Half) Route() Route {
	if h.Has(Void) {
		return 0
	}
	return Route(h.place & placeMask)
}

// SetRoute says where the half, which is not void, is counted.
func (h *Half) SetRoute(r Route) { h.setPlace(uint32(r)) }

func (h *Half) setPlace(n uint32) { h.place = h.place&^placeMask | n&placeMask }

// MakeVoid has the half be counted nowhere and observed never. Who reported it
// is remembered: it still says whose span its id is.
func (h *Half) MakeVoid(reporter Endpoint) {
	h.Set(Void | Emitted)
	h.setPlace(uint32(reporter))
}

// Reporter is who reported the half, if it is void; a half that is not is known by its route.
func (h *Half) Reporter() Endpoint { return Endpoint(h.place & placeMask) }

// Weight says for how many requests the half stands.
func (h *Half) Weight() telemetry.Weight {
	return telemetry.Weight(h.Response>>weightAt | h.place>>placeBits<<2) //nolint:gosec // seven bits
}

// SetWeight says for how many requests the half stands. The weight is valid.
func (h *Half) SetWeight(w telemetry.Weight) {
	h.Response = h.Response&(1<<weightAt-1) | uint32(w)<<weightAt
	h.place = h.place&placeMask | uint32(w)>>2<<placeBits
}

// SetTook keeps a duration in nanoseconds, 39 hours at most, and the tick in
// which the half was counted.
func (h *Half) SetTook(ns, tick int64) {
	ns = max(0, min(ns, maxTook))
	h.took = h.took&tells | uint64(ns)<<16 | uint64(uint16(tick)) //nolint:gosec // not negative; the low 16 bits
}

// Duration is the request's, in nanoseconds.
func (h *Half) Duration() int64 { return int64(h.took &^ tells >> 16) } //nolint:gosec // 47 bits

// SetTells says that the half's reporter named its far end.
func (h *Half) SetTells() { h.took |= tells }

// Tells says that SetTells did, whatever was learned since.
func (h *Half) Tells() bool { return h.took&tells != 0 }

// Age is how many ticks before now the half was counted, if that is less than
// MaxAge. The table's owner sees to it that it is.
func (h *Half) Age(now int64) int64 { return int64(uint16(now) - uint16(h.took)) } //nolint:gosec // arithmetic modulo 2^16

// MaxAge is the age in ticks at which a half must have left the table.
const MaxAge = math.MaxUint16
