package views

import (
	"context"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

const bucketLabel = "le"

// querier is a store's querier with the views' series added.
type querier struct {
	base       storage.Querier
	mint, maxt int64
	families   []*family
	cache      cache
}

func (q *querier) Close() error { return q.base.Close() }

// Select gives the views' series that match, the stored ones, and those of them that show on both sides. Unless they are
// to be sorted, the buckets of one histogram follow one another.
func (q *querier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	if asksWeights(ms) {
		from, to := q.mint, q.maxt
		if hints != nil {
			from, to = hints.Start, hints.End
		}
		return weights(from, to, ms)
	}
	count := newTally(ctx, hints)
	var own storage.SeriesSet = &viewSet{q: q, ctx: ctx, count: count, hints: hints, matchers: ms, families: q.families}
	if sorted {
		own = sortSet(own)
	}
	if q.onlyViews(ms) {
		return own
	}
	base := &countedSet{SeriesSet: q.base.Select(ctx, sorted, hints, ms...), count: count}
	sets := []storage.SeriesSet{own, base}
	if mirror := q.mirror(ctx, sorted, count, hints, ms); mirror != nil {
		sets = append(sets, mirror)
	}
	if sorted {
		return storage.NewMergeSeriesSet(sets, 0, storage.ChainedSeriesMerge)
	}
	return &inTurn{sets: sets}
}

// onlyViews says that the matchers ask for one name and that it is a view's.
func (q *querier) onlyViews(ms []*labels.Matcher) bool {
	for _, m := range ms {
		if m.Name != labels.MetricName || m.Type != labels.MatchEqual {
			continue
		}
		for _, f := range q.families {
			for i := range f.metrics {
				if f.metrics[i].name == m.Value {
					return true
				}
			}
		}
	}
	return false
}

// admitted are the family's metrics whose names the matchers accept.
func (f *family) admitted(ms []*labels.Matcher) (out []*metric) {
	for i := range f.metrics {
		m := &f.metrics[i]
		if matchesOf(ms, labels.MetricName, m.name) {
			out = append(out, m)
		}
	}
	return out
}

// matchesOf says that all matchers of a label accept a value.
func matchesOf(ms []*labels.Matcher, name, v string) bool {
	for _, m := range ms {
		if m.Name == name && !m.Matches(v) {
			return false
		}
	}
	return true
}

// groups finds the series of a family that the matchers accept, le left aside.
func (q *querier) groups(ctx context.Context, f *family, hints *storage.SelectHints, ms []*labels.Matcher,
	count *tally, warnings *annotations.Annotations,
) ([]*group, error) {
	metrics := f.admitted(ms)
	if len(metrics) == 0 {
		return nil, nil
	}
	canonical, none := f.canonical(ms)
	if none {
		return nil, nil
	}
	set := q.base.Select(ctx, false, canonicalHints(hints), canonical...)
	var found []candidate
	for set.Next() {
		s := set.At()
		ls := s.Labels()
		if err := count.candidate(int64(ls.ByteSize())); err != nil {
			return nil, err
		}
		found = append(found, candidate{series: s, facts: factsOf(ls)})
	}
	warnings.Merge(set.Warnings())
	if err := set.Err(); err != nil {
		return nil, err
	}
	if err := f.label(found, ms, count); err != nil {
		return nil, err
	}
	var out []*group
	for _, m := range metrics {
		groups, err := q.group(m, found, count)
		if err != nil {
			return nil, err
		}
		out = append(out, groups...)
	}
	return out, nil
}

// candidate is a canonical series that may belong to a view.
type candidate struct {
	series storage.Series
	facts  facts
	labels labels.Labels // derived, without name and le
	passes bool          // the matchers accept the labels
}

// label derives the labels of the candidates, and asks the matchers.
func (f *family) label(found []candidate, ms []*labels.Matcher, count *tally) error {
	b := labels.NewScratchBuilder(32)
	add := func(name, v string) { addLabel(&b, name, v) }
	for i := range found {
		c := &found[i]
		b.Reset()
		f.derive(&c.facts, add)
		b.Sort()
		c.labels = b.Labels()
		if err := count.hold(int64(c.labels.ByteSize())); err != nil {
			return err
		}
		c.passes = true
		for _, m := range ms {
			if m.Name != labels.MetricName && m.Name != bucketLabel && !m.Matches(c.labels.Get(m.Name)) {
				c.passes = false
				break
			}
		}
	}
	return nil
}

func addLabel(b *labels.ScratchBuilder, name, v string) {
	if v != "" {
		b.Add(name, v)
	}
}

// group sorts the candidates of a metric by their labels. Which witness a hop
// is counted by is decided among all candidates, so that it does not depend on
// the matchers.
func (q *querier) group(m *metric, found []candidate, count *tally) ([]*group, error) {
	best := m.bestWitness(found)
	var out []*group
	byLabels := map[uint64][]*group{}
	for i := range found {
		c := &found[i]
		if !c.passes || !m.counts(&c.facts, best) {
			continue
		}
		h := c.labels.Hash()
		g := sameLabels(byLabels[h], c.labels)
		if g == nil {
			if err := count.hold(groupBytes); err != nil {
				return nil, err
			}
			g = &group{metric: m, derived: c.labels, cache: &q.cache, count: count}
			byLabels[h] = append(byLabels[h], g)
			out = append(out, g)
		}
		g.members = append(g.members, c.series)
	}
	return out, nil
}

func sameLabels(groups []*group, ls labels.Labels) *group {
	for _, g := range groups {
		if labels.Equal(g.derived, ls) {
			return g
		}
	}
	return nil
}

// bestWitness is the least rank that is there, of each hop; or the set of witnesses, for chosen.
func (m *metric) bestWitness(found []candidate) map[hop]int {
	if m.rank == nil && !m.distinct {
		return nil
	}
	best := map[hop]int{}
	for i := range found {
		f := &found[i].facts
		h := m.hop(f)
		if m.distinct {
			best[h] |= 1 << witnessOf(f)
			continue
		}
		r := m.rank(f)
		if b, ok := best[h]; !ok || r < b {
			best[h] = r
		}
	}
	return best
}

// counts says whether a canonical series is counted by the metric.
func (m *metric) counts(f *facts, best map[hop]int) bool {
	if m.only != nil && !m.only(f) {
		return false
	}
	if m.distinct {
		return chosen(best[m.hop(f)])&(1<<witnessOf(f)) != 0
	}
	return m.rank == nil || m.rank(f) == best[m.hop(f)]
}

// canonical are the matchers by which the family's series are read.
func (f *family) canonical(ms []*labels.Matcher) (out []*labels.Matcher, none bool) {
	out = append(out, labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, f.base))
	out = append(out, f.where...)
	for _, m := range ms {
		p, ok := f.push[m.Name]
		if !ok {
			continue
		}
		c, none := p.translate(m)
		if none {
			return nil, true
		}
		if c != nil {
			out = append(out, c)
		}
	}
	return out, false
}

// canonicalHints are the hints that hold for the canonical series too.
func canonicalHints(h *storage.SelectHints) *storage.SelectHints {
	if h == nil {
		return nil
	}
	return &storage.SelectHints{Start: h.Start, End: h.End, Step: h.Step, Func: h.Func, Range: h.Range, DisableTrimming: h.DisableTrimming}
}

// any says whether the group has a series whose le the matchers accept.
func (g *group) any(ms []*labels.Matcher) bool {
	if g.metric.value != bucketValue {
		return matchesOf(ms, bucketLabel, "")
	}
	for i := range g.metric.width() {
		if matchesBound(ms, g.metric.bucketName(i)) {
			return true
		}
	}
	return false
}

// bucketName is the label le of bucket i.
func (m *metric) bucketName(i int) string {
	if i == len(m.bounds) {
		return "+Inf"
	}
	return strconv.FormatFloat(m.bounds[i], 'f', -1, 64)
}

// matchesBound asks the matchers for le. Tools write whole bounds as 250 or, since
// Prometheus 3, as 250.0: a matcher that accepts or refuses one does the other.
func matchesBound(ms []*labels.Matcher, le string) bool {
	alias := le
	if _, err := strconv.Atoi(le); err == nil {
		alias = le + ".0"
	}
	for _, m := range ms {
		if m.Name != bucketLabel {
			continue
		}
		if m.Type == labels.MatchEqual || m.Type == labels.MatchRegexp {
			if !m.Matches(le) && !m.Matches(alias) {
				return false
			}
		} else if !m.Matches(le) || !m.Matches(alias) {
			return false
		}
	}
	return true
}
