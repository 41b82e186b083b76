package promql

import (
	"context"
	"testing"
)

// A query that waits for its turn gives up with its context.
func TestGate(t *testing.T) {
	t.Parallel()
	g := newGate(1)
	if _, err := g.Insert(context.Background(), ""); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := g.Insert(ctx, ""); err == nil {
		t.Fatal("a second query runs")
	}
	g.Delete(0)
	if _, err := g.Insert(context.Background(), ""); err != nil {
		t.Fatal(err)
	}
}
