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
	i := bucket + perDoubling // from one doubling lower, so that it is not negative
	return math.Ldexp(middles[i%perDoubling], i/perDoubling-1+lowest/perDoubling)
}

// middles are 1000 * 2^((j-1/2)/8).
var middles = [perDoubling]float64{ //nolint:gochecknoglobals // immutable
	957.603280698573, 1044.2737824274136, 1138.7886347566916, 1241.8578120734837,
	1354.2555469368927, 1476.8261459394993, 1610.490331949254, 1756.2521603732995,
}

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

func (d *Dist) add(bucket int, n int64) {
	if d.lo == d.hi {
		d.lo, d.hi = bucket, bucket+1
	}
	d.lo, d.hi = min(d.lo, bucket), max(d.hi, bucket+1)
	d.counts[bucket] += n
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
