package main

import (
	"fmt"
	"io"
	"slices"
)

// A reading is a figure as one server showed it once. Less is better in all.
type reading struct {
	name   string
	value  float64
	unit   string
	remark string // what else is worth knowing: its floor, its limit, what was refused
}

// A figure is all readings of one name: first the server's under measurement, then the other's.
type figure struct {
	name, unit string
	values     [2][]float64
}

func (f *figure) add(who int, v float64) { f.values[who] = append(f.values[who], v) }

// ratios are those of the pairs, new to old, sorted.
func (f *figure) ratios() (out []float64) {
	for i := range min(len(f.values[0]), len(f.values[1])) {
		if f.values[1][i] > 0 {
			out = append(out, f.values[0][i]/f.values[1][i])
		}
	}
	slices.Sort(out)
	return out
}

// tolerance is by how much a figure may be worse before it is said to be: no run tells less apart.
const tolerance = 0.05

// judge says in a word or two what the ratios of the pairs mean.
func judge(ratios []float64) string {
	switch m := median(ratios); {
	case len(ratios) == 0:
		return "NOT MEASURED"
	case m > 1+tolerance && ratios[0] > 1:
		return "WORSE"
	case m > 1+tolerance:
		return "worse? not in every pair: measure it again, alone and longer"
	case m < 1-tolerance && ratios[len(ratios)-1] < 1:
		return "better"
	}
	return "the same"
}

// verdict prints the table by which a change is judged.
func verdict(w io.Writer, figures []*figure, pairs int) {
	_, _ = fmt.Fprintf(w, "\nVerdict: new / old, median of %d pairs (least to most); worse is more than %.0f %% above 1\n\n", pairs, tolerance*100)
	_, _ = fmt.Fprintf(w, "  %-44s %10s %10s %-6s %6s  %-14s\n", "", "new", "old", "", "ratio", "")
	for _, f := range figures {
		r := f.ratios()
		if len(r) == 0 {
			_, _ = fmt.Fprintf(w, "  %-44s %s\n", f.name, judge(r))
			continue
		}
		_, _ = fmt.Fprintf(w, "  %-44s %10.2f %10.2f %-6s %6.3f  (%.3f-%.3f)  %s\n",
			f.name, median(sorted(f.values[0])), median(sorted(f.values[1])), f.unit, median(r), r[0], r[len(r)-1], judge(r))
	}
}

func sorted(v []float64) []float64 { return slices.Sorted(slices.Values(v)) }

// median of a sorted slice; 0 of an empty one.
func median(v []float64) float64 {
	n := len(v)
	if n == 0 {
		return 0
	}
	return (v[(n-1)/2] + v[n/2]) / 2
}
