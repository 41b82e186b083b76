package topology

import (
	"math/bits"
	"slices"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry/findings"
	"github.com/binnacle-mesh/binnacle/topology/pair"
)

// clocks compares those at the two ends of an edge, by the latest pairs of spans: see findings/clock.go. What the pairs that differ say is kept only where there are any.
type clocks struct {
	outside uint16 // a bit for each of the latest 16 pairs, the latest the lowest
	pairs   uint8  // 16 at most
	apart   *apart
}

// apart is by how much the callee was ahead of its caller in the latest pairs that lay outside, in nanoseconds.
type apart struct {
	by   [8]int64
	next uint8
	n    uint8
}

const (
	mostPairs  = 16
	clockSlack = int64(10e6) // by which a callee's span may lie outside its caller's: what clocks that are set by NTP differ
)

// compareClocks looks at a pair: client half c, and server half o, which is counted.
func (t *Topology) compareClocks(c, o *pair.Half) {
	k := &t.edges.list[t.edges.routes[o.Route()].edge].clocks
	before := c.Start - o.Start                                // by which it began before its caller called
	after := o.Start + o.Duration() - (c.Start + c.Duration()) // by which it ended after its caller had its answer
	if before <= clockSlack && after <= clockSlack {
		k.pairs = min(k.pairs+1, mostPairs)
		k.outside <<= 1
		return
	}
	if before+after > clockSlack {
		return // it took longer than its caller waited: that is no matter of clocks
	}
	k.pairs = min(k.pairs+1, mostPairs)
	k.outside = k.outside<<1 | 1
	if k.apart == nil {
		k.apart = &apart{}
	}
	a := k.apart
	a.by[a.next] = (after - before) / 2
	a.next = (a.next + 1) % uint8(len(a.by))
	a.n = min(a.n+1, uint8(len(a.by)))
}

// of gives it as findings wants it; the service is the callee, or else the caller.
func (k *clocks) of(callee bool) findings.Clock {
	c := findings.Clock{Pairs: int(k.pairs), Outside: bits.OnesCount16(k.outside), Latest: bits.OnesCount16(k.outside & 0xf)}
	if k.apart == nil || k.outside == 0 {
		return c
	}
	by := k.apart.by
	some := by[:k.apart.n]
	slices.Sort(some)
	c.Ahead = time.Duration(some[len(some)/2])
	if !callee {
		c.Ahead = -c.Ahead
	}
	return c
}
