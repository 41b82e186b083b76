package telemetry

import (
	"encoding/binary"
	"hash/fnv"
)

// EventKind says what happened in the graph.
type EventKind uint8

// The kinds of events.
const (
	EventDependency EventKind = iota // a service calls another for the first time, or again after it had vanished
	EventVanished                    // a call that was made for long is made no more
	EventOutside                     // a service calls a host outside for the first time
	EventVersion                     // a service runs in a version in which it was not seen before
	EventCycle                       // services call each other in a circle since a call that is new
	EventCulprit                     // a service is found to be ill by itself
	EventHealth                      // the judgement of a service has changed otherwise
	EventFinding                     // it was found why the graph may be wrong, or is no longer
	EventKinds      = iota
)

var eventNames = [...]string{"dependency", "vanished", "outside", "version", "cycle", "culprit", "health", "finding"} //nolint:gochecknoglobals // immutable

// String is the kind as the HTTP API and the series write it.
func (k EventKind) String() string { return eventNames[k] }

// A GraphEvent is something that happened in the graph, with what shows it.
type GraphEvent struct {
	Kind     EventKind
	At       int64    // Unix nanoseconds
	Service  string   // GraphNode.ID: the caller, or the node that it happened to
	Nodes    []string // GraphNode.ID
	Edges    []string // GraphEdge.ID
	Says     string   // one sentence with the figures
	Evidence []string // sentences
	TraceID  TraceID  // that shows it; zero: none does
	Version  string   // of EventVersion
	// Health, Ailment and Because are those of the judgement from then on, of EventCulprit and EventHealth.
	Health  Health
	Ailment Ailment
	Because string
	// Finding is the finding's kind, of EventFinding; Ended says that it is found no longer.
	Finding string
	Ended   bool
}

// ID tells events apart, over restarts too.
func (e *GraphEvent) ID() uint64 {
	h := fnv.New64a()
	var head [9]byte
	head[0] = byte(e.Kind)
	binary.LittleEndian.PutUint64(head[1:], uint64(e.At)) //nolint:gosec // bits
	_, _ = h.Write(head[:])
	for _, s := range [...]string{e.Service, e.Version, e.Ailment.String()} {
		_, _ = h.Write([]byte(s))
		_, _ = h.Write([]byte{0})
	}
	if e.Finding != "" {
		_, _ = h.Write([]byte(e.Finding)) // where it is may change while it is told
		return h.Sum64()
	}
	for _, list := range [...][]string{e.Nodes, e.Edges} {
		for _, s := range list {
			_, _ = h.Write([]byte(s))
			_, _ = h.Write([]byte{0})
		}
	}
	return h.Sum64()
}

// GraphEvents are those of some time, the latest first.
type GraphEvents struct {
	List  []GraphEvent
	Since int64 // Unix nanoseconds: what happened before may be missing
}
