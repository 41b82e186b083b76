package query

import (
	"context"
	"fmt"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/analysis"
)

// A RangeReader is a PastGraph that can also say what was counted in a range. It need not be one.
type RangeReader interface {
	// Range is the graph of from (inclusive) to to (exclusive), with what was counted there. It belongs to the caller.
	Range(ctx context.Context, from, to time.Time) (*telemetry.GraphRange, error)
}

// A GraphDiff is what changed in the graph from one range to another.
type GraphDiff struct {
	Before, After *telemetry.GraphRange
	analysis.GraphDiff
	Incomplete []telemetry.Damage // what could not be read of either
}

// DiffGraphs is what changed from the range of before to that of from and to. Both have from before to.
func (e *Engine) DiffGraphs(ctx context.Context, from, to, before, beforeTo time.Time) (*GraphDiff, error) {
	if err := e.checkRange(from, to); err != nil {
		return nil, err
	}
	if !before.Before(beforeTo) {
		return nil, &InvalidError{"against", fmt.Sprintf("%s is not before the end, against_to, %s", before.UTC().Format(time.RFC3339Nano), beforeTo.UTC().Format(time.RFC3339Nano))}
	}
	if err := e.checkRange(before, beforeTo); err != nil {
		return nil, err
	}
	r, ok := e.past.(RangeReader)
	if !ok {
		return nil, &InvalidError{"against", "the series store that this server uses does not say what was counted in a range"}
	}
	was, err := r.Range(ctx, before, beforeTo)
	if err != nil {
		return nil, fmt.Errorf("compare graphs: %w", err)
	}
	is, err := r.Range(ctx, from, to)
	if err != nil {
		return nil, fmt.Errorf("compare graphs: %w", err)
	}
	d := &GraphDiff{Before: was, After: is, GraphDiff: analysis.CompareGraphs(was, is), Incomplete: was.Graph.Incomplete}
	for _, lost := range is.Graph.Incomplete {
		if !sameFile(d.Incomplete, lost) {
			d.Incomplete = append(d.Incomplete, lost)
		}
	}
	return d, nil
}

func sameFile(list []telemetry.Damage, d telemetry.Damage) bool {
	for i := range list {
		if list[i].File == d.File {
			return true
		}
	}
	return false
}
