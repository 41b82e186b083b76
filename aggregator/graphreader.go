package aggregator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A GraphStore is read for past graphs; storage/series is one.
type GraphStore interface {
	storage.Queryable
	storage.ExemplarQueryable
}

// Thresholds say from which share of requests on an edge or node of a past
// graph is ill. They should be those of the live graph. Latency is not judged:
// that takes a time before, to compare with.
type Thresholds struct {
	DegradedErrors float64
	FailingErrors  float64
	Throttled      float64 // degraded
}

// A GraphReader makes the service graph of a past range out of the increases of
// the canonical edge series. It may be used by many goroutines at once.
type GraphReader struct {
	store  GraphStore
	health Thresholds
}

// NewGraphReader reads from store.
func NewGraphReader(store GraphStore, health Thresholds) *GraphReader {
	return &GraphReader{store: store, health: health}
}

// before is how far before the range the last sample is looked for from which
// its increase is counted. It is Prometheus' lookback.
const before = 5 * time.Minute

// errRange says that a range is empty.
var errRange = errors.New("the range is empty: its end must be after its beginning")

// Graph is the graph of from (inclusive) to to (exclusive), with one window
// named "range", and with totals of that range alone. Nodes and edges that saw
// nothing in the range are not in it. It belongs to the caller.
//
// An edge's signals are those of the witness that saw the most in the range.
// Figures are exact at the times of samples, and as coarse as their spacing
// between them.
func (r *GraphReader) Graph(ctx context.Context, from, to time.Time) (*telemetry.Graph, error) {
	if !to.After(from) {
		return nil, fmt.Errorf("graph from %s to %s: %w", from.Format(time.RFC3339), to.Format(time.RFC3339), errRange)
	}
	start, end := from.UnixMilli(), to.UnixMilli()-1
	q, err := r.store.Querier(start-before.Milliseconds(), end)
	if err != nil {
		return nil, fmt.Errorf("graph from the series store: %w", err)
	}
	defer q.Close()
	d := newDrawing(to.Sub(from).Seconds(), r.health)
	set := q.Select(ctx, false, nil,
		labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, EdgeMetric),
		labels.MustNewMatcher(labels.MatchEqual, "overflow", ""))
	var it chunkenc.Iterator
	for set.Next() {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("graph from the series store: %w", err)
		}
		s := set.At()
		it = s.Iterator(it)
		inc, err := increaseOf(it, start)
		if err != nil {
			return nil, fmt.Errorf("graph from the series store: %s: %w", s.Labels(), err)
		}
		if inc.count() > 0 {
			d.add(s.Labels(), inc)
		}
	}
	if err := set.Err(); err != nil {
		return nil, fmt.Errorf("graph from the series store: %w", err)
	}
	if err := r.exemplars(ctx, d, start, end); err != nil {
		return nil, err
	}
	return d.graph(to.UnixMilli()), nil
}

func (r *GraphReader) exemplars(ctx context.Context, d *drawing, start, end int64) error {
	q, err := r.store.ExemplarQuerier(ctx)
	if err != nil {
		return fmt.Errorf("exemplars from the series store: %w", err)
	}
	found, err := q.Select(start, end, []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, EdgeMetric)})
	if err != nil {
		return fmt.Errorf("exemplars from the series store: %w", err)
	}
	for _, f := range found {
		d.example(f)
	}
	return nil
}

// increase is what a series counted within a range.
type increase struct {
	hist        *histogram.FloatHistogram
	first, last int64 // Unix ms of the first and the last sample that tell of a request
}

func (i *increase) count() float64 {
	if i.hist == nil {
		return 0
	}
	return i.hist.Count
}

// increaseOf reads a series: from its last sample at or before start, or its
// first one after, to its last, with resets taken into account. A series that
// begins within the range begins with a zero, so that nothing of it is missed.
func increaseOf(it chunkenc.Iterator, start int64) (inc increase, err error) {
	var base, prev, cur *histogram.FloatHistogram // base: from where the present life is counted
	lastCount := 0.0
	for typ := it.Next(); typ != chunkenc.ValNone; typ = it.Next() {
		if typ == chunkenc.ValFloat {
			return inc, errors.New("it holds samples that are not histograms")
		}
		var t int64
		t, cur = it.AtFloatHistogram(cur)
		switch {
		case value.IsStaleNaN(cur.Sum):
			continue
		case t <= start || base == nil:
			base = cur.Copy()
		case cur.Count < prev.Count || cur.DetectReset(prev):
			if err := inc.add(prev, base); err != nil {
				return inc, err
			}
			base, lastCount = emptyHistogram(cur), 0
			fallthrough
		default:
			if cur.Count > lastCount {
				if inc.first == 0 {
					inc.first = t
				}
				inc.last = t
			}
		}
		lastCount = cur.Count
		prev, cur = cur, prev
	}
	if err := it.Err(); err != nil {
		return inc, err
	}
	if prev != nil {
		err = inc.add(prev, base)
	}
	return inc, err
}

func emptyHistogram(like *histogram.FloatHistogram) *histogram.FloatHistogram {
	return &histogram.FloatHistogram{Schema: like.Schema, ZeroThreshold: like.ZeroThreshold}
}

// add counts a life of the series, from base to last.
func (i *increase) add(last, base *histogram.FloatHistogram) error {
	life := last.Copy()
	life.CounterResetHint = histogram.GaugeType // differences are not counters
	b := base.Copy()
	b.CounterResetHint = histogram.GaugeType
	if _, _, _, err := life.Sub(b); err != nil {
		return fmt.Errorf("subtract histograms: %w", err)
	}
	if i.hist == nil {
		i.hist = life
		return nil
	}
	if _, _, _, err := i.hist.Add(life); err != nil {
		return fmt.Errorf("add histograms: %w", err)
	}
	return nil
}
