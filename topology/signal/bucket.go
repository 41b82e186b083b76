package signal

import (
	"math"

	"github.com/binnacle-mesh/binnacle/telemetry/bucket"
)

// A sketch has the buckets of package bucket, from 1 µs to half an hour: what
// lies beyond is in the last one on its side. Its numbers begin at 0.
const (
	lowest = -20 * bucket.PerDoubling // bucket 0 ends at 2^-20 s, 0.95 µs
	// Buckets is how many buckets a sketch can have. The last holds all that
	// took longer than the one before.
	Buckets = 256 - counters
)

// BucketOf is the bucket of a duration in nanoseconds.
func BucketOf(ns int64) int {
	return min(max(int(bucket.Of(max(ns, 1)))-lowest, 0), Buckets-1)
}

// Middle is the estimate for what a bucket holds, in nanoseconds: it is of the same bucket.
func Middle(b int) int64 { return int64(1e6 * middle(b)) }

// middle is the estimate for what a bucket holds, in milliseconds.
func middle(b int) float64 { return 1000 * bucket.Middle(int32(b+lowest)) } //nolint:gosec // at most 250

// A Dist is a distribution of durations: the sum of any number of sketches.
// The zero Dist is empty.
type Dist struct {
	counts [Buckets]int64
	lo, hi int // only counts[lo:hi] can be other than zero
	Total  int64
}

// Reset empties d.
func (d *Dist) Reset() {
	clear(d.counts[d.lo:d.hi])
	d.lo, d.hi, d.Total = 0, 0, 0
}

func (d *Dist) add(b int, n int64) {
	if d.lo == d.hi {
		d.lo, d.hi = b, b+1
	}
	d.lo, d.hi = min(d.lo, b), max(d.hi, b+1)
	d.counts[b] += n
	d.Total += n
}

// Without is the distribution of what is in d and not in part, which is a part
// of it, as far as windows of different grain agree.
func (d *Dist) Without(part *Dist) Dist {
	out := Dist{lo: d.lo, hi: d.hi}
	for i := d.lo; i < d.hi; i++ {
		n := max(0, d.counts[i]-part.counts[i])
		out.counts[i] = n
		out.Total += n
	}
	return out
}

// Merge adds o to d.
func (d *Dist) Merge(o *Dist) {
	for i := o.lo; i < o.hi; i++ {
		if n := o.counts[i]; n != 0 {
			d.add(i, n)
		}
	}
}

// Count is how many durations there are.
func (d *Dist) Count() float64 { return float64(d.Total) }

// Quantile estimates one quantile in milliseconds, 0 for an empty distribution.
func (d *Dist) Quantile(q float64) float64 {
	var ms [1]float64
	d.Quantiles([]float64{q}, ms[:])
	return ms[0]
}

// Above is how many are in buckets above the one that holds ms milliseconds.
func (d *Dist) Above(ms float64) float64 {
	var n int64
	for i := max(d.lo, BucketOf(int64(ms*1e6))+1); i < d.hi; i++ {
		n += d.counts[i]
	}
	return float64(n)
}

// Mean is the mean in milliseconds, as good as the buckets are narrow; 0 for an empty distribution.
func (d *Dist) Mean() float64 {
	if d.Total <= 0 {
		return 0
	}
	sum := 0.0
	for i := d.lo; i < d.hi; i++ {
		sum += float64(d.counts[i]) * middle(i)
	}
	return sum / float64(d.Total)
}

// Quantiles estimates quantiles, which are given in ascending order, in
// milliseconds. ok is false for an empty distribution.
func (d *Dist) Quantiles(qs, ms []float64) (ok bool) {
	if d.Total <= 0 {
		return false
	}
	at, seen := d.lo, d.counts[d.lo]
	for i, q := range qs {
		rank := max(1, int64(math.Ceil(q*float64(d.Total))))
		for seen < rank && at < d.hi-1 {
			at++
			seen += d.counts[at]
		}
		ms[i] = middle(at)
	}
	return true
}
