package block

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"golang.org/x/sync/errgroup"
)

// Search finds the traces with a span that the query asks for, newest first.
//
// Newest is by the start of a trace's last matching span. The heads are read first, then
// the blocks in the order of their last start; when as many traces are known as are
// wanted and no block left can hold a later span, the search ends. In a block,
// what costs least comes first: the metadata rules the block out, then the dictionaries do,
// then the pages of one column after the other are read, as long as a row of the
// page is still in question (scan.go). The summaries come last, for the traces found.
//
// A limit of 0 stands for 20, and none is above 1000. When ctx is cancelled its error is
// returned. What cannot be read because a block is damaged is left out.
func (s *Store) Search(ctx context.Context, sq telemetry.SpanQuery) ([]telemetry.TraceSummary, telemetry.SearchStats, error) {
	begin := time.Now()
	sn := s.snapshot()
	defer sn.done()
	r := &search{store: s, q: newQuery(sq), ctx: ctx}
	r.best = newNewest(r.q.limit)
	out, err := r.run(sn)
	if err != nil {
		return nil, r.stats, fmt.Errorf("search: %w", err)
	}
	r.stats.Took = time.Since(begin)
	return out, r.stats, nil
}

// search is one search under way.
type search struct {
	store *Store
	q     *query
	ctx   context.Context //nolint:containedctx // lives as long as the call

	mu     sync.Mutex // guards what follows
	best   *newest
	stats  telemetry.SearchStats
	traces map[telemetry.TraceID]*summary
}

func (r *search) run(sn *snapshot) ([]telemetry.TraceSummary, error) {
	views := make([]headView, len(sn.heads))
	for i, h := range sn.heads {
		views[i] = h.view()
		r.scanHead(&views[i])
	}
	if err := r.scanBlocks(sn.blocks); err != nil {
		return nil, err
	}
	hits := r.best.cut()
	if len(hits) == 0 {
		return []telemetry.TraceSummary{}, r.ctx.Err()
	}
	r.traces = make(map[telemetry.TraceID]*summary, len(hits))
	for _, f := range hits {
		r.traces[f.id] = &summary{}
	}
	for i, h := range sn.heads {
		for id, sum := range r.traces {
			for _, row := range h.traceRows(&h.spans, id) {
				if int(row) < views[i].spans.n {
					sum.addHead(&views[i], row)
				}
			}
		}
	}
	if err := r.summarize(sn.blocks, hits); err != nil {
		return nil, err
	}
	out := make([]telemetry.TraceSummary, 0, len(hits))
	for _, f := range hits {
		out = append(out, r.traces[f.id].finish(f.id))
	}
	slices.SortStableFunc(out, func(a, b telemetry.TraceSummary) int { return cmp.Compare(b.Start, a.Start) })
	return out, nil
}

// scanBlocks looks through the blocks, the latest first.
func (r *search) scanBlocks(blocks []*blockRef) error {
	order := slices.Clone(blocks)
	slices.SortFunc(order, func(a, b *blockRef) int { return cmp.Compare(b.meta.startMax, a.meta.startMax) })
	g, ctx := errgroup.WithContext(r.ctx)
	g.SetLimit(r.store.cfg.SearchConcurrency)
	for _, b := range order {
		if r.q.outside(&b.meta) {
			continue
		}
		if ctx.Err() != nil || r.enough(b) {
			break
		}
		g.Go(func() error {
			if r.enough(b) {
				return nil
			}
			if err := r.scanBlock(ctx, b); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				r.store.damage(b, err)
			}
			return nil
		})
	}
	return cmp.Or(g.Wait(), r.ctx.Err())
}

// enough says that nothing in the block can be among the newest.
func (r *search) enough(b *blockRef) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.best.at) >= r.q.limit {
		r.best.cut()
	}
	return b.meta.startMax < r.best.floor
}

// summarize reads the spans of the traces found out of all blocks.
func (r *search) summarize(blocks []*blockRef, hits []found) error {
	ids := make([]telemetry.TraceID, len(hits))
	for i, f := range hits {
		ids[i] = f.id
	}
	slices.SortFunc(ids, func(a, b telemetry.TraceID) int { return slices.Compare(a[:], b[:]) })
	g, ctx := errgroup.WithContext(r.ctx)
	g.SetLimit(r.store.cfg.SearchConcurrency)
	for _, b := range blocks {
		if b.meta.spans == 0 {
			continue
		}
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			if err := r.summarizeBlock(ctx, b, ids); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				r.store.damage(b, err)
			}
			return nil
		})
	}
	return cmp.Or(g.Wait(), r.ctx.Err())
}
