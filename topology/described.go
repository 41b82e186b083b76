package topology

import (
	"hash/maphash"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The problem: routes that say the same share one telemetry.Edge, whose pointer is its identity; and at fifty thousand edges a map that has the
// edges themselves as keys holds each of them twice, 280 bytes a time.
//
// The form: a map by an edge's hash. Of two that have one hash the later is under the next number that is free.
//
// Invariant: between an edge's hash and the number under which it is found, none is free.

// described are the telemetry.Edges of all routes.
type described struct {
	by   map[uint64]description
	hash func(telemetry.Edge) uint64
}

// description is a telemetry.Edge and how many routes have it.
type description struct {
	is   *telemetry.Edge
	uses int
}

func newDescribed() described {
	seed := maphash.MakeSeed()
	return described{by: map[uint64]description{}, hash: func(is telemetry.Edge) uint64 { return maphash.Comparable(seed, is) }}
}

// find is the number under which an edge is, or would be.
func (d *described) find(is telemetry.Edge) uint64 {
	at := d.hash(is)
	for {
		if in, ok := d.by[at]; !ok || *in.is == is {
			return at
		}
		at++
	}
}

// use is the one copy of an edge, which one more route has.
func (d *described) use(is telemetry.Edge) *telemetry.Edge {
	at := d.find(is)
	in := d.by[at]
	if in.is == nil {
		in.is = &is
	}
	in.uses++
	d.by[at] = in
	return in.is
}

// leave undoes use.
func (d *described) leave(is *telemetry.Edge) {
	at := d.find(*is)
	in := d.by[at]
	if in.uses--; in.uses > 0 {
		d.by[at] = in
		return
	}
	delete(d.by, at)
	for at++; ; at++ { // those that may have been put behind it are found anew
		next, ok := d.by[at]
		if !ok {
			return
		}
		delete(d.by, at)
		d.by[d.find(*next.is)] = next
	}
}
