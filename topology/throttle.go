package topology

import (
	"sort"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// ThrottledBy says how fast a quota rule refuses requests between two names.
// A name is a service's, a host's, Envoy's node cluster (service.namespace) or one of
// its upstream clusters; "" is anybody.
type ThrottledBy struct {
	Source, Target string
	Rule           string
	Rate           float64 // refusals a second, over the last minute
}

// SetThrottledBy replaces all that is known of the rules that refuse requests.
// It is no part of the log, nor of what Save keeps.
//
// An Envoy that asks on behalf of its own service names an inbound cluster as
// the target and itself as the source; then, and where no source is named, a rule's
// rate is shared among the edges to the target as the refusals that they saw are.
func (t *Topology) SetThrottledBy(now int64, entries []ThrottledBy) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.advance(now)
	rates := map[edgeKey]map[string]float64{}
	for _, e := range entries {
		src, dst := t.named(e.Source), t.named(e.Target)
		if telemetry.ParseClusterName(e.Target).Inbound {
			src, dst = nowhere, src
		}
		if dst == nowhere || !t.share(rates, src, dst, e) {
			t.stats.Dropped.Throttlers++
		}
	}
	throttled := make(map[edgeKey][]telemetry.RuleRate, len(rates))
	for k, rules := range rates {
		for rule, rate := range rules {
			throttled[k] = append(throttled[k], telemetry.RuleRate{Rule: rule, Rate: round3(rate)})
		}
		sort.Slice(throttled[k], func(i, j int) bool { return throttled[k][i].Rule < throttled[k][j].Rule })
	}
	old := t.pub.throttled
	t.pub.throttled = throttled
	for k, id := range t.edges.byKey {
		if !sameRates(old[k], throttled[k]) {
			t.markEdgeDirty(id)
			t.pub.changed = true
		}
	}
	t.sweepEmptied()
}

// named is the node that a name means to anybody, or nowhere.
func (t *Topology) named(name string) nodeID {
	if name == "" {
		return nowhere
	}
	host, namespace, kind := telemetry.ClassifyHost(telemetry.ParseClusterName(name).Host)
	if id := t.nodes.find(kind, namespace, host, ""); id != nowhere {
		return id
	}
	return t.nodes.byKey[telemetry.Node{Kind: kind, Namespace: namespace, Name: host}]
}

// share distributes a rule's rate over the edges that it can mean, as they saw refusals; false says
// that there are none. Edges that saw none of late get nothing: the rule's minute and theirs do not end together.
func (t *Topology) share(rates map[edgeKey]map[string]float64, src, dst nodeID, by ThrottledBy) bool {
	weights := map[edgeKey]float64{}
	var sum float64
	known := false
	for k, id := range t.edges.byKey {
		e := t.edges.list[id]
		if e.dst != dst || e.src == nowhere || src != nowhere && e.src != src {
			continue
		}
		known = true
		e.advance(t.tick)
		if n := e.sums(signal.Minute).Throttled; n > 0 {
			weights[k] = float64(n)
			sum += weights[k]
		}
	}
	for k, w := range weights {
		if rates[k] == nil {
			rates[k] = map[string]float64{}
		}
		rates[k][by.Rule] += by.Rate * w / sum
	}
	return known
}
