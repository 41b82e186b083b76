package series

import (
	"errors"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// ErrFull says that the newest block holds as many series as it may. Series that it has go on; a new one may be
// tried again later: those that have ended leave within a minute or two.
var ErrFull = errors.New("the series store holds as many series as it may (storage.series.max_series)")

// limiter bounds the series of the newest block, which are in memory. It is called by
// the database, from many goroutines, where a series is made and not for each sample.
type limiter struct {
	most    int64
	held    atomic.Int64
	opening atomic.Bool // what the write-ahead log has is taken whatever the limit
	refused prometheus.Counter
}

// PreCreation implements tsdb.SeriesLifecycleCallback.
func (l *limiter) PreCreation(labels.Labels) error {
	if l.held.Load() >= l.most && !l.opening.Load() {
		l.refused.Inc()
		return ErrFull
	}
	return nil
}

// PostCreation implements tsdb.SeriesLifecycleCallback.
func (l *limiter) PostCreation(labels.Labels) { l.held.Add(1) }

// PostDeletion implements tsdb.SeriesLifecycleCallback.
func (l *limiter) PostDeletion(gone map[chunks.HeadSeriesRef]labels.Labels) {
	l.held.Add(-int64(len(gone)))
}
