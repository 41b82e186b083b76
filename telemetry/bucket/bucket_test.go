package bucket_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry/bucket"
)

// A duration lies within the bounds of its bucket, at any magnitude.
func TestOf(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ns := rapid.OneOf(rapid.Int64Range(1, 1e6), rapid.Int64Range(1, 1e12), rapid.Int64Range(1, math.MaxInt64)).Draw(t, "ns")
		i := bucket.Of(ns)
		s := float64(ns) / 1e9
		if s <= bucket.Upper(i-1) || s > bucket.Upper(i) {
			t.Fatalf("%v s is in bucket %d: (%v, %v]", s, i, bucket.Upper(i-1), bucket.Upper(i))
		}
	})
}

// The durations that are bounds themselves, all that are whole nanoseconds,
// belong to the buckets that they end.
func TestBoundsThemselves(t *testing.T) {
	t.Parallel()
	for e := -9; e <= 33; e++ {
		ns := int64(math.Ldexp(1e9, e))
		if i := bucket.Of(ns); i != int32(e)*bucket.PerDoubling || bucket.Upper(i) != math.Ldexp(1, e) {
			t.Errorf("2^%d s is in bucket %d, which ends at %v", e, i, bucket.Upper(i))
		}
	}
}

func TestMiddle(t *testing.T) {
	t.Parallel()
	for i := int32(-240); i <= 240; i++ {
		low, high, mid := bucket.Upper(i-1), bucket.Upper(i), bucket.Middle(i)
		if want := math.Sqrt(low * high); math.Abs(mid/want-1) > 1e-12 {
			t.Errorf("bucket %d: the middle is %v, want %v", i, mid, want)
		}
		if mid/low-1 > bucket.MaxError || high/mid-1 > bucket.MaxError {
			t.Errorf("bucket %d: (%v, %v] is not within the error of %v", i, low, high, mid)
		}
	}
}

// BenchmarkOf is beside the logarithm that it saves.
func BenchmarkOf(b *testing.B) {
	ds := make([]int64, 1024)
	for i := range ds {
		ds[i] = int64(1e5 * math.Pow(1.01, float64(i*7%1024)))
	}
	sum, i := int32(0), 0
	for b.Loop() {
		sum += bucket.Of(ds[i&1023])
		i++
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/logarithm(ds), "x_log2")
	if sum == 0 {
		b.Fatal("all in one bucket")
	}
}

// logarithm is what the plain way costs, in nanoseconds.
func logarithm(ds []int64) float64 {
	const rounds = 1 << 18
	sum, begin := 0.0, time.Now()
	for i := range rounds {
		sum += math.Ceil(math.Log2(float64(ds[i&1023])*1e-9) * bucket.PerDoubling)
	}
	if math.IsNaN(sum) {
		return 0
	}
	return float64(time.Since(begin).Nanoseconds()) / rounds
}
