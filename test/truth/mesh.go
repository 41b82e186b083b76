package main

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"time"
)

// mesh is what is sent, and what is true of it.
type mesh struct {
	spans, services, edges int
	length, split, late    time.Duration
	seed                   uint64

	requests int
	due      []event // by time
	truth    graph
}

// event is a span that is due.
type event struct {
	at      time.Duration
	request uint64
	from    int32
	to      int32
	took    int32 // µs
	server  bool
	failed  bool
}

// draw makes the requests. The pairs of services that call are as popular as words are: the first many thousand times, the last a few.
func (m *mesh) draw() {
	r := rand.New(rand.NewPCG(m.seed, 34)) //nolint:gosec // a load's chance
	pairs := make([][2]int32, 0, m.edges)
	known := map[[2]int32]bool{}
	for len(pairs) < min(m.edges, m.services*(m.services-1)) {
		p := [2]int32{int32(r.IntN(m.services)), int32(r.IntN(m.services))} //nolint:gosec // small
		if p[0] != p[1] && !known[p] {
			known[p] = true
			pairs = append(pairs, p)
		}
	}
	weights, sum := make([]float64, len(pairs)), 0.0
	for i := range weights {
		sum += math.Pow(float64(i+1), -1.5)
		weights[i] = sum
	}
	m.truth = graph{edges: map[edge]counts{}}
	for len(m.due) < m.spans {
		m.requests++
		p := pairs[sort.SearchFloat64s(weights, r.Float64()*sum)]
		e := event{request: uint64(m.requests), from: p[0], to: p[1], took: int32(100 + r.IntN(50_000)), failed: r.IntN(20) == 0} //nolint:gosec // small
		at := [2]time.Duration{time.Duration(r.Int64N(int64(m.length)))}
		at[1] = at[0]
		if r.IntN(2) == 0 {
			at[r.IntN(2)] += time.Duration(r.Int64N(int64(m.split)))
		}
		if r.IntN(50) == 0 {
			at[r.IntN(2)] += m.late
		}
		lost := -1
		if r.IntN(100) == 0 {
			lost = r.IntN(2)
		}
		for side, at := range at {
			if side == lost {
				continue
			}
			e.at, e.server = at, side == 1
			m.due = append(m.due, e)
		}
		k := edge{service(e.from), service(e.to)}
		if lost == 0 {
			k.from = unknown // nobody says whose it was
		}
		m.truth.add(k, e.failed)
	}
	slices.SortStableFunc(m.due, func(a, b event) int { return cmp.Compare(a.at, b.at) })
}

func service(n int32) string { return fmt.Sprintf("s%03d", n) }

// unknown is the caller of whom no span tells.
const unknown = "(unknown)"

// edge is an edge of any of the graphs.
type edge struct{ from, to string }

// counts is what is counted on it.
type counts struct{ requests, failed int }

type graph struct{ edges map[edge]counts }

func (g *graph) add(k edge, failed bool) {
	c := g.edges[k]
	if c.requests++; failed {
		c.failed++
	}
	g.edges[k] = c
}

// score is how wrong a graph is.
type score struct {
	edges, missing, extra int
	requests, off         int // off: what is missing, and what is too much, edge by edge
	failed, failedOff     int
}

const header = "edges missing   made up   requests off            errors off"

func (s score) String() string {
	of := func(n, all int) string { return fmt.Sprintf("%7d (%.3f %%)", n, 100*float64(n)/float64(max(1, all))) }
	return fmt.Sprintf("%5d of %-5d %9d %s %s", s.missing, s.edges, s.extra, of(s.off, s.requests), of(s.failedOff, s.failed))
}

// against compares what is shown with what is true.
func (g *graph) against(shown graph) (s score) {
	for k, want := range g.edges {
		got, ok := shown.edges[k]
		s.edges++
		s.requests += want.requests
		s.failed += want.failed
		if !ok {
			s.missing++
		}
		s.off += apart(want.requests, got.requests)
		s.failedOff += apart(want.failed, got.failed)
	}
	for k, got := range shown.edges {
		if _, ok := g.edges[k]; !ok && got.requests > 0 {
			s.extra++
			s.off += got.requests
			s.failedOff += got.failed
		}
	}
	return s
}

func apart(a, b int) int { return max(a-b, b-a) }
