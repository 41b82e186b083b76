// Package blame finds out whose doing it is that services are ill. It is a pure function of what is
// known of nodes and edges at one moment.
package blame

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
)

// The problem: where one service is slow or fails, all that call it are slow or fail as well, and
// who looks at the red ones sees ten and not the one.
//
// The rule, for each node that is ill, by what it has now beyond its usual, a second:
//
//	slow       the time its callers wait longer, rate * (mean - usual mean), against the same of its own calls
//	failing    its errors beyond the usual, against errors and refusals of its own calls beyond theirs; a call that is
//	           ill and slow explains errors too, since who waits in vain fails
//	throttled  its refusals, against those of its own calls
//	cut off    a source that fails by itself explains that it calls no more
//
// Where its calls explain at least half, it is ill because of the callee that explains most, or of whatever made that
// ill; otherwise by itself. Of those that blame each other in a circle, the one that explains itself
// best is the culprit.
//
// An illness ends some seconds after what made it: those of one cause not in the same second, and with nothing more that could be explained.
// Such a one keeps the cause that it had. Else each fault's end would name its victims.
//
// What a node's own time is follows from sums over its edges, not from traces: of calls in parallel it sees the sum and not the
// longest, so a node that calls in parallel seems to have less own time than it has, and may be excused by a slow
// callee though it is slow as well. Then both are slow, and the callee is named until it is well.
//
// Not chosen: the deepest that is ill (a healthy tail below an ill database hides it; one that is a little ill for its own
// reasons takes the blame for all above); random walks (their ranks cannot be explained in a sentence).

// A Patient is what is known of a node or an edge.
type Patient struct {
	Kind    telemetry.Ailment
	Tail    bool          // of what is slow: only few of its requests are, and its p90 tells nothing
	Since   int64         // Unix nanoseconds
	Age     time.Duration // how long it has been ill
	Known   time.Duration // how long there has been such a node or edge
	Severe  bool
	Figures health.Figures
}

// A Node is a node with its inbound traffic. Before is by whom it was ill at the judgement before, by ID: another, or itself; "" where
// it was well.
//
// All is what many have of their own in the window by which it is described; nil: nobody was asked.
type Node struct {
	Patient
	ID, Name, Before string
	All              *Common
}

// An Edge is a way by which one node calls another, both by their place among the nodes. Below is what it shows in the window by which its
// source is described: what a node has too much of is compared with what its calls have in the same time.
type Edge struct {
	Patient
	Source, Target int
	Below          health.Figures
	Told           Told // see caller.go
}

// called is an edge as its source sees it.
func (e *Edge) called() *Patient {
	p := e.Patient
	p.Figures = e.Below
	return &p
}

// A Verdict is the judgement of each node and edge, in the order given, and the ids of the culprits, the worst first.
type Verdict struct {
	Nodes, Edges []telemetry.Judged
	Culprits     []string
	Shared       *Shared // nil where nobody is ill of what all share
}

// explained is the share of what is beyond the usual that calls must explain.
const explained = 0.5

// noise is by what part of its usual mean a call must be slower to explain anything.
const noise = 0.25

// court is one sitting.
type court struct {
	nodes []Node
	edges []Edge
	out   [][]int // edges by their source
	in    [][]int
	cause []cause
	root  []int  // the culprit, or everybody; -1 where not ill
	late  []bool // who reads all answers late; see caller.go
	place map[string]int
	rate  []float64 // of those that are not known to be ill, whose figures may become those of a caller's edge; else 0
}

// cause is why a node is ill: the edge that explains most, -1 for none.
type cause struct {
	edge        int
	up          bool    // it is the edge's source that is the cause
	awaited     bool    // it explains nothing by its errors, but is waited for in vain
	more, below float64 // what is beyond the usual, and how much of it calls explain; of slow ones in milliseconds a request
}

// Judge judges all.
func Judge(nodes []Node, edges []Edge) Verdict {
	c := newCourt(nodes, edges)
	c.findReaders()
	c.presume()
	c.hear()
	return c.verdict()
}

func newCourt(nodes []Node, edges []Edge) *court {
	c := &court{nodes: nodes, edges: edges, out: make([][]int, len(nodes)), in: make([][]int, len(nodes)), cause: make([]cause, len(nodes)), root: make([]int, len(nodes)), place: make(map[string]int, len(nodes)), rate: make([]float64, len(nodes))}
	for i := range nodes {
		if c.place[nodes[i].ID] = i; nodes[i].Kind == telemetry.AilmentNone {
			c.rate[i] = nodes[i].Figures.Rate
		}
	}
	for i, e := range edges {
		c.out[e.Source] = append(c.out[e.Source], i)
		c.in[e.Target] = append(c.in[e.Target], i)
	}
	return c
}

// hear finds whose doing each illness is.
func (c *court) hear() {
	for n := range c.nodes {
		c.cause[n] = c.because(n)
	}
	for n := range c.nodes {
		c.root[n] = c.follow(n)
	}
}

// presume takes the target of an ill edge for as ill as the edge where it is not known to be: other callers may
// outnumber the one that suffers, or it reports nothing.
func (c *court) presume() {
	for i := range c.nodes {
		n := &c.nodes[i]
		if n.Kind != telemetry.AilmentNone {
			continue
		}
		for _, e := range c.in[i] {
			if c.callers(&c.edges[e]) {
				continue
			}
			if p := &c.edges[e].Patient; p.Kind != telemetry.AilmentNone && (p.Kind != telemetry.AilmentCutOff || n.Figures.Rate == 0) && (n.Kind == telemetry.AilmentNone || worse(p, &n.Patient)) {
				n.Patient = *p
			}
		}
	}
}

// because finds what explains a node's illness.
func (c *court) because(n int) cause {
	p := &c.nodes[n].Patient
	why := cause{edge: -1}
	var of func(e *Patient) float64
	switch p.Kind {
	case telemetry.AilmentNone:
		return why
	case telemetry.AilmentSlow:
		if e := c.misread(n); e >= 0 {
			return cause{edge: e, up: true, more: late(p)}
		}
		if p.Tail {
			why.more, of = outlying(p), outlying
			break
		}
		why.more, of = late(p), func(e *Patient) float64 { return waited(&e.Figures) }
	case telemetry.AilmentFailing:
		why.more, of = failed(p), func(e *Patient) float64 { return failed(e) + refused(e) }
	case telemetry.AilmentThrottled:
		why.more, of = refused(p), refused
	case telemetry.AilmentCutOff:
		return c.deserted(n)
	}
	best := 0.0
	for _, e := range c.out[n] {
		if c.edges[e].Target == n {
			continue
		}
		x := of(c.edges[e].called())
		if p.Kind == telemetry.AilmentSlow && c.late[n] {
			x = max(0, x-c.edges[e].Below.Rate*c.edges[e].unread())
		}
		why.below += x
		if x > best {
			best, why.edge = x, e
		}
	}
	if why.below < explained*why.more {
		why.edge = -1
		if p.Kind == telemetry.AilmentFailing {
			why.edge = c.awaited(n)
			why.awaited = why.edge >= 0
		}
	}
	return why
}

// awaited is the ill and slow call that a failing node waits for most, -1 for none.
func (c *court) awaited(n int) int {
	best, edge := 0.0, -1
	for _, e := range c.out[n] {
		if p := c.edges[e].called(); p.Kind == telemetry.AilmentSlow && p.Severe && c.edges[e].Target != n && !c.callers(&c.edges[e]) && late(p) > best {
			best, edge = late(p), e
		}
	}
	return edge
}

// deserted finds out why nobody calls a node any more: a source that fails by itself.
func (c *court) deserted(n int) cause {
	for _, e := range c.in[n] {
		s := c.edges[e].Source
		if k := c.nodes[s].Kind; s != n && c.edges[e].Kind == telemetry.AilmentCutOff && (k == telemetry.AilmentFailing || k == telemetry.AilmentCutOff) {
			return cause{edge: e, up: true}
		}
	}
	return cause{edge: -1}
}

// next is the node that a node's illness comes from, -1 for itself.
func (c *court) next(n int) int {
	e := c.cause[n].edge
	switch {
	case e < 0:
		return -1
	case c.cause[n].up:
		return c.edges[e].Source
	default:
		return c.edges[e].Target
	}
}

// follow finds the culprit of a node's illness.
func (c *court) follow(n int) int {
	if c.nodes[n].Kind == telemetry.AilmentNone {
		return -1
	}
	var way []int
	alone := everybody // who fails, and waits for what is slow as all are
	for at := n; ; {
		if i := slices.Index(way, at); i >= 0 {
			circle := way[i:]
			return c.named(alone, slices.MinFunc(circle, func(a, b int) int {
				return cmp.Or(cmp.Compare(share(&c.cause[a]), share(&c.cause[b])), cmp.Compare(c.nodes[a].ID, c.nodes[b].ID))
			}))
		}
		way = append(way, at)
		to := c.next(at)
		before, ok := c.place[c.nodes[at].Before]
		if c.nodes[at].Before == c.nodes[at].ID {
			before = at // and not another of that id
		}
		if c.nodes[at].Before == telemetry.SharedCause && spent(&c.nodes[at].Patient) {
			return alone
		}
		if ok && spent(&c.nodes[at].Patient) {
			if before == at || c.nodes[before].Kind == telemetry.AilmentNone {
				return before
			}
			to = before
		}
		if to < 0 {
			return c.named(alone, at)
		}
		if c.cause[at].awaited && c.edges[c.cause[at].edge].Below.P90 < patience && !c.blameless(at) {
			alone = at
		}
		if c.nodes[to].Kind == telemetry.AilmentNone { // its call explains it before it is itself called ill
			c.nodes[to].Patient = c.edges[c.cause[at].edge].Patient
			c.nodes[to].Kind, c.nodes[to].Tail, c.nodes[to].Since, c.nodes[to].Age, c.nodes[to].Known, c.nodes[to].Severe = c.nodes[at].Kind, c.nodes[at].Tail, c.nodes[at].Since, c.nodes[at].Age, c.nodes[at].Known, c.nodes[at].Severe
			c.cause[to] = c.because(to)
		}
		at = to
	}
}

// patience is for how long, in milliseconds, at least one waits who waits in vain.
const patience = 1000

// named is who is named for an illness that nothing below n explains: n, or, where it does not stand out of what many have, another or everybody.
func (c *court) named(other, n int) int {
	if c.blameless(n) {
		return other
	}
	return n
}

// least and fewest are what share of the requests, and how many in ten seconds, must fail, or be refused, beyond the usual to be worth an explanation.
const (
	least  = 0.025
	fewest = 1.5
)

// spent says that an illness hardly shows anything any more that is beyond the usual: it is waited for that it ends.
func spent(p *Patient) bool {
	f := &p.Figures
	switch p.Kind {
	case telemetry.AilmentSlow:
		if p.Tail {
			return f.Late-f.Usual.Late < leastLate/2
		}
		return f.Mean < (1+noise)*f.Usual.Mean && f.P90 < (1+noise)*f.Usual.P90
	case telemetry.AilmentFailing:
		return few(p, f.Errors-f.Usual.Errors)
	case telemetry.AilmentThrottled:
		return few(p, f.Throttled-f.Usual.Refused)
	default:
		return false
	}
}

func few(p *Patient, share float64) bool { return share < least || 10*p.Figures.Rate*share < fewest }

// share is what part of a node's illness its calls explain.
func share(w *cause) float64 {
	if w.more <= 0 {
		return math.Inf(1)
	}
	return w.below / w.more
}

// late is how much longer than usual is waited, in milliseconds a second.
func late(p *Patient) float64 {
	f := &p.Figures
	if f.Usual.Mean <= 0 {
		return 0
	}
	return max(0, f.Rate*(f.Mean-f.Usual.Mean))
}

// outlying is how many more than usual take much longer than usual, a second.
func outlying(p *Patient) float64 {
	return max(0, exact(p.Figures.Rate*(p.Figures.Late-p.Figures.Usual.Late)))
}

// failed is how many more than usual fail a second, refused how many more are refused.
func failed(p *Patient) float64 {
	return max(0, p.Figures.Rate*(p.Figures.Errors-p.Figures.Usual.Errors))
}

func refused(p *Patient) float64 {
	return max(0, p.Figures.Rate*(p.Figures.Throttled-p.Figures.Usual.Refused))
}
