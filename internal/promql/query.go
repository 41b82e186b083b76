package promql

import (
	"context"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
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
	return e.checked(query, 0)
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
	return e.checked(query, end.Sub(start))
}

// checked is a query whose tree has been looked at.
func (e *Engine) checked(q promql.Query, span time.Duration) (promql.Query, error) {
	stmt, ok := q.Statement().(*parser.EvalStmt)
	if !ok {
		return q, nil
	}
	cost, err := costOf(stmt.Expr, span, e.Config.MaxSteps)
	if err != nil {
		q.Close()
		e.refused.WithLabelValues(err.Reason).Inc()
		return nil, err
	}
	_ = cost
	return q, nil
}
