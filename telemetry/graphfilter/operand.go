package graphfilter

import (
	"cmp"
	"slices"
	"strings"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// An operand is a word that an expression may have. Exactly one of flag, text and number is set.
type operand struct {
	edges  bool
	flag   func(s *subject) bool
	text   func(s *subject) []string
	number func(s *subject) (v float64, ok bool)
}

// operandOf is the operand of a name; why says why there is none, where Kiali has it.
func operandOf(name string) (o operand, why string, ok bool) {
	if o, ok = nodeOperand(name); ok {
		return o, "", true
	}
	if o, ok = edgeOperand(name); ok {
		o.edges = true
		return o, "", true
	}
	switch name {
	case "cb", "circuitbreaker", "dead", "fi", "faultinjection", "inaccessible", "mirroring", "rr", "requestrouting", "rto", "requesttimeout", "se", "serviceentry", "sc", "sidecar", "tcpts", "ts", "trafficshifting", "vs", "virtualservice", "we", "workloadentry":
		return o, "it asks for the configuration of the mesh, which a graph made of telemetry does not know", false
	case "op", "operation":
		return o, "the graph has services and no operations", false
	case "destprincipal", "sourceprincipal":
		return o, "edges of the graph do not say by which certificate; mtls says whether by any", false
	case "throughput":
		return o, "bytes are not counted", false
	}
	return o, "", false
}

func texts(f func(n *telemetry.GraphNode) string) func(s *subject) []string {
	return func(s *subject) []string { return []string{f(s.node)} }
}

func flow(m func(g *graph) map[string]map[telemetry.Protocol]float64, p telemetry.Protocol) operand {
	return operand{number: func(s *subject) (float64, bool) { return m(s.g)[s.node.ID][p], true }}
}

func inbound(g *graph) map[string]map[telemetry.Protocol]float64  { return g.in }
func outbound(g *graph) map[string]map[telemetry.Protocol]float64 { return g.out }

func ailing(a telemetry.Ailment) operand {
	return operand{flag: func(s *subject) bool { return s.node.Judgement.Kind == a }}
}

func nodeOperand(name string) (operand, bool) {
	o := operand{}
	switch name {
	case "app", "svc", "service", "wl", "workload", "name":
		// A node of the graph is a service; of a grouped one what it is grouped by. Its name is that, and Kiali's name is any of them.
		o.text = texts(func(n *telemetry.GraphNode) string { return n.Name })
	case "id":
		o.text = texts(func(n *telemetry.GraphNode) string { return n.ID })
	case "ns", "namespace":
		o.text = texts(func(n *telemetry.GraphNode) string { return n.Namespace })
	case "cluster":
		o.text = texts(func(n *telemetry.GraphNode) string { return n.Cluster })
	case "node", "kind":
		o.text = texts(func(n *telemetry.GraphNode) string { return n.Kind.String() })
	case "system":
		o.text = texts(func(n *telemetry.GraphNode) string { return n.System })
	case "health":
		o.text = texts(func(n *telemetry.GraphNode) string { return n.Health.String() })
	case "version":
		o.text = func(s *subject) []string { return s.node.Versions }
	case "httpin":
		o = flow(inbound, telemetry.ProtocolHTTP)
	case "httpout":
		o = flow(outbound, telemetry.ProtocolHTTP)
	case "grpcin":
		o = flow(inbound, telemetry.ProtocolGRPC)
	case "grpcout":
		o = flow(outbound, telemetry.ProtocolGRPC)
	case "tcpin":
		o = flow(inbound, telemetry.ProtocolTCP)
	case "tcpout":
		o = flow(outbound, telemetry.ProtocolTCP)
	case "rank":
		o.number = func(s *subject) (float64, bool) { return float64(s.g.rankOf(s.node.ID)), true }
	case "healthy":
		o.flag = func(s *subject) bool { return s.node.Health == telemetry.HealthOK }
	case "idle":
		o.flag = func(s *subject) bool { return s.node.Health == telemetry.HealthIdle }
	case "outside", "outsider":
		o.flag = func(s *subject) bool { return s.node.Kind == telemetry.NodeExternal }
	case "trafficsource", "root":
		o.flag = func(s *subject) bool { return s.g.called[s.node.ID] == 0 }
	case "culprit":
		o.flag = func(s *subject) bool { return slices.Contains(s.g.of.Culprits, s.node.ID) }
	case "victim":
		o.flag = func(s *subject) bool {
			return s.node.Judgement.Kind != telemetry.AilmentNone && s.node.Judgement.Because != ""
		}
	case "slow":
		o = ailing(telemetry.AilmentSlow)
	case "failing":
		o = ailing(telemetry.AilmentFailing)
	case "throttled":
		o = ailing(telemetry.AilmentThrottled)
	case "cut_off", "cutoff":
		o = ailing(telemetry.AilmentCutOff)
	default:
		return o, false
	}
	return o, true
}

// rankOf is a node's place by the number of its callers: 1 is the most called, and equals share a place.
func (g *graph) rankOf(id string) int {
	if g.rank == nil {
		counts := make([]int, 0, len(g.nodes))
		for n := range g.nodes {
			counts = append(counts, g.called[n])
		}
		slices.SortFunc(counts, func(a, b int) int { return cmp.Compare(b, a) })
		counts = slices.Compact(counts)
		place := make(map[int]int, len(counts))
		for i, c := range counts {
			place[c] = i + 1
		}
		g.rank = make(map[string]int, len(g.nodes))
		for n := range g.nodes {
			g.rank[n] = place[g.called[n]]
		}
	}
	return g.rank[id]
}

// of is a figure of an edge of a protocol; edges of others do not have it.
func of(p telemetry.Protocol, f func(s telemetry.Signals) (float64, bool)) operand {
	return operand{number: func(s *subject) (float64, bool) {
		if s.edge.Protocol != p {
			return 0, false
		}
		return f(s.edge.Windows[s.g.window])
	}}
}

func every(f func(s telemetry.Signals) (float64, bool)) operand {
	return operand{number: func(s *subject) (float64, bool) { return f(s.edge.Windows[s.g.window]) }}
}

func rate(s telemetry.Signals) (float64, bool) { return s.Rate, true }

// failed is the share that failed, in percent.
func failed(s telemetry.Signals) (float64, bool) {
	if s.Rate == 0 {
		return 0, false
	}
	return 100 * s.ErrorRate / s.Rate, true
}

func refused(s telemetry.Signals) (float64, bool) {
	if s.Rate == 0 {
		return 0, false
	}
	return 100 * s.ThrottledRate / s.Rate, true
}

func latency(q func(s telemetry.Signals) *float64) operand {
	return every(func(s telemetry.Signals) (float64, bool) {
		if v := q(s); v != nil {
			return *v, true
		}
		return 0, false
	})
}

// shareOf is what part of the calls of an edge's source, of its protocol, go over the edge, in percent.
func shareOf(p telemetry.Protocol) operand {
	return operand{number: func(s *subject) (float64, bool) {
		all := s.g.out[s.edge.Source][p]
		if s.edge.Protocol != p || all == 0 {
			return 0, false
		}
		return 100 * s.edge.Windows[s.g.window].Rate / all, true
	}}
}

func edgeOperand(name string) (operand, bool) {
	o := operand{}
	switch name {
	case "http":
		o = of(telemetry.ProtocolHTTP, rate)
	case "%httperr":
		o = of(telemetry.ProtocolHTTP, failed)
	case "%httptraffic":
		o = shareOf(telemetry.ProtocolHTTP)
	case "grpc":
		o = of(telemetry.ProtocolGRPC, rate)
	case "%grpcerr":
		o = of(telemetry.ProtocolGRPC, failed)
	case "%grpctraffic":
		o = shareOf(telemetry.ProtocolGRPC)
	case "tcp":
		o = of(telemetry.ProtocolTCP, rate)
	case "rate":
		o = every(rate)
	case "%err":
		o = every(failed)
	case "%throttled":
		o = every(refused)
	case "rt", "responsetime", "p90":
		o = latency(func(s telemetry.Signals) *float64 { return s.P90 })
	case "p50":
		o = latency(func(s telemetry.Signals) *float64 { return s.P50 })
	case "p99":
		o = latency(func(s telemetry.Signals) *float64 { return s.P99 })
	case "protocol":
		o.text = func(s *subject) []string { return []string{s.edge.Protocol.String()} }
	case "source":
		o.text = func(s *subject) []string { return []string{s.edge.Source} }
	case "target":
		o.text = func(s *subject) []string { return []string{s.edge.Target} }
	case "mtls":
		o.flag = func(s *subject) bool { return s.edge.MTLS > 0 }
	case "traffic":
		o.flag = func(s *subject) bool { return s.edge.Windows[s.g.window].Rate > 0 }
	default:
		return o, false
	}
	return o, true
}

// A test compares what an operand is with what was written.
type test struct {
	operand operand
	op      string
	text    string
	number  float64
}

func (t test) holds(s *subject) bool {
	switch {
	case t.operand.flag != nil:
		return t.operand.flag(s)
	case t.operand.number != nil:
		v, ok := t.operand.number(s)
		return ok && compares(cmp.Compare(v, t.number), t.op)
	}
	op, opposite := t.op, false
	if op[0] == '!' {
		op, opposite = strings.TrimPrefix(op, "!"), true
	}
	for _, v := range t.operand.text(s) {
		if matches(strings.ToLower(v), op, t.text) {
			return !opposite
		}
	}
	return opposite
}

func compares(c int, op string) bool {
	switch op {
	case "=":
		return c == 0
	case "!=":
		return c != 0
	case ">":
		return c > 0
	case ">=":
		return c >= 0
	case "<":
		return c < 0
	default:
		return c <= 0
	}
}

func matches(v, op, with string) bool {
	switch op {
	case "*=":
		return strings.Contains(v, with)
	case "^=":
		return strings.HasPrefix(v, with)
	case "$=":
		return strings.HasSuffix(v, with)
	case "=":
		return v == with
	default:
		return compares(strings.Compare(v, with), op)
	}
}
