package binnacle

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the streams' own.
type metrics struct {
	streams   prometheus.Gauge
	snapshots *prometheus.CounterVec
	deltas    prometheus.Counter
	ended     *prometheus.CounterVec
	panics    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "binnacle_api_streams", Help: "Clients that follow the live graph.",
		}),
		snapshots: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "binnacle_api_stream_snapshots_total",
			Help: "Snapshots sent on streams: join (to a new client), slow (to one that missed deltas).",
		}, []string{"reason"}),
		deltas: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "binnacle_api_stream_deltas_total", Help: "Deltas encoded, once each for all clients.",
		}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "binnacle_api_stream_ended_total",
			Help: "Streams ended by the server: unread (the client read nothing for 20 s), memory (none for another snapshot).",
		}, []string{"reason"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "binnacle_api_stream_panics_total", Help: "Deltas whose making panicked. Each is a bug; the log has its stack.",
		}),
	}
	for _, c := range []prometheus.Collector{m.streams, m.snapshots, m.deltas, m.ended, m.panics} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("api: register metrics: %w", err)
		}
	}
	return m, nil
}
