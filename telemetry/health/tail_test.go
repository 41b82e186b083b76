package health_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
)

// A traveller's requests have a distribution that is given, of milliseconds.
type traveller struct {
	health.Watch
	cfg     health.Config
	rate    float64
	rnd     *rand.Rand
	now     int64
	seconds [][]float64
	took    func() float64
}

type spans []float64

func (s spans) Count() float64 { return float64(len(s)) }
func (s spans) Mean() float64 {
	sum := 0.0
	for _, v := range s {
		sum += v
	}
	return sum / max(1, float64(len(s)))
}

func (s spans) Quantile(q float64) float64 {
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(int(q*float64(len(s))), len(s)-1)]
}

func (s spans) Above(ms float64) (n float64) {
	for _, v := range s {
		if v > ms {
			n++
		}
	}
	return n
}

func (p *traveller) second() {
	n := int(p.rate)
	if p.rnd.Float64() < p.rate-float64(n) {
		n++
	}
	var all spans
	for range n {
		all = append(all, p.took())
	}
	if p.seconds = append(p.seconds, all); len(p.seconds) > 300 {
		p.seconds = p.seconds[1:]
	}
	p.now += 1e9
	step := health.Step{Requests: float64(n)}
	if bound := p.Bound(&p.cfg, p.now); bound > 0 {
		step.Slow, step.Late = all.Above(bound), all.Above(health.Tail*bound)
	}
	p.Look(&p.cfg, p.now-1e9, p.now, step)
	if due := p.Due(&p.cfg, p.now); due >= 0 {
		var ws [health.Windows]health.Window
		n := [...]int{10, 60, 300}[due]
		var of spans
		for _, s := range p.seconds[max(0, len(p.seconds)-n):] {
			of = append(of, s...)
		}
		ws[due] = health.Window{Requests: of.Count(), Rate: of.Count() / float64(n), Times: of}
		p.Learn(&p.cfg, p.now, &ws, due)
	}
}

func travel(seed uint64, rate float64) *traveller {
	p := &traveller{cfg: health.DefaultConfig(), rnd: rand.New(rand.NewPCG(seed, 4)), rate: rate, now: 1_795_222_800e9}
	p.took = p.usual
	return p
}

// usual are times as services have them: of two in a hundred ten times as long.
func (p *traveller) usual() float64 {
	ms := 20 * math.Exp(0.5*p.rnd.NormFloat64())
	if p.rnd.Float64() < 0.001 {
		ms *= 10
	}
	return ms
}

// TestTailIsNamed: of three requests in a hundred that take a second it is said so, while it lasts.
func TestTailIsNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rate, share  float64
		within, over int
	}{{4, 0.04, 260, 300}, {20, 0.03, 150, 90}, {20, 0.05, 60, 60}, {100, 0.03, 45, 30}} {
		for seed := range uint64(10) {
			p := travel(seed, c.rate)
			for s := range 900 {
				if p.second(); p.Kind != telemetry.AilmentNone {
					t.Fatalf("%v, seed %d: %s after %d healthy seconds", c, seed, p.Kind, s)
				}
			}
			p.took = func() float64 {
				if p.rnd.Float64() < c.share {
					return 500 + 1500*p.rnd.Float64()
				}
				return p.usual()
			}
			since, lost := -1, 0
			for s := range 1500 {
				p.second()
				switch {
				case p.InTail() && since < 0:
					since = s
				case !p.InTail() && since >= 0:
					lost++
				}
			}
			if since < 0 || since > c.within || lost > 0 {
				t.Errorf("%v, seed %d: named after %d s, and not for %d s after that", c, seed, since, lost)
			}
			p.took = p.usual
			for range c.over {
				p.second()
			}
			if p.Kind != telemetry.AilmentNone {
				t.Errorf("%v, seed %d: %s %d s after it was over", c, seed, p.Kind, c.over)
			}
		}
	}
}

// TestTailIsNot: neither a single stall, nor a busier hour, nor a tail that is usual is one.
func TestTailIsNot(t *testing.T) {
	t.Parallel()
	for name, took := range map[string]func(p *traveller, s int) float64{
		"a stall of five seconds each five minutes": func(p *traveller, s int) float64 {
			if s%300 < 5 && p.rnd.Float64() < 0.12 {
				return 1000
			}
			return p.usual()
		},
		"a busier hour": func(p *traveller, s int) float64 {
			if s > 900 {
				return 1.6 * p.usual()
			}
			return p.usual()
		},
		"a usual tail": func(p *traveller, _ int) float64 {
			if p.rnd.Float64() < 0.02 {
				return 1000
			}
			return p.usual()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed, rate := range []float64{0.5, 4, 4, 20, 20, 100} {
				p := travel(uint64(seed), rate)
				s := 0
				p.took = func() float64 { return took(p, s) }
				for ; s < 3600; s++ {
					if p.second(); p.Kind != telemetry.AilmentNone {
						t.Errorf("%v a second, seed %d: %s after %d s", rate, seed, p.Kind, s)
						break
					}
				}
			}
		})
	}
}
