package binnacle

import "github.com/binnacle-mesh/binnacle/telemetry"

// Who is to blame in a group: where its members are not shown, a page must still say whose doing it is, and count apart
// who is ill by himself and who because of another, wherever that one is.

// A guilty is the worst of the culprits in a group.
type guilty struct {
	id, name  string
	suffer    int // nodes of the whole graph that are ill because of it
	judgement telemetry.Judgement
}

// suffering is how many nodes are ill because of each node, by its id.
func suffering(g *telemetry.Graph) map[string]int {
	suffer := map[string]int{}
	for i := range g.Nodes {
		if j := &g.Nodes[i].Judgement; j.Kind != telemetry.AilmentNone && j.Because != "" {
			suffer[j.Because]++
		}
	}
	return suffer
}

// blame counts a member. Members come in the order of their ids, by which equals are ranked in Graph.Culprits.
func (info *groupInfo) blame(n *telemetry.GraphNode, suffer map[string]int) {
	switch j := &n.Judgement; {
	case j.Kind == telemetry.AilmentNone:
	case j.Because != "":
		info.victims++
	default:
		info.culprits++
		if info.worst == nil || j.Rank(&info.worst.judgement) < 0 {
			info.worst = &guilty{id: n.ID, name: n.Name, suffer: suffer[n.ID], judgement: *j}
		}
	}
}
