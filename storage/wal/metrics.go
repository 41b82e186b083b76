package wal

import (
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	records, bytes, refused, faults prometheus.Counter
	sync                            prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, l *Log) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "binnacle_wal_" + name, Help: help})
	}
	m := &metrics{
		records: counter("records_total", "Records made durable."),
		bytes:   counter("written_bytes_total", "Bytes written to the log, with framing."),
		refused: counter("refused_total", "Records refused because the log was full, or too many waited for its disk."),
		faults:  counter("faults_total", "How often the log became unable to write."),
		sync: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "binnacle_wal_sync_duration_seconds", Help: "Duration of one fsync, which acknowledges one group of records.",
			NativeHistogramBucketFactor: 1.1,
		}),
	}
	repairs := counter("repairs_total", "Torn tails cut off at start.")
	repairs.Add(float64(l.repairs))
	gauge := func(name, help string, value func(Damage) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "binnacle_wal_" + name, Help: help}, func() float64 { return value(l.Damage()) })
	}
	writable := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "binnacle_wal_writable", Help: "1 while the log takes records, 0 while its disk is at fault or does not answer."}, func() float64 {
		if l.Ready() != nil {
			return 0
		}
		return 1
	})
	if reg != nil {
		reg.MustRegister(m.records, m.bytes, m.refused, m.faults, m.sync, repairs, newFollowerMetrics(l), writable,
			gauge("missing_records", "Records that the log had and has lost, by their positions, as far as it is still kept.", func(d Damage) float64 { return float64(d.Missing) }),
			gauge("uncertain_records", "Records that there may have been, at the most, behind the newest that could be read when the log was opened.", func(d Damage) float64 { return float64(d.Uncertain) }),
			gauge("damaged_bytes", "Bytes of the log that are no readable record.", func(d Damage) float64 { return float64(d.Bytes) }))
	}
	return m
}

// followerMetrics shows where the followers are, as /api/v1/status does: both ask Followers.
type followerMetrics struct {
	log                                  *Log
	position, lagBytes, lagSeconds       *prometheus.Desc
	leftRecords, leftSpans, leftRequests *prometheus.Desc
	lostRecords                          *prometheus.Desc
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
		leftRecords:  desc("left_out_records_total", "Records that the follower was not given: too far behind, or lost with a part of the log."),
		lostRecords:  desc("lost_records_total", "Records among those left out that the log no longer had."),
		leftSpans:    desc("left_out_spans_total", "Spans in the records that it skipped, of those received since the start."),
		leftRequests: desc("left_out_requests_total", "Request log entries in the records that it skipped, of those received since the start."),
	}
}

// Describe implements prometheus.Collector.
func (m followerMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range [...]*prometheus.Desc{m.position, m.lagBytes, m.lagSeconds, m.leftRecords, m.leftSpans, m.leftRequests, m.lostRecords} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m followerMetrics) Collect(ch chan<- prometheus.Metric) {
	now := m.log.now()
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
		count(m.lostRecords, s.Lost)
		count(m.leftSpans, s.LeftOut.Spans)
		count(m.leftRequests, s.LeftOut.Requests)
	}
}
