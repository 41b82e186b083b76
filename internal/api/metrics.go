package api

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are this room's own. Every label's values are known beforehand: routes
// are patterns of the dialects, never paths.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
	refused  *prometheus.CounterVec
	panics   prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "binnacle_api_requests_total", Help: "Requests answered, by route and status code.",
		}, []string{"route", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "binnacle_api_request_duration_seconds", Help: "Time to answer a request; streams are not in it.",
			Buckets:                     []float64{.001, .005, .025, .1, .5, 2.5, 10, 30},
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		}, []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "binnacle_api_requests_in_flight", Help: "Requests being answered, streams included.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "binnacle_api_refused_total",
			Help: "Requests refused before they were looked at: host (a name not ours), cross_site (asked by another site's page), busy (too many searches), queue (too many wait for their turn), streams (too many streams), body (too large), slow (the body came too slowly), and answers that were not sent: answer (too large), memory (none for it, nor for a body).",
		}, []string{"reason"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "binnacle_api_panics_total", Help: "Handlers that panicked. Each is a bug; the log has its stack.",
		}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.duration, m.inFlight, m.refused, m.panics} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("api: register metrics: %w", err)
		}
	}
	return m, nil
}
