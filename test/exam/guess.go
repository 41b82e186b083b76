package main

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// What the judge is compared with: rankings that anybody would try first, of the same recording.

// A scene is what the baselines are told of an incident: how far each service is from what is usual, in standard deviations of what is
// usual, the worse of latency and errors; and who calls whom.
type scene struct {
	oddity map[string]float64  // by service; none is below 0
	calls  map[string][]string // callees by caller
}

// oddest ranks by oddity.
func (s *scene) oddest() []string { return ranked(s.oddity) }

// How the walk goes.
const (
	stays    = 0.15 // the share of steps that begin anew, at a service by its oddity
	backward = 0.1  // what a step against a call weighs, as a part of one along it
	rounds   = 100
)

// walk ranks by where one is who walks from service to service at random: along calls towards what is odd, seldom back, and the longer at a
// service the odder it is beside what it calls.
func (s *scene) walk() []string {
	names := slices.Sorted(maps.Keys(s.oddity))
	place := map[string]int{}
	total := 0.0
	for i, n := range names {
		place[n] = i
		total += s.oddity[n]
	}
	if total == 0 {
		return names
	}
	way := make([]map[int]float64, len(names))
	for i := range names {
		way[i] = map[int]float64{}
	}
	most := make([]float64, len(names))
	for from, callees := range s.calls {
		for _, to := range callees {
			i, j := place[from], place[to]
			way[i][j] += s.oddity[to]
			way[j][i] += backward * s.oddity[from]
			most[i] = max(most[i], s.oddity[to])
		}
	}
	at := make([]float64, len(names))
	for i, n := range names {
		if own := s.oddity[n] - most[i]; own > 0 {
			way[i][i] += own
		}
		at[i] = 1 / float64(len(names))
	}
	for range rounds {
		next := make([]float64, len(names))
		for i, n := range names {
			next[i] += stays * s.oddity[n] / total
			sum := 0.0
			for _, w := range way[i] {
				sum += w
			}
			for _, j := range slices.Sorted(maps.Keys(way[i])) {
				if sum > 0 {
					next[j] += (1 - stays) * at[i] * way[i][j] / sum
				}
			}
			if sum == 0 {
				next[i] += (1 - stays) * at[i]
			}
		}
		at = next
	}
	score := map[string]float64{}
	for i, n := range names {
		score[n] = at[i]
	}
	return ranked(score)
}

// ranked are the names, the highest score first.
func ranked(score map[string]float64) []string {
	return slices.SortedFunc(maps.Keys(score), func(a, b string) int { return cmp.Or(cmp.Compare(score[b], score[a]), cmp.Compare(a, b)) })
}

// A spread is a mean and a standard deviation that grow value by value. The zero spread has seen none.
type spread struct{ n, mean, squares float64 }

func (s *spread) add(v float64) {
	s.n++
	d := v - s.mean
	s.mean += d / s.n
	s.squares += d * (v - s.mean)
}

// away is how far a mean of other values is above what is usual, in standard deviations; 0 where that is not known.
func (s *spread) away(v float64) float64 {
	if s.n < 2 {
		return 0
	}
	d := math.Sqrt(s.squares / (s.n - 1))
	return max(0, (v-s.mean)/max(d, 0.01*math.Abs(s.mean), 1e-9))
}
