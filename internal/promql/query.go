package promql

import (
	"context"
	"iter"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"

	"github.com/binnacle-mesh/binnacle/internal/ask"
)

// NewInstantQuery is a query at one moment. What would cost too much is a *RefusedError.
// It waits for its turn among the engine's queries before it parses, and gives up with ctx.
func (e *Engine) NewInstantQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, text string, at time.Time) (promql.Query, error) {
	if err := e.CheckText(text); err != nil {
		return nil, err
	}
	query, err := e.Engine.NewInstantQuery(ctx, q, opts, text, at)
	if err != nil {
		return nil, err
	}
	return e.checked(ctx, query, 0, 1)
}

// NewRangeQuery is a query at each step of a range; see [Engine.NewInstantQuery].
func (e *Engine) NewRangeQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, text string, start, end time.Time, step time.Duration) (promql.Query, error) {
	if err := e.CheckText(text); err != nil {
		return nil, err
	}
	query, err := e.Engine.NewRangeQuery(ctx, q, opts, text, start, end, step)
	if err != nil {
		return nil, err
	}
	span := end.Sub(start)
	return e.checked(ctx, query, span, int64(span/step)+1)
}

// checked is a query whose tree has been looked at. Of the question that it belongs to (ask.Of) it says what a series costs.
func (e *Engine) checked(ctx context.Context, q promql.Query, span time.Duration, steps int64) (promql.Query, error) {
	stmt, ok := q.Statement().(*parser.EvalStmt)
	if !ok {
		return q, nil
	}
	cost, inner, err := costOf(stmt.Expr, span, e.Config.MaxSteps)
	if err != nil {
		q.Close()
		e.refused.WithLabelValues(err.Reason).Inc()
		return nil, err
	}
	// Of samples the engine has its own count, which may come to this much of what goes in and of what comes out.
	ask.Of(ctx).Shape(cost.by, cost.plus, max(steps, inner), 2*sampleBytes*int64(e.Config.MaxSamples))
	return q, nil
}

// sampleBytes is what one of the samples takes that the engine counts.
const sampleBytes = 16

// Parts is a result's series or samples one by one, where it is a list of them, so that it can be written piece by piece; empty is the
// same result without any.
func Parts(result parser.Value) (parts iter.Seq[any], empty parser.Value) {
	switch v := result.(type) {
	case promql.Matrix:
		return each(v), promql.Matrix{}
	case promql.Vector:
		return each(v), promql.Vector{}
	}
	return nil, nil
}

func each[T any](list []T) iter.Seq[any] {
	return func(yield func(any) bool) {
		for i := range list {
			if !yield(list[i]) {
				return
			}
		}
	}
}
