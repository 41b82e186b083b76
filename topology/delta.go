package topology

import "github.com/binnacle-mesh/binnacle/telemetry"

// Delta is what has changed from a snapshot of this topology to the latest
// one. It is safe for concurrent use.
func (t *Topology) Delta(since *telemetry.Graph) telemetry.GraphDelta {
	return t.pub.current.Load().since(since)
}

// since compares two snapshots: what is new in s has a later version than old;
// what old alone has was removed.
func (s *snapshot) since(old *telemetry.Graph) telemetry.GraphDelta {
	d := telemetry.GraphDelta{
		Version: s.graph.Version, Time: s.graph.Time,
		Nodes: []telemetry.GraphNode{}, Edges: []telemetry.GraphEdge{},
		RemovedNodes: []string{}, RemovedEdges: []string{},
	}
	for i, v := range s.nodes {
		if v > old.Version {
			d.Nodes = append(d.Nodes, s.graph.Nodes[i])
		}
	}
	for i, v := range s.edges {
		if v > old.Version {
			d.Edges = append(d.Edges, s.graph.Edges[i])
		}
	}
	j := 0
	for i := range old.Nodes {
		for j < len(s.graph.Nodes) && s.graph.Nodes[j].ID < old.Nodes[i].ID {
			j++
		}
		if j == len(s.graph.Nodes) || s.graph.Nodes[j].ID != old.Nodes[i].ID {
			d.RemovedNodes = append(d.RemovedNodes, old.Nodes[i].ID)
		}
	}
	j = 0
	for i := range old.Edges {
		for j < len(s.graph.Edges) && s.graph.Edges[j].ID < old.Edges[i].ID {
			j++
		}
		if j == len(s.graph.Edges) || s.graph.Edges[j].ID != old.Edges[i].ID {
			d.RemovedEdges = append(d.RemovedEdges, old.Edges[i].ID)
		}
	}
	return d
}
