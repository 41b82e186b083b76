package aggregator

import (
	"math"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry/bucket"
)

// Buckets must be those of Prometheus' own schema, to the last bit at their bounds.
func TestBucketsAreThoseOfTheSchema(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.OneOf(rapid.Int64Range(2, 1e6), rapid.Int64Range(2, 1e12), rapid.Int64Range(2, math.MaxInt64)).Draw(t, "duration")
		var l latency
		l.observe(d)
		h := l.histogram()
		if err := h.Validate(); err != nil {
			t.Fatal(err)
		}
		it := h.PositiveBucketIterator()
		if !it.Next() {
			t.Fatal("no bucket")
		}
		b, v := it.At(), float64(d)/1e9
		if b.Count != 1 || v <= b.Lower || v > b.Upper {
			t.Fatalf("%v s is in the bucket (%v, %v] with count %d", v, b.Lower, b.Upper, b.Count)
		}
	})
}

func TestBucketBoundsThemselves(t *testing.T) {
	t.Parallel()
	for _, d := range []int64{1e9, 2e9, 4e9, 5e8, 25e7, 125e6, 1 << 40 * 1e9 >> 40} {
		var l latency
		l.observe(d)
		it := l.histogram().PositiveBucketIterator()
		it.Next()
		if b := it.At(); b.Upper != float64(d)/1e9 {
			t.Errorf("%d ns is a bound, but lies in (%v, %v]", d, b.Lower, b.Upper)
		}
	}
}

// The histogram against a naive one: a map of counts and a plain sum.
func TestLatencyAgainstOracle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ds := rapid.SliceOfN(rapid.OneOf(rapid.Int64Range(0, 3), rapid.Int64Range(0, 1e10)), 0, 200).Draw(t, "durations")
		var l latency
		want := map[int32]int64{}
		var zero uint64
		var sum int64
		for _, d := range ds {
			l.observe(d)
			sum += d
			if d <= 1 {
				zero++
			} else {
				want[bucket.Of(d)]++
			}
		}
		h := l.histogram()
		if err := h.Validate(); err != nil {
			t.Fatal(err)
		}
		if h.Count != uint64(len(ds)) || h.ZeroCount != zero || h.Sum != float64(sum)/1e9 {
			t.Fatalf("count %d zero %d sum %v, want %d %d %v", h.Count, h.ZeroCount, h.Sum, len(ds), zero, float64(sum)/1e9)
		}
		for i, n := range bucketCounts(h) {
			if want[i] != n {
				t.Fatalf("bucket %d has %d, want %d", i, n, want[i])
			}
			delete(want, i)
		}
		if len(want) > 0 {
			t.Fatalf("not in the histogram: %v", want)
		}
	})
}

func bucketCounts(h *histogram.Histogram) map[int32]int64 {
	out := map[int32]int64{}
	for it := h.PositiveBucketIterator(); it.Next(); {
		if b := it.At(); b.Count > 0 {
			out[b.Index] = int64(b.Count)
		}
	}
	return out
}

func TestSumBeyond64Bits(t *testing.T) {
	t.Parallel()
	var l latency
	for range 4 {
		l.observe(math.MaxInt64)
	}
	if got, want := l.seconds(), 4*float64(math.MaxInt64)/1e9; math.Abs(got/want-1) > 1e-12 {
		t.Errorf("sum is %v, want %v", got, want)
	}
}
