package aggregator

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
)

// SelfJob is the label job of the process' own metrics in the store.
const SelfJob = "binnacle"

// A SelfScraper writes the process' own metrics to the series store, as a
// Prometheus that scrapes /metrics would: counters, gauges, summaries, and
// histograms in whichever form they have, with job="binnacle", and a mark of staleness when a series ends.
//
// It is for one goroutine at a time.
type SelfScraper struct {
	gatherer prometheus.Gatherer
	series   map[uint64][]*selfSeries // by hash of the labels
	round    uint64
	builder  labels.ScratchBuilder
}

type selfSeries struct {
	labels labels.Labels
	ref    storage.SeriesRef
	round  uint64 // the newest in which it was there
	native bool   // a native histogram
}

// NewSelfScraper scrapes what g gathers.
func NewSelfScraper(g prometheus.Gatherer) *SelfScraper {
	return &SelfScraper{gatherer: g, series: map[uint64][]*selfSeries{}, builder: labels.NewScratchBuilder(16)}
}

// Scrape writes one sample of each series. Times must rise from call to call.
func (s *SelfScraper) Scrape(ctx context.Context, now time.Time, store SeriesStore) error {
	families, err := s.gatherer.Gather()
	if err != nil && len(families) == 0 {
		return fmt.Errorf("gather this process' metrics: %w", err)
	}
	gathered := err // what could be gathered is written none the less
	s.round++
	r := scrape{s: s, app: store.AppenderV2(ctx), at: now.UnixMilli()}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			r.metric(f.GetName(), f.GetType(), m)
		}
	}
	r.ended()
	if err := r.app.Commit(); err != nil {
		return fmt.Errorf("write this process' metrics: %w", err)
	}
	return errors.Join(gathered, r.err)
}

// scrape is one round.
type scrape struct {
	s   *SelfScraper
	app storage.AppenderV2
	at  int64
	err error
}

func (r *scrape) metric(name string, typ dto.MetricType, m *dto.Metric) {
	switch typ {
	case dto.MetricType_COUNTER:
		r.sample(name, m, "", "", m.GetCounter().GetValue())
	case dto.MetricType_GAUGE:
		r.sample(name, m, "", "", m.GetGauge().GetValue())
	case dto.MetricType_UNTYPED:
		r.sample(name, m, "", "", m.GetUntyped().GetValue())
	case dto.MetricType_SUMMARY:
		sm := m.GetSummary()
		for _, q := range sm.GetQuantile() {
			r.sample(name, m, "quantile", strconv.FormatFloat(q.GetQuantile(), 'g', -1, 64), q.GetValue())
		}
		r.sample(name+"_sum", m, "", "", sm.GetSampleSum())
		r.sample(name+"_count", m, "", "", float64(sm.GetSampleCount()))
	case dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM:
		h := m.GetHistogram()
		if h.Schema != nil {
			r.native(name, m)
			if len(h.GetBucket()) == 0 {
				return
			}
		}
		inf := false
		for _, b := range h.GetBucket() {
			inf = inf || math.IsInf(b.GetUpperBound(), 1)
			r.sample(name+"_bucket", m, "le", strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64), float64(b.GetCumulativeCount()))
		}
		if !inf {
			r.sample(name+"_bucket", m, "le", "+Inf", float64(h.GetSampleCount()))
		}
		r.sample(name+"_sum", m, "", "", h.GetSampleSum())
		r.sample(name+"_count", m, "", "", float64(h.GetSampleCount()))
	}
}

// native appends a native histogram.
func (r *scrape) native(name string, m *dto.Metric) {
	d := m.GetHistogram()
	h := &histogram.Histogram{
		Schema: d.GetSchema(), ZeroThreshold: d.GetZeroThreshold(), ZeroCount: d.GetZeroCount(),
		Count: d.GetSampleCount(), Sum: d.GetSampleSum(),
		PositiveBuckets: slices.Clone(d.GetPositiveDelta()), NegativeBuckets: slices.Clone(d.GetNegativeDelta()),
	}
	for _, s := range d.GetPositiveSpan() {
		h.PositiveSpans = append(h.PositiveSpans, histogram.Span{Offset: s.GetOffset(), Length: s.GetLength()})
	}
	for _, s := range d.GetNegativeSpan() {
		h.NegativeSpans = append(h.NegativeSpans, histogram.Span{Offset: s.GetOffset(), Length: s.GetLength()})
	}
	ss := r.series(name, m, "", "")
	ss.native = true
	r.append(ss, 0, h)
}

// sample appends one value; extra is a label that the kind of metric adds.
func (r *scrape) sample(name string, m *dto.Metric, extra, extraValue string, v float64) {
	r.append(r.series(name, m, extra, extraValue), v, nil)
}

// series finds or makes the series, and notes that it was there in this round.
func (r *scrape) series(name string, m *dto.Metric, extra, extraValue string) *selfSeries {
	b := &r.s.builder
	b.Reset()
	b.Add(labels.MetricName, name)
	b.Add("job", SelfJob)
	for _, l := range m.GetLabel() {
		if n := l.GetName(); n == "job" {
			addLabel(b, "exported_job", l.GetValue()) // as a scrape would
		} else {
			addLabel(b, n, l.GetValue())
		}
	}
	addLabel(b, extra, extraValue)
	b.Sort()
	ls := b.Labels()
	ss := r.s.find(ls)
	ss.round = r.s.round
	return ss
}

func (s *SelfScraper) find(ls labels.Labels) *selfSeries {
	h := ls.Hash()
	for _, ss := range s.series[h] {
		if labels.Equal(ss.labels, ls) {
			return ss
		}
	}
	ss := &selfSeries{labels: ls}
	s.series[h] = append(s.series[h], ss)
	return ss
}

func (r *scrape) append(ss *selfSeries, v float64, h *histogram.Histogram) {
	ref, err := r.app.Append(ss.ref, ss.labels, 0, r.at, v, h, nil, storage.AOptions{})
	if err != nil {
		ss.ref = 0
		r.err = fmt.Errorf("write %s: %w", ss.labels.Get(labels.MetricName), err)
		return
	}
	ss.ref = ref
}

// ended marks as stale what is no longer gathered.
func (r *scrape) ended() {
	for h, list := range r.s.series {
		kept := list[:0]
		for _, ss := range list {
			if ss.round == r.s.round {
				kept = append(kept, ss)
				continue
			}
			end := math.Float64frombits(value.StaleNaN)
			if ss.native {
				r.append(ss, 0, &histogram.Histogram{Sum: end})
			} else {
				r.append(ss, end, nil)
			}
		}
		if len(kept) == 0 {
			delete(r.s.series, h)
		} else {
			r.s.series[h] = kept
		}
	}
}
