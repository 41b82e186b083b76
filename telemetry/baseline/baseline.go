// Package baseline remembers what is usual of an edge's or a node's traffic, in a way that an
// incident cannot poison. It keeps no clock and judges nothing: package health does.
package baseline

import (
	"math"
	"slices"
)

// The problem: "slow" means slower than usual, and the usual must be known a few seconds after a start, be of hours
// later on, differ between noon and night, fit into a few hundred bytes an edge, and never be what an incident made of it.
//
// The form: samples of whole windows, each taken while nothing was ill: of 10 s for the first two minutes, of a minute for the next
// twenty, then of five minutes each ten. The last 16 are kept, which are then 2 h 40 min. The usual is the median of
// the samples, and their spread. A sample waits until the next one before it counts, and is thrown away if illness shows
// meanwhile: what crept in before it was seen does not stay. From the second day on there is one sample an
// hour of the day as well, which follows what is seen at that hour by steps of bounded size; what is usual lately or
// at this hour is usual.
//
// Invariant: a Baseline holds at most Bytes bytes. Equal baselines are equal bytes (Append).
//
// Not chosen: decaying averages (a long incident moves them; they have no spread); sketches of hours (kilobytes an edge, and an
// hour of incident is in them for good); the time just before (after a minute it is the incident).

const (
	recent = 16 // samples
	// day is how long it takes until hours of the day count.
	day  = int64(24 * 3600)
	hour = int64(3600)

	// Bytes is how much memory a Baseline takes at most: 16 samples and 24 hours of 16 bytes, and what is found from them.
	Bytes = (recent+24)*16 + 160
)

// A Sample is a window of traffic in which nothing was ill.
type Sample struct {
	Requests float64 // in the window
	Rate     float64 // requests a second
	Errors   float64 // share, 0 to 1
	Refused  float64 // share that a limit refused
	P50, P90 float64 // milliseconds; 0 where there was no request
	Mean     float64 // milliseconds
}

// Usual is what is usual. The zero Usual says that nothing is known.
type Usual struct {
	Requests float64 // how many it was learned from
	Rate     float64 // requests a second, the median
	Least    float64 // requests a second, the lower quartile
	Errors   float64 // share, of all requests
	Refused  float64 // share, of all requests
	P50, P90 float64 // milliseconds, the medians
	Spread   float64 // by how many times the upper quartile of the samples' p90 exceeds their median, at least 1
	Mean     float64 // milliseconds, the median
	Samples  int
}

// Baseline is the memory of one edge or node. The zero Baseline knows nothing.
type Baseline struct {
	began  int64 // Unix seconds of the first sample
	taken  uint32
	held   packed // the latest, which does not count yet
	holds  bool
	ring   [recent]packed
	filled uint8
	hours  *[24]packed // nil on the first day
	usual  Usual
	usedAt int64 // hour since the epoch for which usual was found
}

// packed is a sample in 16 bytes: logarithms, to 0.07 %.
type packed struct {
	requests, rate, errors, refused, p50, p90, mean uint16
	seen                                            uint16 // of an hour: how many samples are in it
}

const (
	steps  = 1024 // a doubling
	middle = 1 << 15
)

func pack(f float64) uint16 {
	if !(f > 0) {
		return 0
	}
	return uint16(min(max(math.Round(math.Log2(f)*steps)+middle, 1), math.MaxUint16)) //nolint:gosec // bounded
}

func unpack(u uint16) float64 {
	if u == 0 {
		return 0
	}
	return math.Exp2((float64(u) - middle) / steps)
}

func (s *Sample) pack() packed {
	return packed{
		requests: pack(s.Requests), rate: pack(s.Rate), errors: pack(s.Errors), refused: pack(s.Refused),
		p50: pack(s.P50), p90: pack(s.P90), mean: pack(s.Mean),
	}
}

// Window is how long the window of the next sample is, and how long after the sample before it is due, both in seconds.
func (b *Baseline) Window() (window, every int64) {
	switch {
	case b.taken < 12:
		return 10, 10
	case b.taken < 32:
		return 60, 60
	default:
		return 300, 600
	}
}

// Add takes in a sample, at Unix seconds now. It counts from the next one on, unless Discard is called before.
func (b *Baseline) Add(now int64, s Sample) {
	if b.taken == 0 {
		b.began = now
	}
	if b.holds {
		b.keep(now, b.held)
	}
	b.held, b.holds = s.pack(), true
	if b.taken < math.MaxUint32 {
		b.taken++
	}
}

// Discard throws away what does not count yet: it may be of an illness that had not been seen.
func (b *Baseline) Discard() { b.held, b.holds = packed{}, false }

func (b *Baseline) keep(now int64, p packed) {
	if b.filled == recent {
		copy(b.ring[:], b.ring[1:])
		b.filled--
	}
	b.ring[b.filled] = p
	b.filled++
	if now-b.began >= hour && p.requests > 0 {
		if b.hours == nil {
			b.hours = new([24]packed)
		}
		b.hours[now/hour%24].follow(p)
	}
	b.find(now)
}

// follow moves an hour's figures towards a sample: by the mean of the first eight, then by an eighth of the way and
// never more than an eighth of a doubling, so that a bad hour that nobody noticed moves it little.
func (p *packed) follow(s packed) {
	if p.seen < math.MaxUint16 {
		p.seen++
	}
	part := min(int32(p.seen), 8)
	toward := func(at *uint16, to uint16) {
		switch {
		case *at == 0 || to == 0:
			*at = max(*at, to)
		default:
			step := (int32(to) - int32(*at)) / part
			if part == 8 {
				step = min(max(step, -steps/8), steps/8)
			}
			*at = uint16(int32(*at) + step) //nolint:gosec // between two of 16 bits
		}
	}
	toward(&p.requests, s.requests)
	toward(&p.rate, s.rate)
	toward(&p.errors, s.errors)
	toward(&p.refused, s.refused)
	toward(&p.p50, s.p50)
	toward(&p.p90, s.p90)
	toward(&p.mean, s.mean)
}

// Usual is what is usual at Unix seconds now.
func (b *Baseline) Usual(now int64) Usual {
	if now/hour != b.usedAt && b.hours != nil {
		b.find(now)
	}
	return b.usual
}

// find finds what is usual, anew.
func (b *Baseline) find(now int64) {
	b.usedAt = now / hour
	b.usual = Usual{}
	u := &b.usual
	var rates, p50, p90, means []uint16
	var errors, refused float64
	for _, p := range b.ring[:b.filled] {
		rates = append(rates, p.rate)
		if p.requests == 0 {
			continue
		}
		n := unpack(p.requests)
		u.Requests += n
		errors += n * unpack(p.errors)
		refused += n * unpack(p.refused)
		p50, p90, means = append(p50, p.p50), append(p90, p.p90), append(means, p.mean)
	}
	u.Samples = len(rates)
	if u.Samples > 0 {
		u.Rate, u.Least = quantile(rates, 2), quantile(rates, 1)
	}
	if u.Requests == 0 {
		return
	}
	u.Errors, u.Refused = errors/u.Requests, refused/u.Requests
	u.P50, u.P90, u.Mean = quantile(p50, 2), quantile(p90, 2), quantile(means, 2)
	u.Spread = 1
	if u.P90 > 0 {
		u.Spread = max(1, quantile(p90, 3)/u.P90)
	}
	if b.hours == nil || now-b.began < day {
		return
	}
	if h := b.hours[now/hour%24]; h.seen >= 3 {
		u.Rate, u.Least = min(u.Rate, unpack(h.rate)), min(u.Least, unpack(h.rate))
		u.Errors, u.Refused = max(u.Errors, unpack(h.errors)), max(u.Refused, unpack(h.refused))
		u.P50, u.P90, u.Mean = max(u.P50, unpack(h.p50)), max(u.P90, unpack(h.p90)), max(u.Mean, unpack(h.mean))
	}
}

// quantile is the quarters-th quartile of what it sorts.
func quantile(of []uint16, quarters int) float64 {
	slices.Sort(of)
	return unpack(of[(len(of)-1)*quarters/4])
}
