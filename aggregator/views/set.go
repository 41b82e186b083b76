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

// inTurn is sets one after the other, at least one.
type inTurn struct {
	sets []storage.SeriesSet
	at   int
}

func (s *inTurn) Next() bool {
	for !s.sets[s.at].Next() {
		if s.Err() != nil || s.at == len(s.sets)-1 {
			return false
		}
		s.at++
	}
	return true
}

func (s *inTurn) At() storage.Series { return s.sets[s.at].At() }

// Err is of the set whose turn it is: those before had none.
func (s *inTurn) Err() error { return s.sets[s.at].Err() }

func (s *inTurn) Warnings() (all annotations.Annotations) {
	for _, set := range s.sets {
		all.Merge(set.Warnings())
	}
	return all
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
