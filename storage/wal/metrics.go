package wal

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	records, bytes, refused, repairs prometheus.Counter
	sync                             prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "binnacle_wal_" + name, Help: help})
	}
	m := &metrics{
		records: counter("records_total", "Records made durable."),
		bytes:   counter("written_bytes_total", "Bytes written to the log, with framing."),
		refused: counter("refused_total", "Records refused because the log was full."),
		repairs: counter("repairs_total", "Torn tails cut off at start."),
		sync: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "binnacle_wal_sync_duration_seconds", Help: "Duration of one fsync, which acknowledges one group of records.",
			NativeHistogramBucketFactor: 1.1,
		}),
	}
	if reg != nil {
		reg.MustRegister(m.records, m.bytes, m.refused, m.repairs, m.sync)
	}
	return m
}
