package views

import (
	"context"
	"fmt"

	"github.com/prometheus/prometheus/storage"
)

// A Store holds the canonical series; storage/series is one.
type Store interface {
	storage.SampleAndChunkQueryable
	storage.ExemplarQueryable
}

// Views is a store with the views added. It is immutable, and may be used by
// many goroutines at once.
type Views struct {
	store    Store
	families []*family
}

// New adds the views to store, which must not itself hold metrics of their names.
func New(store Store) *Views { return &Views{store: store, families: families()} }

// Querier reads samples within [mint, maxt], Unix milliseconds.
func (v *Views) Querier(mint, maxt int64) (storage.Querier, error) {
	base, err := v.store.Querier(mint, maxt)
	if err != nil {
		return nil, fmt.Errorf("query views: %w", err)
	}
	return &querier{base: &netQuerier{base}, mint: mint, maxt: maxt, families: v.families}, nil
}

// ChunkQuerier reads stored chunks, which views have none of.
func (v *Views) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	return v.store.ChunkQuerier(mint, maxt)
}

// ExemplarQuerier reads exemplars.
func (v *Views) ExemplarQuerier(ctx context.Context) (storage.ExemplarQuerier, error) {
	base, err := v.store.ExemplarQuerier(ctx)
	if err != nil {
		return nil, fmt.Errorf("query views: %w", err)
	}
	return &exemplarQuerier{base: base, families: v.families, count: newTally(ctx, &storage.SelectHints{Func: "series"})}, nil
}
