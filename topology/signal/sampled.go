package signal

import (
	"encoding/binary"
	"math"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The problem: of spans that a sampler kept, each standing for w requests, one wants to know how many requests there were, and how far off that may be.
// The sums must merge in any order to the same bytes, and give back what moves to another edge.
//
// The estimate is that of Horvitz and Thompson: the sum of w. Its variance, were each request sampled by itself, is estimated by the sum of w(w-1).
// But samplers keep whole traces: a trace that takes an edge five times is there five times or not at all, and the variance is that of
// fives: the sum, over traces, of the square of what each of them adds. To know that one would have to remember traces.
//
// The form: for each of 32 signs, a plus or a minus drawn for each trace, the sum of the square roots of w(w-1), each with its trace's sign. What is of
// one trace has one sign and adds up before it is squared; what is of two cancels in the mean: so the mean of the 32 squares is the variance over
// traces, give or take a quarter. (It is the sketch of Alon, Matias and Szegedy.) All are whole numbers, so sums are exact in any order.
//
// The variance is the greater of the two. Where traces take an edge once, the sketch's noise makes it a tenth too great, and a bar a twentieth too
// wide; never too narrow.

const signs = 32

// perRoot is how fine the square roots are.
const perRoot = 64

// Sampled sums spans that stand for more than themselves. The zero Sampled is ready. All sums are differences of
// unsigned numbers: what was added can be taken back.
type Sampled struct {
	Spans    uint64 // how many they are
	eighths  uint64 // the sum of w, in eighths
	variance uint64 // the sum of w(w-1), in 64ths
	signed   [signs]int64
}

// Add counts a span of a trace, which has a weight.
func (s *Sampled) Add(w telemetry.Weight, trace telemetry.TraceID) { s.add(w, trace, 1) }

// Remove takes one back.
func (s *Sampled) Remove(w telemetry.Weight, trace telemetry.TraceID) { s.add(w, trace, -1) }

func (s *Sampled) add(w telemetry.Weight, trace telemetry.TraceID, sign int64) {
	n := w.Eighths()
	v := n * (n - 8)
	s.Spans += uint64(sign)        //nolint:gosec // two's complement: adding -1
	s.eighths += uint64(sign) * n  //nolint:gosec // likewise
	s.variance += uint64(sign) * v //nolint:gosec // likewise
	root := sign * int64(math.Round(math.Sqrt(float64(v))*perRoot/8))
	lot := trace.Lot()
	for i := range s.signed {
		s.signed[i] += root - 2*root*int64(lot>>i&1) //nolint:gosec // 0 or 1
	}
}

// Merge adds all that o sums.
func (s *Sampled) Merge(o *Sampled) {
	s.Spans += o.Spans
	s.eighths += o.eighths
	s.variance += o.variance
	for i := range s.signed {
		s.signed[i] += o.signed[i]
	}
}

// Requests is for how many requests the spans stand.
func (s *Sampled) Requests() float64 { return float64(s.eighths) / 8 }

// Variance is that of Requests, as an estimate.
func (s *Sampled) Variance() float64 {
	sum := 0.0
	for _, v := range s.signed {
		sum += float64(v) * float64(v)
	}
	return max(float64(s.variance)/64, sum/(signs*perRoot*perRoot))
}

// Within is how far the truth may be from Requests, on either side, with as much certainty as z standard errors of a normal distribution give (1.96: 95 %).
//
// It is not z standard errors alone, for those are of the few that were seen: where one request in a thousand is sampled and one was, it may have been one
// of more than five thousand. It is the greatest truth from which the estimate is z of the truth's own standard errors away, whose variance grows with it by the same
// factor as was seen. Of many spans that is z standard errors.
func (s *Sampled) Within(z float64) float64 {
	v := s.Variance()
	if v == 0 {
		return 0
	}
	half := z * z * v / s.Requests() / 2
	return half + math.Sqrt(half*half+z*z*v)
}

// Append writes the sums: equal ones are equal bytes.
func (s *Sampled) Append(dst []byte) []byte {
	for _, v := range [...]uint64{s.Spans, s.eighths, s.variance} {
		dst = binary.AppendUvarint(dst, v)
	}
	for _, v := range s.signed {
		dst = binary.AppendVarint(dst, v)
	}
	return dst
}

// Read reads what Append wrote, and returns what follows.
func (s *Sampled) Read(b []byte) (rest []byte, err error) {
	for _, p := range [...]*uint64{&s.Spans, &s.eighths, &s.variance} {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, ErrEncoding
		}
		*p, b = v, b[n:]
	}
	for i := range s.signed {
		v, n := binary.Varint(b)
		if n <= 0 {
			return nil, ErrEncoding
		}
		s.signed[i], b = v, b[n:]
	}
	if s.Spans == 0 || s.eighths <= 8*s.Spans {
		return nil, ErrEncoding // each stands for more than itself
	}
	return b, nil
}
