package wal

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	records, bytes, refused prometheus.Counter
	sync                    prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, l *Log) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "binnacle_wal_" + name, Help: help})
	}
	m := &metrics{
		records: counter("records_total", "Records made durable."),
		bytes:   counter("written_bytes_total", "Bytes written to the log, with framing."),
		refused: counter("refused_total", "Records refused because the log was full."),
		sync: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "binnacle_wal_sync_duration_seconds", Help: "Duration of one fsync, which acknowledges one group of records.",
			NativeHistogramBucketFactor: 1.1,
		}),
	}
	repairs := counter("repairs_total", "Torn tails cut off at start.")
	repairs.Add(float64(l.repairs))
	if reg != nil {
		reg.MustRegister(m.records, m.bytes, m.refused, m.sync, repairs, newFollowerMetrics(l))
	}
	return m
}

// followerMetrics shows where the followers are, as /api/v1/status does: both ask Followers.
type followerMetrics struct {
	log                                  *Log
	position, lagBytes, lagSeconds       *prometheus.Desc
	leftRecords, leftSpans, leftRequests *prometheus.Desc
}

func newFollowerMetrics(l *Log) followerMetrics {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("binnacle_wal_follower_"+name, help, []string{"follower"}, nil)
	}
	return followerMetrics{
		log:          l,
		position:     desc("position", "Position of the record that the follower passed last."),
		lagBytes:     desc("lag_bytes", "Bytes of the log that the follower has not passed."),
		lagSeconds:   desc("lag_seconds", "Age of the oldest record that the follower has not passed, 0 when it has passed all."),
		leftRecords:  desc("left_out_records_total", "Records that a best-effort follower skipped because it was too far behind."),
		leftSpans:    desc("left_out_spans_total", "Spans in the records that it skipped, of those received since the start."),
		leftRequests: desc("left_out_requests_total", "Request log entries in the records that it skipped, of those received since the start."),
	}
}

// Describe implements prometheus.Collector.
func (m followerMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range [...]*prometheus.Desc{m.position, m.lagBytes, m.lagSeconds, m.leftRecords, m.leftSpans, m.leftRequests} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m followerMetrics) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	for _, s := range m.log.Followers() {
		gauge := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, s.Name)
		}
		count := func(d *prometheus.Desc, v uint64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), s.Name)
		}
		gauge(m.position, float64(s.Position))
		gauge(m.lagBytes, float64(s.Lag.Bytes))
		gauge(m.lagSeconds, s.Age(now).Seconds())
		count(m.leftRecords, s.LeftOut.Records)
		count(m.leftSpans, s.LeftOut.Spans)
		count(m.leftRequests, s.LeftOut.Requests)
	}
}
