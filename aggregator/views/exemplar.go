package views

import (
	"sort"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// exemplarQuerier shows the canonical series' exemplars under the views' names.
type exemplarQuerier struct {
	base     storage.ExemplarQuerier
	families []*family
	count    *tally
}

// Select gives the exemplars of the series that any of the lists of matchers accepts.
func (q *exemplarQuerier) Select(start, end int64, lists ...[]*labels.Matcher) ([]exemplar.QueryResult, error) {
	out, err := q.base.Select(start, end, lists...)
	if err != nil {
		return nil, err
	}
	seen := map[uint64]bool{}
	for _, ms := range lists {
		for _, f := range q.families {
			metrics := f.admitted(ms)
			canonical, none := f.canonical(ms)
			if len(metrics) == 0 || none {
				continue
			}
			found, err := q.base.Select(start, end, canonical)
			if err != nil {
				return nil, err
			}
			translated, err := f.exemplars(metrics, found, ms, q.count)
			if err != nil {
				return nil, err
			}
			for _, r := range translated {
				if h := r.SeriesLabels.Hash(); !seen[h] {
					seen[h] = true
					out = append(out, r)
				}
			}
		}
	}
	return out, nil
}

// exemplars translates results. A bucket's exemplar belongs to the least bound
// that is not below its value.
func (f *family) exemplars(metrics []*metric, found []exemplar.QueryResult, ms []*labels.Matcher, count *tally) ([]exemplar.QueryResult, error) {
	cs := make([]candidate, len(found))
	for i := range found {
		if err := count.candidate(0); err != nil {
			return nil, err
		}
		cs[i] = candidate{facts: factsOf(found[i].SeriesLabels)}
	}
	if err := f.label(cs, ms, count); err != nil {
		return nil, err
	}
	var out results
	for _, m := range metrics {
		best := m.bestWitness(cs)
		for i := range cs {
			if !cs[i].passes || !m.counts(&cs[i].facts, best) {
				continue
			}
			for _, e := range found[i].Exemplars {
				if err := count.series(cs[i].labels, int(e.Labels.ByteSize())); err != nil {
					return nil, err
				}
				m.place(&out, cs[i].labels, e, ms)
			}
		}
	}
	return out.list, nil
}

// place adds an exemplar under a metric's name.
func (m *metric) place(out *results, ls labels.Labels, e exemplar.Exemplar, ms []*labels.Matcher) {
	b := labels.NewBuilder(ls)
	b.Set(labels.MetricName, m.name)
	if m.typ != model.MetricTypeCounter {
		e.Value *= m.scale
	}
	if m.value == bucketValue {
		le := m.bucketName(sort.SearchFloat64s(m.bounds, e.Value))
		if !matchesBound(ms, le) {
			return
		}
		b.Set(bucketLabel, le)
	} else if !matchesOf(ms, bucketLabel, "") {
		return
	}
	out.add(b.Labels(), e)
}

// results collects exemplars by their series' labels.
type results struct {
	list []exemplar.QueryResult
	at   map[uint64]int
}

func (r *results) add(ls labels.Labels, e exemplar.Exemplar) {
	if r.at == nil {
		r.at = map[uint64]int{}
	}
	h := ls.Hash()
	i, ok := r.at[h]
	if !ok {
		i = len(r.list)
		r.at[h] = i
		r.list = append(r.list, exemplar.QueryResult{SeriesLabels: ls})
	}
	r.list[i].Exemplars = append(r.list[i].Exemplars, e)
}
