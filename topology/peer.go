package topology

import (
	"strings"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// claim is what a half says of its far end. Two claims that are equal mean the
// same endpoint for callers in one namespace.
type claim struct {
	id      telemetry.Identity
	kind    telemetry.NodeKind
	system  telemetry.StrID
	cluster telemetry.StrID // Envoy's name of the cluster, where it is all there is
}

// name is the string by which claims are kept apart first.
func (c *claim) name() telemetry.StrID {
	for _, s := range [...]telemetry.StrID{c.id.Service, c.cluster, c.id.Workload, c.id.Principal} {
		if s != 0 {
			return s
		}
	}
	return 0
}

// peer is an answer that was found for a claim in this batch.
type peer struct {
	claim claim
	from  telemetry.StrID // the namespace of who claims
	ep    endpointID
	epoch uint32
}

// claimed is the endpoint that a claim in a resource's telemetry means, nowhere
// if it says nothing. Answers are kept for the batch by the claim's name.
func (t *Topology) claimed(c *claim, resource uint32) endpointID {
	name := c.name()
	if name == 0 {
		return nowhere
	}
	from := t.scratch.b.Resources[resource].Identity.Namespace
	p := &t.scratch.peers[name]
	if p.epoch == t.scratch.epoch && p.from == from && p.claim == *c {
		return p.ep
	}
	t.scratch.by = t.nodes.endpoints[t.scratch.own[resource]].node
	ep := t.resolve(c, t.scratch.b.Str(from))
	t.scratch.by = nowhere
	// resolve may have begun a new epoch.
	t.scratch.peers[name] = peer{claim: *c, from: from, ep: ep, epoch: t.scratch.epoch}
	return ep
}

// resolve finds out what a claim from a namespace means.
func (t *Topology) resolve(c *claim, from string) endpointID {
	b := t.scratch.b
	is := telemetry.Endpoint{
		Workload: b.Str(c.id.Workload), App: b.Str(c.id.App), Version: b.Str(c.id.Version), Principal: b.Str(c.id.Principal),
	}
	is.Node.Namespace, is.Node.Name, is.Node.Kind = b.Str(c.id.Namespace), b.Str(c.id.Service), c.kind
	if is.Node.Name == "" && c.cluster != 0 {
		is.Node.Name, is.Node.Namespace, is.Node.Kind = telemetry.ClassifyHost(telemetry.ParseClusterName(b.Str(c.cluster)).Host)
	}
	if is.Node.Name == "" {
		is.Node.Name = is.Workload
	}
	switch is.Node.Kind {
	case telemetry.NodeDatabase, telemetry.NodeQueue:
		ep := t.endpoint(is)
		if n := t.nodes.of(ep); n.system == "" && c.system != 0 {
			n.system = strings.Clone(cut(b.Str(c.system)))
			t.markNodeDirty(t.nodes.endpoints[ep].node)
		}
		return ep
	case telemetry.NodeClient:
		if is.Node.Name == "" {
			is.Node = callerNode()
		}
		return t.endpoint(is)
	default:
	}
	is.Node.Name, is.Node.Namespace, is.Principal = cut(is.Node.Name), cut(is.Node.Namespace), cut(is.Principal)
	id := nodeID(nowhere)
	if is.Principal != "" {
		id = t.proven(is.Principal, &is.Node)
	}
	if id == nowhere {
		if is.Node.Name == "" {
			return nowhere
		}
		id = t.nodes.find(is.Node.Kind, is.Node.Namespace, is.Node.Name, from)
	}
	if id != nowhere {
		is.Node = t.nodes.list[id].key
	}
	return t.endpoint(is)
}

// proven is the node that proved to be principal, nowhere if that is not
// known. Where nothing else names the node, the service account does.
func (t *Topology) proven(principal string, n *telemetry.Node) nodeID {
	if id := t.nodes.principals[principal].node; id != nowhere && (n.Name == "" || n.Kind != telemetry.NodeService) {
		return id
	}
	if n.Name == "" {
		n.Namespace, n.Name = splitPrincipal(principal)
	}
	return nowhere
}

// splitPrincipal reads cluster.local/ns/shop/sa/cart.
func splitPrincipal(p string) (namespace, account string) {
	_, rest, ok := strings.Cut(p, "/ns/")
	if !ok {
		return "", ""
	}
	namespace, account, _ = strings.Cut(rest, "/sa/")
	return namespace, account
}

// same says that two endpoints are of one node.
func (t *Topology) same(a, b endpointID) bool {
	return t.nodes.endpoints[a].node == t.nodes.endpoints[b].node
}
