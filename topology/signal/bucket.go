package signal

import "math"

// The latency sketch is log-bucketed like a Prometheus native histogram of
// schema 3: eight buckets to a doubling, bounds at 2^(i/8) seconds, upper bound
// inclusive. An estimate is the geometric middle of its bucket, so it is within
// MaxError of the true value, from 1 µs to half an hour; beyond that it is the
// bound.
const (
	perDoubling = 8
	lowest      = -20 * perDoubling // bucket 0 ends at 2^-20 s, 0.95 µs
	// Buckets is how many buckets a sketch can have. The last holds all that
	// took longer than the one before.
	Buckets = 256 - counters
)

// MaxError is the sketch's greatest relative error: 2^(1/16) - 1.
const MaxError = 0.0443

// bounds are 2^(j/8).
var bounds = [perDoubling + 1]float64{ //nolint:gochecknoglobals // immutable
	1, 1.0905077326652577, 1.189207115002721, 1.2968395546510096, 1.4142135623730951,
	1.5422108254079407, 1.681792830507429, 1.8340080864093424, 2,
}

// BucketOf is the bucket of a duration in nanoseconds.
func BucketOf(ns int64) int {
	v := float64(ns) * (1e-9 * (1 << 20))
	if v <= 1 {
		return 0
	}
	b := math.Float64bits(v)
	exp := int(b>>52) - 1023
	m := math.Float64frombits(b&(1<<52-1) | 1023<<52) // the mantissa, 1 <= m < 2
	// Binary search over eight bounds, unrolled: three compares.
	j := 0
	if m > bounds[4] {
		j = 4
	}
	if m > bounds[j+2] {
		j += 2
	}
	if m > bounds[j+1] {
		j++
	}
	if m > bounds[j] {
		j++
	}
	return min(exp*perDoubling+j, Buckets-1)
}

// Upper is the upper bound of a bucket in seconds. Bucket i of the sketch is
// bucket i + SchemaOffset of a native histogram of schema 3.
func Upper(bucket int) float64 { return math.Exp2(float64(bucket+lowest) / perDoubling) }

// SchemaOffset turns a sketch's bucket number into a native histogram's.
const SchemaOffset = lowest

// middle is the estimate for what a bucket holds, in milliseconds.
func middle(bucket int) float64 {
	return 1e3 * math.Exp2((float64(bucket+lowest)-0.5)/perDoubling)
}

// A Dist is a distribution of durations: the sum of any number of sketches.
// The zero Dist is empty.
type Dist struct {
	counts [Buckets]int64
	Total  int64
}

// Sub takes o's counts out of d, never below zero.
func (d *Dist) Sub(o *Dist) {
	for i, n := range o.counts {
		k := min(n, d.counts[i])
		d.counts[i] -= k
		d.Total -= k
	}
}

// Add adds o's counts to d.
func (d *Dist) Add(o *Dist) {
	for i, n := range o.counts {
		d.counts[i] += n
	}
	d.Total += o.Total
}

// Quantile estimates the q-quantile in milliseconds; ok is false for an empty
// distribution.
func (d *Dist) Quantile(q float64) (ms float64, ok bool) {
	if d.Total <= 0 {
		return 0, false
	}
	rank := int64(math.Ceil(q * float64(d.Total)))
	if rank < 1 {
		rank = 1
	}
	var seen int64
	for i, n := range d.counts {
		if seen += n; seen >= rank {
			return middle(i), true
		}
	}
	return middle(Buckets - 1), true
}
