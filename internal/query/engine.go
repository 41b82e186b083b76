package query

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/filter"
)

// Limits bound what one question may cost.
type Limits struct {
	// Traces is the most traces that one search returns.
	Traces int
	// Spans is the most spans that an answer with many whole traces holds. A single
	// trace is always returned whole.
	Spans int
	// Tags is the most names or values of attributes that one answer lists.
	Tags int
	// Range is the longest stretch of time that one question may cover.
	Range time.Duration
}

// DefaultLimits let every page of the known user interfaces work: Jaeger's
// offers at most 1,500 traces.
func DefaultLimits() Limits {
	return Limits{Traces: 1500, Spans: 250_000, Tags: 10_000, Range: 366 * 24 * time.Hour}
}

// An InvalidError says that a question cannot be answered as it is asked, by
// the fault of who asks.
type InvalidError struct {
	Field  string // the parameter, by its name in the HTTP API
	Reason string // what is wrong and what to do
}

// Error is the field and the reason.
func (e *InvalidError) Error() string { return e.Field + ": " + e.Reason }

// An Engine answers questions.
type Engine struct {
	traces TraceStore
	live   LiveGraph
	past   PastGraph
	limits Limits
}

// New is an engine over the three readers, none of which may be nil.
func New(traces TraceStore, live LiveGraph, past PastGraph, limits Limits) *Engine {
	return &Engine{traces: traces, live: live, past: past, limits: limits}
}

// Live is the live graph's reader.
func (e *Engine) Live() LiveGraph { return e.live }

// Longest is the longest stretch of time that one question may cover.
func (e *Engine) Longest() time.Duration { return e.limits.Range }

// Graph is the graph of a past range.
func (e *Engine) Graph(ctx context.Context, from, to time.Time) (*telemetry.Graph, error) {
	if err := e.checkRange(from, to); err != nil {
		return nil, err
	}
	g, err := e.past.Graph(ctx, from, to)
	if err != nil {
		return nil, fmt.Errorf("graph from %s to %s: %w", from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339), err)
	}
	return g, nil
}

func (e *Engine) checkRange(from, to time.Time) error {
	switch d := to.Sub(from); {
	case d <= 0:
		return &InvalidError{"from", fmt.Sprintf("%s is not before the end, %s", from.UTC().Format(time.RFC3339Nano), to.UTC().Format(time.RFC3339Nano))}
	case d > e.limits.Range:
		return &InvalidError{"from", fmt.Sprintf("the range of %s is longer than the limit of %s; ask for less", d, e.limits.Range)}
	}
	return nil
}

// Search is the traces for which q holds, newest first, without their spans.
func (e *Engine) Search(ctx context.Context, q telemetry.SpanQuery) ([]telemetry.TraceSummary, telemetry.SearchStats, error) {
	if err := e.check(q); err != nil {
		return nil, telemetry.SearchStats{}, err
	}
	found, stats, err := e.traces.Search(ctx, q)
	if err != nil {
		return nil, stats, fmt.Errorf("search traces: %w", err)
	}
	for i := range found {
		for k := range found[i].Services {
			nameUnknown(&found[i].Services[k].Name)
		}
	}
	return found, stats, nil
}

func (e *Engine) check(q telemetry.SpanQuery) error {
	if q.Limit < 1 || q.Limit > e.limits.Traces {
		return &InvalidError{"limit", fmt.Sprintf("%d is not between 1 and %d", q.Limit, e.limits.Traces)}
	}
	var bad *filter.Error
	if err := q.Filter.Validate(); errors.As(err, &bad) {
		return &InvalidError{bad.Field, bad.Reason}
	}
	if q.From == 0 || q.To == 0 {
		return &InvalidError{"from", "a search needs both ends of its range"}
	}
	return e.checkRange(time.Unix(0, q.From), time.Unix(0, q.To))
}

// Services is every service that the trace store knows, by name and then
// namespace, each with its operations by name and then kind.
func (e *Engine) Services(ctx context.Context) ([]telemetry.ServiceEntry, error) {
	found, err := e.traces.Services(ctx)
	if err != nil {
		return nil, fmt.Errorf("list services: %w", err)
	}
	out := slices.Clone(found)
	for i := range out {
		nameUnknown(&out[i].Name)
		out[i].Operations = slices.Clone(out[i].Operations)
		slices.SortFunc(out[i].Operations, compareOperations)
	}
	slices.SortFunc(out, compareServices)
	return out, nil
}

// Operations is the operations of all services of a name, by name and then
// kind; of one kind only unless kind is "".
func (e *Engine) Operations(ctx context.Context, service, kind string) ([]telemetry.OperationEntry, error) {
	services, err := e.traces.Services(ctx)
	if err != nil {
		return nil, fmt.Errorf("list operations of %q: %w", service, err)
	}
	var out []telemetry.OperationEntry
	for _, s := range services {
		if nameUnknown(&s.Name); s.Name != service {
			continue
		}
		for _, o := range s.Operations {
			if kind == "" || o.Kind == kind {
				out = append(out, o)
			}
		}
	}
	slices.SortFunc(out, compareOperations)
	return slices.Compact(out), nil
}
