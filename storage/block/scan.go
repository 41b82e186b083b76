package block

import (
	"context"

	"github.com/binnacle-mesh/binnacle/internal/ask"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/filter"
)

// What a search holds in memory, about, in bytes.
const (
	scanBytes    = 4 << 20 // the pages and dictionaries of a block that is looked through
	hitBytes     = 64      // a trace that is to be judged
	summaryBytes = 200     // a span of a trace that is summed up
)

// rowNumbers is the numbers of n rows.
func rowNumbers(n int) []uint16 {
	out := make([]uint16, n)
	for i := range out {
		out[i] = uint16(i)
	}
	return out
}

// scanBlock finds the block's spans that the plan is for.
func (r *search) scanBlock(ctx context.Context, b *blockRef) (err error) {
	defer guard(&err)
	question := ask.Of(ctx)
	if err := question.Take(scanBytes); err != nil {
		return r.stop(err)
	}
	defer question.Give(scanBytes)
	rd, err := r.store.read(b, spansFile, spanColumns())
	if err != nil {
		return err
	}
	defer rd.close()
	hits := r.newHits()
	err = r.scanFile(ctx, rd, hits)
	r.mu.Lock()
	r.stats.Blocks++
	r.stats.Pages += rd.decoded
	r.mu.Unlock()
	if err != nil {
		return err
	}
	return r.verify(ctx, hits)
}

func (r *search) scanFile(ctx context.Context, rd *reader, hits *hits) error {
	t := &fileTable{r: rd}
	root, err := r.plan.root.bind(t)
	if err != nil || root.form == filter.False {
		return err
	}
	all, sel := rowNumbers(pageRows), make([]uint16, pageRows)
	for p := range rd.f.bounds {
		if err := ask.Of(ctx).Yield(ctx); err != nil {
			return err
		}
		t.page = p
		k, err := root.keep(sel[:copy(sel, all[:rd.f.pageLen(p)])])
		if err != nil {
			return err
		}
		found, err := foundIn(rd, p, sel[:k])
		if err != nil {
			return err
		}
		if hits.judge != nil {
			if err := ask.Of(ctx).Take(int64(len(found)) * hitBytes); err != nil {
				return r.stop(err)
			}
		}
		r.mu.Lock()
		r.stats.Spans += rd.f.pageLen(p)
		for _, f := range found {
			hits.add(f.id, f.start)
		}
		r.mu.Unlock()
	}
	return nil
}

// foundIn is the traces of rows of a page.
func foundIn(rd *reader, p int, rows []uint16) ([]found, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	ids, err := rd.load(0, p)
	if err != nil {
		return nil, err
	}
	starts, err := rd.load(rd.f.byID[colStart], p)
	if err != nil {
		return nil, err
	}
	out := make([]found, len(rows))
	for i, row := range rows {
		out[i] = found{telemetry.TraceID(ids.bytesAt(int(row))), starts.intAt(int(row))}
	}
	return out, nil
}

// scanHead finds a head's spans that the plan is for.
func (r *search) scanHead(v *headView, hits *hits) error {
	if r.plan.outside(&v.meta, nil) {
		return nil
	}
	t := &headTable{v: v, defs: spanColumns()}
	root, err := r.plan.root.bind(t)
	if err != nil || root.form == filter.False {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Spans += v.spans.n
	all, sel := rowNumbers(chunkRows), make([]uint16, chunkRows)
	for from := 0; from < v.spans.n; from += chunkRows {
		if err := ask.Of(r.ctx).Yield(r.ctx); err != nil {
			return err
		}
		t.chunk = v.spans.chunks[from/chunkRows]
		k, err := root.keep(sel[:copy(sel, all[:min(chunkRows, v.spans.n-from)])])
		if err != nil {
			return err
		}
		for _, row := range sel[:k] {
			hits.add(t.chunk.trace[row], t.chunk.start[row])
		}
	}
	return nil
}
