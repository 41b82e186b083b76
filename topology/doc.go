// Package topology turns spans and request logs into the live service
// dependency graph.
//
// [Topology] is a pure core behind one lock that is taken once a batch: it follows
// the log, takes time from it, publishes immutable snapshots, and returns what it
// observed. What it does to a batch, in order:
//
//   - identity: each resource and each named peer becomes an endpoint of a node,
//     once a batch (report.go, peer.go, node.go, adopt.go);
//   - hop: each span and log entry becomes a half, meets its other halves, and is
//     counted on an edge under its own witness (client.go, server.go, inner.go and request.go by
//     what came; hop.go and logs.go for what they have in common);
//   - edge: counters and sliding windows, and moving what was counted before all was
//     known (edge.go, route.go, count.go, and package signal);
//   - wait: halves whose time is up are final (expire.go, and package pair), and those
//     that were alone are remembered (late.go);
//   - observe: what is final is handed on, once (observe.go);
//   - publish: what changed becomes a new snapshot (traffic.go, render.go,
//     rendernode.go, inbound.go, publish.go), and who waits for one is woken (watch.go).
//
// What it has counted merges with what others have (counts.go). The whole state can be
// saved and loaded (save.go, load.go, docs/format/topology.md).
package topology
