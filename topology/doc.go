// Package topology turns spans and request logs into the live service
// dependency graph.
//
// [Topology] is a pure core behind one lock that is taken once a batch: it follows
// the log ([telemetry.Sink]), takes time from it, and publishes immutable
// snapshots. What it does to a batch, in order:
//
//   - identity: each resource and each named peer becomes an endpoint of a node,
//     once a batch (report.go, peer.go, node.go);
//   - hop: each span and request becomes a half, meets its other halves, and is
//     counted on an edge under its own witness (span.go, request.go, hop.go);
//   - edge: counters and sliding windows, and moving what was counted before all was
//     known (edge.go, and package signal);
//   - wait: halves whose time is up are final (expire.go, and package pair);
//   - publish: what changed becomes a new snapshot (render.go, publish.go), and who waits for one is woken
//     (watch.go).
//
// The whole state can be saved and loaded (save.go, load.go, docs/format/topology.md).
package topology
