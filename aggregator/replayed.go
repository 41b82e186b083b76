package aggregator

import (
	"errors"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/storage"

	seriesdb "github.com/binnacle-mesh/binnacle/storage/series"
	"github.com/binnacle-mesh/binnacle/telemetry/bucket"
)

// The first flush after a replay.
//
// The problem: a replay makes series of which the store may know all, a part or nothing, as the process that was killed had flushed
// since or not. A zero before samples that are there reads as a reset, and counts them twice; none where one is missing loses what was
// counted up to the first flush, since a query knows an increase by the sample before it. And a series that came back just before the kill looks
// like its life before if it counts no less.
//
// The rule: the zero is written at the log's time at which the series was made, and in order only. Whatever the process before wrote of
// that life is later, for a flush comes after what it writes; so a store that has any of it refuses the zero, and one that has none takes
// it.
//
// The time is that of the entry that made the series; of what is observed on edges, that of the entry before: between the two the graph may have
// told of halves that had waited for long enough, while a replay, which knows no time but the log's, tells of them with the entry that comes next.
// Those that come after the log's end are told before the first flush, as the app has the graph tick once.
//
// A series that a checkpoint brings has been flushed, since the app flushes before it saves.
//
// Not chosen: to ask the store for its newest sample of each series, which is a query a series while nobody is served.

// replayedWithin is how far before the log's end the times are of use, in ms. What is older was flushed long ago; and in a store that
// was lost since, zeros of long ago would only make room for nothing.
const replayedWithin = int64(lookback / 1e6)

// makeFrom sets the log time that series are given which are made now, in Unix nanoseconds.
func (a *Aggregator) makeFrom(at int64) {
	if a.flushed == 0 && at > 0 {
		a.making = at / 1e6
	}
}

// replayed writes the zeros of all that the replay made, before any sample of now: the store takes nothing that is much older than
// its newest.
func (f *flush) replayed() {
	since := f.a.now/1e6 - replayedWithin
	f.a.each(func(s *series) {
		if s.born > max(0, since) && f.err == nil {
			f.zeroAt(s, s.born)
		}
		s.born = 0
	})
}

// each calls do for all series, for those of edges with what was taken back of them.
func (a *Aggregator) each(do func(*series)) {
	both := func(s *series) {
		do(s)
		if s.taken != nil {
			do(s.taken)
		}
	}
	for _, op := range a.opOrder {
		do(&op.series)
	}
	for _, e := range a.edgeOrder {
		for _, s := range e.series {
			both(s)
		}
	}
	for i := range a.opOverflow {
		for _, s := range a.opOverflow[i] {
			if s != nil {
				do(s)
			}
		}
	}
	for _, s := range a.edgeOverflow {
		if s != nil {
			both(s)
		}
	}
}

// zeroAt writes a zero unless the store has a later sample.
func (f *flush) zeroAt(s *series, at int64) {
	switch ref, err := f.app.Append(s.ref, s.labels, 0, at, 0, zero(), nil, storage.AOptions{RejectOutOfOrder: true}); {
	case err == nil:
		f.appended(s, ref)
	case errors.Is(err, seriesdb.ErrFull):
		s.fresh = true // it has none of this series, and is asked again
	}
}

// zero is what is counted before anything is.
func zero() *histogram.Histogram {
	return &histogram.Histogram{Schema: bucket.Schema, ZeroThreshold: zeroThreshold}
}
