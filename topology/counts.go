package topology

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// The problem: one graph may not be enough. Traces can be shared out among several by their ids, so that what belongs together meets in one; but the
// figures of an edge are then in all of them.
//
// The form: Counts are all that a graph has counted, by edge, witness and bucket: of time, outcome, TLS and latency; and, of spans that were sampled, for how many requests they stand. Each is a sum, and sums of
// parts are the sum of all, whatever the order. So the Counts of several graphs that share the traces, merged, are those of one
// graph that had all of them, to the byte.
//
// The rule for whom nobody knows: whether a caller that was never heard of is shown, or taken for one that is known, is a question of shares
// (expire.go), which parts answer each for itself. Counts have all of them at the unknown client.
//
// What is not in them does not add up: examples, when an edge was seen first, what is usual of it and who is ill. These are
// judged of the sum. Nor do parts agree on what each of them had no room for.

// Counts are what one graph, or several that share traces, counted. They belong to the caller, and are for one goroutine.
type Counts struct {
	tick  int64 // as of when
	edges map[countsKey]*account
}

type countsKey struct {
	source, target telemetry.Node
	protocol       telemetry.Protocol
}

// Counts are what the graph has counted until now, the part of it that waits included.
func (t *Topology) Counts() *Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &Counts{tick: t.tick, edges: map[countsKey]*account{}}
	for _, e := range t.edges.list {
		if e == nil {
			continue
		}
		key := countsKey{t.nodes.list[e.src].key, t.nodes.list[e.dst].key, e.protocol}
		if e.src == nowhere {
			key.source = callerNode()
		}
		c.add(key, &e.account)
	}
	return c
}

// Merge adds what another part counted. The traces of the two must be others.
func (c *Counts) Merge(o *Counts) {
	c.tick = max(c.tick, o.tick)
	for key, of := range o.edges {
		c.add(key, of)
	}
}

func (c *Counts) add(key countsKey, of *account) {
	into := c.edges[key]
	if into == nil {
		into = new(account)
		c.edges[key] = into
	}
	for slot, a := range of.acc {
		if a != nil && into.acc[slot] == nil {
			into.acc[slot] = new(signal.Acc)
		}
	}
	into.take(of)
}

// Append writes the counts: equal ones are equal bytes. Edges are in order, and what counts nothing is not there.
func (c *Counts) Append(dst []byte) []byte {
	keys := make([]countsKey, 0, len(c.edges))
	for key, of := range c.edges {
		if of.requests() > 0 {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b countsKey) int {
		return cmp.Or(compareNodes(a.source, b.source), compareNodes(a.target, b.target), cmp.Compare(a.protocol, b.protocol))
	})
	text := func(s string) {
		dst = append(binary.AppendUvarint(dst, uint64(len(s))), s...)
	}
	dst = binary.AppendVarint(dst, c.tick)
	dst = binary.AppendUvarint(dst, uint64(len(keys)))
	for _, key := range keys {
		for _, n := range [...]telemetry.Node{key.source, key.target} {
			dst = append(dst, byte(n.Kind))
			text(n.Namespace)
			text(n.Name)
		}
		dst = append(dst, byte(key.protocol))
		for slot, a := range c.edges[key].acc {
			if a == nil || a.Total().Requests == 0 {
				dst = append(dst, 0)
				continue
			}
			a.Advance(c.tick)
			dst = c.edges[key].appendSlot(dst, slot)
		}
	}
	return dst
}
