package topology

import (
	"sort"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// drawnNode is how a node was last rendered.
type drawnNode struct {
	id      string
	visible bool
	dirty   bool                   // is in publisher.dirtyNodes
	windows *[signal.Windows]shown // never changed in place: what is published points into it
	is      telemetry.GraphNode
}

func (n *node) drawnID() string {
	if n.drawn.id == "" {
		n.drawn.id = n.key.ID()
	}
	return n.drawn.id
}

// renderNode renders a node anew by the edges that lead to it, and those that
// lead away; and with it its edges from the unknown client.
func (t *Topology) renderNode(n *node) (changed bool) {
	tr := &t.pub.inbound
	tr.reset()
	last := n.reported
	for _, e := range n.in {
		last = max(last, e.last)
	}
	windows, some := t.renderInbound(n.in, tr)
	is := telemetry.GraphNode{
		ID: n.drawnID(), Name: n.key.Name, Namespace: n.key.Namespace, Cluster: n.cluster,
		Kind: n.key.Kind, System: n.system, Versions: t.versions(n),
		Health: n.judged.health(tr.sums[signal.Minute].Requests), Judgement: n.judged.is().Judgement, Findings: kindsOf(n.found),
	}
	calls := false
	away := [...][]*edge{n.out, nil}
	if n.key == callerNode() { // in whose name those from nowhere are drawn
		away[1] = t.nodes.list[nowhere].out
	}
	for _, out := range away {
		for _, e := range out {
			if !e.drawn.visible {
				continue
			}
			calls = true
			last = max(last, e.last)
			if is.Health == telemetry.HealthIdle && t.pub.drawn(e).Health != telemetry.HealthIdle {
				is.Health = telemetry.HealthOK // nobody calls it, but it calls
			}
		}
	}
	is.LastSeen = last
	d := &n.drawn
	if !calls && n.key == callerNode() { // it is there for what may be drawn in its name
		changed = d.visible
		d.visible, t.pub.reorder = false, t.pub.reorder || changed
		return changed
	}
	old := &d.is
	if d.visible && windows == *d.windows && is.Cluster == old.Cluster && is.System == old.System && is.Health == old.Health && is.Judgement == old.Judgement &&
		is.LastSeen == old.LastSeen && sameStrings(is.Versions, old.Versions) && sameStrings(is.Findings, old.Findings) {
		return some
	}
	d.windows = new(windows)
	is.Windows = signals(d.windows)
	t.pub.reorder = t.pub.reorder || !d.visible
	d.is, d.visible = is, true
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
