package aggregator

import (
	"math/bits"

	"github.com/prometheus/prometheus/model/histogram"

	"github.com/binnacle-mesh/binnacle/telemetry/bucket"
)

// zeroThreshold is in seconds: what took a nanosecond or less took nothing.
const zeroThreshold = 1e-9

// A latency is a cumulative histogram of durations, in the buckets of package bucket.
//
// counts covers the buckets from the lowest to the highest seen, so that a
// typical series, which spans two or three decades, takes half a kilobyte. The
// sum is kept in integers: it does not depend on the order of what is added.
type latency struct {
	counts []uint64
	low    int32 // index of counts[0]
	zero   uint64
	count  uint64
	sumHi  uint64 // nanoseconds, 128 bits
	sumLo  uint64
}

// observe adds one duration in nanoseconds.
func (l *latency) observe(d int64) {
	l.count++
	if d <= 1 {
		l.zero++
		if d < 0 {
			return
		}
	}
	var carry uint64
	l.sumLo, carry = bits.Add64(l.sumLo, uint64(d), 0)
	l.sumHi += carry
	if d <= 1 {
		return
	}
	i := bucket.Of(d)
	if at := i - l.low; uint32(at) < uint32(len(l.counts)) {
		l.counts[at]++
		return
	}
	l.grow(i)
	l.counts[i-l.low]++
}

// grow makes counts cover bucket i.
func (l *latency) grow(i int32) {
	if len(l.counts) == 0 {
		l.low, l.counts = i, make([]uint64, 1, 4)
		return
	}
	low, high := min(l.low, i), max(l.low+int32(len(l.counts))-1, i)
	n := int(high - low + 1)
	if low == l.low && n <= cap(l.counts) {
		l.counts = l.counts[:n] // never shrunk, so what comes in is zero
		return
	}
	c := make([]uint64, n, n+bucket.PerDoubling/2)
	copy(c[l.low-low:], l.counts)
	l.low, l.counts = low, c
}

// seconds is the sum.
func (l *latency) seconds() float64 {
	return (float64(l.sumHi)*(1<<64) + float64(l.sumLo)) / 1e9
}

// histogram is a copy in Prometheus' form, which runs of up to two empty
// buckets do not break: they cost less than a new run.
func (l *latency) histogram() *histogram.Histogram {
	h := &histogram.Histogram{
		Schema:        bucket.Schema,
		ZeroThreshold: zeroThreshold,
		ZeroCount:     l.zero,
		Count:         l.count,
		Sum:           l.seconds(),
	}
	const gap = 2
	spans, buckets := 0, 0
	l.runs(gap, func(_, n int) { spans++; buckets += n })
	if spans == 0 {
		return h
	}
	h.PositiveSpans = make([]histogram.Span, 0, spans)
	h.PositiveBuckets = make([]int64, 0, buckets)
	end, prev := 0, int64(0)
	l.runs(gap, func(from, n int) {
		offset := int32(from - end)
		if len(h.PositiveSpans) == 0 {
			offset = int32(from) + l.low
		}
		h.PositiveSpans = append(h.PositiveSpans, histogram.Span{Offset: offset, Length: uint32(n)})
		for _, c := range l.counts[from : from+n] {
			h.PositiveBuckets = append(h.PositiveBuckets, int64(c)-prev)
			prev = int64(c)
		}
		end = from + n
	})
	return h
}

// runs calls f for each run of buckets: where it begins in counts, and its length.
func (l *latency) runs(gap int, f func(from, n int)) {
	from, last := -1, -1
	for i, c := range l.counts {
		if c == 0 {
			continue
		}
		if from >= 0 && i-last-1 > gap {
			f(from, last-from+1)
			from = i
		} else if from < 0 {
			from = i
		}
		last = i
	}
	if from >= 0 {
		f(from, last-from+1)
	}
}
