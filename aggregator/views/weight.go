package views

import (
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Which of two witnesses is meant that saw as many.
//
// The problem: who asks for the witness that saw most, by topk(1), gets any of several that saw as many, and where nothing is lost all have; in a range each step gets another. Witnesses
// that saw as many need not agree on what was an error, nor on how long it took: charts would differ from the map, and jump.
//
// The rule: there is a metric of four series, one a witness, that never changes: 1, and a few billionths more for whom the graph prefers of equals (topology/figures.go).
// Expressions multiply by it what topk compares:
//
//	topk by (...) (1, sum by (..., side, evidence) (histogram_count(rate(m[1m]))) * on (side, evidence) group_left binnacle_witness_weight)
//
// Not chosen: series that are handed out in that order (over a range the engine keeps none); the preference in each expression (four times as long).

const (
	witnessWeight = "binnacle_witness_weight"
	aBillionth    = 1e-9
	weightEvery   = 60_000 // ms between its samples: well within what PromQL looks back
)

// weights are the series of the metric that the matchers accept, with samples from from to to, Unix ms.
func weights(from, to int64, ms []*labels.Matcher) storage.SeriesSet {
	set := &constants{}
	for w := range telemetry.Witness(telemetry.Witnesses) {
		ls := labels.FromStrings(labels.MetricName, witnessWeight, canonical.Evidence, w.Evidence().String(), canonical.Side, w.Side().String())
		accepted := true
		for _, m := range ms {
			accepted = accepted && m.Matches(ls.Get(m.Name))
		}
		if accepted {
			set.all = append(set.all, &constant{labels: ls, from: from, n: int((to-from)/weightEvery) + 1, value: 1 + float64(telemetry.Witnesses-1-w)*aBillionth})
		}
	}
	return set
}

// asksWeights says that the matchers ask for the metric by its name.
func asksWeights(ms []*labels.Matcher) bool {
	for _, m := range ms {
		if m.Name == labels.MetricName && m.Type == labels.MatchEqual && m.Value == witnessWeight {
			return true
		}
	}
	return false
}

// constants are series of one value each.
type constants struct {
	all  []storage.Series
	next int
}

func (s *constants) Next() bool {
	s.next++
	return s.next <= len(s.all)
}

func (s *constants) At() storage.Series              { return s.all[s.next-1] }
func (*constants) Err() error                        { return nil }
func (*constants) Warnings() annotations.Annotations { return nil }

// constant is a series of one value.
type constant struct {
	labels labels.Labels
	from   int64
	n      int
	value  float64
}

func (c *constant) Labels() labels.Labels { return c.labels }

func (c *constant) Iterator(chunkenc.Iterator) chunkenc.Iterator {
	return storage.NewListSeriesIterator(&constantSamples{constant: c})
}

type constantSamples struct {
	*constant
	cursor sample
}

func (c *constantSamples) Len() int { return c.n }

func (c *constantSamples) Get(i int) chunks.Sample {
	c.cursor = sample{t: c.from + int64(i)*weightEvery, v: c.value}
	return &c.cursor
}
