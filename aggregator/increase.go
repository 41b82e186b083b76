package aggregator

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

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

// lookback is how far before a range the last sample is looked for from which
// its increase is counted. It is Prometheus' own.
const lookback = 5 * time.Minute

// An increaser adds up what a series counts: from its last sample at or before
// start, or its first one after, to its last, with resets taken into account. A
// series that begins within the range begins with a zero, so that nothing of it is
// missed.
//
// Most chunks need not be decoded: those that continue the count of the chunk
// before, and whose count the next one continues, as their headers tell. A day of
// a series is then read in two dozen chunks and not in some hundreds.
type increaser struct {
	start, end      int64
	sum             increase
	base, prev, cur *histogram.FloatHistogram // base: from where the present life is counted
	lastCount       float64
	it              chunkenc.Iterator
}

func (r *increaser) reset(start, end int64) {
	*r = increaser{start: start, end: end, cur: r.cur, it: r.it}
}

// read reads the chunks that must be decoded.
func (r *increaser) read(it chunks.Iterator) error {
	var held chunks.Meta // the newest, not read yet: the next one decides
	var holding, first bool
	for it.Next() {
		m := it.At()
		if holding && (first || held.MinTime <= r.start || !continues(held) || !continues(m)) {
			if err := r.decode(held); err != nil {
				return err
			}
		}
		first, held, holding = !holding, m, true
	}
	if err := it.Err(); err != nil {
		return err
	}
	if holding {
		return r.decode(held)
	}
	return nil
}

// continues says that a chunk goes on where the one before it ended.
func continues(m chunks.Meta) bool {
	c, ok := m.Chunk.(interface {
		GetCounterResetHeader() chunkenc.CounterResetHeader
	})
	return ok && c.GetCounterResetHeader() == chunkenc.NotCounterReset
}

func (r *increaser) decode(m chunks.Meta) error {
	r.it = m.Chunk.Iterator(r.it)
	for typ := r.it.Next(); typ != chunkenc.ValNone; typ = r.it.Next() {
		if typ == chunkenc.ValFloat {
			return errors.New("it holds samples that are not histograms")
		}
		if r.it.AtT() > r.end {
			return nil
		}
		var t int64
		t, r.cur = r.it.AtFloatHistogram(r.cur)
		if value.IsStaleNaN(r.cur.Sum) {
			continue
		}
		if err := r.sample(t); err != nil {
			return err
		}
	}
	return r.it.Err()
}

// sample takes in cur.
func (r *increaser) sample(t int64) error {
	if t <= r.start || r.base == nil {
		r.base = r.cur.Copy()
		r.lastCount = r.cur.Count
	} else if r.cur.Count < r.prev.Count || r.cur.DetectReset(r.prev) {
		if err := r.sum.add(r.prev, r.base); err != nil {
			return err
		}
		r.base, r.lastCount = emptyHistogram(r.cur), 0
	}
	if r.cur.Count > r.lastCount {
		if r.sum.first == 0 {
			r.sum.first = t
		}
		r.sum.last = t
	}
	r.lastCount = r.cur.Count
	r.prev, r.cur = r.cur, r.prev
	return nil
}

// increase is the sum of all lives.
func (r *increaser) increase() (increase, error) {
	if r.prev == nil {
		return r.sum, nil
	}
	err := r.sum.add(r.prev, r.base)
	return r.sum, err
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
