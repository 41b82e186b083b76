package views

import (
	"context"
	"maps"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// LabelValues are the values of a label over stored and derived series.
func (q *querier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	values := map[string]struct{}{}
	warnings, err := q.eachGroup(ctx, ms, func(g *group) error {
		switch {
		case name == bucketLabel:
			if g.metric.value == bucketValue {
				for i := range g.metric.width() {
					if le := g.metric.bucketName(i); matchesBound(ms, le) {
						values[le] = struct{}{}
					}
				}
			}
		case name == labels.MetricName:
			values[g.metric.name] = struct{}{}
		case g.derived.Has(name):
			v := g.derived.Get(name)
			if _, ok := values[v]; !ok {
				values[v] = struct{}{}
				return g.count.hold(int64(listedBytes + 6*len(v)))
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return q.merged(ctx, values, hints, warnings, func() ([]string, annotations.Annotations, error) {
		return q.base.LabelValues(ctx, name, nil, ms...)
	})
}

// LabelNames are the names of the labels of stored and derived series.
func (q *querier) LabelNames(ctx context.Context, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	names := map[string]struct{}{}
	warnings, err := q.eachGroup(ctx, ms, func(g *group) error {
		g.derived.Range(func(l labels.Label) { names[l.Name] = struct{}{} })
		names[labels.MetricName] = struct{}{}
		if g.metric.value == bucketValue {
			names[bucketLabel] = struct{}{}
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return q.merged(ctx, names, hints, warnings, func() ([]string, annotations.Annotations, error) {
		return q.base.LabelNames(ctx, nil, ms...)
	})
}

// merged adds the store's own answer.
func (q *querier) merged(ctx context.Context, own map[string]struct{}, hints *storage.LabelHints, warnings annotations.Annotations,
	base func() ([]string, annotations.Annotations, error),
) ([]string, annotations.Annotations, error) {
	stored, w, err := base()
	warnings.Merge(w)
	if err != nil {
		return nil, warnings, err
	}
	count := newTally(ctx, nil)
	for _, s := range stored {
		if err := count.hold(int64(listedBytes + 6*len(s))); err != nil {
			return nil, warnings, err
		}
		own[s] = struct{}{}
	}
	out := slices.Sorted(maps.Keys(own))
	if hints != nil && hints.Limit > 0 && len(out) > hints.Limit {
		out = out[:hints.Limit]
	}
	return out, warnings, nil
}

// listedBytes is what a name or value takes in a list, a map and the answer, beside six times its text, which is what that
// may come to in JSON.
const listedBytes = 80

// eachGroup calls f for each group of the views that has a series which the
// matchers accept. No samples are read.
func (q *querier) eachGroup(ctx context.Context, ms []*labels.Matcher, f func(*group) error) (annotations.Annotations, error) {
	var warnings annotations.Annotations
	hints := &storage.SelectHints{Start: q.mint, End: q.maxt, Func: "series"}
	count := newTally(ctx, hints)
	for _, fam := range q.families {
		groups, err := q.groups(ctx, fam, hints, ms, count, &warnings)
		if err != nil {
			return nil, err
		}
		for _, g := range groups {
			if g.any(ms) {
				if err := f(g); err != nil {
					return nil, err
				}
			}
		}
	}
	return warnings, nil
}
