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
	warnings, err := q.eachGroup(ctx, ms, func(g *group) {
		switch {
		case name == bucketLabel:
			if g.reader.classic != nil {
				for i := range g.reader.width() {
					if le := g.reader.metric.bucketName(i); matchesBound(ms, le) {
						values[le] = struct{}{}
					}
				}
			}
		case g.labels.Has(name):
			values[g.labels.Get(name)] = struct{}{}
		}
	})
	if err != nil {
		return nil, nil, err
	}
	return q.merged(values, hints, warnings, func() ([]string, annotations.Annotations, error) {
		return q.base.LabelValues(ctx, name, nil, ms...)
	})
}

// LabelNames are the names of the labels of stored and derived series.
func (q *querier) LabelNames(ctx context.Context, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	names := map[string]struct{}{}
	warnings, err := q.eachGroup(ctx, ms, func(g *group) {
		g.labels.Range(func(l labels.Label) { names[l.Name] = struct{}{} })
		if g.reader.classic != nil {
			names[bucketLabel] = struct{}{}
		}
	})
	if err != nil {
		return nil, nil, err
	}
	return q.merged(names, hints, warnings, func() ([]string, annotations.Annotations, error) {
		return q.base.LabelNames(ctx, nil, ms...)
	})
}

// merged adds the store's own answer.
func (q *querier) merged(own map[string]struct{}, hints *storage.LabelHints, warnings annotations.Annotations,
	base func() ([]string, annotations.Annotations, error),
) ([]string, annotations.Annotations, error) {
	stored, w, err := base()
	warnings.Merge(w)
	if err != nil {
		return nil, warnings, err
	}
	for _, s := range stored {
		own[s] = struct{}{}
	}
	out := slices.Sorted(maps.Keys(own))
	if hints != nil && hints.Limit > 0 && len(out) > hints.Limit {
		out = out[:hints.Limit]
	}
	return out, warnings, nil
}

// eachGroup calls f for each group of the views that has a series which the
// matchers accept. No samples are read.
func (q *querier) eachGroup(ctx context.Context, ms []*labels.Matcher, f func(*group)) (annotations.Annotations, error) {
	var warnings annotations.Annotations
	hints := &storage.SelectHints{Start: q.mint, End: q.maxt, Func: "series"}
	for _, fam := range q.families {
		groups, err := q.groups(ctx, fam, hints, ms, &warnings)
		if err != nil {
			return nil, err
		}
		for _, g := range groups {
			if len(g.appendSeries(nil, ms)) > 0 {
				f(g)
			}
		}
	}
	return warnings, nil
}
