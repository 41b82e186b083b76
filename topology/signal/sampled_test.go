package signal

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

func traceOf(n uint64) (id telemetry.TraceID) {
	binary.BigEndian.PutUint64(id[8:], n*0x9e3779b97f4a7c15)
	return id
}

// What was added, taken back, merged and read, in any order, is what would be had of the spans that are left.
func TestSampledModel(t *testing.T) {
	t.Parallel()
	type span struct {
		w     telemetry.Weight
		trace telemetry.TraceID
	}
	rapid.Check(t, func(rt *rapid.T) {
		s, other := &Sampled{}, &Sampled{}
		var all, rest []span
		rt.Repeat(map[string]func(*rapid.T){
			"add": func(rt *rapid.T) {
				x := span{telemetry.Weight(rapid.IntRange(1, int(telemetry.HeaviestWeight)).Draw(rt, "weight")), traceOf(rapid.Uint64Range(0, 9).Draw(rt, "trace"))}
				if rapid.Bool().Draw(rt, "other") {
					other.Add(x.w, x.trace)
					rest = append(rest, x)
				} else {
					s.Add(x.w, x.trace)
					all = append(all, x)
				}
			},
			"remove": func(rt *rapid.T) {
				if len(all) == 0 {
					rt.Skip()
				}
				i := rapid.IntRange(0, len(all)-1).Draw(rt, "which")
				s.Remove(all[i].w, all[i].trace)
				all = slices.Delete(all, i, i+1)
			},
			"merge": func(*rapid.T) {
				other.Merge(s)
				s, other, all, rest = other, &Sampled{}, append(all, rest...), nil
			},
			"": func(rt *rapid.T) {
				var want Sampled
				requests := 0.0
				for i := range slices.Backward(all) {
					want.Add(all[i].w, all[i].trace)
					requests += float64(all[i].w.Eighths()) / 8
				}
				if *s != want || s.Requests() != requests {
					rt.Fatalf("%+v, want %+v", s, want)
				}
				if len(all) == 0 {
					return
				}
				var read Sampled
				left, err := read.Read(s.Append(nil))
				if err != nil || len(left) > 0 || read != *s || !bytes.Equal(read.Append(nil), s.Append(nil)) {
					rt.Fatalf("read %+v, error %v, of %+v", read, err, s)
				}
			},
		})
	})
}

// The variance is that of traces: where each takes an edge five times it is five times what it would be of as many requests by themselves.
func TestVarianceIsOfTraces(t *testing.T) {
	t.Parallel()
	w := telemetry.WeightOf(10, telemetry.TraceID{})
	for each, sum := range map[int]float64{1: 0, 5: 0} {
		const seeds, traces = 50, 200
		for seed := range uint64(seeds) {
			var s Sampled
			for i := range uint64(traces) {
				for range each {
					s.Add(w, traceOf(seed*traces+i))
				}
			}
			sum += s.Variance() / float64(each*each*traces*90)
		}
		// The mean of 50 sketches of 32 signs, each off by a quarter.
		if mean := sum / seeds; mean < 0.88 || mean > 1.25 {
			t.Errorf("of traces that take an edge %d times the variance is %.2f of what it is", each, mean)
		}
	}
}

// The bar of few spans reaches to where they would be too few by chance, and that of many is z standard errors.
func TestErrorBar(t *testing.T) {
	t.Parallel()
	w := telemetry.WeightOf(1000, telemetry.TraceID{})
	var s Sampled
	if s.Within(1.96) != 0 {
		t.Error("nothing has an error bar")
	}
	s.Add(w, traceOf(1))
	if got := s.Requests() + s.Within(1.96); got < 5500 || got > 5800 {
		t.Errorf("one span of a thousand may be one of %.0f, want some 5,700 (of a mean of 5.6 one or none is seen 2.5 %% of the time)", got)
	}
	s = Sampled{}
	for i := range uint64(100_000) {
		s.Add(w, traceOf(i))
	}
	if ratio := s.Within(1.96) / (1.96 * math.Sqrt(s.Variance())); ratio < 1 || ratio > 1.01 {
		t.Errorf("the bar of many spans is %.3f of 1.96 standard errors", ratio)
	}
}
