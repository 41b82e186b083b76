package block

import (
	"context"
	"errors"
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/filter"
)

// What a filter asks of a trace as a whole (its duration, its root, how many spans it has) is in no span, and a trace may lie in several
// blocks. So it comes last: the scan takes it as true, which finds too many traces and misses none, and a judge then asks
// it of those, the newest first and some at a time, until as many as are wanted are known and none that is left
// can be newer. Questions about how spans relate to one another belong here as well.

// verifiedAtOnce is how many traces are gathered before they are judged.
const verifiedAtOnce = 128

// A judge asks of traces what their spans alone could not tell.
type judge struct {
	eval *filter.Evaluator
	// spans says that the filter must be asked of each span of a trace again, since it does not fall apart into
	// what is asked of spans and what is asked of traces.
	spans bool
}

// newJudge is the judge of a simplified filter, nil where it asks nothing of traces.
func newJudge(f filter.Filter) (*judge, error) {
	ofSpans, ofTraces := asks(f)
	if !ofTraces {
		return nil, nil
	}
	j := &judge{spans: ofSpans}
	if f.Form() == filter.And {
		var whole []filter.Filter
		j.spans = false
		for _, p := range f.Parts() {
			ofSpans, ofTraces := asks(p)
			j.spans = j.spans || ofSpans && ofTraces
			if ofTraces {
				whole = append(whole, p)
			}
		}
		if !j.spans {
			f = filter.All(whole...)
		}
	}
	var err error
	j.eval, err = filter.NewEvaluator(f)
	return j, err
}

// asks says of what a filter asks.
func asks(f filter.Filter) (ofSpans, ofTraces bool) {
	if f.Form() == filter.Test {
		t := f.Condition().Field.Fact.OfTrace()
		return !t, t
	}
	for _, p := range f.Parts() {
		s, t := asks(p)
		ofSpans, ofTraces = ofSpans || s, ofTraces || t
	}
	return ofSpans, ofTraces
}

// spanPart is a simplified filter with all that it asks of traces taken as true.
func spanPart(f filter.Filter) filter.Filter {
	var parts []filter.Filter
	switch f.Form() {
	case filter.And, filter.Or:
		for _, p := range f.Parts() {
			parts = append(parts, spanPart(p))
		}
		if f.Form() == filter.Or {
			return filter.Any(parts...)
		}
		return filter.All(parts...)
	default:
		if _, ofTraces := asks(f); ofTraces {
			return filter.Everything()
		}
		return f
	}
}

// hits are the traces that a scan finds: among the best at once, or to be judged.
type hits struct {
	best  *newest
	at    map[telemetry.TraceID]int64 // start of the trace's last matching span, of those to be judged
	judge *judge
}

func (r *search) newHits() *hits {
	h := &hits{best: r.best, judge: r.plan.judge}
	if h.judge != nil {
		h.at = map[telemetry.TraceID]int64{}
	}
	return h
}

// add takes a matching span. The caller holds the search's mu where there is no judge.
func (h *hits) add(id telemetry.TraceID, start int64) {
	if h.judge == nil {
		h.best.add(id, start)
		return
	}
	if have, ok := h.at[id]; !ok || start > have {
		h.at[id] = start
	}
}

// verify judges what a scan has found, and adds to the best of what is right.
func (r *search) verify(ctx context.Context, h *hits) error {
	if h.judge == nil {
		return nil
	}
	order := make([]found, 0, len(h.at))
	for id, start := range h.at {
		order = append(order, found{id, start})
	}
	slices.SortFunc(order, found.compare)
	for some := range slices.Chunk(order, verifiedAtOnce) {
		if r.beyond(some[0].start) {
			return nil
		}
		traces, err := r.summaries(ctx, some)
		if err != nil {
			return err
		}
		for _, f := range some {
			t := traces[f.id].finish(f.id)
			start, ok, err := r.judge(ctx, h.judge, f, &t)
			if err != nil {
				return err
			}
			if ok {
				r.mu.Lock()
				r.best.add(f.id, start)
				r.mu.Unlock()
			}
		}
	}
	return nil
}

// beyond says that nothing that began by then can be among the newest.
func (r *search) beyond(start int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.best.at) >= r.plan.limit {
		r.best.cut()
	}
	return start < r.best.floor
}

// judge says whether a trace is one to be found, and when its last matching span began.
func (r *search) judge(ctx context.Context, j *judge, f found, t *telemetry.TraceSummary) (start int64, ok bool, err error) {
	b := telemetry.NewBatch()
	if !j.spans {
		return f.start, j.eval.Eval(func(field filter.Field, yield func(filter.Type, []byte, uint64)) {
			b.SpanValues(nil, t, field, yield)
		}) == filter.IsTrue, nil
	}
	b, damaged, err := r.store.traceIn(ctx, r.sn, f.id)
	for _, d := range damaged {
		r.lacks(d)
	}
	switch {
	case errors.Is(err, ErrNotFound) && len(damaged) > 0: // it was found, and cannot be read
		return 0, false, nil
	case err != nil:
		return 0, false, err
	}
	for i := range b.Spans {
		s := &b.Spans[i]
		if j.eval.Eval(func(field filter.Field, yield func(filter.Type, []byte, uint64)) { b.SpanValues(s, t, field, yield) }) == filter.IsTrue {
			if !ok || s.Start > start {
				start, ok = s.Start, true
			}
		}
	}
	return start, ok, nil
}
