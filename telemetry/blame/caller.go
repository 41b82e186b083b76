package blame

import (
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Who reads late.
//
// The problem: an edge's durations are mostly the caller's. A caller that gets no processor is late to read its answers: all its calls look long, and all that it calls
// looks slow, though each of them, by its own telling, answers as fast as ever.
//
// The rule: of a call that both sides tell of, what the caller waited beyond what the callee took lies between them: the network, the queue before the callee, the caller
// itself. Where it is much on one call alone, nobody knows which; the callee's queue is the likeliest, and it stays the callee's. Where it is about the same on
// all calls of a caller, at least two, the caller is what they have in common: it is its own time, and who is called is
// slow because of it.
//
// How much of it is usual is not kept, since that would take memory for each edge. So all is taken for usual that is not more than a call usually takes as a whole: what lies between must have become
// longer than the whole call used to be.
//
// Not chosen: to judge services by what they tell themselves alone (who hangs before it begins a span would be well); medians of all callers of one callee (most
// services have one or two).

// Told is how long the requests of an edge take on the average as each side tells, in milliseconds, in the window of Below; both 0 unless both sides tell of about as many.
type Told struct{ Caller, Callee float64 }

// alike is what part of the most that lies between on one of a caller's calls lies between on each at least, where they are alike.
const alike = 0.25

// between is how much longer the caller waits than the callee takes.
func (e *Edge) between() float64 { return e.Told.Caller - e.Told.Callee }

// unread is how much of what a call takes longer than usual, in milliseconds a request, surely lies between caller and callee.
func (e *Edge) unread() float64 {
	u := e.Below.Usual.Mean
	if e.Told.Callee <= 0 || u <= 0 {
		return 0
	}
	return min(max(0, e.between()-u), max(0, e.Below.Mean-u))
}

// readsLate says that a node reads all its answers late.
func (c *court) readsLate(n int) bool {
	var between []float64
	waits, unread := 0.0, 0.0
	callees := map[int]bool{}
	for _, i := range c.out[n] {
		e := &c.edges[i]
		if e.Target == n || e.Told.Callee <= 0 {
			continue
		}
		callees[e.Target] = true
		between = append(between, e.between())
		waits += late(e.called())
		unread += e.Below.Rate * e.unread()
	}
	if len(callees) < 2 || unread < explained*waits || waits == 0 {
		return false
	}
	return slices.Min(between) >= alike*slices.Max(between)
}

// findReaders finds out who reads late, of those who are slow or fail.
func (c *court) findReaders() {
	c.late = make([]bool, len(c.nodes))
	for n := range c.nodes {
		if k := c.nodes[n].Kind; k == telemetry.AilmentSlow || k == telemetry.AilmentFailing {
			c.late[n] = c.readsLate(n)
		}
	}
}

// callers says that an edge is slow by its caller.
func (c *court) callers(e *Edge) bool {
	return c.late[e.Source] && e.unread() >= explained*max(0, e.Below.Mean-e.Below.Usual.Mean)
}

// misreads says that a node is late to read the answers of the one of that id, which so looks slow.
func (c *court) misreads(n int, id string) bool {
	to, ok := c.place[id]
	return ok && slices.ContainsFunc(c.out[n], func(i int) bool { return c.edges[i].Target == to && to != n && c.callers(&c.edges[i]) })
}

// unread is by how much longer than usual a node's requests take, in milliseconds, because it reads answers late: its calls seem to take it.
func (c *court) unread(n int) float64 {
	sum := 0.0
	for _, i := range c.out[n] {
		if e := &c.edges[i]; e.Target != n && c.callers(e) {
			sum += exact(e.Below.Rate * e.unread())
		}
	}
	return sum / c.nodes[n].Figures.Rate
}

// misread is the call by which a slow node is slow because of who calls it, -1 for none: calls that are read late explain it.
func (c *court) misread(n int) int {
	best, edge, sum := 0.0, -1, 0.0
	for _, i := range c.in[n] {
		e := &c.edges[i]
		if e.Source == n || !c.callers(e) {
			continue
		}
		x := e.Below.Rate * e.unread()
		sum += x
		if x > best {
			best, edge = x, i
		}
	}
	if sum < explained*late(&c.nodes[n].Patient) {
		return -1
	}
	return edge
}
