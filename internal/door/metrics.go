package door

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are this room's own; ports are those of the configuration.
type metrics struct {
	connections              *prometheus.GaugeVec
	refused, unread, panicks *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "binnacle_door_connections", Help: "Open connections.",
		}, []string{"port"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "binnacle_door_refused_total",
			Help: "Connections refused because there are too many (connections), too many from one address (address), or no memory for them (memory), " +
				"and requests refused before they were read: host (a name not ours), cross_site (by another site's page), content_type, body_size.",
		}, []string{"port", "reason"}),
		unread: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "binnacle_door_unread_total", Help: "Connections ended because the client did not read what it was sent.",
		}, []string{"port"}),
		panicks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "binnacle_door_panics_total", Help: "Handlers of receivers that panicked. Each is a bug; the log has its stack.",
		}, []string{"port"}),
	}
	for _, c := range []prometheus.Collector{m.connections, m.refused, m.unread, m.panicks} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("door: register metrics: %w", err)
		}
	}
	return m, nil
}

// portMetrics are those of one port.
type portMetrics struct {
	connections    prometheus.Gauge
	unread, panics prometheus.Counter
	refused        func(Reason)
}

func (m *metrics) of(port string) portMetrics {
	counters := map[Reason]prometheus.Counter{}
	for _, r := range []Reason{tooMany, tooManyHere, noMemory, Host, CrossSite, ContentType, BodySize} {
		counters[r] = m.refused.WithLabelValues(port, string(r))
	}
	return portMetrics{
		connections: m.connections.WithLabelValues(port), unread: m.unread.WithLabelValues(port), panics: m.panicks.WithLabelValues(port),
		refused: func(r Reason) { counters[r].Inc() },
	}
}
