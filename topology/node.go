package topology

import (
	"slices"
	"strings"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
)

// Names that the graph itself gives.
const (
	unknownName  = "unknown"
	overflowName = "overflow"
)

// maxVariants is how many endpoints (versions, workloads, ...) a node may
// have at a time; what exceeds it is counted at the node's bare endpoint.
const maxVariants = 64

// node is a node of the graph.
type node struct {
	key      telemetry.Node
	cluster  string // the first that was seen
	system   string
	reporter bool  // has sent telemetry itself
	reported int64 // when it last did
	since    int64 // when it was made
	hash     uint64
	maker    string // who made it; "": nobody knows
	edges    int    // that touch it, and routes on overflow edges that do
	callers  int    // edges that lead to it from a node that has a name
	bare     endpointID
	variants []endpointID // its endpoints, bare first
	// proved are the principals that it proved to be, maxPrincipals at most.
	proved []string

	// Of the server halves that reported a caller: how many found it, and how
	// many never did. See expire.go.
	met, orphaned uint64

	in, out []*edge // in no order

	watch   health.Watch // of its inbound traffic
	judged  *judgement   // nil: it is well
	rate    float64      // requests a second at rated; see busy
	rated   int64
	noticed *noticed // of a service that has sent telemetry; see notice.go
	found   string   // kinds of findings that concern it, with blanks between
	drawn   drawnNode
}

// endpoint is a node with the details of a workload.
type endpoint struct {
	is   telemetry.Endpoint
	node nodeID
	seen int64 // when last reported or counted
}

// nodes is all nodes and endpoints, each under a small number that is stable
// while it lives. Numbers are given anew after their owner has gone.
type nodes struct {
	list      []*node
	phases    []uint16 // by number, when in a second it is looked at: a part of its hash
	free      []nodeID
	byKey     map[telemetry.Node]nodeID
	live      int
	loose     []nodeID // nodes that may have no edge left, or none yet
	endpoints []endpoint
	freeEP    []endpointID
	byDetail  map[telemetry.Endpoint]endpointID

	// services are the nodes that mesh or telemetry call services, by bare
	// name. strays are the others that a service may turn out to be, by the
	// part of their name before the first dot.
	services map[string][]nodeID
	strays   map[string][]nodeID
	// principals says which node proved which identity. It follows from node.proved.
	principals map[string]provers

	makers map[string]*maker // by name, those that hold any
	bytes  int               // of all names
}

// provers are the nodes that proved one identity.
type provers struct {
	node nodeID // the only one; nowhere if there are several
	n    int
}

func (ns *nodes) init() {
	*ns = nodes{
		byKey:      map[telemetry.Node]nodeID{},
		byDetail:   map[telemetry.Endpoint]endpointID{},
		services:   map[string][]nodeID{},
		strays:     map[string][]nodeID{},
		principals: map[string]provers{},
		makers:     map[string]*maker{},
	}
	ns.append(&node{variants: []endpointID{nowhere}})
	ns.endpoints = append(ns.endpoints, endpoint{})
}

// of is the node of an endpoint.
func (ns *nodes) of(ep endpointID) *node { return ns.list[ns.endpoints[ep].node] }

// callerNode is the node that stands for callers of whom nothing is known.
func callerNode() telemetry.Node {
	return telemetry.Node{Kind: telemetry.NodeClient, Name: unknownName}
}

// unknownNode is the node that stands for callees of whom nothing is known.
func unknownNode() telemetry.Node {
	return telemetry.Node{Kind: telemetry.NodeUnknown, Name: unknownName}
}

// endpoint is the number of an endpoint, which it makes if need be. The
// strings of is are borrowed. Its node has no cluster: a service of one name
// and namespace is one service wherever it runs, and one witness often knows the
// cluster where the other does not.
func (t *Topology) endpoint(is telemetry.Endpoint) endpointID {
	ns := &t.nodes
	is.Node.Cluster, is.System = "", ""
	is.Node.Name, is.Node.Namespace = cut(is.Node.Name), cut(is.Node.Namespace)
	is.Workload, is.App, is.Version, is.Principal = cut(is.Workload), cut(is.App), cut(is.Version), cut(is.Principal)
	if ep, ok := ns.byDetail[is]; ok {
		return ep
	}
	id := t.node(is.Node)
	n := ns.list[id]
	if n.key != is.Node || len(n.variants) >= t.limits.variants || ns.bytes >= t.cfg.MaxNodes*nameBytes {
		if n.key == is.Node && is != (telemetry.Endpoint{Node: is.Node}) {
			t.stats.Dropped.Variants++
		}
		return n.bare
	}
	if ep, ok := ns.byDetail[is]; ok {
		return ep // node has just made it
	}
	is.Node = n.key
	is.Workload, is.App = strings.Clone(is.Workload), strings.Clone(is.App)
	is.Version, is.Principal = strings.Clone(is.Version), strings.Clone(is.Principal)
	ep := t.newEndpoint(is, id)
	n.variants = append(n.variants, ep)
	t.markNodeDirty(id)
	return ep
}

func (t *Topology) newEndpoint(is telemetry.Endpoint, node nodeID) endpointID {
	ns := &t.nodes
	e := endpoint{is: is, node: node, seen: t.now}
	var ep endpointID
	if n := len(ns.freeEP); n > 0 {
		ep, ns.freeEP = ns.freeEP[n-1], ns.freeEP[:n-1]
		ns.endpoints[ep] = e
	} else {
		ep = endpointID(len(ns.endpoints)) //nolint:gosec // bounded by nodes times variants
		ns.endpoints = append(ns.endpoints, e)
	}
	ns.byDetail[is] = ep
	ns.bytes += size(&is)
	return ep
}

// node is the number of a node, which it makes if need be; the overflow node
// of its kind if there are too many.
func (t *Topology) node(key telemetry.Node) nodeID {
	ns := &t.nodes
	if id, ok := ns.byKey[key]; ok {
		return id
	}
	hash, made := hashOf(key), ""
	if !ours(key) {
		made = t.makerOf(key)
		held := 0
		if m := ns.makers[made]; m != nil {
			held = m.held
		}
		admitted := t.admitNode(hash, held)
		t.flood.name(made, key, !admitted, t.now)
		if !admitted {
			t.stats.Dropped.Nodes++
			return t.node(overflowNode(key.Kind))
		}
	}
	key.Name, key.Namespace = strings.Clone(key.Name), strings.Clone(key.Namespace)
	n := &node{key: key, since: t.now, hash: hash, maker: made}
	ns.made(n, 1)
	ns.bytes += len(key.Name) + len(key.Namespace)
	var id nodeID
	if l := len(ns.free); l > 0 {
		id, ns.free = ns.free[l-1], ns.free[:l-1]
		ns.list[id], ns.phases[id] = n, phase(hash)
	} else {
		id = ns.append(n)
	}
	ns.byKey[key] = id
	ns.live++
	n.bare = t.newEndpoint(telemetry.Endpoint{Node: key}, id)
	n.variants = append(n.variants, n.bare)
	ns.index(id)
	ns.loose = append(ns.loose, id)
	t.markNodeDirty(id)
	if key.Kind == telemetry.NodeService && !overflows(key) {
		t.adopt(id)
	}
	return id
}

// append gives a node a number that nobody had.
func (ns *nodes) append(n *node) nodeID {
	ns.list, ns.phases = append(ns.list, n), append(ns.phases, phase(n.hash))
	return nodeID(len(ns.list) - 1) //nolint:gosec // bounded by MaxNodes
}

// phase is when in a second, or some seconds, a node of such a hash is looked at.
func phase(hash uint64) uint16 { return uint16(hash % 60_000) } //nolint:gosec // bounded; whole tens, so that it says the same of each second

// overflowNode stands for all nodes of a kind that were too many. Those that
// nothing is known of are among the services.
func overflowNode(kind telemetry.NodeKind) telemetry.Node {
	return telemetry.Node{Kind: max(kind, telemetry.NodeService), Name: overflowName}
}

// overflows says that a node is one of those.
func overflows(n telemetry.Node) bool {
	return n.Name == overflowName && n == overflowNode(n.Kind)
}

// ours says that the graph itself names a node: there are few of them, and they have room whatever a limit says.
func ours(n telemetry.Node) bool {
	return overflows(n) || n == callerNode() || n == unknownNode()
}

func firstLabel(name string) string {
	label, _, _ := strings.Cut(name, ".")
	return label
}

func (ns *nodes) index(id nodeID) {
	if overflows(ns.list[id].key) {
		return // nobody means it
	}
	switch k := ns.list[id].key; k.Kind {
	case telemetry.NodeService:
		ns.services[k.Name] = append(ns.services[k.Name], id)
	case telemetry.NodeUnknown, telemetry.NodeExternal:
		ns.strays[firstLabel(k.Name)] = append(ns.strays[firstLabel(k.Name)], id)
	default:
	}
}

func (ns *nodes) unindex(id nodeID) {
	drop := func(m map[string][]nodeID, name string) {
		if m[name] = slices.DeleteFunc(m[name], func(v nodeID) bool { return v == id }); len(m[name]) == 0 {
			delete(m, name)
		}
	}
	switch k := ns.list[id].key; k.Kind {
	case telemetry.NodeService:
		drop(ns.services, k.Name)
	case telemetry.NodeUnknown, telemetry.NodeExternal:
		drop(ns.strays, firstLabel(k.Name))
	default:
	}
}

// removeNode lets a node go that no edge touches.
func (t *Topology) removeNode(id nodeID) {
	ns := &t.nodes
	n := ns.list[id]
	ns.unindex(id)
	delete(ns.byKey, n.key)
	for _, ep := range n.variants {
		ns.removeEndpoint(ep)
	}
	proved := n.proved
	n.proved = nil
	for _, p := range proved {
		t.unprove(p)
	}
	ns.made(n, -1)
	ns.bytes -= len(n.key.Name) + len(n.key.Namespace)
	t.partWithNode(n)
	n.noticed = nil // and is not looked at again
	t.pub.removedNode(n)
	ns.list[id] = nil
	ns.free = append(ns.free, id)
	ns.live--
}

func (ns *nodes) removeEndpoint(ep endpointID) {
	delete(ns.byDetail, ns.endpoints[ep].is)
	ns.bytes -= size(&ns.endpoints[ep].is)
	ns.endpoints[ep] = endpoint{}
	ns.freeEP = append(ns.freeEP, ep)
}

// maxPrincipals is how many identities a node may prove; what exceeds it is not learned.
const maxPrincipals = 64

// learnPrincipal remembers who proved to be p, so that a peer's certificate
// names a node whose service account is not called like its service.
func (t *Topology) learnPrincipal(p string, node nodeID) {
	ns := &t.nodes
	n := ns.list[node]
	p = cut(p)
	known, ok := ns.principals[p]
	switch {
	case known.node == node || len(n.proved) >= maxPrincipals || ok && slices.Contains(n.proved, p) || overflows(n.key):
		return
	case ns.bytes >= t.cfg.MaxNodes*nameBytes || !ok && len(ns.principals) >= 4*ns.live+t.limits.principals:
		return
	}
	t.prove(strings.Clone(p), node)
}

// prove notes that a node proved to be p.
func (t *Topology) prove(p string, node nodeID) {
	ns := &t.nodes
	ns.list[node].proved = append(ns.list[node].proved, p)
	ns.bytes += len(p)
	by := ns.principals[p]
	if by.n++; by.n == 1 {
		by.node = node
	} else {
		by.node = nowhere
	}
	ns.principals[p] = by
}

// unprove undoes prove for a node that has gone.
func (t *Topology) unprove(p string) {
	ns := &t.nodes
	ns.bytes -= len(p)
	by := ns.principals[p]
	if by.n--; by.n == 0 {
		delete(ns.principals, p)
		return
	}
	if by.n == 1 {
		by.node = nodeID(slices.IndexFunc(ns.list, func(n *node) bool { return n != nil && slices.Contains(n.proved, p) })) //nolint:gosec // an index
	}
	ns.principals[p] = by
}

// find is the service that a caller in namespace from means by a name, or
// nowhere. kind is what the name looks like: a Kubernetes service's host says the
// namespace; a bare name means the caller's own namespace, as DNS has it, or the only
// service of that name; a dotted name may be a service with its namespace.
func (ns *nodes) find(kind telemetry.NodeKind, namespace, name, from string) nodeID {
	service := func(namespace, name string) nodeID {
		return ns.byKey[telemetry.Node{Kind: telemetry.NodeService, Namespace: namespace, Name: name}]
	}
	if namespace != "" || kind == telemetry.NodeService {
		id := service(namespace, name)
		if bare := service("", name); (id == nowhere || !ns.list[id].reporter) && bare != nowhere && ns.list[bare].reporter {
			return bare // it reports without saying its namespace
		}
		if id != nowhere || namespace != "" {
			return id
		}
	}
	if id := service(from, name); id != nowhere {
		return id
	}
	if ids := ns.services[name]; len(ids) == 1 {
		return ids[0]
	}
	if id := service("", name); id != nowhere {
		return id
	}
	if label, rest, ok := strings.Cut(name, "."); ok {
		next, _, _ := strings.Cut(rest, ".")
		if id := service(next, label); id != nowhere && (next == rest || strings.HasPrefix(rest, next+".svc")) {
			return id
		}
	}
	return nowhere
}
