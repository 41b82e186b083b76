// Package bucket is the one table of latency buckets, by which the live graph's
// sketches and the stored histograms sort durations alike.
package bucket

import "math"

// The buckets are those of Prometheus' native histograms of schema 3, eight to a
// doubling: bucket i holds what took longer than 2^((i-1)/8) seconds, and not longer than
// 2^(i/8). A bucket ends at 1.09 times where it begins, so that its geometric middle is
// within 4.4 % of whatever it holds. One schema for all and for ever: any two
// histograms add up without loss.
const (
	Schema      = 3
	PerDoubling = 1 << Schema
)

// MaxError is the greatest relative error of a bucket's middle: 2^(1/16) - 1.
const MaxError = 0.0443

// bounds are 2^(k/8), to the last bit as Prometheus has them.
var bounds = [PerDoubling]float64{ //nolint:gochecknoglobals // immutable
	1, 1.0905077326652577, 1.189207115002721, 1.2968395546510096,
	1.414213562373095, 1.5422108254079407, 1.6817928305074288, 1.8340080864093422,
}

// Of is the bucket of a duration of ns nanoseconds, which must be above 0. It
// reads exponent and mantissa off the float's bits, and finds its place among eight
// bounds by three compares.
func Of(ns int64) int32 {
	b := math.Float64bits(float64(ns) * 1e-9)
	exp := int32(b>>52) - 1023
	m := math.Float64frombits(b&(1<<52-1) | 1023<<52) // the mantissa, 1 <= m < 2
	k := int32(0)
	if m > bounds[4] {
		k = 4
		if m > bounds[6] {
			k = 6
		}
	} else if m > bounds[2] {
		k = 2
	}
	if m > bounds[k+1] {
		k += 2
	} else if m > bounds[k] {
		k++
	}
	return exp*PerDoubling + k
}

// Upper is a bucket's upper bound in seconds, which belongs to it.
func Upper(i int32) float64 {
	return math.Ldexp(bounds[i&(PerDoubling-1)], int(i>>Schema))
}

// Middle is a bucket's geometric middle in seconds: the estimate for what it holds.
func Middle(i int32) float64 {
	return math.Ldexp(middles[i&(PerDoubling-1)], int(i>>Schema))
}

// middles are 2^((k-1/2)/8).
var middles = [PerDoubling]float64{ //nolint:gochecknoglobals // immutable
	0.9576032806985737, 1.0442737824274138, 1.1387886347566916, 1.241857812073484,
	1.3542555469368927, 1.4768261459394993, 1.6104903319492543, 1.7562521603732995,
}
