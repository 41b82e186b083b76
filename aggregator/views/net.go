package views

import (
	"context"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
)

// What was taken back is taken off.
//
// The problem: a request whose other half came late was counted on one edge and is counted on another since. The store counts what was taken back
// in a series of its own (aggregator/taken.go), since a counter cannot fall: PromQL takes each fall for a new beginning. Whoever asks for the
// edge's series is to see what the map shows.
//
// The rule: a series of edges is read less what was taken back of it, and as the greatest counter that at no time is more than that later:
//
//	shown(t) = the least of counted(u) - taken(u), of all u from t to the end of what is read
//
// So it never falls, ends at exactly what is true at the end of what is read, and what came to nothing was never counted. A series of
// which nothing was taken back is passed on as it is stored, and costs one look-up for all that are asked for together.
//
// Each bucket is taken off by itself. What was below the least bucket of the graph's, or above its greatest, is taken back from the one beside.
//
// Not chosen: to write the difference (every fall is a reset to whoever reads the store, and the difference to a real one is lost); the most
// that was ever true (it cannot fall, but stays too high until as many have come again).

// netQuerier is a store's querier whose series of edges are less what was taken back.
type netQuerier struct{ storage.Querier }

// Select gives the series that match.
func (q *netQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	set := q.Querier.Select(ctx, sorted, hints, ms...)
	if hints != nil && hints.Func == "series" || !matchesOf(ms, labels.MetricName, canonical.Edge) {
		return set
	}
	theirs := slices.DeleteFunc(slices.Clone(ms), func(m *labels.Matcher) bool { return m.Name == labels.MetricName })
	theirs = append(theirs, labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, canonical.Taken))
	return &netSet{SeriesSet: set, count: newTally(ctx, hints), find: func() storage.SeriesSet {
		return q.Querier.Select(ctx, false, canonicalHints(hints), theirs...)
	}}
}

// netSet is a set whose series of edges are less what was taken back.
type netSet struct {
	storage.SeriesSet
	count    *tally
	find     func() storage.SeriesSet // what was taken back, nil when it has been asked for
	taken    map[uint64][]storage.Series
	at       storage.Series
	err      error
	warnings annotations.Annotations
}

// Next goes to the next series.
func (s *netSet) Next() bool {
	if s.err != nil || !s.SeriesSet.Next() {
		return false
	}
	s.at = s.SeriesSet.At()
	ls := s.at.Labels()
	if ls.Get(labels.MetricName) != canonical.Edge {
		return true
	}
	if s.find != nil {
		s.err = s.look()
	}
	if s.err != nil || len(s.taken) == 0 {
		return s.err == nil
	}
	name := labels.NewBuilder(ls).Set(labels.MetricName, canonical.Taken).Labels()
	for _, t := range s.taken[name.Hash()] {
		if labels.Equal(t.Labels(), name) {
			s.at = &net{Series: s.at, taken: t, count: s.count}
		}
	}
	return true
}

// look finds what was taken back.
func (s *netSet) look() error {
	set := s.find()
	s.find, s.taken = nil, map[uint64][]storage.Series{}
	for set.Next() {
		t := set.At()
		if err := s.count.candidate(int64(t.Labels().ByteSize())); err != nil {
			return err
		}
		h := t.Labels().Hash()
		s.taken[h] = append(s.taken[h], t)
	}
	s.warnings = set.Warnings()
	return set.Err()
}

func (s *netSet) At() storage.Series { return s.at }

func (s *netSet) Err() error {
	if s.err != nil {
		return s.err
	}
	return s.SeriesSet.Err()
}

func (s *netSet) Warnings() annotations.Annotations {
	w := s.SeriesSet.Warnings()
	return w.Merge(s.warnings)
}

// net is a series less what was taken back of it.
type net struct {
	storage.Series
	taken storage.Series
	count *tally
}

// Iterator walks what is left. Whoever hands over an iterator is done with it.
func (n *net) Iterator(done chunkenc.Iterator) chunkenc.Iterator {
	if old, ok := done.(*netIterator); ok {
		old.count.ask.Give(old.held)
		old.held = 0
	}
	own, err := readTable(n.Series, nil, n.count)
	held := own.held
	if err == nil {
		var off *table
		if off, err = readTable(n.taken, own, n.count); err == nil {
			own.less(off)
		}
		n.count.ask.Give(off.held)
	}
	if err != nil {
		own.times = nil
	}
	return &netIterator{Iterator: storage.NewListSeriesIterator(own), err: err, count: n.count, held: held}
}

// netIterator walks what is left of a series, and tells the error that ended its reading.
type netIterator struct {
	chunkenc.Iterator
	err   error
	count *tally
	held  int64
}

func (it *netIterator) Err() error { return it.err }
