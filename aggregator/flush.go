package aggregator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"

	"github.com/binnacle-mesh/binnacle/internal/failpoint"
	seriesdb "github.com/binnacle-mesh/binnacle/storage/series"
)

// A SeriesStore takes samples; storage/series is one.
type SeriesStore interface {
	AppenderV2(ctx context.Context) storage.AppenderV2
}

// commitEvery bounds the samples of one commit, and so what the store buffers.
const commitEvery = 1000

// Reasons for which the store refuses a sample or exemplar.
const (
	reasonOrder    = "out_of_order"
	reasonExemplar = "exemplar"
	reasonEnded    = "ended" // a series left while too many others waited for their end to be written
	reasonFull     = "store_full"
	reasonOther    = "other"
)

// Flush writes to the store each series that saw something since the last
// flush, those that were not written for cfg.Heartbeat, and marks as stale those that
// left. now is the samples' time; it must be later than that of the flush
// before, otherwise nothing is written.
//
// The first Flush of a process must come when the replay of the log has
// ended and before traffic: from then on new series are known to be new.
//
// A sample that the store refuses is counted and left: counters are cumulative,
// the next sample makes up for it. An error means that nothing can be written at all
// (the disk, most likely); Flush may be called again.
func (a *Aggregator) Flush(ctx context.Context, now time.Time, store SeriesStore) error {
	ms := now.UnixMilli()
	last := a.flushed
	if last == 0 {
		last = ms - a.cfg.FlushInterval.Milliseconds()
	}
	if ms <= last+flushSlack {
		return nil
	}
	f := flush{a: a, ctx: ctx, store: store, now: ms, last: last, app: store.AppenderV2(ctx)}
	for _, s := range a.stale {
		f.end(s)
	}
	if a.flushed == 0 {
		f.replayed()
	}
	a.each(f.write)
	if err := f.commit(); err != nil {
		return err
	}
	clear(a.stale)
	a.stale = a.stale[:0]
	a.flushed, a.making = ms, 0
	a.find(now)
	a.publish()
	return nil
}

// The first milliseconds after a flush hold what must come between its samples
// and the next: the last samples of a series that left, the mark of its end, and
// the zero before its next life.
const (
	atEndZero  = 1
	atEndLast  = 2
	atEndStale = 3
	atZero     = 4

	flushSlack = 4
)

type flush struct {
	a         *Aggregator
	ctx       context.Context
	store     SeriesStore
	app       storage.AppenderV2
	now, last int64 // Unix ms of this flush and the one before
	pending   int
	err       error
	exemplars [2]exemplar.Exemplar
	builder   labels.ScratchBuilder
}

// write appends a series' sample if it is due.
func (f *flush) write(s *series) {
	if f.err != nil || !s.dirty && f.now-s.appended < f.a.cfg.Heartbeat.Milliseconds() {
		return
	}
	if !f.begin(s, atZero) {
		return
	}
	_ = f.append(s, f.now, s.latency.histogram(), f.exemplarsOf(s))
	s.appended = f.now
	s.dirty = false
}

// begin writes the zero that says that all which follows is an increase.
// It is false where the store has no room for the series: the next flush asks again, with the zero.
func (f *flush) begin(s *series, at int64) bool {
	if s.fresh {
		err := f.append(s, f.last+at, zero(), nil)
		s.fresh = errors.Is(err, seriesdb.ErrFull)
	}
	return !s.fresh
}

// end writes what a series counted last, and that there will be no more.
func (f *flush) end(s *series) {
	if f.err != nil || s.appended == 0 && !s.dirty {
		return
	}
	if !f.begin(s, atEndZero) {
		return
	}
	if s.dirty {
		_ = f.append(s, f.last+atEndLast, s.latency.histogram(), nil)
	}
	_ = f.append(s, f.last+atEndStale, &histogram.Histogram{Sum: math.Float64frombits(value.StaleNaN)}, nil)
}

func (f *flush) append(s *series, at int64, h *histogram.Histogram, ex []exemplar.Exemplar) error {
	ref, err := f.app.Append(s.ref, s.labels, 0, at, 0, h, nil, storage.AOptions{Exemplars: ex})
	if err != nil {
		partial := &storage.AppendPartialError{}
		if errors.As(err, &partial) {
			f.a.metrics.refused.WithLabelValues(reasonExemplar).Add(float64(len(partial.ExemplarErrors)))
		} else {
			f.a.metrics.refused.WithLabelValues(reasonOf(err)).Inc()
			s.ref = 0
			return err
		}
	}
	f.appended(s, ref)
	return nil
}

func (f *flush) appended(s *series, ref storage.SeriesRef) {
	s.ref = ref
	f.a.metrics.samples.Inc()
	if f.pending++; f.pending >= commitEvery {
		if f.err = f.commit(); f.err == nil {
			f.app = f.store.AppenderV2(f.ctx)
		}
	}
}

func reasonOf(err error) string {
	if errors.Is(err, seriesdb.ErrFull) {
		return reasonFull
	}
	if errors.Is(err, storage.ErrOutOfOrderSample) || errors.Is(err, storage.ErrOutOfBounds) ||
		errors.Is(err, storage.ErrTooOldSample) || errors.Is(err, storage.ErrDuplicateSampleForTimestamp) {
		return reasonOrder
	}
	return reasonOther
}

func (f *flush) commit() error {
	if f.err != nil {
		return f.err
	}
	f.pending = 0
	failpoint.Here(failpoint.SeriesCommit)
	defer failpoint.Here(failpoint.SeriesCommitted)
	if err := f.app.Commit(); err != nil {
		return fmt.Errorf("write %s to the series store: %w", time.UnixMilli(f.now).UTC().Format(time.RFC3339), err)
	}
	return nil
}

// exemplarsOf are the slowest span and one that failed since the last ones, in
// order of time. The store takes exemplars of a series in no other order, so that
// a late one is moved to the time of the newest before it.
func (f *flush) exemplarsOf(s *series) []exemplar.Exemplar {
	if f.now-s.exemplified < f.a.cfg.ExemplarInterval.Milliseconds() {
		return nil
	}
	ex := f.exemplars[:0]
	if s.slowest.duration >= 0 {
		ex = append(ex, f.exemplarOf(s, &s.slowest))
	}
	if s.failed.duration >= 0 && s.failed.span != s.slowest.span {
		ex = append(ex, f.exemplarOf(s, &s.failed))
	}
	slices.SortFunc(ex, func(x, y exemplar.Exemplar) int {
		if c := cmp.Compare(x.Ts, y.Ts); c != 0 {
			return c
		}
		return cmp.Compare(x.Value, y.Value)
	})
	if n := len(ex); n > 0 {
		s.exemplified = f.now
		s.lastExemplar = ex[n-1].Ts + 1
		s.slowest.duration, s.failed.duration = -1, -1
	}
	return ex
}

func (f *flush) exemplarOf(s *series, m *mark) exemplar.Exemplar {
	f.builder.Reset()
	f.builder.Add("span_id", m.span.String())
	f.builder.Add("trace_id", m.trace.String())
	return exemplar.Exemplar{
		Labels: f.builder.Labels(),
		Value:  float64(m.duration) / 1e9,
		HasTs:  true,
		Ts:     max(min(m.end/1e6, f.now), s.lastExemplar),
	}
}
