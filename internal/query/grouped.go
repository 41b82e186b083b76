package query

import (
	"context"
	"fmt"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A GroupReader is a PastGraph whose nodes can stand for groups. It need not be one.
type GroupReader interface {
	// Grouped is the graph of from (inclusive) to to (exclusive), with as many requests as Graph has. It belongs to the caller.
	Grouped(ctx context.Context, from, to time.Time, by telemetry.Grouping) (*telemetry.Graph, error)
}

// Grouped is the graph of a range whose nodes stand for groups.
func (e *Engine) Grouped(ctx context.Context, from, to time.Time, by telemetry.Grouping) (*telemetry.Graph, error) {
	if err := e.checkRange(from, to); err != nil {
		return nil, err
	}
	r, ok := e.past.(GroupReader)
	if !ok {
		return nil, &InvalidError{"group", "the series store that this server uses does not group"}
	}
	g, err := r.Grouped(ctx, from, to, by)
	if err != nil {
		return nil, fmt.Errorf("graph by %s: %w", by, err)
	}
	return g, nil
}
