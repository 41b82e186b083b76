package analysis

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/bucket"
)

// An edgePlan is how requests come to an edge of a made-up range.
type edgePlan struct {
	rate, errors, throttled float64 // a second; shares
	ms                      float64 // the median; durations are log-normal
	version                 string  // of the target
}

// makeRange draws a range of a mesh at random, as chance would have it.
func makeRange(seconds float64, plans map[string]edgePlan, rng *rand.Rand) *telemetry.GraphRange {
	r := &telemetry.GraphRange{Graph: &telemetry.Graph{}, Seconds: seconds}
	for _, target := range sortedKeys(plans) {
		p := plans[target]
		n := poisson(p.rate*seconds, rng)
		if n == 0 {
			continue
		}
		c := telemetry.Counted{Requests: float64(n)}
		counts := map[int32]float64{}
		for range n {
			switch u := rng.Float64(); {
			case u < p.errors:
				c.Errors++
			case u < p.errors+p.throttled:
				c.Throttled++
			}
			counts[bucket.Of(int64(p.ms*1e6*math.Exp(0.5*rng.NormFloat64())))]++
		}
		for _, b := range sortedKeys(counts) {
			c.Times = append(c.Times, telemetry.TimeCount{Bucket: b, Count: counts[b]})
		}
		if p.version != "" {
			c.Versions = []telemetry.VersionCount{{Version: p.version, Requests: float64(n)}}
		}
		s := telemetry.Signals{Rate: float64(n) / seconds, ErrorRate: c.Errors / seconds, ThrottledRate: c.Throttled / seconds}
		s.P50, s.P90, s.P99 = quantileOf(c.Times, 0.5), quantileOf(c.Times, 0.9), quantileOf(c.Times, 0.99)
		windows := map[string]telemetry.Signals{"range": s}
		r.Graph.Nodes = append(r.Graph.Nodes, telemetry.GraphNode{ID: target, Windows: windows})
		r.Nodes = append(r.Nodes, c)
		edge := c
		edge.Versions = nil
		r.Graph.Edges = append(r.Graph.Edges, telemetry.GraphEdge{ID: "front>" + target, Source: "front", Target: target, Windows: windows})
		r.Edges = append(r.Edges, edge)
	}
	return r
}

func sortedKeys[K interface{ ~string | ~int32 }, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func poisson(mean float64, rng *rand.Rand) int {
	if mean > 500 {
		return int(math.Round(mean + math.Sqrt(mean)*rng.NormFloat64()))
	}
	n, p := 0, rng.Float64()
	for limit := math.Exp(-mean); p > limit; p *= rng.Float64() {
		n++
	}
	return n
}

func quantileOf(times []telemetry.TimeCount, q float64) *float64 {
	all := 0.0
	for _, c := range times {
		all += c.Count
	}
	rank := q * all
	for _, c := range times {
		if rank -= c.Count; rank <= 0 {
			ms := 1000 * bucket.Middle(c.Bucket)
			return &ms
		}
	}
	return nil
}

func quietMesh(edges int) map[string]edgePlan {
	plans := map[string]edgePlan{}
	for i := range edges {
		// From one request in half a minute to dozens a second.
		plans[fmt.Sprintf("s%03d", i)] = edgePlan{rate: 0.03 * math.Pow(1000, float64(i)/float64(edges)), errors: 0.01 * float64(i%4), throttled: 0.02 * float64(i%2), ms: 5 * float64(1+i%9), version: "v1"}
	}
	return plans
}

// Of two ranges of a mesh in which nothing changes, nothing is certain, whatever chance does, and be they of different length: of 200 comparisons alpha
// allows for two.
func TestChanceIsNoChange(t *testing.T) {
	t.Parallel()
	const rounds = 100
	wrong := 0
	for seed := range uint64(rounds) {
		rng := rand.New(rand.NewPCG(seed, 9))
		plans := quietMesh(60)
		d := CompareGraphs(makeRange(300, plans, rng), makeRange([]float64{300, 60}[seed%2], plans, rng))
		for _, n := range append(d.Nodes, d.Edges...) {
			if n.Certain {
				wrong++
				t.Logf("seed %d: %+v", seed, n)
			}
		}
		if d.Tests < 60*6 {
			t.Fatalf("%d tests", d.Tests)
		}
	}
	if wrong > 6 {
		t.Errorf("%d differences were certain in %d comparisons of what did not change", wrong, rounds)
	}
}

// What did change is found, with its size, and nothing else of the same mesh is.
func TestChangesAreFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		target string
		change func(*edgePlan)
		figure Figure
		fate   Fate
		ratio  float64
	}{
		{"rate", "s040", func(p *edgePlan) { p.rate *= 2 }, FigureRate, Changed, 2},
		{"errors", "s040", func(p *edgePlan) { p.errors = 0.10 }, FigureErrors, Changed, 0},
		{"throttled", "s041", func(p *edgePlan) { p.throttled = 0.3 }, FigureThrottled, Changed, 0},
		{"slower", "s050", func(p *edgePlan) { p.ms *= 1.5 }, FigureP90, Changed, 1.5},
		{"version", "s030", func(p *edgePlan) { p.version = "v2" }, FigureVersion, Added, 0},
		{"gone", "s045", func(p *edgePlan) { p.rate = 0 }, FigureRate, Gone, 0},
		{"added", "z", func(p *edgePlan) { *p = edgePlan{rate: 1, ms: 3} }, FigureRate, Added, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(7, 7))
			plans := quietMesh(60)
			before := makeRange(300, plans, rng)
			changed := plans[c.target]
			c.change(&changed)
			plans[c.target] = changed
			d := CompareGraphs(before, makeRange(300, plans, rng))
			var certain []Difference
			for _, n := range d.Nodes {
				if n.Certain {
					certain = append(certain, n)
				}
			}
			if len(certain) != 1 {
				t.Fatalf("certain are %+v", certain)
			}
			n := certain[0]
			if c.figure == FigureRate && c.fate != Changed {
				if n.Fate != c.fate || n.Chance >= d.Threshold {
					t.Errorf("it is %s with %g", n.Fate, n.Chance)
				}
				return
			}
			i := slices.IndexFunc(n.Changes, func(x Change) bool { return x.Figure == c.figure && x.Fate == c.fate })
			if i < 0 || !n.Changes[i].Certain {
				t.Fatalf("changes are %+v", n.Changes)
			}
			if x := n.Changes[i]; c.ratio > 0 && math.Abs(math.Log(x.After/x.Before/c.ratio)) > 0.15 {
				t.Errorf("%s went from %g to %g, by a factor of %g", c.figure, x.Before, x.After, c.ratio)
			}
		})
	}
}

// A tail that moves while the median stands still is a change of the 99th percentile alone.
func TestTailMoves(t *testing.T) {
	t.Parallel()
	at := func(ms float64) int32 { return bucket.Of(int64(ms * 1e6)) }
	ranges := func(slow float64) *telemetry.GraphRange {
		c := telemetry.Counted{Requests: 10_000, Times: []telemetry.TimeCount{{Bucket: at(10), Count: 9800}, {Bucket: at(slow), Count: 200}}}
		s := telemetry.Signals{Rate: 100, P50: quantileOf(c.Times, 0.5), P90: quantileOf(c.Times, 0.9), P99: quantileOf(c.Times, 0.99)}
		return &telemetry.GraphRange{
			Seconds: 100, Edges: []telemetry.Counted{c},
			Graph: &telemetry.Graph{Edges: []telemetry.GraphEdge{{ID: "a>b|http", Windows: map[string]telemetry.Signals{"range": s}}}},
		}
	}
	d := CompareGraphs(ranges(40), ranges(80))
	if len(d.Edges) != 1 || len(d.Edges[0].Changes) != 1 || d.Edges[0].Changes[0].Figure != FigureP99 || !d.Edges[0].Changes[0].Certain {
		t.Errorf("differences are %+v", d.Edges)
	}
	if d := CompareGraphs(ranges(40), ranges(40)); len(d.Edges) != 0 {
		t.Errorf("of the same range twice: %+v", d.Edges)
	}
}

// The exact tests are exact: they are held against sums of big fractions.
func TestChanceIsExact(t *testing.T) {
	t.Parallel()
	choose := func(n, k int64) *big.Rat { return new(big.Rat).SetInt(new(big.Int).Binomial(n, k)) }
	rng := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		a := rng.Int64N(12)
		n := a + rng.Int64N(40)
		b := rng.Int64N(12)
		m := b + rng.Int64N(40)
		if n == 0 || m == 0 || a+b == 0 || a+b == n+m {
			continue
		}
		// Fisher: b among m, of a+b among n+m.
		some, all := a+b, n+m
		up, down := new(big.Rat), new(big.Rat)
		for k := int64(0); k <= min(some, m); k++ {
			if m-k > all-some {
				continue
			}
			p := new(big.Rat).Mul(choose(some, k), choose(all-some, m-k))
			p.Quo(p, choose(all, m))
			if k >= b {
				up.Add(up, p)
			}
			if k <= b {
				down.Add(down, p)
			}
		}
		u, _ := up.Float64()
		l, _ := down.Float64()
		want := l
		if float64(b) >= float64(m*some)/float64(all) {
			want = u
		}
		if got := chanceOfShare(float64(a), float64(n), float64(b), float64(m)); math.Abs(got-min(1, 2*want)) > 1e-9 {
			t.Fatalf("%d of %d and %d of %d: %g, it is %g", a, n, b, m, got, min(1, 2*want))
		}
		// Binomial: b of a+b, with a third of the time.
		up, down = new(big.Rat), new(big.Rat)
		for k := int64(0); k <= some; k++ {
			p := choose(some, k)
			for range k {
				p.Mul(p, big.NewRat(1, 3))
			}
			for range some - k {
				p.Mul(p, big.NewRat(2, 3))
			}
			if k >= b {
				up.Add(up, p)
			}
			if k <= b {
				down.Add(down, p)
			}
		}
		u, _ = up.Float64()
		l, _ = down.Float64()
		want = l
		if float64(b) >= float64(some)/3 {
			want = u
		}
		if got := chanceOfRate(float64(a), float64(b), 1.0/3); math.Abs(got-min(1, 2*want)) > 1e-9 {
			t.Fatalf("%d and %d in a third of the time: %g, it is %g", a, b, got, min(1, 2*want))
		}
	}
}
