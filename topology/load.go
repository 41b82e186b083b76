package topology

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
	"github.com/binnacle-mesh/binnacle/topology/pair"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// Load replaces the state of a new topology by what Save wrote. On error
// nothing has changed; the remedy is to begin empty and replay the log.
func (t *Topology) Load(r io.Reader) error {
	use, err := t.Prepare(r)
	if err == nil {
		use()
	}
	return err
}

// Prepare is the first half of Load: it reads and proves all, and changes nothing; use is the second, and cannot fail. So one
// who loads several states that belong together loads all of them or none.
func (t *Topology) Prepare(r io.Reader) (use func(), err error) {
	l, err := t.read(r)
	if err != nil {
		return nil, err
	}
	return func() { t.use(l) }, nil
}

// read reads and proves what Save wrote, as the state of another topology.
func (t *Topology) read(r io.Reader) (*loader, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("load topology: %w", err)
	}
	const head, tail = len(checkpointMagic) + 1, 4
	if len(b) < head+tail || string(b[:len(checkpointMagic)]) != checkpointMagic {
		return nil, errors.New("load topology: this is no checkpoint of a topology; begin empty and replay the log")
	}
	if v := b[head-1]; v < 1 || v > checkpointVersion {
		return nil, fmt.Errorf("load topology: version %d is not known to this binary (it knows 1 to %d); begin empty and replay the log", v, checkpointVersion)
	}
	body, sum := b[:len(b)-tail], binary.LittleEndian.Uint32(b[len(b)-tail:])
	if crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) != sum {
		return nil, errors.New("load topology: the checksum is wrong, the checkpoint is damaged; begin empty and replay the log")
	}
	l := &loader{t: t.empty(), b: body[head:], version: b[head-1]}
	l.all()
	if l.err != nil {
		return nil, fmt.Errorf("load topology: %w; begin empty and replay the log", l.err)
	}
	return l, nil
}

// use takes over the state that was read.
func (t *Topology) use(l *loader) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := l.t
	t.applied, t.now, t.tick, t.cursor, t.nextSweep, t.looked = n.applied, n.now, n.tick, n.cursor, n.nextSweep, n.looked
	t.observant.verdict = n.observant.verdict
	t.doubts = doubts{}
	t.pending, t.nodes, t.edges, t.door, t.repeats, t.lates = n.pending, n.nodes, n.edges, n.door, n.repeats, n.lates
	t.recall()
	t.events.running, t.events.circles = false, nil
	t.pub.dirtyEdges, t.pub.dirtyNodes = n.pub.dirtyEdges, n.pub.dirtyNodes
	t.pub.changed, t.pub.reorder, t.pub.last = true, true, 0
	for i := range l.spilled { // the limit is lower than it was
		t.stats.Early++
		t.finish(&l.spilled[i])
	}
	t.sweepEmptied()
}

func (l *loader) all() {
	t := l.t
	t.applied = telemetry.Position(l.uint())
	t.now = l.int()
	t.nextSweep = l.int()
	if t.now < 0 {
		l.fail(errNonsense)
		return
	}
	t.tick = t.now / signal.Tick
	t.cursor = signal.At(t.tick)
	if l.version > 2 {
		t.looked = l.int()
	}
	if l.version > 1 {
		l.recent(&l.t.door)
	}
	if l.version > 2 {
		l.recent(&l.t.repeats)
		l.chronicle(&t.observant.verdict.past)
	}
	l.nodes()
	l.edges()
	l.routes()
	l.counted = make([][slots]uint64, len(t.edges.list))
	if l.version > 2 {
		l.lates()
	}
	l.halves()
	if l.err == nil && len(l.b) > 0 {
		l.fail(errNonsense)
	}
	t.nodes.loose, t.edges.emptied = t.nodes.loose[:0], t.edges.emptied[:0]
}

func (l *loader) recent(r *recent) {
	for range l.count(9) {
		b := l.bytes(8)
		age := l.int()
		if l.err != nil {
			return
		}
		if age < 0 || age >= r.keeps || age >= l.t.tick {
			l.fail(errNonsense)
			return
		}
		r.note(binary.LittleEndian.Uint64(b), l.t.tick-age)
	}
}

func (l *loader) nodes() {
	ns := &l.t.nodes
	for range l.count(12) {
		key := telemetry.Node{Kind: telemetry.NodeKind(l.byte(uint8(telemetry.NodeClient)))}
		key.Namespace, key.Name = l.str(), l.str()
		if _, twice := ns.byKey[key]; twice {
			l.fail(errNonsense)
		}
		n := &node{key: key, cluster: l.str(), system: l.str(), reporter: l.bool(), reported: l.int(), met: l.uint(), orphaned: l.uint()}
		n.hash, n.since = hashOf(key), n.reported
		var proved []string
		if l.version > 1 {
			n.since, n.maker = l.int(), l.str()
			l.watch(&n.watch)
			n.judged = l.judgement()
			for range l.count(1) {
				p := l.str()
				if len(proved) > 0 && p <= proved[len(proved)-1] {
					l.fail(errNonsense)
				}
				proved = append(proved, p)
			}
		}
		id := nodeID(len(ns.list)) //nolint:gosec // bounded by the bytes there are
		variants := l.count(5)
		if variants == 0 {
			l.fail(errNonsense)
		}
		for i := range variants {
			is := telemetry.Endpoint{Node: key, Workload: l.str(), App: l.str(), Version: l.str(), Principal: l.str()}
			if _, twice := ns.byDetail[is]; twice || i == 0 && is != (telemetry.Endpoint{Node: key}) {
				l.fail(errNonsense)
			}
			ep := l.t.newEndpoint(is, id)
			ns.endpoints[ep].seen = l.int()
			n.variants = append(n.variants, ep)
		}
		if l.err != nil {
			return
		}
		n.bare = n.variants[0]
		ns.append(n)
		ns.byKey[key] = id
		ns.live++
		ns.made(n, 1)
		ns.bytes += len(key.Name) + len(key.Namespace)
		for _, p := range proved {
			l.t.prove(p, id)
		}
		ns.index(id)
		l.t.markNodeDirty(id)
	}
	if l.version > 1 {
		return
	}
	for range l.count(2) { // those that several proved begin anew
		if p, id := l.str(), nodeID(l.index(0, len(ns.list))); id != nowhere {
			l.t.prove(p, id)
		}
	}
}

func (l *loader) edges() {
	es, ns := &l.t.edges, &l.t.nodes
	for range l.count(10) {
		e := &edge{src: nodeID(l.index(0, len(ns.list))), dst: nodeID(l.index(1, len(ns.list))), protocol: telemetry.Protocol(l.byte(uint8(telemetry.ProtocolMessaging)))}
		marked := l.bool()
		if l.err != nil {
			return
		}
		// Who wrote this may have left an overflow edge unmarked that came about by nodes that were too many.
		if e.overflow = ns.overflowEdge(e.src, e.dst); marked && !e.overflow {
			l.fail(errNonsense)
		}
		if e.src == nowhere {
			l.t.node(callerNode())
		}
		e.fromUnknown = ns.list[e.src].key == callerNode()
		e.first, e.last = l.int(), l.int()
		l.exemplar(&e.slow)
		var failed exemplar
		if l.exemplar(&failed); failed.at != 0 {
			e.failed = &failed
		}
		for w := range e.acc[:l.slots()] {
			l.slot(&e.account, w)
		}
		if e.src == nowhere && l.version < 3 {
			e.acc[aloneSlot], e.acc[telemetry.ServerSpan] = e.acc[telemetry.ServerSpan], nil
		}
		if e.src == nowhere && (e.acc[telemetry.ClientSpan] != nil || e.acc[telemetry.ServerSpan] != nil) {
			l.fail(errNonsense) // what waits there is alone
		}
		l.watch(&e.watch)
		e.judged = l.judgement()
		key := edgeKey{e.src, e.dst, e.protocol}
		if _, twice := es.byKey[key]; twice {
			l.fail(errNonsense)
		}
		if l.err != nil {
			return
		}
		id := edgeID(len(es.list)) //nolint:gosec // bounded by the bytes there are
		es.list = append(es.list, e)
		es.byKey[key] = id
		if !e.overflow {
			es.live++
		}
		ns.tie(e, 1)
		l.t.markEdgeDirty(id)
	}
}

// slot reads what was counted in a place of an edge.
func (l *loader) slot(c *account, slot int) {
	is := l.byte(slotSampled)
	if is == slotEmpty || l.err != nil {
		return
	}
	c.acc[slot] = new(signal.Acc)
	rest, err := c.acc[slot].Read(l.b, l.t.tick)
	if is == slotSampled && err == nil {
		rest, err = c.of(slot).Read(rest)
	}
	if err == nil {
		err = c.checkSampled(slot)
	}
	if err != nil {
		l.fail(err)
	}
	l.b = rest
}

// slots is how many accumulators an edge may have in the checkpoint.
func (l *loader) slots() int {
	if l.version < 3 {
		return telemetry.Witnesses // servers that are alone came with version 3
	}
	return slots
}

// watch reads what was known of an edge's or a node's health.
func (l *loader) watch(w *health.Watch) {
	if l.version < 3 || l.err != nil {
		return
	}
	rest, err := w.Read(l.b)
	if err != nil {
		l.fail(err)
	}
	l.b = rest
}

// judgement reads how something is judged now.
func (l *loader) judgement() *judgement {
	if l.version < 3 || l.err != nil {
		return nil
	}
	var j judgement
	if j.Kind = telemetry.Ailment(l.byte(uint8(telemetry.AilmentCutOff))); j.Kind == telemetry.AilmentNone {
		return nil
	}
	j.Health = telemetry.HealthDegraded
	if l.bool() {
		j.Health = telemetry.HealthFailing
	}
	j.Since, j.from, j.Because, j.Says = l.int(), l.int(), l.str(), l.str()
	if j.Score = math.Float64frombits(binary.LittleEndian.Uint64(l.eight())); !(j.Score >= 0 && j.Score <= math.MaxFloat64) {
		l.fail(errNonsense)
	}
	return &j
}

// eight are the next eight bytes, zeros where there are none.
func (l *loader) eight() []byte {
	if b := l.bytes(8); len(b) == 8 {
		return b
	}
	return make([]byte, 8)
}

// chronicle reads what was judged, and is over.
func (l *loader) chronicle(c *chronicle) {
	c.began, c.lost = l.int(), l.uint()
	for range l.count(16) {
		p := pastJudgement{edge: l.bool(), id: l.str(), until: l.int()}
		j := l.judgement()
		if l.err != nil {
			return
		}
		if j != nil {
			p.judgement = *j
		}
		if p.Kind == telemetry.AilmentNone || p.from >= p.until || len(c.over) >= mostPast {
			l.fail(errNonsense)
			return
		}
		c.over = append(c.over, p)
	}
}

func (l *loader) exemplar(x *exemplar) {
	if x.at = l.int(); x.at == 0 {
		return
	}
	copy(x.trace[:], l.bytes(16))
	copy(x.span[:], l.bytes(8))
	x.took, x.err = l.int(), l.bool()
}

func (l *loader) routes() {
	es, ns := &l.t.edges, &l.t.nodes
	for range l.count(5) {
		rt := route{src: endpointID(l.index(0, len(ns.endpoints))), dst: endpointID(l.index(1, len(ns.endpoints))), protocol: telemetry.Protocol(l.byte(uint8(telemetry.ProtocolMessaging)))}
		rt.edge = edgeID(l.index(1, len(es.list)))
		rt.last = l.int()
		if l.err != nil {
			return
		}
		e := es.list[rt.edge]
		if !e.overflow && (ns.endpoints[rt.src].node != e.src || ns.endpoints[rt.dst].node != e.dst) {
			l.fail(errNonsense)
			return
		}
		rt.next = e.routes
		e.routes = routeID(len(es.routes)) //nolint:gosec // bounded by the bytes there are
		e.routeCount++
		es.routes = append(es.routes, rt)
		es.nameRoute(e.routes, l.t.edgeOf(e.routes))
		l.t.hold(e.routes, 1)
		es.routes[e.routes].refused = e.overflow && !l.t.natural(rt.src, rt.dst)
		if l.version > 1 && !l.bool() {
			if key := keyOf(rt.src, rt.dst, rt.protocol); es.byRoute[key] == e.routes {
				delete(es.byRoute, key)
			}
		}
	}
}

func (l *loader) lates() {
	t := l.t
	for range l.count(13) {
		b := l.bytes(8)
		age, route, response, code, what := l.uint(), l.index(1, len(t.edges.routes)), l.uint(), l.int(), l.uint()
		if l.err != nil {
			return
		}
		weight := telemetry.Weight(what >> 16)                                                                                                                  //nolint:gosec // checked below
		h := late{place: placeOf(routeID(route), weight), response: uint32(response), tick: uint16(t.tick - int64(age)), what: uint16(what), code: int16(code)} //nolint:gosec // checked below
		key := binary.LittleEndian.Uint64(b)
		if age >= lateKeeps || response >= 1<<28 || int64(h.code) != code || what>>16 > uint64(telemetry.HeaviestWeight) || !h.valid() || key == 0 {
			l.fail(errNonsense)
			return
		}
		l.counted[t.edges.routes[route].edge][h.slot()]++
		if t.lates.max > 0 {
			t.keepLate(key, h)
		}
	}
}

func (l *loader) halves() {
	n := l.count(pair.EncodedSize)
	b := l.bytes(uint64(n) * pair.EncodedSize) //nolint:gosec // not negative
	if l.err != nil {
		return
	}
	t := l.t
	spill := func(h *pair.Half) { l.spilled = append(l.spilled, *h) }
	if err := t.pending.Restore(b, l.accept, spill); err != nil {
		l.fail(err)
		return
	}
	for id, counts := range l.counted {
		for w, n := range counts {
			if n == 0 {
				continue
			}
			if a := t.edges.list[id].acc[w]; a == nil || a.Total().Requests < n {
				l.fail(errNonsense)
				return
			}
		}
	}
}

// accept refuses halves that are counted nowhere.
func (l *loader) accept(h *pair.Half) error {
	t := l.t
	switch {
	case !h.Valid():
		return errNonsense
	case h.Has(pair.Void):
		if int(h.Reporter()) >= len(t.nodes.endpoints) {
			return errNonsense
		}
	case h.Route() == 0 || int(h.Route()) >= len(t.edges.routes):
		return errNonsense
	default:
		e := t.edges.routes[h.Route()].edge
		if l.version < 3 && t.edges.list[e].src == nowhere && h.Witness() == telemetry.ServerSpan {
			h.SetAlone(true)
		}
		l.counted[e][slotOf(h)]++
	}
	return nil
}
