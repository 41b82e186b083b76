package views

import (
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// A family is a group of metrics that are made from the same canonical series
// and carry the same labels.
type family struct {
	base    string            // the canonical metric
	where   []*labels.Matcher // the canonical series that belong
	metrics []metric
	// derive adds the labels of the view, in any order, name and le left out.
	derive func(f *facts, add func(name, value string))
	// push says how a matcher on a derived label narrows the canonical series. For
	// families whose metrics choose among witnesses, only what all witnesses
	// of a hop share may be listed.
	push map[string]push
}

// A metric is one name of a family.
type metric struct {
	name   string
	help   string
	unit   string
	typ    model.MetricType
	family string // the name under which metadata are listed
	value  part
	scale  float64   // of a canonical second
	bounds []float64 // of classic buckets, in units of scale, +Inf left out
	only   func(f *facts) bool
	// rank orders the witnesses of a hop: the least that is there is used, the others
	// are left out. hop says what they compete for. nil: all count.
	rank func(f *facts) int
	hop  func(f *facts) hop
	// distinct has the metric count each request once, whichever of a hop's spans tell of it: see chosen. rank is not asked then.
	distinct bool
}

// part is what of a histogram a metric shows.
type part uint8

const (
	countValue part = iota
	sumValue
	bucketValue
)

// A push translates a matcher on a derived label to one on a canonical label.
type push struct {
	label string
	// values maps all canonical values to the derived ones, where they are few.
	values map[string]string
	// special lists the derived values that are not the canonical label's own.
	special []string
}

// translate is the canonical matcher that is implied by m, nil where it implies
// none; none: nothing can match.
func (p *push) translate(m *labels.Matcher) (out *labels.Matcher, none bool) {
	if p.values == nil {
		for _, s := range p.special {
			if m.Matches(s) {
				return nil, false
			}
		}
		return labels.MustNewMatcher(m.Type, p.label, m.Value), false
	}
	var accepted []string
	for from, to := range p.values {
		if m.Matches(to) {
			accepted = append(accepted, from)
		}
	}
	switch len(accepted) {
	case 0:
		return nil, true
	case len(p.values):
		return nil, false
	}
	slices.Sort(accepted)
	return labels.MustNewMatcher(labels.MatchRegexp, p.label, strings.Join(accepted, "|")), false
}

// classicHistogram are the three classic series of a histogram.
func classicHistogram(name, unit, help string, scale float64, bounds []float64, m metric) []metric {
	m.family, m.unit, m.help, m.scale, m.typ = name, unit, help, scale, model.MetricTypeHistogram
	bucket, sum, count := m, m, m
	bucket.name, bucket.value, bucket.bounds = name+"_bucket", bucketValue, bounds
	sum.name, sum.value = name+"_sum", sumValue
	count.name, count.value = name+"_count", countValue
	return []metric{bucket, sum, count}
}

func counter(name, help string, m metric) metric {
	m.name, m.family, m.help, m.typ, m.value = name, name, help, model.MetricTypeCounter, countValue
	return m
}

func families() []*family {
	return []*family{istio(), serviceGraph(), tempoSpanMetrics(), otelSpanMetrics()}
}

// evidenceRank prefers a proxy's log, which is of every request, to spans, of
// which senders may keep a sample.
func evidenceRank(f *facts) int {
	if f.evidence == "log" {
		return 0
	}
	return 1
}
