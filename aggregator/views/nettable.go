package views

import (
	"fmt"
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// A table is the samples of a series of histograms, of which each bucket is a column.
type table struct {
	schema    int32
	threshold float64
	times     []int64
	ends      []bool // the sample is the mark of an end, and its row is empty
	low       int32  // the bucket of the first column that is one
	width     int    // columns: the bucket of zero, the others from low on, the sum
	rows      []float64
	held      int64 // bytes that are counted for the question
}

// readTable reads a series. Where it is to be taken off another, like, it has that one's columns; what lies beyond them is in the one beside.
func readTable(s storage.Series, like *table, count *tally) (*table, error) {
	t := &table{low: math.MaxInt32}
	var hs []*histogram.FloatHistogram
	high := int32(math.MinInt32)
	it := s.Iterator(nil)
	for typ := it.Next(); typ != chunkenc.ValNone; typ = it.Next() {
		if typ == chunkenc.ValFloat {
			return t, fmt.Errorf("series %s holds samples that are not histograms", s.Labels())
		}
		if len(hs)%decodedAtOnce == 0 {
			if err := count.rows(decodedAtOnce * histogramBytes); err != nil {
				return t, err
			}
			t.held += decodedAtOnce * histogramBytes
		}
		at, h := it.AtFloatHistogram(nil)
		t.times, t.ends, hs = append(t.times, at), append(t.ends, value.IsStaleNaN(h.Sum)), append(hs, h)
		if t.ends[len(hs)-1] {
			continue
		}
		if t.threshold != 0 && t.schema != h.Schema {
			return t, fmt.Errorf("series %s holds histograms of several schemas", s.Labels())
		}
		t.schema, t.threshold = h.Schema, h.ZeroThreshold
		for b := h.PositiveBucketIterator(); b.Next(); {
			t.low, high = min(t.low, b.At().Index), max(high, b.At().Index)
		}
	}
	if err := it.Err(); err != nil {
		return t, err
	}
	t.width = 2
	if high >= t.low {
		t.width += int(high-t.low) + 1
	}
	if like != nil {
		t.low, t.width = like.low, like.width
	}
	if n := int64(8 * len(hs) * t.width); n > 0 {
		if err := count.rows(n); err != nil {
			return t, err
		}
		t.held += n
	}
	t.rows = make([]float64, len(hs)*t.width)
	for i, h := range hs {
		if t.ends[i] {
			continue
		}
		row := t.row(i)
		row[0], row[t.width-1] = h.ZeroCount, h.Sum
		for b := h.PositiveBucketIterator(); b.Next(); {
			at := min(max(int(b.At().Index-t.low)+1, 1), t.width-2)
			row[at] += b.At().Count
		}
	}
	return t, nil
}

func (t *table) row(i int) []float64 { return t.rows[i*t.width : (i+1)*t.width] }

// counts is how many requests a row has.
func (t *table) counts(i int) (n float64) {
	for _, c := range t.row(i)[:t.width-1] {
		n += c
	}
	return n
}

// less makes t what is left of it when off, of the same columns, is taken off, and never fall but where the series begins anew.
func (t *table) less(off *table) {
	begins := make([]bool, len(t.times)+1) // a life of the series begins with the sample
	for i := range t.times {
		begins[i] = i == 0 || t.ends[i] || t.ends[i-1] || t.counts(i) < t.counts(i-1)
	}
	begins[len(t.times)] = true
	at := 0 // how many samples of off are not later
	for i := range t.times {
		if t.ends[i] {
			continue
		}
		until := t.times[i]
		if begins[i+1] { // what is taken back after the last sample of a life is of that life
			until = math.MaxInt64
			for j := i + 1; j < len(t.times); j++ {
				if !t.ends[j] {
					until = t.times[j] - 1
					break
				}
			}
		}
		for at < len(off.times) && off.times[at] <= until {
			at++
		}
		if k := off.standing(at, begins[i+1]); k >= 0 {
			subtract(t.row(i), off.row(k))
		}
	}
	for i := len(t.times) - 2; i >= 0; i-- {
		if t.ends[i] || begins[i+1] {
			continue
		}
		row, next := t.row(i), t.row(i+1)
		for c := range row {
			row[c] = min(row[c], next[c])
		}
	}
}

// standing is the sample that says what was taken back when n of them are past: before the first that one, after the mark of an end nothing, -1, unless that is
// the end of the life that is asked about.
func (t *table) standing(n int, last bool) int {
	if n == 0 {
		n = min(1, len(t.times))
	}
	for n > 0 && last && t.ends[n-1] {
		n--
	}
	if n == 0 || t.ends[n-1] {
		return -1
	}
	return n - 1
}

// subtract takes off a row what was taken back. What is not in its bucket is in one beside.
func subtract(row, off []float64) {
	buckets := row[:len(row)-1]
	for c := range row {
		row[c] -= off[c]
	}
	for c := len(buckets) - 1; c > 0; c-- {
		if buckets[c] < 0 {
			buckets[c-1] += buckets[c]
			buckets[c] = 0
		}
	}
	for c := range buckets {
		if buckets[c] < 0 {
			if c+1 < len(buckets) {
				buckets[c+1] += buckets[c]
			}
			buckets[c] = 0
		}
	}
	row[len(row)-1] = max(0, row[len(row)-1])
}

// Len and Get make a table a list of samples.
func (t *table) Len() int { return len(t.times) }

// Get is a sample.
func (t *table) Get(i int) chunks.Sample { return &tableSample{t: t, i: i} }

type tableSample struct {
	t *table
	i int
}

func (s *tableSample) T() int64                { return s.t.times[s.i] }
func (s *tableSample) ST() int64               { return 0 }
func (s *tableSample) F() float64              { return 0 }
func (s *tableSample) H() *histogram.Histogram { return nil }
func (s *tableSample) Type() chunkenc.ValueType {
	return chunkenc.ValFloatHistogram
}
func (s *tableSample) Copy() chunks.Sample { c := *s; return &c }

// FH is the histogram, which belongs to the caller.
func (s *tableSample) FH() *histogram.FloatHistogram {
	t := s.t
	if t.ends[s.i] {
		return &histogram.FloatHistogram{Sum: math.Float64frombits(value.StaleNaN)}
	}
	row := t.row(s.i)
	h := &histogram.FloatHistogram{Schema: t.schema, ZeroThreshold: t.threshold, ZeroCount: row[0], Count: t.counts(s.i), Sum: row[t.width-1]}
	if n := t.width - 2; n > 0 {
		h.PositiveSpans = []histogram.Span{{Offset: t.low, Length: uint32(n)}} //nolint:gosec // not negative
		h.PositiveBuckets = append([]float64(nil), row[1:1+n]...)
	}
	return h
}
