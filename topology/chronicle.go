package topology

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The chronicle answers what was judged at a moment of the past. The judgements of then cannot be found out again from the
// series: they hold minutes, not looks, and what was usual then has gone on since.
//
// The form: what is judged now stands at its node or edge, with the time since which it has been judged so; what is
// over is a list, of which the latest mostPast are kept. One that only changes its figures stays the same
// judgement, and has those of its end.

// mostPast is how many judgements that are over are remembered. Their sentences make them about 400 bytes each.
const mostPast = 4096

type chronicle struct {
	began int64 // Unix nanoseconds: what was in force at and after it is known
	over  []pastJudgement
	lost  uint64 // that were forgotten for want of room
}

// A pastJudgement was in force from from until until, Unix nanoseconds.
type pastJudgement struct {
	judgement
	id    string
	edge  bool
	until int64
}

// turn changes how something is judged, at now.
func (c *chronicle) turn(at **judgement, id string, edge bool, to telemetry.Judged, now int64) {
	from := now
	if j := *at; j != nil {
		if j.Kind == to.Kind && j.Because == to.Because && j.Health == to.Health && j.Since == to.Since {
			from = j.from // it only has other figures
		} else if now > j.from {
			c.note(pastJudgement{judgement: *j, id: id, edge: edge, until: now})
		}
	}
	if *at = nil; to.Kind != telemetry.AilmentNone {
		*at = &judgement{Judged: to, from: from}
	}
}

func (c *chronicle) note(p pastJudgement) {
	if len(c.over) >= mostPast {
		c.sort()
		n := mostPast / 8
		for i := range c.over[:n] {
			c.began = max(c.began, c.over[i].until)
		}
		c.over = append(make([]pastJudgement, 0, mostPast), c.over[n:]...)
		c.lost += uint64(n)
	}
	c.over = append(c.over, p)
}

// sort puts what is over in an order that does not depend on places.
func (c *chronicle) sort() {
	slices.SortFunc(c.over, func(a, b pastJudgement) int {
		return cmp.Or(cmp.Compare(a.until, b.until), cmp.Compare(a.from, b.from), strings.Compare(a.id, b.id))
	})
}

// JudgedAt is what was in force at a moment, and whether that is still known. It belongs to the caller.
func (t *Topology) JudgedAt(at time.Time) (j telemetry.Judgements, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	v, when := &t.observant.verdict, at.UnixNano()
	if v.past.began == 0 || when < v.past.began {
		return j, false
	}
	j = telemetry.Judgements{Nodes: map[string]telemetry.Judged{}, Edges: map[string]telemetry.Judged{}}
	for i := range v.past.over {
		if p := &v.past.over[i]; p.from <= when && when < p.until {
			if p.edge {
				j.Edges[p.id] = p.Judged
			} else {
				j.Nodes[p.id] = p.Judged
			}
		}
	}
	for _, id := range v.nodes {
		if n := t.nodes.list[id]; n != nil && n.judged != nil && n.judged.from <= when {
			j.Nodes[n.drawnID()] = n.judged.Judged
		}
	}
	for _, id := range v.edges {
		if e := t.edges.list[id]; e != nil && e.judged != nil && e.judged.from <= when {
			j.Edges[t.drawnID(e)] = e.judged.Judged
		}
	}
	return j, true
}

// partWithNode and partWithEdge keep the judgement of one that goes.
func (t *Topology) partWithNode(n *node) {
	was := n.judged.is()
	t.observant.verdict.past.turn(&n.judged, n.drawnID(), false, telemetry.Judged{}, t.now)
	t.turned(n.drawnID(), &was, &telemetry.Judged{})
}

func (t *Topology) partWithEdge(e *edge) {
	if e.judged != nil {
		t.observant.verdict.past.turn(&e.judged, t.drawnID(e), true, telemetry.Judged{}, t.now)
	}
}
