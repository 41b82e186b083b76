package aggregator

import (
	"context"
	"fmt"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
)

// takenBack is what was taken back within a range of the series of edges, by the labels' hash of these. It is mostly nothing.
func (r *GraphReader) takenBack(ctx context.Context, bill *graphBill, q storage.ChunkQuerier, hints *storage.SelectHints, start, end int64) (map[uint64]*histogram.FloatHistogram, error) {
	var taken map[uint64]*histogram.FloatHistogram
	set := q.Select(ctx, false, hints,
		labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, canonical.Taken),
		labels.MustNewMatcher(labels.MatchEqual, canonical.Overflow, ""))
	var inc increaser
	for set.Next() {
		s := set.At()
		if err := bill.series(s.Labels()); err != nil {
			return nil, fmt.Errorf("graph from the series store: %w", err)
		}
		inc.reset(start, end)
		err := inc.read(s.Iterator(nil))
		sum, sumErr := inc.increase()
		if err == nil {
			err = sumErr
		}
		if err != nil {
			return nil, fmt.Errorf("graph from the series store: %s: %w", s.Labels(), err)
		}
		if sum.count() == 0 {
			continue
		}
		if taken == nil {
			taken = map[uint64]*histogram.FloatHistogram{}
		}
		taken[labels.NewBuilder(s.Labels()).Set(labels.MetricName, canonical.Edge).Labels().Hash()] = sum.hist
	}
	if err := set.Err(); err != nil {
		return nil, fmt.Errorf("graph from the series store: %w", err)
	}
	return taken, nil
}

// less takes off what was taken back, but no more than there is: the rest had been counted before the range began. What is not in its bucket is in one
// beside.
func (i *increase) less(taken *histogram.FloatHistogram) error {
	if taken == nil || i.hist == nil {
		return nil
	}
	h := i.hist
	if _, _, _, err := h.Sub(taken); err != nil {
		return fmt.Errorf("subtract histograms: %w", err)
	}
	n := len(h.PositiveBuckets)
	for b := n - 1; b >= 0; b-- {
		if owes := h.PositiveBuckets[b]; owes < 0 {
			h.PositiveBuckets[b] = 0
			if b > 0 {
				h.PositiveBuckets[b-1] += owes
			} else {
				h.ZeroCount += owes
			}
		}
	}
	owes := min(0, h.ZeroCount)
	h.ZeroCount = max(0, h.ZeroCount)
	h.Count, h.Sum = h.ZeroCount, max(0, h.Sum)
	for b := range h.PositiveBuckets {
		left := h.PositiveBuckets[b] + owes
		owes = min(0, left)
		h.PositiveBuckets[b] = max(0, left)
		h.Count += h.PositiveBuckets[b]
	}
	return nil
}
