package query

import (
	"context"
	"fmt"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A VersionReader is a PastGraph that can also divide what came to a node by the version that answered. It need not be one.
type VersionReader interface {
	// Versions is what came to the node of that id from from (inclusive) to to (exclusive). Its parts add up to what Graph shows of the node. It
	// belongs to the caller.
	Versions(ctx context.Context, node string, from, to time.Time) (telemetry.VersionSplit, error)
}

// Versions is what came to a node in a range, by the version that answered.
func (e *Engine) Versions(ctx context.Context, node string, from, to time.Time) (telemetry.VersionSplit, error) {
	if err := e.checkRange(from, to); err != nil {
		return telemetry.VersionSplit{}, err
	}
	r, ok := e.past.(VersionReader)
	if !ok {
		return telemetry.VersionSplit{}, &InvalidError{"node", "the series store that this server uses does not tell versions apart"}
	}
	split, err := r.Versions(ctx, node, from, to)
	if err != nil {
		return telemetry.VersionSplit{}, fmt.Errorf("versions of %s: %w", node, err)
	}
	return split, nil
}
