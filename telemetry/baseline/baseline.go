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
// at this hour is usual. What has too few requests to have a p90 keeps no hours.
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
	// frequent is how many requests the samples must be of for hours to be kept.
	frequent = 50

	// Bytes is how much memory a Baseline takes at most.
	Bytes = 240 + 288
)

// A Sample is a window of traffic in which nothing was ill.
type Sample struct {
	Rate      float64 // requests a second
	Errors    float64 // share, 0 to 1
	Refused   float64 // share that a limit refused
	P90, Mean float64 // milliseconds; 0 where there was no request
	// Late is the share of the requests that took longer than a bound which follows from the usual; Judged says that it was known.
	Late   float64
	Judged bool
}

// Usual is what is usual. The zero Usual says that nothing is known.
type Usual struct {
	Requests float64 // how many it was learned from
	Rate     float64 // requests a second, the median
	Least    float64 // requests a second, the lower quartile
	Errors   float64 // share, of all requests
	Refused  float64 // share, of all requests
	P90      float64 // milliseconds, the median
	// Spread is by how many times the p90 of another such window may exceed P90 and be nothing unusual: by how much the samples differ, and how few they
	// are. It is 5.6 of one sample, 2.4 of five, and 1.7 of sixteen that hardly differ.
	Spread  float64
	Mean    float64 // milliseconds, the median
	Samples int
	Timed   int     // samples that held requests
	Late    float64 // share, of Judged requests
	Judged  float64 // how many were held against the bound of Sample.Late, of the latest sixteen samples or so
}

// Baseline is the memory of one edge or node. The zero Baseline knows nothing.
type Baseline struct {
	hours  *hours // nil on the first day
	usual  found
	began  uint32  // Unix seconds of the first sample
	taken  uint32  // samples, without those that were thrown away
	usedAt uint32  // hour since the epoch for which usual was found
	late   float32 // requests that were late, of judged ones
	judged float32
	// heldLate is the share of late requests of the sample that is held, packed; 0: not known.
	heldLate uint16
	filled   uint8
	holds    bool
	held     packed // the latest, which does not count yet
	ring     [recent]packed
}

// packed is a sample in 10 bytes: logarithms, to 0.07 %. Of how many requests it is follows from its rate and its window.
type packed struct{ rate, errors, refused, p90, mean uint16 }

// hours are what was seen at each hour of the day, and in how many samples, 255 at most.
type hours struct {
	of   [24]packed
	seen [24]uint8
}

// found is a Usual in less room.
type found struct {
	requests, rate, least, errors, refused, p90, spread, mean float32
	samples, timed                                            uint8
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
	return packed{rate: pack(s.Rate), errors: pack(s.Errors), refused: pack(s.Refused), p90: pack(s.P90), mean: pack(s.Mean)}
}

// Window is how long the window of the next sample is, and how long after the sample before it is due, both in seconds.
func (b *Baseline) Window() (window, every int64) {
	switch window = windowOf(int64(b.taken)); window {
	case 300:
		return window, 600
	default:
		return window, window
	}
}

// never is a share that stands for none, which is not the same as one that is not known.
const never = 1e-9

// windowOf is how long, in seconds, the window of a sample is that so many came before.
func windowOf(before int64) int64 {
	switch {
	case before < 12:
		return 10
	case before < 32:
		return 60
	default:
		return 300
	}
}

// Add takes in a sample, at Unix seconds now. It counts from the next one on, unless Discard is called before.
func (b *Baseline) Add(now int64, s Sample) {
	if b.taken == 0 {
		b.began = uint32(now) //nolint:gosec // good until 2106
	}
	if b.holds {
		b.keep(now)
	}
	b.held, b.holds, b.heldLate = s.pack(), true, 0
	if s.Judged {
		b.heldLate = pack(max(s.Late, never))
	}
	if b.taken < math.MaxUint32 {
		b.taken++
	}
}

// Discard throws away what does not count yet: it may be of an illness that had not been seen.
func (b *Baseline) Discard() {
	if b.holds {
		b.held, b.holds, b.heldLate = packed{}, false, 0
		b.taken--
	}
}

// keep has what is held count.
func (b *Baseline) keep(now int64) {
	if b.filled == recent {
		copy(b.ring[:], b.ring[1:])
		b.filled--
	}
	b.ring[b.filled] = b.held
	b.filled++
	b.holds = false
	if b.heldLate != 0 {
		n := unpack(b.held.rate) * float64(windowOf(int64(b.taken)-1))
		b.late += float32(n * unpack(b.heldLate))
		if b.judged += float32(n); float64(b.judged) > recent*n { // what is older counts less and less
			b.late, b.judged = b.late*(1-1./recent), b.judged*(1-1./recent)
		}
	}
	b.find(now)
	if now-int64(b.began) >= hour && b.held.rate > 0 && (b.hours != nil || b.usual.requests >= frequent) {
		if b.hours == nil {
			b.hours = new(hours)
		}
		b.hours.follow(now/hour%24, b.held)
		b.find(now)
	}
}

// follow moves an hour's figures towards a sample: by the mean of the first eight, then by an eighth of the way and
// never more than an eighth of a doubling, so that a bad hour that nobody noticed moves it little.
func (h *hours) follow(at int64, s packed) {
	if h.seen[at] < math.MaxUint8 {
		h.seen[at]++
	}
	part := min(int32(h.seen[at]), 8)
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
	p := &h.of[at]
	toward(&p.rate, s.rate)
	toward(&p.errors, s.errors)
	toward(&p.refused, s.refused)
	toward(&p.p90, s.p90)
	toward(&p.mean, s.mean)
}

// Usual is what is usual at Unix seconds now.
func (b *Baseline) Usual(now int64) Usual {
	if b.hours != nil && uint32(now/hour) != b.usedAt { //nolint:gosec // good for long
		b.find(now)
	}
	u := &b.usual
	return Usual{
		Requests: float64(u.requests), Rate: float64(u.rate), Least: float64(u.least), Errors: float64(u.errors), Refused: float64(u.refused),
		P90: float64(u.p90), Spread: float64(u.spread), Mean: float64(u.mean), Samples: int(u.samples), Timed: int(u.timed),
		Late: float64(b.late) / max(1, float64(b.judged)), Judged: float64(b.judged),
	}
}

// requests is of how many requests the ring's i-th sample is.
func (b *Baseline) requests(i int) float64 {
	before := int64(b.taken) - int64(b.filled) + int64(i) // those that came before it
	if b.holds {
		before--
	}
	return unpack(b.ring[i].rate) * float64(windowOf(before))
}

// find finds what is usual, anew.
func (b *Baseline) find(now int64) {
	b.usedAt = uint32(now / hour) //nolint:gosec // good for long
	var u Usual
	var some [4][recent]uint16
	rates, p90, means := some[0][:0], some[1][:0], some[2][:0]
	var errors, refused float64
	for i := range b.ring[:b.filled] {
		p := &b.ring[i]
		rates = append(rates, p.rate)
		if p.rate == 0 {
			continue
		}
		n := b.requests(i)
		u.Requests += n
		errors += n * unpack(p.errors)
		refused += n * unpack(p.refused)
		p90, means = append(p90, p.p90), append(means, p.mean)
	}
	u.Samples = len(rates)
	if u.Samples > 0 {
		u.Rate, u.Least = quantile(rates, 2), quantile(rates, 1)
	}
	if u.Requests > 0 {
		u.Errors, u.Refused = errors/u.Requests, refused/u.Requests
		u.P90, u.Mean = quantile(p90, 2), quantile(means, 2)
		u.Timed, u.Spread = len(p90), spread(p90)
		if b.hours != nil && now-int64(b.began) >= day {
			b.hours.widen(now/hour%24, &u)
		}
	}
	b.usual = found{
		requests: float32(u.Requests), rate: float32(u.Rate), least: float32(u.Least), errors: float32(u.Errors), refused: float32(u.Refused),
		p90: float32(u.P90), spread: float32(u.Spread), mean: float32(u.Mean), samples: uint8(u.Samples), timed: uint8(u.Timed), //nolint:gosec // sixteen at most
	}
}

// widen has what is usual at an hour be usual as well.
func (h *hours) widen(at int64, u *Usual) {
	if h.seen[at] < 3 {
		return
	}
	p := &h.of[at]
	u.Rate, u.Least = min(u.Rate, unpack(p.rate)), min(u.Least, unpack(p.rate))
	u.Errors, u.Refused = max(u.Errors, unpack(p.errors)), max(u.Refused, unpack(p.refused))
	u.P90, u.Mean = max(u.P90, unpack(p.p90)), max(u.Mean, unpack(p.mean))
}

// What is known of how a p90 varies from window to window before any was seen: the logarithm's standard deviation, and of how many samples that is worth.
const (
	supposed = 0.5
	worth    = 2.0
)

// spread is Usual.Spread of samples, which are in order: three standard deviations of another one about their median, where theirs is
// estimated by their quartiles, which a few odd ones do not move, and by what is supposed before.
func spread(p90 []uint16) float64 {
	n := len(p90)
	own := math.Ln2 / steps / 1.349 * float64(p90[(n-1)*3/4]-p90[(n-1)/4])
	variance := (worth*supposed*supposed + float64(n)*own*own) / (worth + float64(n))
	return math.Exp(3 * math.Sqrt(variance*(1+1/float64(n))))
}

// quantile is the quarters-th quartile of what it sorts.
func quantile(of []uint16, quarters int) float64 {
	slices.Sort(of)
	return unpack(of[(len(of)-1)*quarters/4])
}
