package topology

import (
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// tellFindings has the graph tell what is found. What is found no longer is returned.
func (t *Topology) tellFindings() (ended []pastFinding) {
	d := &t.doubts
	ended = d.turnFindings(d.book.List(), t.now)
	t.pub.changed, t.pub.judged = true, true
	where := xxhash.New()
	for i := range d.told {
		f := &d.told[i]
		_, _ = where.WriteString(f.Kind + " " + strings.Join(f.Nodes, " ") + ">" + strings.Join(f.Edges, " ") + "\n") // a hash takes all
	}
	if sum := where.Sum64(); sum != d.where {
		d.where = sum
		t.markFindings()
	}
	return ended
}

// markFindings marks the nodes and edges where something is found.
func (t *Topology) markFindings() {
	d := &t.doubts
	nodes, edges := telemetry.Places(d.told)
	mark := func(found *string, kinds []string) bool {
		now := strings.Join(kinds, " ")
		if *found == now {
			return false
		}
		*found = now
		return true
	}
	for id, n := range t.nodes.list {
		if n != nil && id != nowhere && (n.found != "" || len(nodes) > 0) && mark(&n.found, nodes[n.drawnID()]) {
			t.markNodeDirty(nodeID(id)) //nolint:gosec // an index
		}
	}
	for id, e := range t.edges.list {
		if e != nil && (e.found != "" || len(edges) > 0) && mark(&e.found, edges[t.drawnID(e)]) {
			t.markEdgeDirty(edgeID(id)) //nolint:gosec // an index
		}
	}
}

// kindsOf takes apart what markFindings puts together.
func kindsOf(found string) []string {
	if found == "" {
		return nil
	}
	return strings.Fields(found)
}
