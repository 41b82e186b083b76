package views

import (
	"context"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
)

// What servers' spans alone tell of an edge is shown on the client's side too.
//
// The problem: people, dashboards and the web view count an edge's requests as the side that saw most, which PromQL can say in a line. Where each side
// lacks some that the other has, that is less than the map shows, which counts distinct requests (topology/figures.go).
//
// The rule: a stored series with the label alone="true" and side="server" is read with side="client" as well. So each side's spans are
// those that both saw, or it alone, and what the callee alone saw, and the most of them is what the map shows. Who asks what a side
// itself has reported leaves those with side="client" and alone="true" out.
//
// Not chosen: storing them twice (each reader of the store must then know); the rule in each expression (three times as long, and every new one may forget it).

// mirror gives the series that alone have been told of by servers' spans as of the client's side, where the matchers accept such.
func (q *querier) mirror(ctx context.Context, sorted bool, count *tally, hints *storage.SelectHints, ms []*labels.Matcher) storage.SeriesSet {
	if !matchesOf(ms, labels.MetricName, canonical.Edge) || !matchesOf(ms, canonical.Side, "client") || !matchesOf(ms, canonical.Alone, "true") ||
		!matchesOf(ms, canonical.Evidence, "span") {
		return nil
	}
	theirs := slices.DeleteFunc(slices.Clone(ms), func(m *labels.Matcher) bool {
		return m.Name == canonical.Side || m.Name == canonical.Alone || m.Name == labels.MetricName
	})
	theirs = append(
		theirs,
		labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, canonical.Edge),
		labels.MustNewMatcher(labels.MatchEqual, canonical.Side, "server"), labels.MustNewMatcher(labels.MatchEqual, canonical.Alone, "true"),
	)
	set := &countedSet{SeriesSet: &mirrored{q.base.Select(ctx, false, hints, theirs...)}, count: count}
	if sorted {
		return sortSet(set)
	}
	return set
}

// mirrored is a set of series of servers' spans, as of the client's side.
type mirrored struct{ storage.SeriesSet }

func (s *mirrored) At() storage.Series { return ofClient{s.SeriesSet.At()} }

type ofClient struct{ of storage.Series }

func (s ofClient) Labels() labels.Labels {
	b := labels.NewBuilder(s.of.Labels())
	b.Set(canonical.Side, "client")
	return b.Labels()
}

func (s ofClient) Iterator(it chunkenc.Iterator) chunkenc.Iterator { return s.of.Iterator(it) }
