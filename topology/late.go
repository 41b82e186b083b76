package topology

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/pair"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// The problem: a span may come minutes after the other one of its request: its sender had queued it, or was cut off. By then the other has left the
// table of halves, where it took a hundred bytes, and is counted as a request of its own, which must not be counted again.
//
// The form: of a span's half that leaves the table alone some 24 bytes are kept for 15 minutes, by the id under which its other half will look for
// it: where it is counted, and as what. They lie in rows of eight, whose oldest makes room. What is looked for reads one bit, of four for each place, and goes on to a row
// where that is set: most halves come in time, and meet nothing here.
//
// The rule, when the other half comes:
//
//	Both count on the edge that the two make together, each under its own witness, as if both had come in time: what is kept is moved there from where it
//	was counted, for the time at which it was.
//	It has been observed where it was, which cannot be undone; so it is observed once more there, as taken back, and where it belongs.
//	A client's span that is kept itself has come before.
//
// What is not kept: halves that nothing is expected to meet, for which memory would be gone when it is needed: calls to what never sends
// telemetry, and calls by what never did. A half whose edge made room, or was forgotten, is not known any more.
//
// Not chosen: to let halves wait for 15 minutes (1.7 GB at 20,000 spans a second, and series that come as late); filters of ids (a false answer is a request
// lost, and they do not say where it was counted).

const (
	lateRow  = 8
	lateBits = 4 // for each place
	// lateKeeps is for how many ticks a half is kept: 15 minutes from when it came.
	lateKeeps = 9000
	lateSweep = 600
)

// lates are halves that were counted without their other half. The zero value keeps none.
type lates struct {
	max   int
	keys  []uint64 // 0: free
	list  []late   // as keys
	bits  []uint64 // says of most keys that are not there that they are not
	held  int      // those that are there, some of them too old
	swept int64    // tick
}

// late is a half: 16 bytes beside its key.
type late struct {
	place    uint32 // its route, of which there are some 2^23 at most, in 25 bits; then its weight
	response uint32
	gen      uint16 // of the route, which may have gone and be another's
	tick     uint16 // the low bits of when it was counted
	what     uint16 // side, outcome (2), TLS (2), and from bit 8 its latency bucket
	code     int16
}

const lateWeightAt = 25

func placeOf(r routeID, w telemetry.Weight) uint32 { return uint32(r) | uint32(w)<<lateWeightAt }

func (l *late) route() routeID           { return routeID(l.place & (1<<lateWeightAt - 1)) }
func (l *late) weight() telemetry.Weight { return telemetry.Weight(l.place >> lateWeightAt) }

func (l *late) server() bool      { return l.what&1 != 0 }
func (l *late) age(t int64) int64 { return int64(uint16(t) - l.tick) } //nolint:gosec // arithmetic modulo 2^16

func (l *late) sample() signal.Sample {
	return signal.Sample{Bucket: int(l.what >> 8), Outcome: telemetry.Outcome(l.what >> 1 & 3), TLS: telemetry.TLS(l.what >> 3 & 3)}
}

// slot is where the half is counted.
func (l *late) slot() int {
	if l.server() {
		return aloneSlot
	}
	return int(telemetry.ClientSpan)
}

func (l *late) valid() bool {
	return l.sample().Outcome <= telemetry.OutcomeThrottled && l.what&0xe0 == 0 && l.sample().Bucket < signal.Buckets
}

// lateKey is a caller's span. Unlike the table's it is the same in every process, for it is state.
func lateKey(trace *telemetry.TraceID, span telemetry.SpanID) uint64 {
	v := fold(binary.LittleEndian.Uint64(trace[:8])^0x9e3779b97f4a7c15, binary.LittleEndian.Uint64(trace[8:])^0xd1342543de82ef95)
	return fold(v^0xa0761d6478bd642f, binary.LittleEndian.Uint64(span[:])^0xbf58476d1ce4e5b9) | 1
}

func newLates(limit int) lates { return lates{max: limit} }

// row is the first place of a key's row.
func (ls *lates) row(key uint64) int {
	rows := uint64(len(ls.keys) / lateRow)  //nolint:gosec // not negative
	return int((key>>8)&(rows-1)) * lateRow //nolint:gosec // below the length
}

// bit is where bits says whether a key may be there.
func (ls *lates) bit(key uint64) (word int, bit uint64) {
	at := key >> 32 & uint64(64*len(ls.bits)-1) //nolint:gosec // a power of two
	return int(at / 64), 1 << (at % 64)         //nolint:gosec // below the length
}

func (ls *lates) mark(key uint64) {
	word, bit := ls.bit(key)
	ls.bits[word] |= bit
}

// alive says that what is kept counts, where it was counted.
func (t *Topology) alive(l *late) bool {
	rt := &t.edges.routes[l.route()]
	return l.age(t.tick) < lateKeeps && rt.edge != 0 && rt.gen == l.gen
}

// keep notes a half that leaves the table.
func (t *Topology) keep(h *pair.Half) {
	ls := &t.lates
	if ls.max == 0 || h.Trace.IsZero() {
		return
	}
	id, server := h.Span, uint16(0)
	switch h.Witness() {
	case telemetry.ClientSpan:
		if h.Met() || h.Has(pair.Named) {
			return
		}
		if far := t.nodes.of(t.far(h)); !far.reporter && far.key != unknownNode() {
			return
		}
	case telemetry.ServerSpan:
		if !h.Alone() || t.nodes.of(t.near(h)).met == 0 {
			return
		}
		id, server = h.Refers, 1
	default:
		return
	}
	if id.IsZero() {
		return
	}
	s := sample(h)
	l := late{place: placeOf(h.Route(), h.Weight()), response: uint32(h.ResponseFlags()), tick: uint16(t.tick - h.Age(t.tick)), code: h.Code} //nolint:gosec // low bits
	l.what = server | uint16(s.Outcome)<<1 | uint16(s.TLS)<<3 | uint16(s.Bucket)<<8                                                           //nolint:gosec // below 256
	l.gen = t.edges.routes[h.Route()].gen
	t.keepLate(lateKey(&h.Trace, id), l)
}

func (t *Topology) keepLate(key uint64, l late) {
	ls := &t.lates
	if ls.keys == nil {
		n := lateRow
		for n < ls.max {
			n *= 2
		}
		ls.keys, ls.list, ls.swept = make([]uint64, n), make([]late, n), t.tick
		ls.bits = make([]uint64, max(1, n*lateBits/64))
	}
	at, least := ls.row(key), -1
	for i := at; i < at+lateRow; i++ {
		if ls.keys[i] == 0 || !t.alive(&ls.list[i]) {
			least = i
			break
		}
		if least < 0 || cmp.Or(cmp.Compare(ls.list[least].age(t.tick), ls.list[i].age(t.tick)), cmp.Compare(ls.keys[i], ls.keys[least]), t.compareLate(&ls.list[i], &ls.list[least])) < 0 {
			least = i
		}
	}
	if ls.keys[least] == 0 {
		ls.held++
	} else if t.alive(&ls.list[least]) {
		t.stats.Dropped.Late++
	}
	ls.keys[least], ls.list[least] = key, l
	ls.mark(key)
}

// kept is what is kept of a caller's span by one side, nil if there is nothing; of several the first.
func (t *Topology) kept(trace *telemetry.TraceID, span telemetry.SpanID, server bool) (found *late) {
	ls := &t.lates
	if ls.held == 0 || span.IsZero() || trace.IsZero() {
		return nil
	}
	key := lateKey(trace, span)
	if word, bit := ls.bit(key); ls.bits[word]&bit == 0 {
		return nil
	}
	at := ls.row(key)
	for i, k := range ls.keys[at : at+lateRow] {
		if k != key {
			continue
		}
		if l := &ls.list[at+i]; l.server() == server && t.alive(l) && (found == nil || t.compareLate(l, found) < 0) {
			found = l
		}
	}
	return found
}

// reconcile counts what is kept, whose other half, of the same trace, has come, on the route that is the two's, and forgets it.
func (t *Topology) reconcile(l *late, trace telemetry.TraceID, r routeID) {
	es, rt := &t.edges, &t.edges.routes[l.route()]
	if from, to := rt.edge, es.routes[r].edge; from != to || l.server() {
		tick, witness := t.tick-l.age(t.tick), telemetry.ClientSpan
		if l.server() {
			witness = telemetry.ServerSpan
		}
		es.list[from].acc[l.slot()].Remove(&t.cursor, t.cursorAt(tick), l.sample())
		if w := l.weight(); w != 0 {
			es.list[from].of(l.slot()).Remove(w, trace)
			es.list[to].of(int(witness)).Add(w, trace)
		}
		t.emptyEdge(from)
		t.markEdgeDirty(from)
		e := es.list[to]
		if e.acc[witness] == nil {
			e.acc[witness] = new(signal.Acc)
		}
		e.acc[witness].AddPast(&t.cursor, t.cursorAt(tick), l.sample())
		e.last = max(e.last, tick*signal.Tick)
		es.routes[r].last = t.now
		t.markEdgeDirty(to)
		t.emitLate(l, l.route(), true)
		t.emitLate(l, r, false)
	}
	if l.server() {
		n := t.nodes.of(rt.dst)
		n.orphaned -= min(n.orphaned, 1)
		t.metCaller(n)
	}
	t.stats.Late++
	l.tick = uint16(t.tick - lateKeeps) //nolint:gosec // low bits: it is too old from now on
}

// forget lets go what is too old, and the memory when that is all.
func (ls *lates) forget(tick int64) {
	if ls.keys == nil || tick-ls.swept < lateSweep {
		return
	}
	if tick-ls.swept >= lateKeeps+lateSweep { // nothing came for so long
		ls.held = 0
	} else {
		for i := range ls.keys {
			if ls.keys[i] != 0 && ls.list[i].age(tick) >= lateKeeps {
				ls.keys[i] = 0
				ls.held--
			}
		}
	}
	if ls.swept = tick; ls.held == 0 {
		ls.keys, ls.list, ls.bits = nil, nil, nil
		return
	}
	clear(ls.bits)
	for _, key := range ls.keys {
		if key != 0 {
			ls.mark(key)
		}
	}
}

// keptLate is what is kept, with its key.
type keptLate struct {
	key uint64
	late
}

// compareLate orders what is kept of one span, oldest first, by nothing that is otherwise after a restart: neither by places nor by numbers.
func (t *Topology) compareLate(a, b *late) int {
	return cmp.Or(cmp.Compare(b.age(t.tick), a.age(t.tick)), cmp.Compare(a.what, b.what), cmp.Compare(a.response, b.response), cmp.Compare(a.code, b.code),
		t.compareRoutes(a.route(), b.route()), cmp.Compare(a.weight(), b.weight()))
}

// compareRoutes orders routes by their ends, protocols and edges.
func (t *Topology) compareRoutes(a, b routeID) int {
	if a == b {
		return 0
	}
	x, y := &t.edges.routes[a], &t.edges.routes[b]
	e, f := t.edges.list[x.edge], t.edges.list[y.edge]
	return cmp.Or(t.compareEndpoints(x.src, y.src), t.compareEndpoints(x.dst, y.dst), cmp.Compare(x.protocol, y.protocol), // and the rest for overflow edges
		compareNodes(t.nodes.list[e.src].key, t.nodes.list[f.src].key), compareNodes(t.nodes.list[e.dst].key, t.nodes.list[f.dst].key), cmp.Compare(e.protocol, f.protocol))
}

func (t *Topology) compareEndpoints(a, b endpointID) int {
	x, y := &t.nodes.endpoints[a].is, &t.nodes.endpoints[b].is
	return cmp.Or(compareNodes(x.Node, y.Node), compareVariants(x, y))
}

// allLate is what counts, oldest first.
func (t *Topology) allLate() (all []keptLate) {
	for i, key := range t.lates.keys {
		if l := &t.lates.list[i]; key != 0 && t.alive(l) {
			all = append(all, keptLate{key, *l})
		}
	}
	slices.SortFunc(all, func(a, b keptLate) int {
		return cmp.Or(cmp.Compare(b.age(t.tick), a.age(t.tick)), cmp.Compare(a.key, b.key), t.compareLate(&a.late, &b.late))
	})
	return all
}
