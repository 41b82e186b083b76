package demo

import (
	"cmp"
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Topology is a service graph as far as it can be declared: who is there, and who speaks what with whom.
type Topology struct {
	Nodes []TopologyNode // sorted by ID
	Edges []TopologyEdge // sorted by ID
}

// TopologyNode is a node in the words of the graph API.
type TopologyNode struct {
	ID, Kind, System string
}

// TopologyEdge is an edge in the words of the graph API.
type TopologyEdge struct {
	ID, Source, Target, Protocol string

	// MTLS tells whether the edge's requests travel under mutual TLS.
	MTLS bool
}

// DeclaredTopology is what the service graph must show once every flow of the load has run: exactly this, with the
// edges that a chapter of the story adds where that chapter is named.
func DeclaredTopology(chapters ...string) Topology {
	s := theShop()
	nodes := map[string]TopologyNode{}
	edges := map[string]TopologyEdge{}
	connect := func(source, target TopologyNode, protocol telemetry.Protocol, mtls bool) {
		nodes[source.ID], nodes[target.ID] = source, target
		id := source.ID + ">" + target.ID + "|" + protocol.String()
		edges[id] = TopologyEdge{ID: id, Source: source.ID, Target: target.ID, Protocol: protocol.String(), MTLS: mtls}
	}
	serviceNode := func(name string) TopologyNode {
		target, _ := s.service(name)
		return node(telemetry.Node{Kind: telemetry.NodeService, Namespace: target.namespace, Name: target.name}, "")
	}
	follow := func(source TopologyNode, op operation, versions []string) {
		for _, step := range op.steps {
			if !slices.ContainsFunc(versions, step.taken) {
				continue
			}
			if name, _ := step.callee(); name != "" {
				target, ok := s.service(name)
				if ok {
					connect(source, serviceNode(name), target.protocol(), target.mtls)
				} else {
					connect(source, node(telemetry.Node{Kind: telemetry.NodeExternal, Name: name}, ""), telemetry.ProtocolHTTP, false)
				}
			}
			if d, ok := s.database(step.query); ok {
				connect(source, node(telemetry.Node{Kind: telemetry.NodeDatabase, Name: d.address}, d.system), telemetry.ProtocolDatabase, false)
			}
			if q, ok := s.queue(step.publish); ok {
				connect(source, node(telemetry.Node{Kind: telemetry.NodeQueue, Name: q.name}, q.system), telemetry.ProtocolMessaging, false)
			}
		}
	}

	gateway := node(telemetry.Node{Kind: telemetry.NodeService, Namespace: gatewayNamespace, Name: gatewayName}, "")
	connect(node(telemetry.Node{Kind: telemetry.NodeClient, Name: "unknown"}, ""), gateway, telemetry.ProtocolHTTP, false)
	connect(gateway, serviceNode(s.services[0].name), telemetry.ProtocolHTTP, s.services[0].mtls)
	for _, service := range s.services {
		versions := service.versions[:1]
		if slices.Contains(chapters, ChapterRelease) {
			versions = service.versions
		}
		for _, op := range service.operations {
			follow(serviceNode(service.name), op, versions)
		}
	}
	for _, q := range s.queues {
		consumer := serviceNode(q.consumer)
		connect(node(telemetry.Node{Kind: telemetry.NodeQueue, Name: q.name}, q.system), consumer, telemetry.ProtocolMessaging, false)
		follow(consumer, q.process, []string{"v1"})
	}

	var t Topology
	for _, n := range nodes {
		t.Nodes = append(t.Nodes, n)
	}
	for _, e := range edges {
		t.Edges = append(t.Edges, e)
	}
	slices.SortFunc(t.Nodes, func(a, b TopologyNode) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(t.Edges, func(a, b TopologyEdge) int { return cmp.Compare(a.ID, b.ID) })
	return t
}

// protocol is what callers speak with the service.
func (s service) protocol() telemetry.Protocol {
	if s.rpc {
		return telemetry.ProtocolGRPC
	}
	return telemetry.ProtocolHTTP
}

func node(n telemetry.Node, system string) TopologyNode {
	return TopologyNode{ID: n.ID(), Kind: n.Kind.String(), System: system}
}
