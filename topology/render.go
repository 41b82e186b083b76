package topology

import (
	"math"
	"sort"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// traffic is what edges and nodes show of their windows, before it is drawn.
type traffic struct {
	sums  [signal.Windows]signal.Sums
	rates [signal.Windows]rates
	dist  [signal.Windows]signal.Dist
}

// rates are in requests a second.
type rates struct{ requests, errors, throttled float64 }

func (tr *traffic) reset() {
	for w := range tr.sums {
		tr.sums[w], tr.rates[w] = signal.Sums{}, rates{}
		tr.dist[w].Reset()
	}
}

// shown is a window as it is shown: rounded, so that noise is no change.
type shown struct {
	rate, errors, throttled float64
	p50, p90, p99           float64
	some                    bool // there are quantiles
}

// drawnEdge is how an edge was last rendered.
type drawnEdge struct {
	id      string
	visible bool
	due     int64 // tick at which its windows have slid enough to look again; 0: never
	windows [signal.Windows]shown
	slow    exemplar
	failed  exemplar
	is      telemetry.GraphEdge
}

// drawnNode is how a node was last rendered.
type drawnNode struct {
	id      string
	visible bool
	dirty   bool // is in publisher.dirtyNodes
	windows [signal.Windows]shown
	is      telemetry.GraphNode
}

// gather adds to tr what the best witness of each window saw: the one with the
// most requests, of equals the first.
func (e *edge) gather(tr *traffic, now int64) {
	tick := now / signal.Tick
	for w := range signal.Window(signal.Windows) {
		var best *signal.Acc
		var most uint64
		for _, a := range e.acc {
			if a == nil {
				continue
			}
			a.Advance(tick)
			if n := a.Requests(w); n > most {
				best, most = a, n
			}
		}
		if best == nil {
			continue
		}
		s := best.Sums(w)
		tr.sums[w].Requests += s.Requests
		tr.sums[w].Errors += s.Errors
		tr.sums[w].Throttled += s.Throttled
		best.AddTo(&tr.dist[w], w)
		r, per := &tr.rates[w], perSecond(w, e.first, now)
		r.requests += float64(s.Requests) * per
		r.errors += float64(s.Errors) * per
		r.throttled += float64(s.Throttled) * per
	}
}

// perSecond is what a request in a window counts for in a rate. A rate is over
// the window, or over the time since its edge began where that is less: what began ten seconds
// ago has in five minutes no lower rate than in ten seconds.
func perSecond(w signal.Window, first, now int64) float64 {
	const least = 10.0 // seconds: one request is no burst
	return 1 / min(max(least, float64(now-first)/1e9), signal.Seconds(w, now))
}

// show makes what is shown of an edge's traffic.
func (tr *traffic) show() (out [signal.Windows]shown) {
	for w := range out {
		r := &tr.rates[w]
		out[w] = shown{rate: r.requests, errors: r.errors, throttled: r.throttled}
		out[w].finish(&tr.dist[w])
	}
	return out
}

// finish rounds the rates and takes the quantiles from d.
func (v *shown) finish(d *signal.Dist) {
	v.rate, v.errors, v.throttled = round3(v.rate), round3(v.errors), round3(v.throttled)
	qs := [...]float64{0.5, 0.9, 0.99}
	var ms [3]float64
	v.some = d.Quantiles(qs[:], ms[:])
	v.p50, v.p90, v.p99 = round3(ms[0]), round3(ms[1]), round3(ms[2])
}

// round3 keeps three digits; the last is below what the windows and the sketch
// resolve.
func round3(f float64) float64 {
	if f < 1e-3 {
		return 0
	}
	up, down := 1.0, 1.0
	for f*up < 100 {
		up *= 10
	}
	for f >= 1000*down {
		down *= 10
	}
	return math.Round(f*up/down) * down / up
}

// signals makes the API's windows, with one allocation for all quantiles.
func signals(ws *[signal.Windows]shown) map[string]telemetry.Signals {
	q := new([signal.Windows][3]float64)
	out := make(map[string]telemetry.Signals, signal.Windows)
	for i, v := range ws {
		s := telemetry.Signals{Rate: v.rate, ErrorRate: v.errors, ThrottledRate: v.throttled}
		if v.some {
			q[i] = [3]float64{v.p50, v.p90, v.p99}
			s.P50, s.P90, s.P99 = &q[i][0], &q[i][1], &q[i][2]
		}
		out[signal.Window(i).String()] = s
	}
	return out
}

// renderEdge renders an edge anew; changed says that it differs from what was
// shown.
func (t *Topology) renderEdge(e *edge) (changed bool) {
	d := &e.drawn
	if d.id == "" {
		d.id = t.nodes.list[e.src].drawnID() + ">" + t.nodes.list[e.dst].drawnID() + "|" + e.protocol.String()
	}
	tr := &t.pub.traffic
	tr.reset()
	e.gather(tr, t.now)
	windows := tr.show()
	is := telemetry.GraphEdge{
		ID:          d.id,
		Source:      t.nodes.list[e.src].drawnID(),
		Target:      t.nodes.list[e.dst].drawnID(),
		Protocol:    e.protocol,
		Health:      t.judge(&tr.sums, &tr.dist),
		MTLS:        e.mutual(),
		ThrottledBy: t.pub.throttled[edgeKey{e.src, e.dst, e.protocol}],
		FirstSeen:   e.first,
		LastSeen:    e.last,
	}
	counts := [telemetry.Witnesses]*uint64{
		telemetry.ClientSpan: &is.Witnesses.ClientSpan, telemetry.ServerSpan: &is.Witnesses.ServerSpan,
		telemetry.ClientLog: &is.Witnesses.ClientLog, telemetry.ServerLog: &is.Witnesses.ServerLog,
	}
	for w, a := range e.acc {
		if a == nil {
			continue
		}
		total := a.Total()
		*counts[w] = total.Requests
		if total.Requests > is.Totals.Requests {
			is.Totals = telemetry.Totals{Requests: total.Requests, Errors: total.Errors, Throttled: total.Throttled}
		}
	}
	d.due = t.nextLook(e, tr)
	old := &d.is
	if d.visible && windows == d.windows && is.Health == old.Health && is.Totals == old.Totals && is.Witnesses == old.Witnesses &&
		is.MTLS == old.MTLS && is.FirstSeen == old.FirstSeen && is.LastSeen == old.LastSeen && sameRates(is.ThrottledBy, old.ThrottledBy) &&
		e.slow == d.slow && e.failed == d.failed && e.exemplarsStand(t.now) {
		return false
	}
	is.Windows = signals(&windows)
	is.Exemplars = e.exemplars(t.now)
	d.is, d.windows, d.visible = is, windows, true
	d.slow, d.failed = e.slow, e.failed
	return true
}

// nextLook is when an edge without new traffic is worth another look: each
// second while the short windows drain, then every five, and never once all are empty.
func (t *Topology) nextLook(e *edge, tr *traffic) int64 {
	switch {
	case tr.sums[signal.FiveMinutes].Requests == 0:
		return 0
	case t.now-e.last < 12e9:
		return t.tick + 10
	default:
		return t.tick + 50
	}
}

// mutual is the share of requests under mutual TLS, by those who can tell; of
// the last 5 min, or of all time where those are silent.
func (e *edge) mutual() float64 {
	var secured, mutual, everSecured, everMutual uint64
	for _, a := range e.acc {
		if a == nil || a.Total().Secured == 0 {
			continue
		}
		s := a.Sums(signal.FiveMinutes)
		secured, mutual = secured+s.Secured, mutual+s.Mutual
		everSecured, everMutual = everSecured+a.Total().Secured, everMutual+a.Total().Mutual
	}
	switch {
	case secured > 0:
		return round3(float64(mutual) / float64(secured))
	case everSecured > 0:
		return round3(float64(everMutual) / float64(everSecured))
	default:
		return -1
	}
}

func sameRates(a, b []telemetry.RuleRate) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// young says that an exemplar is of the last minute.
func (x *exemplar) young(now int64) bool { return x.at != 0 && now-x.at < exemplarAge }

// exemplars are the edge's examples of the last minute: its slowest request and
// its latest error.
func (e *edge) exemplars(now int64) []telemetry.Exemplar {
	var out []telemetry.Exemplar
	add := func(x *exemplar) {
		out = append(out, telemetry.Exemplar{
			TraceID: x.trace, SpanID: x.span, Duration: x.took, Error: x.err, Time: x.at,
		})
	}
	if e.slow.young(now) {
		add(&e.slow)
	}
	if e.failed.young(now) && (e.failed.span != e.slow.span || e.failed.trace != e.slow.trace || len(out) == 0) {
		add(&e.failed)
	}
	return out
}

// exemplarsStand says that the exemplars last drawn are none that have aged
// out.
func (e *edge) exemplarsStand(now int64) bool {
	for _, x := range e.drawn.is.Exemplars {
		if now-x.Time >= exemplarAge {
			return false
		}
	}
	return true
}

func (n *node) drawnID() string {
	if n.drawn.id == "" {
		n.drawn.id = n.key.ID()
	}
	return n.drawn.id
}

// renderNode renders a node anew by the edges that lead to it, and those that
// lead away.
func (t *Topology) renderNode(n *node, in, out []*edge) (changed bool) {
	tr := &t.pub.traffic
	tr.reset()
	last := n.reported
	for _, e := range in {
		last = max(last, e.last)
	}
	windows := t.renderInbound(in, tr)
	is := telemetry.GraphNode{
		ID: n.drawnID(), Name: n.key.Name, Namespace: n.key.Namespace, Cluster: n.cluster,
		Kind: n.key.Kind, System: n.system, Versions: t.versions(n),
		Health: t.judge(&tr.sums, &tr.dist),
	}
	for _, e := range out {
		last = max(last, e.last)
		if is.Health == telemetry.HealthIdle && e.drawn.is.Health != telemetry.HealthIdle && e.drawn.visible {
			is.Health = telemetry.HealthOK // nobody calls it, but it calls
		}
	}
	is.LastSeen = last
	d := &n.drawn
	old := &d.is
	if d.visible && windows == d.windows && is.Cluster == old.Cluster && is.System == old.System && is.Health == old.Health &&
		is.LastSeen == old.LastSeen && sameStrings(is.Versions, old.Versions) {
		return false
	}
	is.Windows = signals(&windows)
	d.is, d.windows, d.visible = is, windows, true
	return true
}

// maxVersions is how many versions of a node are shown: the latest seen.
const maxVersions = 8

func (t *Topology) versions(n *node) []string {
	type version struct {
		name string
		seen int64
	}
	var vs []version
next:
	for _, ep := range n.variants {
		e := &t.nodes.endpoints[ep]
		if e.is.Version == "" {
			continue
		}
		for i := range vs {
			if vs[i].name == e.is.Version {
				vs[i].seen = max(vs[i].seen, e.seen)
				continue next
			}
		}
		vs = append(vs, version{e.is.Version, e.seen})
	}
	if len(vs) > maxVersions {
		sort.Slice(vs, func(i, j int) bool {
			return vs[i].seen > vs[j].seen || vs[i].seen == vs[j].seen && vs[i].name > vs[j].name
		})
		vs = vs[:maxVersions]
	}
	names := make([]string, len(vs))
	for i, v := range vs {
		names[i] = v.name
	}
	sort.Strings(names)
	return names
}

func sameStrings(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
