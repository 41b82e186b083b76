package app

import (
	"context"
	"net/http"
	"time"

	"github.com/binnacle-mesh/binnacle/aggregator"
	"github.com/binnacle-mesh/binnacle/aggregator/views"
	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/config"
	"github.com/binnacle-mesh/binnacle/internal/promapi"
	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/ui"
)

// openAPI makes the query APIs and opens the web port.
func (a *App) openAPI(ctx context.Context) (err error) {
	v := views.New(a.series)
	a.prom, err = promapi.NewHandler(promapi.Options{
		Config: a.cfg.PromQL, Views: v, DB: a.series, Dir: a.path("series"), Interval: a.cfg.Aggregator.FlushInterval,
		Version: a.version, Revision: a.version, Started: a.started, Logger: a.log.With("room", "promql"), Registerer: a.reg, Gatherer: a.reg,
	})
	if err != nil {
		return err
	}
	a.past = aggregator.NewGraphReader(a.series, a.cfg.Topology.Health)
	a.api, err = api.New(a.cfg.API, api.Deps{
		Query:        query.New(a.blocks, a.topology, a.past, query.DefaultLimits()),
		Prometheus:   a.prom,
		Quotas:       func() any { return a.quota.Status(time.Now()) },
		Status:       a.status,
		Ready:        a.ready,
		Reload:       func(ctx context.Context) (any, error) { return a.reload(ctx, causeRequest) },
		ConfigSchema: config.Schema(),
		Web:          ui.FS(),
		Logger:       a.log.With("room", "api"),
		Registerer:   a.reg,
		Gatherer:     a.reg,
	})
	if err != nil {
		return err
	}
	return a.addHTTP(ctx, "web", a.cfg.Listen.Web, "web view and query APIs", http.Handler(a.api), 0, a.api.Close)
}
