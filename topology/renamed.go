package topology

import (
	"slices"
	"sort"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/findings"
)

// renamed compares those that fell silent with those that appeared then.
func (t *Topology) renamed() {
	var olds, news []*node
	for _, of := range t.doubts.phases {
		for _, n := range of {
			switch {
			case n.noticed == nil:
			case t.now-n.reported >= 3e9 && n.reported-n.since >= 30e9:
				olds = append(olds, n)
			case t.now-n.since < 3600e9 && len(news) < maxNewcomers:
				news = append(news, n)
			}
		}
	}
	var best best
	for _, id := range t.doubts.book.Subjects(findings.ServiceRenamed) {
		if !slices.ContainsFunc(olds, func(n *node) bool { return n.drawnID() == id }) {
			best.add(&findings.Opined{Kind: findings.ServiceRenamed, Opinion: findings.Well, Finding: telemetry.Finding{Subject: id}})
		}
	}
	byID := func(ns []*node) { sort.Slice(ns, func(i, j int) bool { return ns[i].drawnID() < ns[j].drawnID() }) }
	byID(olds)
	byID(news)
	for _, o := range olds {
		var was *findings.Place
		for _, n := range news {
			if between := n.since - o.reported; between > 20e9 || between < -20e9 {
				continue
			}
			if was == nil {
				was = t.placeOf(o)
			}
			opined := findings.Renamed(was, t.placeOf(n), t.now)
			best.add(&opined)
		}
	}
	best.note(t)
}

// placeOf is where a node stands, or stood in the minute before its last report.
func (t *Topology) placeOf(n *node) *findings.Place {
	k := n.noticed
	p := &findings.Place{
		ID: n.drawnID(), Name: n.key.Name, Since: n.since, Reported: n.reported, Operations: k.operations,
		Pause: time.Duration(max(k.spans.usual, k.logs.usual)),
	}
	recent := k.recent()
	for w := range recent.In {
		p.Requests = max(p.Requests, recent.In[w], recent.Out[w])
	}
	after := n.reported - 60e9
	for _, e := range n.in {
		if e.last >= after && e.src != nowhere && !e.fromUnknown {
			p.Callers = append(p.Callers, t.nodes.list[e.src].drawnID())
			p.Edges = append(p.Edges, t.drawnID(e))
		}
	}
	for _, e := range n.out {
		if e.last >= after {
			p.Callees = append(p.Callees, t.nodes.list[e.dst].drawnID())
			p.Edges = append(p.Edges, t.drawnID(e))
		}
	}
	slices.Sort(p.Callers)
	slices.Sort(p.Callees)
	p.Callers, p.Callees = slices.Compact(p.Callers), slices.Compact(p.Callees)
	slices.Sort(p.Edges)
	return p
}
