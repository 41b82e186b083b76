package main

import (
	"strings"
	"testing"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		new, old []float64
		want     string
	}{
		{nil, nil, "NOT MEASURED"},
		{[]float64{1}, []float64{0}, "NOT MEASURED"},
		{[]float64{11, 10.7, 10.6}, []float64{10, 10, 10}, "WORSE"},
		{[]float64{11, 9, 11}, []float64{10, 10, 10}, "worse?"},
		{[]float64{10.4, 10.5, 10.5}, []float64{10, 10, 10}, "the same"},
		{[]float64{9, 8, 9}, []float64{10, 10, 10}, "better"},
		{[]float64{9, 11, 9}, []float64{10, 10, 10}, "the same"},
		{[]float64{30, 10}, []float64{10, 30}, "worse?"}, // the pairs decide: 3 and 1/3
	} {
		f := figure{name: "x", values: [2][]float64{c.new, c.old}}
		if got := judge(f.ratios()); !strings.HasPrefix(got, c.want) {
			t.Errorf("%v against %v: %s, want %s", c.new, c.old, got, c.want)
		}
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	verdict(&out, []*figure{
		{name: "a span", unit: "µs", values: [2][]float64{{8, 9, 7}, {7, 7, 7}}},
		{name: "a query", unit: "ms", values: [2][]float64{{2}, nil}},
	}, 3)
	for _, want := range []string{"8.00       7.00 µs      1.143  (1.000-1.286)  worse?", "NOT MEASURED"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, out.String())
		}
	}
}
