package topology

import (
	"strings"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// scratch is what is worked out once a batch and used for each of its spans.
type scratch struct {
	b     *telemetry.Batch
	own   []endpointID // by resource: its endpoint
	by    nodeID       // whose telemetry is being read for names; nowhere: what it names is itself
	peers []peer       // by string: what the peer of that name is; see peer.go
	epoch uint32       // peers of another epoch are stale
	keys  [prefetchAhead]keys
	// upstream is the address that the entry being read was sent to.
	upstream telemetry.Address
}

// begin resolves a batch's resources. It does so before the first span is
// looked at, so that a batch's own services are known to all its spans.
func (t *Topology) begin(b *telemetry.Batch) {
	s := &t.scratch
	s.b, s.by, s.upstream = b, nowhere, telemetry.Address{}
	s.own = s.own[:0]
	for i := range b.Resources {
		s.own = append(s.own, t.reporter(&b.Resources[i].Identity))
	}
	if n := b.Strings(); n > len(s.peers) {
		s.peers = make([]peer, n+n/2)
	}
	s.epoch++
	if s.epoch == 0 { // all 2^32 used: none may be taken for new
		clear(s.peers)
		s.epoch = 1
	}
}

// reporter is the endpoint of a workload that sends telemetry.
func (t *Topology) reporter(id *telemetry.Identity) endpointID {
	b := t.scratch.b
	name := b.Str(id.Service)
	if name == "" {
		name = b.Str(id.App)
	}
	if name == "" {
		name = b.Str(id.Workload)
	}
	kind := telemetry.NodeService
	if name == "" {
		name, kind = unknownName, telemetry.NodeUnknown
	}
	ep := t.endpoint(telemetry.Endpoint{
		Node:      telemetry.Node{Kind: kind, Namespace: b.Str(id.Namespace), Name: name},
		Workload:  b.Str(id.Workload),
		App:       b.Str(id.App),
		Version:   b.Str(id.Version),
		Principal: b.Str(id.Principal),
	})
	t.nodes.endpoints[ep].seen = t.now
	n := t.nodes.of(ep)
	if n.cluster == "" && id.Cluster != 0 {
		n.cluster = strings.Clone(cut(b.Str(id.Cluster)))
	}
	n.reported = t.now
	t.heard(n, id)
	if !n.reporter {
		n.reporter = true
		t.markNodeDirty(t.nodes.endpoints[ep].node)
		if kind == telemetry.NodeService {
			t.adopt(t.nodes.endpoints[ep].node)
		}
	}
	if id.Principal != 0 {
		t.learnPrincipal(b.Str(id.Principal), t.nodes.endpoints[ep].node)
	}
	return ep
}
