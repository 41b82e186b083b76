package topology

import "github.com/binnacle-mesh/binnacle/topology/pair"

// Nodes, endpoints, edges and routes each lie in a list, and are called by their
// place in it, from 1; a place is given anew when its owner has gone. The types keep one
// from being taken for another.
type (
	nodeID uint32
	edgeID uint32
	// Halves keep these two, so the table of halves has names for them.
	endpointID = pair.Endpoint
	routeID    = pair.Route
)

// nowhere is the endpoint, and node, of a caller that is not known yet. What
// edges from it count is drawn on the unknown client's, as far as no other edge shows it: see inbound.go.
const nowhere = 0
