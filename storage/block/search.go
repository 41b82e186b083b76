package block

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/ask"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"golang.org/x/sync/errgroup"
)

// Search finds the traces with a span of which the filter holds, newest first.
//
// Newest is by the start of a trace's last matching span. The heads are read first, then
// the blocks in the order of their last start; when as many traces are known as are
// wanted and no block left can hold a later span, the search ends. What costs least comes first (plan.go): the
// metadata and the bloom filter rule a block out, then its statistics and its dictionaries do, then the pages of one column after
// the other are read, as long as a row of the page is still in question. What the filter asks of a trace as a whole is asked of the
// traces that are found by that (verify.go). The summaries come last.
//
// A limit of 0 stands for 20, and none is above 1500. When ctx is cancelled its error is
// returned; a filter that is not valid is a *filter.Error. What cannot be read because a block is damaged is left out, and
// named in the statistics where the search came upon it.
func (s *Store) Search(ctx context.Context, sq telemetry.SpanQuery) ([]telemetry.TraceSummary, telemetry.SearchStats, error) {
	begin := time.Now()
	p, err := newPlan(sq)
	if err != nil {
		return nil, telemetry.SearchStats{}, fmt.Errorf("search: %w", err)
	}
	sn := s.snapshot()
	defer sn.done()
	r := &search{store: s, sn: sn, plan: p, ctx: ctx, best: newNewest(p.limit)}
	out, err := r.run()
	if err != nil {
		return nil, r.stats, fmt.Errorf("search: %w", err)
	}
	r.stats.Damaged = sortDamage(append(r.stats.Damaged, sn.lostSince(sq.From)...))
	r.stats.Took = time.Since(begin)
	return out, r.stats, nil
}

// search is one search under way.
type search struct {
	store *Store
	sn    *snapshot
	views []headView // of the snapshot's heads
	plan  *plan
	ctx   context.Context //nolint:containedctx // lives as long as the call

	mu    sync.Mutex // guards what follows
	best  *newest
	stats telemetry.SearchStats
	over  error // what the search would cost is too much
}

func (r *search) run() ([]telemetry.TraceSummary, error) {
	hits := r.newHits()
	r.views = make([]headView, len(r.sn.heads))
	for i, h := range r.sn.heads {
		r.views[i] = h.view()
		if err := r.scanHead(&r.views[i], hits); err != nil {
			return nil, err
		}
	}
	if err := r.verify(r.ctx, hits); err != nil {
		return nil, err
	}
	if err := r.scanBlocks(r.sn.blocks); err != nil {
		return nil, err
	}
	best := r.best.cut()
	if len(best) == 0 {
		return []telemetry.TraceSummary{}, r.ctx.Err()
	}
	traces, err := r.summaries(r.ctx, best)
	if err != nil {
		return nil, err
	}
	out := make([]telemetry.TraceSummary, 0, len(best))
	for _, f := range best {
		out = append(out, traces[f.id].finish(f.id))
	}
	slices.SortStableFunc(out, func(a, b telemetry.TraceSummary) int { return cmp.Compare(b.Start, a.Start) })
	return out, nil
}

// stop notes that the search would cost too much, which is not the block's fault.
func (r *search) stop(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = err
	return err
}

func (r *search) stopped() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}

// lacks notes what the search could not read.
func (r *search) lacks(d telemetry.Damage) {
	r.mu.Lock()
	r.stats.Damaged = append(r.stats.Damaged, d)
	r.mu.Unlock()
}

// scanBlocks looks through the blocks, the latest first.
func (r *search) scanBlocks(blocks []*blockRef) error {
	order := slices.Clone(blocks)
	slices.SortFunc(order, func(a, b *blockRef) int { return cmp.Compare(b.meta.startMax, a.meta.startMax) })
	g, ctx := errgroup.WithContext(r.ctx)
	g.SetLimit(ask.Of(r.ctx).Parallel(r.store.cfg.SearchConcurrency))
	for _, b := range order {
		if r.plan.outside(&b.meta, &b.filters) {
			continue
		}
		if ctx.Err() != nil || r.beyond(b.meta.startMax) {
			break
		}
		g.Go(func() error {
			if r.beyond(b.meta.startMax) {
				return nil
			}
			if err := r.scanBlock(ctx, b); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if stopped := r.stopped(); stopped != nil {
					return stopped
				}
				r.lacks(r.store.damage(b, err))
			}
			return nil
		})
	}
	return cmp.Or(g.Wait(), r.ctx.Err())
}
