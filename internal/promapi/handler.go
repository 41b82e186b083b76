package promapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/route"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	v1 "github.com/prometheus/prometheus/web/api/v1"

	"github.com/binnacle-mesh/binnacle/aggregator/views"
	"github.com/binnacle-mesh/binnacle/storage/series"
)

// Options are what the API is made of. All fields must be set.
type Options struct {
	Config     Config
	Views      *views.Views
	DB         *series.DB
	Dir        string        // of the database, for runtime information
	Interval   time.Duration // between samples; clients choose their steps by it
	Version    string
	Revision   string
	Started    time.Time
	Logger     *slog.Logger
	Registerer prometheus.Registerer // for the engine's own metrics
	Gatherer   prometheus.Gatherer   // of this process' metrics, for their help and type
}

// Prefix is the path under which the API is served.
const Prefix = "/api/v1"

// owned lists the paths below Prefix, a star stands for one segment. What else
// Prometheus' API knows is not served.
var owned = []string{ //nolint:gochecknoglobals // immutable
	"/query", "/query_range", "/query_exemplars", "/format_query", "/parse_query",
	"/labels", "/label/*/values", "/series", "/metadata",
	"/status/buildinfo", "/status/config", "/status/runtimeinfo", "/status/flags", "/status/tsdb", "/status/tsdb/blocks", "/status/walreplay",
}

// Patterns are the paths that the handler answers, as patterns of
// [http.ServeMux]. None of them overlaps with the rest of Binnacle's API.
func Patterns() []string {
	out := make([]string, len(owned))
	for i, p := range owned {
		out[i] = Prefix + strings.Replace(p, "*", "{name}", 1)
	}
	return out
}

// A Handler is the API. Close it when the server has stopped.
type Handler struct {
	http.Handler
	engine *promql.Engine
}

// NewHandler makes the API's handler, to be mounted at [Patterns] with the path
// left whole.
func NewHandler(o Options) (*Handler, error) {
	if err := o.Config.Validate(); err != nil {
		return nil, fmt.Errorf("query API: %w", err)
	}
	parse := parser.NewParser(parser.Options{})
	engine := promql.NewEngine(promql.EngineOpts{
		Logger:               o.Logger,
		Reg:                  o.Registerer,
		MaxSamples:           o.Config.MaxSamples,
		Timeout:              o.Config.Timeout,
		LookbackDelta:        o.Config.Lookback,
		ActiveQueryTracker:   newGate(o.Config.MaxConcurrent),
		EnableAtModifier:     true,
		EnableNegativeOffset: true,
		NoStepSubqueryIntervalFn: func(int64) int64 {
			return time.Minute.Milliseconds()
		},
		Parser: parse,
	})
	router := route.New().WithPrefix(Prefix)
	newAPI(&o, engine, parse).Register(router)
	mux := http.NewServeMux()
	for _, p := range Patterns() {
		mux.Handle(p, router)
	}
	return &Handler{Handler: mux, engine: engine}, nil
}

// Close ends what the engine holds.
func (h *Handler) Close() error {
	if err := h.engine.Close(); err != nil {
		return fmt.Errorf("close the query engine: %w", err)
	}
	return nil
}

// newAPI fills in what Prometheus' constructor asks for. The parts that belong
// to endpoints which are not served are nil or off.
func newAPI(o *Options, engine *promql.Engine, parse parser.Parser) *v1.API {
	targets := newTargets(o.Views, o.Gatherer)
	cfg := prometheusConfig(o.Interval)
	return v1.NewAPI(
		engine, o.Views,
		nil, nil, // appenders
		o.Views,
		nil, // scrape pools
		func(context.Context) v1.TargetRetriever { return targets },
		nil, // alert managers
		func() config.Config { return cfg },
		map[string]string{
			"query.timeout":         model.Duration(o.Config.Timeout).String(),
			"query.max-concurrency": strconv.Itoa(o.Config.MaxConcurrent),
			"query.max-samples":     strconv.Itoa(o.Config.MaxSamples),
			"query.lookback-delta":  model.Duration(o.Config.Lookback).String(),
		},
		v1.GlobalURLOptions{},
		func(h http.HandlerFunc) http.HandlerFunc { return h },
		storeStatus{db: o.DB}, o.Dir,
		false,    // admin
		false, 0, // search
		o.Logger,
		nil,     // rules
		0, 0, 0, // remote read
		false, // agent
		nil,   // CORS: the same origin, or a proxy's business
		func() (v1.RuntimeInfo, error) { return runtimeInfo(o) },
		&v1.PrometheusVersion{Version: o.Version, Revision: o.Revision, GoVersion: goVersion()},
		nil, nil, // notifications
		o.Gatherer,
		prometheus.NewRegistry(), // metrics of remote read
		nil,                      // statistics as Prometheus shows them
		false, nil, false, false, false, false,
		o.Config.Lookback,
		false, false,
		nil, nil,
		v1.OpenAPIOptions{},
		parse,
	)
}

// prometheusConfig is what clients read of a Prometheus' configuration: the
// interval between samples.
func prometheusConfig(interval time.Duration) config.Config {
	c := config.DefaultConfig
	c.GlobalConfig.ScrapeInterval = model.Duration(interval)
	c.GlobalConfig.EvaluationInterval = model.Duration(interval)
	c.GlobalConfig.ScrapeTimeout = model.Duration(interval)
	return c
}
