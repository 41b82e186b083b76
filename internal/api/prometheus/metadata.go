package prometheus

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/scrape"

	"github.com/binnacle-mesh/binnacle/aggregator"
	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
	"github.com/binnacle-mesh/binnacle/aggregator/views"
)

// targets is the one target that Prometheus' metadata endpoint reads from: all
// that Binnacle stores or derives.
type targets struct{ all map[string][]*scrape.Target }

func newTargets(v *views.Views, g prometheus.Gatherer) *targets {
	t := scrape.NewTarget(labels.FromStrings("job", aggregator.SelfJob), &config.ScrapeConfig{JobName: aggregator.SelfJob}, nil, nil)
	t.SetMetadataStore(&metadataStore{views: v, gatherer: g})
	return &targets{all: map[string][]*scrape.Target{aggregator.SelfJob: {t}}}
}

func (t *targets) TargetsActive() map[string][]*scrape.Target { return t.all }

// The rest belongs to endpoints that are not served.

func (t *targets) TargetsDropped() map[string][]*scrape.Target { return nil }
func (t *targets) TargetsDroppedCounts() map[string]int        { return nil }
func (t *targets) ScrapePoolConfig(string) (*config.ScrapeConfig, error) {
	return &config.ScrapeConfig{}, nil
}

// metadataStore lists the canonical metrics, the views and this process' own.
type metadataStore struct {
	views    *views.Views
	gatherer prometheus.Gatherer
}

func (s *metadataStore) ListMetadata() []scrape.MetricMetadata {
	out := []scrape.MetricMetadata{
		{MetricFamily: canonical.Edge, Type: model.MetricTypeHistogram, Unit: "seconds", Help: "Duration of requests on an edge of the service graph, as one witness saw them. A native histogram."},
		{MetricFamily: canonical.Taken, Type: model.MetricTypeHistogram, Unit: "seconds", Help: "Of the same, what is no longer in it, since it counts on another edge: the other half came late. A native histogram."},
		{MetricFamily: canonical.Operation, Type: model.MetricTypeHistogram, Unit: "seconds", Help: "Duration of spans of an operation. A native histogram."},
	}
	for _, m := range s.views.Metadata() {
		out = append(out, scrape.MetricMetadata{MetricFamily: m.Name, Type: m.Type, Help: m.Help, Unit: m.Unit})
	}
	families, err := s.gatherer.Gather()
	if err != nil && len(families) == 0 {
		return out
	}
	for _, f := range families {
		out = append(out, scrape.MetricMetadata{
			MetricFamily: f.GetName(), Help: f.GetHelp(), Unit: f.GetUnit(),
			Type: model.MetricType(strings.ToLower(f.GetType().String())),
		})
	}
	return out
}

func (s *metadataStore) GetMetadata(name string) (scrape.MetricMetadata, bool) {
	for _, m := range s.ListMetadata() {
		if m.MetricFamily == name {
			return m, true
		}
	}
	return scrape.MetricMetadata{}, false
}

func (s *metadataStore) SizeMetadata() int   { return 0 }
func (s *metadataStore) LengthMetadata() int { return len(s.ListMetadata()) }
