// Package analysis answers questions about the structure of a service graph: who suffers when a node fails and what it depends on
// (blast.go), which services call each other in a circle (cycles.go), whose loss cuts others off (cuts.go), and what lies near a
// node (near.go).
//
// Each answer is a pure function of a snapshot, [telemetry.Graph], which is never changed. What is worth keeping from one question to
// the next is in a [Shape], the graph's nodes and edges as numbers, and a [Flow], its rates in one window. All of it is immutable and
// safe for concurrent use.
//
// Everything here is linear in nodes and edges but for what its file says, and uses no recursion: a chain of a million services is a graph like any other.
package analysis
