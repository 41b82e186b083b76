package telemetry

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// The problem: where one trace in a hundred is kept, one span stands for a hundred requests. Some samplers say so in the span, each in its own way, and
// what they say must travel through the log into each half that waits, where seven bits are left for it.
//
// The form: a Weight is the number of one of some eighty counts, from 1 to 100,000, at most a third apart, the round ones and the powers of two among them. A
// span that stands for a count between two of them gets the one or the other, by lot, so that the mean is right: sums of weights are as
// unbiased as the sampler's own. The lot is drawn from the trace's id, so that a replay, and another receiver, draw the same.
//
// Not chosen: a number of any precision (a half would grow by an eighth, for every span of everybody); the nearest count (every span of a service would be
// wrong in the same direction, and no sum would ever heal it).

// A Weight says for how many requests a span stands, itself included, because others of its kind were not sampled. 0 is one request: that of a span
// of which nothing was left out, or that does not say.
type Weight uint8

// perRequest is how fine weights are: eighths of a request.
const perRequest = 8

// weights is how many eighths of a request each weight stands for, in order.
var weights = [...]uint32{ //nolint:gochecknoglobals // immutable
	8, 9, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 72, // 1 to 9
	8 * 10, 8 * 12, 8 * 15, 8 * 16, 8 * 20, 8 * 25, 8 * 30, 8 * 32, 8 * 40, 8 * 50, 8 * 60, 8 * 64, 8 * 80,
	8 * 100, 8 * 120, 8 * 128, 8 * 150, 8 * 200, 8 * 250, 8 * 256, 8 * 300, 8 * 400, 8 * 500, 8 * 512, 8 * 600, 8 * 750,
	8 * 1000, 8 * 1024, 8 * 1200, 8 * 1500, 8 * 2000, 8 * 2048, 8 * 2500, 8 * 3000, 8 * 4000, 8 * 4096, 8 * 5000, 8 * 6000, 8 * 7500, 8 * 8192,
	8 * 10_000, 8 * 12_000, 8 * 15_000, 8 * 16_384, 8 * 20_000, 8 * 25_000, 8 * 30_000, 8 * 32_768, 8 * 40_000, 8 * 50_000, 8 * 60_000, 8 * 65_536, 8 * 80_000,
	8 * 100_000,
}

// HeaviestWeight is the greatest weight. What stands for more is counted as this.
const HeaviestWeight = Weight(len(weights) - 1)

// Eighths is for how many eighths of a request the weight stands, from 8 to 800,000. The weight must be valid.
func (w Weight) Eighths() uint64 { return uint64(weights[w]) }

// Valid says that there is such a weight.
func (w Weight) Valid() bool { return w <= HeaviestWeight }

// WeightOf is the weight of a span that stands for so many requests, of a trace by which the lot is drawn where they lie
// between two weights. Fewer than one, and what is no number, are one.
func WeightOf(requests float64, trace TraceID) Weight {
	x := requests * perRequest
	if !(x > float64(weights[0])) {
		return 0
	}
	if x >= float64(weights[HeaviestWeight]) {
		return HeaviestWeight
	}
	lo, hi := 0, len(weights)-1 // weights[lo] <= x < weights[hi]
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; float64(weights[mid]) <= x {
			lo = mid
		} else {
			hi = mid
		}
	}
	between := (x - float64(weights[lo])) / float64(weights[hi]-weights[lo])
	if float64(trace.Lot()>>32) < between*(1<<32) {
		return Weight(hi) //nolint:gosec // below 128
	}
	return Weight(lo) //nolint:gosec // below 128
}

// Lot is a number drawn for the trace: the same in every process, and, for those who chose the trace's id at random, independent of what
// samplers decide by it.
func (t TraceID) Lot() uint64 {
	v := binary.LittleEndian.Uint64(t[:8])*0x9e3779b97f4a7c15 ^ bits.RotateLeft64(binary.LittleEndian.Uint64(t[8:])*0xd1342543de82ef95, 32)
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return v ^ v>>31
}

// sampler is what a span's attributes say of who sampled it. Zero says nothing.
type sampler struct {
	rate          float64 // SampleRate: requests for each span
	probability   float64 // sampling.probability
	param         float64 // sampler.param; of a probabilistic sampler its probability
	probabilistic bool
}

// weigh is the weight of a span: by OpenTelemetry's consistent probability sampling in the trace state, or else by
// what samplers write among the attributes.
func (b *Batch) weigh(s *Span, by *sampler) Weight {
	if s.TraceState != 0 {
		if kept, ok := thresholdOf(b.Str(s.TraceState)); ok {
			return WeightOf(kept, s.TraceID)
		}
	}
	switch {
	case by.rate >= 1:
		return WeightOf(by.rate, s.TraceID)
	case by.probability > 0 && by.probability <= 1:
		return WeightOf(1/by.probability, s.TraceID)
	case by.probabilistic && by.param > 0 && by.param <= 1:
		return WeightOf(1/by.param, s.TraceID)
	default:
		return 0
	}
}

// thresholdOf is for how many requests a span stands by its W3C trace state: "ot=th:c" says that those traces were left out whose randomness, of
// 56 bits, is below 0xc0000000000000, three in four. Source: OpenTelemetry, Tracestate Handling and Probability Sampling.
func thresholdOf(state string) (requests float64, ok bool) {
	for state != "" {
		var member string
		member, state, _ = strings.Cut(state, ",")
		value, is := strings.CutPrefix(strings.Trim(member, " \t"), "ot=")
		if !is {
			continue
		}
		for value != "" {
			var field string
			field, value, _ = strings.Cut(value, ";")
			if th, is := strings.CutPrefix(field, "th:"); is {
				return keptOf(th)
			}
		}
		return 0, false
	}
	return 0, false
}

// keptOf reads a threshold: 1 to 14 hex digits, of which zeros at the end are left out.
func keptOf(th string) (requests float64, ok bool) {
	const places = 14
	if th == "" || len(th) > places {
		return 0, false
	}
	var v uint64
	for i := range len(th) {
		d := digits[th[i]]
		if d == noDigit {
			return 0, false
		}
		v = v<<4 | uint64(d)
	}
	v <<= 4 * (places - len(th))
	return float64(uint64(1)<<56) / float64(uint64(1)<<56-v), true
}

// real reads a number of any type, 0 if it is none.
func (b *Batch) real(a Attr) float64 {
	switch a.Type {
	case AttrInt:
		return float64(int64(a.Value))
	case AttrFloat:
		return math.Float64frombits(a.Value)
	case AttrString:
		if s := b.Str(a.String()); s != "" && len(s) <= 24 && s[0] >= '0' && s[0] <= '9' {
			if v, err := strconv.ParseFloat(s, 64); err == nil {
				return v
			}
		}
	default:
	}
	return 0
}
