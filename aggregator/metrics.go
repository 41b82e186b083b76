package aggregator

import "github.com/prometheus/client_golang/prometheus"

// metrics are the aggregator's own.
type metrics struct {
	spans        prometheus.Counter
	observations prometheus.Counter
	folded       [folds]prometheus.Counter
	series       prometheus.Gauge
	evicted      prometheus.Counter
	displaced    prometheus.Counter
	samples      prometheus.Counter
	refused      *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "binnacle_aggregator_" + name, Help: help})
	}
	folded := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "binnacle_aggregator_folded_total",
		Help: "Observations counted in a coarser series than their own, by the limit that was met.",
	}, []string{"reason"})
	m := metrics{
		spans:        counter("spans_total", "Spans counted."),
		observations: counter("observations_total", "Requests on edges counted, by any witness."),
		evicted:      counter("series_evicted_total", "Series that left memory after seeing nothing for idle_after."),
		displaced:    counter("series_displaced_total", "Series that left memory for others: they had seen little, and nothing for a while, when the table was full."),
		samples:      counter("samples_total", "Samples written to the series store."),
		series: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "binnacle_aggregator_series", Help: "Canonical series in memory.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "binnacle_aggregator_samples_refused_total",
			Help: "Samples and exemplars that the series store refused. Counters are cumulative: the next sample makes up for it.",
		}, []string{"reason"}),
	}
	for f := foldSeries; f < folds; f++ {
		m.folded[f] = folded.WithLabelValues(foldReasons[f])
	}
	for _, r := range []string{reasonOrder, reasonExemplar, reasonEnded, reasonFull, reasonOther} {
		m.refused.WithLabelValues(r)
	}
	reg.MustRegister(m.spans, m.observations, folded, m.evicted, m.displaced, m.samples, m.series, m.refused)
	return m
}

// publish brings the registry up to date with the core's plain counters.
func (a *Aggregator) publish() {
	for f := foldSeries; f < folds; f++ {
		if n := a.folded[f]; n > 0 {
			a.metrics.folded[f].Add(float64(n))
			a.folded[f] = 0
		}
	}
	a.metrics.series.Set(float64(a.live))
}

// discard is the registry of a state that is being loaded.
type discard struct{}

func (discard) Register(prometheus.Collector) error  { return nil }
func (discard) MustRegister(...prometheus.Collector) {}
func (discard) Unregister(prometheus.Collector) bool { return false }
