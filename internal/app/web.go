package app

import (
	"context"
	"time"

	"github.com/binnacle-mesh/binnacle/aggregator"
	"github.com/binnacle-mesh/binnacle/aggregator/views"
	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/api/binnacle"
	"github.com/binnacle-mesh/binnacle/internal/api/jaeger/legacy"
	v3 "github.com/binnacle-mesh/binnacle/internal/api/jaeger/v3"
	"github.com/binnacle-mesh/binnacle/internal/api/prometheus"
	"github.com/binnacle-mesh/binnacle/internal/config"
	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/ui"
)

// answersShare is the part of the memory for clients that answers which are being sent may hold, and streams as much again: one in so many.
const answersShare = 4

// bodiesShare is the part of it for questions that come as the body of a request: one in so many.
const bodiesShare = 16

// openAPI makes the query APIs and opens the web port.
func (a *App) openAPI(ctx context.Context) error {
	a.past = aggregator.NewGraphReader(a.series, a.cfg.Topology.Health, a.topology)
	q := query.New(a.blocks, a.topology, a.past, query.DefaultLimits())
	ours, err := binnacle.New(binnacle.Deps{
		Query: q, Quotas: func() binnacle.Quotas { return quotas(a.quota.Status(time.Now())) }, Status: a.status, Findings: func() []telemetry.Finding { return a.findings(a.clock.Now()) }, Suspects: a.topology.Suspects, Now: a.clock.Now,
		ConfigSchema: config.Schema(), MaxStreams: a.cfg.API.MaxStreams, MaxStreamsPerAddress: a.cfg.API.MaxStreamsPerAddress,
		Memory: a.ledger.Account("streams", a.ledger.Limit()/answersShare), Logger: a.log.With("room", "api"), Registerer: a.reg,
	})
	if err != nil {
		return err
	}
	desk, err := a.questions()
	if err != nil {
		return err
	}
	web, err := api.New(a.cfg.API, api.Deps{
		Dialects:   a.dialects(q, ours),
		Door:       a.door.Rules,
		Ready:      a.ready,
		Now:        a.clock.Now,
		Questions:  desk,
		Reload:     func(ctx context.Context) (any, error) { return a.reload(ctx, causeRequest) },
		Web:        ui.FS(),
		Logger:     a.log.With("room", "api"),
		Registerer: a.reg,
		Gatherer:   a.reg,
		Memory:     a.ledger.Account("answers", a.ledger.Limit()/answersShare),
		Bodies:     a.ledger.Account("bodies", a.ledger.Limit()/bodiesShare),
	})
	if err != nil {
		return err
	}
	if err := a.reg.Register(newFindingsMetric(a)); err != nil {
		return err
	}
	return a.addHTTP(ctx, "web", a.cfg.Listen.Web, "web view and query APIs", web, ours.Close)
}

// dialects is every query API that the web port speaks. Another one is a package beside these, a line here and a place
// in api.Dialects.
func (a *App) dialects(q *query.Engine, ours *binnacle.Dialect) []api.Mounted {
	on := a.cfg.API.Dialects
	return []api.Mounted{
		{Name: "binnacle", Dialect: ours, Mount: api.Always()},
		{Name: "jaeger", Dialect: legacy.New(q, a.clock.Now), Base: "/jaeger", Mount: on.Jaeger},
		{Name: "jaeger_v3", Dialect: v3.New(q, a.clock.Now), Base: "/jaeger", Mount: on.JaegerV3},
		{Name: "prometheus", Dialect: prometheus.New(prometheus.Options{
			Engine: a.promql, Views: views.New(a.series), DB: a.series, Dir: a.path("series"), Interval: a.cfg.Aggregator.FlushInterval,
			Version: a.version, Revision: a.version, Started: a.started, Logger: a.log.With("room", "promql"), Gatherer: a.reg,
		}), Base: "/prometheus", Mount: on.Prometheus},
	}
}
