package block

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/binnacle-mesh/binnacle/internal/ask"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Trace is all spans and requests of a trace, in a batch of their own, spans in the
// order of their start. A span that was stored twice, all of it alike, comes once. It
// returns ErrNotFound where nothing of the trace is stored. damaged names, by file, what could not be
// read and may hold some of the trace, whether or not anything was found.
func (s *Store) Trace(ctx context.Context, id telemetry.TraceID) (b *telemetry.Batch, damaged []telemetry.Damage, err error) {
	sn := s.snapshot()
	defer sn.done()
	b, damaged, err = s.traceIn(ctx, sn, id)
	return b, sortDamage(append(damaged, sn.lostSince(0)...)), err
}

func (s *Store) traceIn(ctx context.Context, sn *snapshot, id telemetry.TraceID) (_ *telemetry.Batch, damaged []telemetry.Damage, _ error) {
	a := newAssembler()
	for _, h := range sn.heads {
		if err := a.headTrace(h, id); err != nil {
			return nil, nil, fmt.Errorf("trace %s: %w", id, err)
		}
	}
	for _, b := range sn.blocks {
		if err := a.counted(ctx); err != nil {
			return nil, damaged, fmt.Errorf("trace %s: %w", id, err)
		}
		for _, err := range s.blockTrace(a, b, id) {
			damaged = append(damaged, s.damage(b, err))
		}
	}
	if err := a.counted(ctx); err != nil {
		return nil, damaged, fmt.Errorf("trace %s: %w", id, err)
	}
	if len(a.b.Spans)+len(a.b.Requests) == 0 {
		return nil, damaged, fmt.Errorf("trace %s: %w", id, ErrNotFound)
	}
	a.tidy()
	return a.b, damaged, nil
}

// counted counts what the batch has grown by since the last time, and lets others go first.
func (a *assembler) counted(ctx context.Context) error {
	question := ask.Of(ctx)
	if err := question.Yield(ctx); err != nil {
		return err
	}
	if question == nil {
		return nil
	}
	n := int64(a.b.Size())
	err := question.Take(n - a.held)
	if err == nil {
		a.held = max(a.held, n)
	}
	return err
}

func (a *assembler) headTrace(h *head, id telemetry.TraceID) error {
	spans, requests := h.traceRows(&h.spans, id), h.traceRows(&h.requests, id)
	v := h.view()
	for _, r := range spans {
		if err := a.headSpan(&v, r); err != nil {
			return err
		}
	}
	for _, r := range requests {
		if err := a.headRequest(&v, r); err != nil {
			return err
		}
	}
	if len(spans)+len(requests) > 0 {
		a.b.Received = max(a.b.Received, v.meta.receivedMax)
	}
	return nil
}

// blockTrace adds what a block has of a trace. An error is of one of its files.
func (s *Store) blockTrace(a *assembler, b *blockRef, id telemetry.TraceID) (errs []error) {
	if b.meta.spans > 0 {
		if err := s.fileTrace(a, b, id, spansFile, spanColumns()); err != nil {
			errs = append(errs, &fileError{spansFile, err})
		}
	}
	if b.meta.requests > 0 {
		if err := s.fileTrace(a, b, id, requestsFile, requestColumns()); err != nil {
			errs = append(errs, &fileError{requestsFile, err})
		}
	}
	return errs
}

func (s *Store) fileTrace(a *assembler, b *blockRef, id telemetry.TraceID, name string, defs []columnDef) (err error) {
	defer guard(&err)
	if !b.filters.mayHold(name, &id) {
		return nil
	}
	r, err := s.read(b, name, defs)
	if err != nil {
		return err
	}
	defer r.close()
	from, to, err := r.find(&id)
	if err != nil || from == to {
		return err
	}
	a.b.Received = max(a.b.Received, b.meta.receivedMax)
	return a.blockTrace(r, id, from, to, name == spansFile)
}

// tidy drops spans that are there twice and puts all in order of start.
func (a *assembler) tidy() {
	b := a.b
	slices.SortStableFunc(b.Spans, func(x, y telemetry.Span) int {
		return cmp.Or(cmp.Compare(x.Start, y.Start), bytes.Compare(x.SpanID[:], y.SpanID[:]), cmp.Compare(x.Kind, y.Kind))
	})
	slices.SortStableFunc(b.Requests, func(x, y telemetry.Request) int { return cmp.Compare(x.Start, y.Start) })
	kept := b.Spans[:0]
	for i := range b.Spans {
		s := b.Spans[i]
		twin := false
		for j := len(kept) - 1; j >= 0 && !twin && kept[j].Start == s.Start && kept[j].SpanID == s.SpanID && kept[j].Kind == s.Kind; j-- {
			twin = a.same(&kept[j], &s)
		}
		if !twin {
			kept = append(kept, s)
		}
	}
	b.Spans = kept
}

// same says that two spans do not differ in anything but the order of their
// attributes.
func (a *assembler) same(x, y *telemetry.Span) bool {
	p, q := *x, *y
	p.Attrs, p.Events, p.Links = q.Attrs, q.Events, q.Links
	if p != q || !a.sameAttrs(x.Attrs, y.Attrs) || x.Events.Len != y.Events.Len || x.Links.Len != y.Links.Len {
		return false
	}
	for i := range x.Events.Len {
		e, f := a.b.Events[x.Events.Start+i], a.b.Events[y.Events.Start+i]
		if e.Time != f.Time || e.Name != f.Name || !a.sameAttrs(e.Attrs, f.Attrs) {
			return false
		}
	}
	for i := range x.Links.Len {
		l, m := a.b.Links[x.Links.Start+i], a.b.Links[y.Links.Start+i]
		if l.TraceID != m.TraceID || l.SpanID != m.SpanID || !a.sameAttrs(l.Attrs, m.Attrs) {
			return false
		}
	}
	return true
}

func (a *assembler) sameAttrs(x, y telemetry.Range) bool {
	if x.Len != y.Len {
		return false
	}
	p, q := slices.Clone(a.b.AttrsOf(x)), slices.Clone(a.b.AttrsOf(y))
	order := func(x, y telemetry.Attr) int {
		return cmp.Or(cmp.Compare(x.Key, y.Key), cmp.Compare(x.Type, y.Type), cmp.Compare(x.Value, y.Value))
	}
	slices.SortFunc(p, order)
	slices.SortFunc(q, order)
	return slices.Equal(p, q)
}
