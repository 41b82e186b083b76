package views

import (
	"math"

	"github.com/prometheus/prometheus/model/histogram"
)

// classic reads cumulative classic buckets off native histograms.
//
// A bound mostly lies within a native bucket. That bucket's count is shared out as
// if its observations were spread evenly over the logarithm of the value, which
// is how Prometheus interpolates quantiles in native histograms. The share is
// fixed by the schema, so that a bucket's series never falls while the
// histogram's counts do not, and grows with le.
type classic struct {
	bounds []float64 // seconds
	schema int32
	cuts   []cut
}

// cut is where a bound lies: within native bucket index, of which share is below it.
type cut struct {
	index int32
	share float64
}

func newClassic(bounds []float64, scale float64) *classic {
	c := &classic{bounds: make([]float64, len(bounds)), schema: math.MinInt32}
	for i, b := range bounds {
		c.bounds[i] = b / scale
	}
	return c
}

// width is how many buckets there are, that at +Inf included.
func (c *classic) width() int { return len(c.bounds) + 1 }

func (c *classic) cutAt(schema int32) {
	c.schema = schema
	c.cuts = c.cuts[:0]
	for _, b := range c.bounds {
		x := math.Log2(b) * math.Exp2(float64(schema))
		i := math.Ceil(x - 1e-9) // a bound that is also the native bucket's must not slip into the next
		c.cuts = append(c.cuts, cut{index: int32(i), share: min(x-(i-1), 1)})
	}
}

// read fills row, of length width, with the cumulative counts of h. Counts of
// negative values, which durations do not have, are below all bounds.
func (c *classic) read(row []float64, h *histogram.FloatHistogram) {
	if h.Schema != c.schema {
		c.cutAt(h.Schema)
	}
	n, next := len(c.bounds), 0
	below := h.ZeroCount
	for _, b := range h.NegativeBuckets {
		below += b
	}
	index, bucket := int32(0), 0
	for _, s := range h.PositiveSpans {
		index += s.Offset
		for range s.Length {
			count := h.PositiveBuckets[bucket]
			for next < n && c.cuts[next].index < index {
				row[next] = below
				next++
			}
			for next < n && c.cuts[next].index == index {
				row[next] = below + c.cuts[next].share*count
				next++
			}
			below += count
			index++
			bucket++
		}
	}
	for ; next < n; next++ {
		row[next] = below
	}
	row[n] = h.Count
}
