package topology

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/pair"
)

// The checkpoint's form is drawn in docs/format/topology.md. It is canonical:
// nodes, endpoints, edges and routes are sorted and numbered in that order, so that
// equal states are equal bytes, whatever numbers they had while they lived.
const (
	checkpointMagic   = "BINTOPO"
	checkpointVersion = 3
)

// Save writes the whole state to w, with the position that it has applied. The
// lock is held while it is encoded, not while it is written.
func (t *Topology) Save(w io.Writer) error {
	t.mu.Lock()
	b := t.encode()
	t.mu.Unlock()
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("save topology: %w", err)
	}
	return nil
}

func (t *Topology) encode() []byte {
	e := saver{t: t}
	e.b = append(e.b, checkpointMagic...)
	e.b = append(e.b, checkpointVersion)
	e.uint(uint64(t.applied))
	e.int(t.now)
	e.int(t.nextSweep)
	e.int(t.looked)
	e.recent(&t.door)
	e.recent(&t.repeats)
	e.chronicle(&t.observant.verdict.past)
	e.nodes()
	e.edges()
	e.routes()
	e.lates()
	e.uint(uint64(t.pending.Count())) //nolint:gosec // not negative
	e.b = t.pending.Append(slices.Grow(e.b, t.pending.Count()*pair.EncodedSize+4),
		func(r routeID) routeID { return e.route[r] }, func(ep endpointID) endpointID { return e.endpoint[ep] })
	return binary.LittleEndian.AppendUint32(e.b, crc32.Checksum(e.b, crc32.MakeTable(crc32.Castagnoli)))
}

// saver numbers all things anew as it writes them. The slices say by old number
// what the new one is, the counts how many have one.
type saver struct {
	t             *Topology
	b             []byte
	node          []nodeID
	endpoint      []endpointID
	edge          []edgeID
	route         []routeID
	nodeCount     nodeID
	endpointCount endpointID
}

func (e *saver) uint(v uint64) { e.b = binary.AppendUvarint(e.b, v) }
func (e *saver) int(v int64)   { e.b = binary.AppendVarint(e.b, v) }
func (e *saver) str(s string)  { e.uint(uint64(len(s))); e.b = append(e.b, s...) }
func (e *saver) bool(v bool) {
	if v {
		e.b = append(e.b, 1)
	} else {
		e.b = append(e.b, 0)
	}
}

func compareNodes(a, b telemetry.Node) int {
	if a.Kind != b.Kind {
		return int(a.Kind) - int(b.Kind)
	}
	if c := strings.Compare(a.Namespace, b.Namespace); c != 0 {
		return c
	}
	return strings.Compare(a.Name, b.Name)
}

// compareVariants orders endpoints of one node.
func compareVariants(a, b *telemetry.Endpoint) int {
	return cmp.Or(strings.Compare(a.Workload, b.Workload), strings.Compare(a.App, b.App), strings.Compare(a.Version, b.Version), strings.Compare(a.Principal, b.Principal))
}

func (e *saver) recent(r *recent) {
	sights := r.all(e.t.tick)
	e.uint(uint64(len(sights)))
	for _, s := range sights {
		e.b = binary.LittleEndian.AppendUint64(e.b, s.number)
		e.int(e.t.tick - s.tick)
	}
}

func (e *saver) nodes() {
	ns := &e.t.nodes
	e.node, e.endpoint = make([]nodeID, len(ns.list)), make([]endpointID, len(ns.endpoints))
	var ids []nodeID
	for id, n := range ns.list {
		if n != nil && id != nowhere {
			ids = append(ids, nodeID(id)) //nolint:gosec // an index
		}
	}
	slices.SortFunc(ids, func(a, b nodeID) int { return compareNodes(ns.list[a].key, ns.list[b].key) })
	e.uint(uint64(len(ids)))
	for _, id := range ids {
		n := ns.list[id]
		e.nodeCount++
		e.node[id] = e.nodeCount
		e.b = append(e.b, byte(n.key.Kind))
		e.str(n.key.Namespace)
		e.str(n.key.Name)
		e.str(n.cluster)
		e.str(n.system)
		e.bool(n.reporter)
		e.int(n.reported)
		e.uint(n.met)
		e.uint(n.orphaned)
		e.int(n.since)
		e.str(n.maker)
		e.b = n.watch.Append(e.b)
		e.judgement(n.judged)
		proved := slices.Sorted(slices.Values(n.proved))
		e.uint(uint64(len(proved)))
		for _, p := range proved {
			e.str(p)
		}
		variants := slices.Clone(n.variants)
		slices.SortFunc(variants[1:], func(a, b endpointID) int {
			return compareVariants(&ns.endpoints[a].is, &ns.endpoints[b].is)
		})
		e.uint(uint64(len(variants)))
		for _, ep := range variants {
			e.endpointCount++
			e.endpoint[ep] = e.endpointCount
			is := &ns.endpoints[ep].is
			for _, s := range [...]string{is.Workload, is.App, is.Version, is.Principal} {
				e.str(s)
			}
			e.int(ns.endpoints[ep].seen)
		}
	}
}

func (e *saver) edges() {
	list := e.t.edges.list
	e.edge = make([]edgeID, len(list))
	var ids []edgeID
	for id, ed := range list {
		if ed != nil {
			ids = append(ids, edgeID(id)) //nolint:gosec // an index
		}
	}
	slices.SortFunc(ids, func(a, b edgeID) int {
		x, y := list[a], list[b]
		for _, c := range [...]int{
			int(e.node[x.src]) - int(e.node[y.src]), int(e.node[x.dst]) - int(e.node[y.dst]),
		} {
			if c != 0 {
				return c
			}
		}
		return int(x.protocol) - int(y.protocol)
	})
	e.uint(uint64(len(ids)))
	for i, id := range ids {
		ed := list[id]
		e.edge[id] = edgeID(i + 1) //nolint:gosec // bounded
		e.uint(uint64(e.node[ed.src]))
		e.uint(uint64(e.node[ed.dst]))
		e.b = append(e.b, byte(ed.protocol))
		e.bool(ed.overflow)
		e.int(ed.first)
		e.int(ed.last)
		e.exemplar(&ed.slow)
		if ed.failed != nil {
			e.exemplar(ed.failed)
		} else {
			e.exemplar(&exemplar{})
		}
		for slot, a := range ed.acc {
			if a != nil {
				a.Advance(e.t.tick)
			}
			e.b = ed.appendSlot(e.b, slot)
		}
		e.b = ed.watch.Append(e.b)
		e.judgement(ed.judged)
	}
}

func (e *saver) judgement(j *judgement) {
	if j == nil {
		e.b = append(e.b, byte(telemetry.AilmentNone))
		return
	}
	e.b = append(e.b, byte(j.Kind))
	e.bool(j.Health == telemetry.HealthFailing)
	e.int(j.Since)
	e.int(j.from)
	e.str(j.Because)
	e.str(j.Says)
	e.b = binary.LittleEndian.AppendUint64(e.b, math.Float64bits(j.Score))
}

func (e *saver) chronicle(c *chronicle) {
	c.sort()
	e.int(c.began)
	e.uint(c.lost)
	e.uint(uint64(len(c.over)))
	for i := range c.over {
		p := &c.over[i]
		e.bool(p.edge)
		e.str(p.id)
		e.int(p.until)
		e.judgement(&p.judgement)
	}
}

func (e *saver) lates() {
	all := e.t.allLate()
	e.uint(uint64(len(all)))
	for i := range all {
		l := &all[i]
		e.b = binary.LittleEndian.AppendUint64(e.b, l.key)
		e.uint(uint64(l.age(e.t.tick))) //nolint:gosec // not negative
		e.uint(uint64(e.route[l.route()]))
		e.uint(uint64(l.response))
		e.int(int64(l.code))
		e.uint(uint64(l.what) | uint64(l.weight())<<16)
	}
}

func (e *saver) exemplar(x *exemplar) {
	e.int(x.at)
	if x.at == 0 {
		return
	}
	e.b = append(e.b, x.trace[:]...)
	e.b = append(e.b, x.span[:]...)
	e.int(x.took)
	e.bool(x.err)
}

// routes writes routes by their ends. Two of the same ends on one edge, which are
// left where edges were merged, become one. Of two on different edges, as when one was counted
// on an overflow edge, the one that new halves take comes first.
func (e *saver) routes() {
	es := &e.t.edges
	e.route = make([]routeID, len(es.routes))
	type numbered struct {
		src, dst endpointID
		edge     edgeID // 0 for the edge that new halves take
		id       routeID
	}
	var all []numbered
	for id := range es.routes {
		if rt := &es.routes[id]; rt.edge != 0 {
			n := numbered{e.endpoint[rt.src], e.endpoint[rt.dst], e.edge[rt.edge], routeID(id)} //nolint:gosec // an index
			if taken := es.byRoute[keyOf(rt.src, rt.dst, rt.protocol)]; es.routes[taken].edge == rt.edge {
				n.edge = 0
			}
			all = append(all, n)
		}
	}
	compare := func(a, b numbered) int {
		if a.src != b.src {
			return int(a.src) - int(b.src)
		}
		if a.dst != b.dst {
			return int(a.dst) - int(b.dst)
		}
		if p, q := es.routes[a.id].protocol, es.routes[b.id].protocol; p != q {
			return int(p) - int(q)
		}
		return int(a.edge) - int(b.edge)
	}
	slices.SortFunc(all, compare)
	var groups [][]numbered
	for i, n := range all {
		if i == 0 || compare(all[i-1], n) != 0 {
			groups = append(groups, all[i:i])
		}
		g := &groups[len(groups)-1]
		*g = append(*g, n)
	}
	e.uint(uint64(len(groups)))
	for i, g := range groups {
		var last int64
		for _, n := range g {
			e.route[n.id] = routeID(i + 1) //nolint:gosec // bounded
			last = max(last, es.routes[n.id].last)
		}
		rt := &es.routes[g[0].id]
		e.uint(uint64(g[0].src))
		e.uint(uint64(g[0].dst))
		e.b = append(e.b, byte(rt.protocol))
		e.uint(uint64(e.edge[rt.edge]))
		e.int(last)
		e.bool(g[0].edge == 0)
	}
}
