package query

import (
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// An EventReader is a LiveGraph that knows what has happened. It need not be one.
type EventReader interface {
	// Events are those from from (inclusive) to to (exclusive), the latest first. They belong to the caller.
	Events(from, to time.Time) telemetry.GraphEvents

	// News are the events that were told after so many, the oldest first, and how many there are now: what to ask with next. Who asks too late
	// misses the oldest.
	News(after uint64) (list []telemetry.GraphEvent, told uint64)
}

// Events are what happened in the graph from from to to, the latest first.
func (e *Engine) Events(from, to time.Time) (telemetry.GraphEvents, error) {
	if err := e.checkRange(from, to); err != nil {
		return telemetry.GraphEvents{}, err
	}
	r, ok := e.live.(EventReader)
	if !ok {
		return telemetry.GraphEvents{Since: to.UnixNano()}, nil
	}
	return r.Events(from, to), nil
}
