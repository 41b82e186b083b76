package query

import (
	"cmp"
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The tree of a trace's spans, with one clock.
//
// The problem: spans name their parents, but some are missing, some share an id with the other side of their call, and what a
// broken sender sends may go in circles. Each host has its own clock, seconds from the others'. Where a child seems to lie outside its
// parent, that is either its clock or the truth.
//
// What is told apart:
//
//   - On one host (the same service and instance) clocks agree: a child that ends after its parent was not waited for.
//   - A span on another host was waited for by its caller. If it does not lie within its parent, its clock is off where it is not longer than that: it is
//     moved to the middle, so that the way there takes as long as the way back. A longer one began no earlier than its caller and was given up by it: of it counts
//     what lies before the caller's end.
//   - What takes a message, a consumer or a producer's child, was not waited for by whoever sent it, and is not moved for outlasting it.
//   - All spans of a host are moved alike, as far as that places them within their parents. The root's clock is right.
//   - A child that begins before its parent is cut off there.
//
// Spans of one id are the two sides of a call that share it (Zipkin): the server's is the child of the client's, and what names the id as
// its parent is the server's child.

// A callTree is a trace's spans as a tree. Arrays are by the span's index in Batch.Spans, and span numbers too.
type callTree struct {
	t        *Trace
	parent   []int32 // -1: none
	tops     []int32 // without parent, or whose parent is not there, or that a circle was cut at
	order    []int32 // parents before children
	first    []int32 // of a span's children in children, and one more
	children []int32 // by their end, the last first; of equals the longer first
	start    []int64 // Unix nanoseconds by the root's clock, not before the parent's
	end      []int64 // as far as it was waited for, or as far as it went
	full     []int64 // as far as it went
	async    []bool  // it outlived its parent, who did not wait
	moved    []int64 // by how much its clock was corrected, nanoseconds
	matched  []bool  // it is a root that was asked for

	clocks map[host]int64 // how far the hosts' clocks are off, of the tree that is being placed
}

// A host is whose clock a span has.
type host struct{ service, instance string }

// newCallTree is the tree of a trace. If match is not nil, spans for which it holds and does not hold of any above them are cut off from their parents, as roots.
func newCallTree(t *Trace, match func(*telemetry.Span) bool) *callTree {
	n := len(t.Batch.Spans)
	c := &callTree{
		t: t, parent: make([]int32, n), matched: make([]bool, n), clocks: map[host]int64{},
		start: make([]int64, n), end: make([]int64, n), full: make([]int64, n), async: make([]bool, n), moved: make([]int64, n),
	}
	c.link()
	c.arrange()
	if match != nil {
		c.cutAt(match)
		c.arrange()
	}
	for _, i := range c.order {
		c.place(i)
	}
	for i := range c.parent {
		slices.SortFunc(c.children[c.first[i]:c.first[i+1]], func(a, b int32) int {
			return cmp.Or(cmp.Compare(c.end[b], c.end[a]), cmp.Compare(c.start[a], c.start[b]), cmp.Compare(a, b))
		})
	}
	return c
}

// link finds each span's parent.
func (c *callTree) link() {
	spans := c.t.Batch.Spans
	byID := make([]int32, len(c.t.Spans))
	for k, i := range c.t.Spans {
		byID[k] = int32(i)
	}
	caller := func(s *telemetry.Span) int {
		if s.Kind == telemetry.KindClient || s.Kind == telemetry.KindProducer {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(byID, func(a, b int32) int {
		return cmp.Or(compareSpanIDs(spans[a].SpanID, spans[b].SpanID), cmp.Compare(caller(&spans[a]), caller(&spans[b])))
	})
	// Runs of one id: where each ends, by where it begins.
	ends := make([]int, len(byID))
	begin := 0
	for k := range byID {
		if spans[byID[k]].SpanID != spans[byID[begin]].SpanID {
			begin = k
		}
		ends[begin] = k
	}
	for i := range c.parent {
		c.parent[i] = -1
	}
	for k, i := range byID {
		s := &spans[i]
		if s.SpanID != spans[byID[begin]].SpanID || k == 0 {
			begin = k
		}
		if first := byID[begin]; i != first && caller(&spans[first]) == 0 && caller(s) == 1 {
			c.parent[i] = first
			continue
		}
		if s.ParentID.IsZero() {
			continue
		}
		at, ok := slices.BinarySearchFunc(byID, s.ParentID, func(i int32, id telemetry.SpanID) int { return compareSpanIDs(spans[i].SpanID, id) })
		if ok && byID[ends[at]] != i {
			c.parent[i] = byID[ends[at]]
		}
	}
}

// cutAt makes roots of the outermost spans for which match holds.
func (c *callTree) cutAt(match func(*telemetry.Span) bool) {
	below := make([]bool, len(c.parent)) // it matches, or one above it does
	for _, i := range c.order {
		if p := c.parent[i]; p >= 0 && below[p] {
			below[i] = true
		} else if match(&c.t.Batch.Spans[i]) {
			below[i], c.matched[i] = true, true
		}
	}
	for i, is := range c.matched {
		if is {
			c.parent[i] = -1
		}
	}
}

// arrange lists children by parent, and all spans parents first. A circle is cut at its earliest span.
func (c *callTree) arrange() {
	c.listChildren()
	c.tops, c.order = nil, make([]int32, 0, len(c.t.Spans))
	reached := make([]bool, len(c.parent))
	descend := func(top int32) {
		c.tops = append(c.tops, top)
		reached[top] = true
		next := len(c.order)
		for c.order = append(c.order, top); next < len(c.order); next++ {
			i := c.order[next]
			for _, k := range c.children[c.first[i]:c.first[i+1]] {
				if !reached[k] {
					reached[k] = true
					c.order = append(c.order, k)
				}
			}
		}
	}
	for _, i := range c.t.Spans {
		if c.parent[i] < 0 {
			descend(int32(i))
		}
	}
	if len(c.order) == len(c.t.Spans) {
		return
	}
	for _, i := range c.t.Spans {
		if !reached[i] {
			c.parent[i] = -1
			descend(int32(i))
		}
	}
	c.listChildren()
}

// listChildren sorts spans by their parent.
func (c *callTree) listChildren() {
	c.first = make([]int32, len(c.parent)+1)
	for _, p := range c.parent {
		if p >= 0 {
			c.first[p+1]++
		}
	}
	for i := range c.parent {
		c.first[i+1] += c.first[i]
	}
	c.children = make([]int32, c.first[len(c.parent)])
	free := slices.Clone(c.first)
	for _, i := range c.t.Spans {
		if p := c.parent[i]; p >= 0 {
			c.children[free[p]] = int32(i)
			free[p]++
		}
	}
}

func (c *callTree) host(i int32) host {
	s := &c.t.Batch.Spans[i]
	return host{c.t.Service(s), c.t.Batch.Str(c.t.Batch.Resources[s.Resource].Identity.Instance)}
}

// place corrects a span's clock by its parent, whose place is known.
func (c *callTree) place(i int32) {
	s := &c.t.Batch.Spans[i]
	p, mine := c.parent[i], c.host(i)
	if p < 0 {
		clear(c.clocks)
		c.keep(mine, 0)
		c.move(i, 0)
		return
	}
	parent := &c.t.Batch.Spans[p]
	call := parent.Kind == telemetry.KindClient && s.Kind == telemetry.KindServer
	if mine == c.host(p) && !call {
		c.move(i, c.moved[p])
		c.within(i, p, false)
		return
	}
	waited := s.Kind != telemetry.KindConsumer && parent.Kind != telemetry.KindProducer
	known, isKnown := c.clocks[mine]
	tries := [...]int64{known, 0, c.moved[p]}
	for n, by := range tries {
		if (n > 0 || isKnown) && c.fits(s, p, by) {
			c.keep(mine, by)
			c.move(i, by)
			c.within(i, p, waited)
			return
		}
	}
	switch length := c.full[p] - c.start[p]; {
	case waited && s.Duration <= length:
		by := c.start[p] + (length-s.Duration)/2 - s.Start
		c.keep(mine, by)
		c.move(i, by)
	case waited && (s.Start+known < c.start[p] || s.Start+known >= c.full[p]):
		by := c.start[p] - s.Start
		c.keep(mine, by)
		c.move(i, by)
	default:
		c.move(i, known)
	}
	c.within(i, p, waited)
}

// fits says whether a span lies within its parent when it is moved.
func (c *callTree) fits(s *telemetry.Span, p int32, by int64) bool {
	return s.Start+by >= c.start[p] && s.Start+by+s.Duration <= c.full[p]
}

// keep remembers by how much a host's clock is off; what was found first holds.
func (c *callTree) keep(h host, by int64) {
	if _, ok := c.clocks[h]; !ok {
		c.clocks[h] = by
	}
}

func (c *callTree) move(i int32, by int64) {
	s := &c.t.Batch.Spans[i]
	c.moved[i] = by
	c.start[i] = s.Start + by
	c.full[i] = c.start[i] + s.Duration
	c.end[i] = c.full[i]
}

// within cuts a span off where its parent begins and, if the parent waited for it or is itself cut off, where it ends.
func (c *callTree) within(i, p int32, waited bool) {
	c.start[i] = max(c.start[i], c.start[p])
	c.full[i] = max(c.full[i], c.start[i])
	c.end[i] = c.full[i]
	c.async[i] = !waited && c.full[i] > c.full[p]
	if !c.async[i] {
		c.end[i] = min(c.full[i], c.end[p])
		c.start[i] = min(c.start[i], c.end[i])
	}
}
