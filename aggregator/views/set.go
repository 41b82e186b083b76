package views

import (
	"context"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// A viewSet makes the series of the views one after the other, as they are asked for: of a histogram there are some forty, each
// with labels of its own, and who asks for too many is to meet a limit before they are all there.
type viewSet struct {
	q        *querier
	ctx      context.Context //nolint:containedctx // lives as long as the selection
	count    *tally
	hints    *storage.SelectHints
	matchers []*labels.Matcher

	families []*family // that are left
	groups   []*group  // of the present family, that are left
	group    *group    // of which series are made
	bound    int       // the next bucket of it
	builder  *labels.Builder
	made     int
	at       storage.Series
	err      error
	warnings annotations.Annotations
}

// Next makes the next series.
func (s *viewSet) Next() bool {
	for s.err == nil && (s.hints == nil || s.hints.Limit <= 0 || s.made < s.hints.Limit) {
		switch {
		case s.group != nil:
			if s.fromGroup() {
				s.made++
				return true
			}
		case len(s.groups) > 0:
			s.group, s.groups, s.bound = s.groups[0], s.groups[1:], 0
		case len(s.families) > 0:
			s.groups, s.err = s.q.groups(s.ctx, s.families[0], s.hints, s.matchers, s.count, &s.warnings)
			s.families = s.families[1:]
		default:
			return false
		}
	}
	return false
}

// fromGroup makes the group's next series whose le the matchers accept, or leaves the group.
func (s *viewSet) fromGroup() bool {
	g := s.group
	for ; s.bound < g.metric.width(); s.bound++ {
		le := ""
		if g.metric.value == bucketValue {
			if le = g.metric.bucketName(s.bound); !matchesBound(s.matchers, le) {
				continue
			}
		} else if !matchesOf(s.matchers, bucketLabel, "") {
			continue
		}
		// Counted before they are made: what is added to the group's is the name and le.
		if s.err = s.count.series(g.derived, len(g.metric.name)+len(le)+16); s.err != nil {
			return false
		}
		if s.builder == nil {
			s.builder = labels.NewBuilder(labels.EmptyLabels())
		}
		s.builder.Reset(g.derived)
		s.builder.Set(labels.MetricName, g.metric.name)
		s.builder.Set(bucketLabel, le) // "" is none
		s.at = &derived{labels: s.builder.Labels(), group: g, column: s.bound}
		s.bound++
		return true
	}
	s.group = nil
	return false
}

func (s *viewSet) At() storage.Series                { return s.at }
func (s *viewSet) Err() error                        { return s.err }
func (s *viewSet) Warnings() annotations.Annotations { return s.warnings }

// bothSets is a set and another after it.
type bothSets struct {
	storage.SeriesSet
	then storage.SeriesSet
	next bool // the first has ended
}

func (s *bothSets) Next() bool {
	if !s.next {
		if s.SeriesSet.Next() {
			return true
		}
		if s.SeriesSet.Err() != nil {
			return false
		}
		s.next = true
	}
	return s.then.Next()
}

func (s *bothSets) At() storage.Series {
	if s.next {
		return s.then.At()
	}
	return s.SeriesSet.At()
}

func (s *bothSets) Err() error {
	if err := s.SeriesSet.Err(); err != nil {
		return err
	}
	return s.then.Err()
}

func (s *bothSets) Warnings() annotations.Annotations {
	w := s.SeriesSet.Warnings()
	return w.Merge(s.then.Warnings())
}

// listSet is a list of series.
type listSet struct {
	storage.SeriesSet // that they were made by, for its error and its warnings
	series            []storage.Series
	next              int
}

// sortSet is a set in the order of labels.
func sortSet(set storage.SeriesSet) *listSet {
	s := &listSet{SeriesSet: set}
	for set.Next() {
		s.series = append(s.series, set.At())
	}
	slices.SortFunc(s.series, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	return s
}

func (s *listSet) Next() bool {
	s.next++
	return s.next <= len(s.series)
}

func (s *listSet) At() storage.Series { return s.series[s.next-1] }
