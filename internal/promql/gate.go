package promql

import (
	"context"
	"fmt"
)

// gate lets a bounded number of queries run at once; further ones wait for
// their turn or the end of their context. It is the engine's query tracker.
type gate struct{ turns chan struct{} }

func newGate(n int) *gate { return &gate{turns: make(chan struct{}, n)} }

func (g *gate) GetMaxConcurrent() int { return cap(g.turns) }

func (g *gate) Insert(ctx context.Context, _ string) (int, error) {
	select {
	case g.turns <- struct{}{}:
		return 0, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("%d queries are running already, and none ended in time: %w", cap(g.turns), context.Cause(ctx))
	}
}

func (g *gate) Delete(int) { <-g.turns }

func (g *gate) Close() error { return nil }
