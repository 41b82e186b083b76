package topology

import (
	"strings"
	"unicode/utf8"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The problem: whoever can send can name things, and a table that keeps the names that came first is full of junk after two seconds of it, for
// as long as anything is remembered. Names cannot be proved; but those that matter come again.
//
// The rule, of nodes and edges alike, and of nothing that is in the table already:
//
//	While there is room for all, all enter at first sight.
//	The last eighth is for those who come a second time, half a second later or more (door).
//	From half full on, who made a quarter of all (for a node: the service that names it, or else the pattern of names that it belongs to; for
//	an edge: the busier of its ends) makes more only by second sight; and of nodes more than half of all never: of edges that would
//	shut out who calls what the flood calls.
//	What may not enter is counted at overflow, exactly, and knocks again with its next request.
//	From three quarters full on, what says least makes room (evict.go).
//	Thousands of names that came once and have been silent for a minute go, whether room is wanted or not (litter.go).
//
// Not chosen: to make room at the moment when somebody knocks (a flood would pay with the hot path); to count all names
// approximately, and keep the most frequent (a service that is called once a minute is as real as one that is called a thousand times a
// second); shares by connection (entries of the log do not say from which they came, and must not: a replay would judge otherwise).

// maxName is how many bytes of a part of a name are told apart; Kubernetes allows 253.
const maxName = 256

// nameBytes is how many bytes of names there may be for each node of the limit, on average.
const nameBytes = 1 << 10

// least keeps shares of small tables from being smaller than what any service needs.
const leastShare = 64

// maker is whoever made nodes, and how many there are of him.
type maker struct {
	name string // see makerOf
	held int
}

// scarce says that a table of some size is so full, or has so many of one maker, that only what comes again may enter.
func scarce(live, limit, held int) bool {
	return limit-live <= limit/8 || 2*live >= limit && held >= max(leastShare, limit/4)
}

// admitNode says that there is room for a node of this name.
func (t *Topology) admitNode(hash uint64, held int) bool {
	ns, limit := &t.nodes, t.cfg.MaxNodes
	full := ns.live >= limit || ns.bytes >= limit*nameBytes
	if !full && !scarce(ns.live, limit, held) {
		return true
	}
	again := t.knocked(hash)
	return !full && again && held < max(leastShare, limit/2)
}

// admitEdge says that there is room for an edge.
func (t *Topology) admitEdge(src, dst nodeID, p telemetry.Protocol) bool {
	ns, live, limit := &t.nodes, t.edges.live, t.cfg.MaxEdges
	held := 0
	for _, id := range [...]nodeID{src, dst} {
		if n := ns.list[id]; id != nowhere && !ours(n.key) {
			held = max(held, n.edges)
		}
	}
	if live < limit && !scarce(live, limit, held) {
		return true
	}
	again := t.knocked(hashEdge(ns.list[src].hash, ns.list[dst].hash, p))
	return live < limit && again
}

// again has two endpoints whose route was refused an edge of its own ask once more: it is the new route, or 0. Halves that were
// counted stay where they are.
func (t *Topology) again(src, dst endpointID, p telemetry.Protocol) routeID {
	es, ns := &t.edges, &t.nodes
	from, to := ns.endpoints[src].node, ns.endpoints[dst].node
	if _, ok := t.findEdge(from, to, p); !ok && !t.admitEdge(from, to, p) {
		return 0
	} else if !ok {
		t.newEdge(edgeKey{from, to, p}, t.now, t.now)
	}
	delete(es.byRoute, keyOf(src, dst, p))
	return t.newRoute(src, dst, p)
}

// makerOf is who makes a node: the service in whose telemetry it is named, or, of a service that names itself, all those whose
// names are of one pattern.
func (t *Topology) makerOf(key telemetry.Node) string {
	if by := t.scratch.by; by != nowhere {
		return t.nodes.list[by].key.ID()
	}
	return patternPrefix + pattern(key.Name)
}

const (
	patternPrefix = "names like " // no service's: a name with blanks that is one's is none the worse for it
	placeholder   = "{id}"
)

// pattern is a name with its numbers, and what looks like them, left out.
func pattern(name string) string {
	var b strings.Builder
	isHex := func(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }
	for i := 0; i < len(name); {
		hex, digits := i, 0
		for hex < len(name) && isHex(name[hex]) {
			if name[hex] <= '9' {
				digits++
			}
			hex++
		}
		if hex-i >= 8 && digits > 0 {
			b.WriteString(placeholder)
			i = hex
			continue
		}
		j := i
		for j < len(name) && name[j] >= '0' && name[j] <= '9' {
			j++
		}
		if j > i {
			b.WriteString(placeholder)
			i = j
			continue
		}
		b.WriteByte(name[i])
		i++
	}
	return b.String()
}

// made counts one more node of a maker, or with -1 one less.
func (ns *nodes) made(n *node, by int) {
	if n.maker == "" {
		return
	}
	m := ns.makers[n.maker]
	if m == nil {
		m = &maker{name: n.maker}
		ns.makers[n.maker] = m
	}
	n.maker = m.name // one string for all
	if m.held += by; m.held == 0 {
		delete(ns.makers, m.name)
	}
}

// cut shortens a name.
func cut(s string) string {
	if len(s) <= maxName {
		return s
	}
	end := maxName
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// size is how many bytes the names of an endpoint take beyond its node's.
func size(is *telemetry.Endpoint) int {
	return len(is.Workload) + len(is.App) + len(is.Version) + len(is.Principal)
}
