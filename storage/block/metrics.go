package block

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics is what the store tells of itself.
type metrics struct {
	reg          prometheus.Registerer
	spans        prometheus.Counter
	requests     prometheus.Counter
	sealed       prometheus.Counter
	sealFailures prometheus.Counter
	sealSeconds  prometheus.Counter
	damaged      *prometheus.CounterVec
	deleted      *prometheus.CounterVec
	gauges       []prometheus.Collector
}

func newMetrics(s *Store) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "binnacle_block_" + name, Help: help})
	}
	gauge := func(name, help string, of func(Stats) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "binnacle_block_" + name, Help: help}, func() float64 { return of(s.Stats()) })
	}
	return &metrics{
		spans:        counter("spans_total", "Spans taken into the trace store."),
		requests:     counter("requests_total", "Request log entries taken into the trace store."),
		sealed:       counter("sealed_total", "Blocks written."),
		sealFailures: counter("seal_failures_total", "Attempts to write a block that failed and were repeated."),
		sealSeconds:  counter("seal_seconds_total", "Time spent writing blocks."),
		damaged: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "binnacle_block_damaged_total", Help: "Blocks found damaged, at open (set aside) or on a read (left out of the answer).",
		}, []string{"reason"}),
		deleted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "binnacle_block_deleted_total", Help: "Blocks deleted by retention.",
		}, []string{"reason"}),
		gauges: []prometheus.Collector{
			s.ops.dropped,
			gauge("blocks", "Blocks on disk.", func(st Stats) float64 { return float64(st.Blocks) }),
			gauge("bytes", "Bytes that the blocks take on disk.", func(st Stats) float64 { return float64(st.Bytes) }),
			gauge("head_spans", "Spans and requests that are in memory alone.", func(st Stats) float64 { return float64(st.HeadSpans) }),
			gauge("head_bytes", "Memory of the spans and requests that are in no block yet.", func(st Stats) float64 { return float64(st.HeadBytes) }),
		},
	}
}

func (m *metrics) all() []prometheus.Collector {
	return append([]prometheus.Collector{m.spans, m.requests, m.sealed, m.sealFailures, m.sealSeconds, m.damaged, m.deleted}, m.gauges...)
}

func (m *metrics) register(reg prometheus.Registerer) error {
	m.reg = reg
	var errs []error
	for _, c := range m.all() {
		errs = append(errs, reg.Register(c))
	}
	return errors.Join(errs...)
}

func (m *metrics) unregister() {
	for _, c := range m.all() {
		m.reg.Unregister(c)
	}
}
