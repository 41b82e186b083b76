package aggregator

import (
	"hash/maphash"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// edgeTable finds edges by what they are. A map with telemetry.Edges as its keys would hold each of them, of 280 bytes, once more.
type edgeTable struct {
	by   map[uint64]*edge // by hash, those of the same in a list
	seed maphash.Seed
}

func newEdgeTable() edgeTable {
	return edgeTable{by: map[uint64]*edge{}, seed: maphash.MakeSeed()}
}

// find is the edge that is key, nil if there is none.
func (t *edgeTable) find(key *telemetry.Edge) *edge {
	e := t.by[maphash.Comparable(t.seed, *key)]
	for e != nil && *e.key != *key {
		e = e.next
	}
	return e
}

func (t *edgeTable) put(e *edge) {
	at := maphash.Comparable(t.seed, *e.key)
	e.next, t.by[at] = t.by[at], e
}

func (t *edgeTable) drop(e *edge) {
	at := maphash.Comparable(t.seed, *e.key)
	if first := t.by[at]; first != e {
		for first.next != e {
			first = first.next
		}
		first.next = e.next
		return
	}
	if e.next != nil {
		t.by[at] = e.next
	} else {
		delete(t.by, at)
	}
}
