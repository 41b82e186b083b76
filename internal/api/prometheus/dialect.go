package prometheus

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/route"
	"github.com/prometheus/prometheus/config"
	v1 "github.com/prometheus/prometheus/web/api/v1"

	"github.com/binnacle-mesh/binnacle/aggregator/views"
	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/api/jsonout"
	"github.com/binnacle-mesh/binnacle/internal/promql"
	"github.com/binnacle-mesh/binnacle/storage/series"
)

// Options are what the API is made of. All fields must be set.
type Options struct {
	Engine   *promql.Engine
	Views    *views.Views
	DB       *series.DB
	Dir      string        // of the database, for runtime information
	Interval time.Duration // between samples; clients choose their steps by it
	Version  string
	Revision string
	Started  time.Time
	Logger   *slog.Logger
	Gatherer prometheus.Gatherer // of this process' metrics, for their help and type
}

const prefix = "/api/v1"

// paths are what is served below prefix. What else Prometheus' API knows is not.
var paths = [...]struct { //nolint:gochecknoglobals // immutable
	path string
	post bool
}{
	{"/query", true},
	{"/query_range", true},
	{"/query_exemplars", true},
	{"/format_query", true},
	{"/parse_query", true},
	{"/labels", true},
	{"/label/{name}/values", false},
	{"/series", true},
	{"/metadata", false},
	{"/status/buildinfo", false},
	{"/status/config", false},
	{"/status/runtimeinfo", false},
	{"/status/flags", false},
	{"/status/tsdb", false},
	{"/status/tsdb/blocks", false},
	{"/status/walreplay", false},
}

// A Dialect is the API.
type Dialect struct {
	router http.Handler
	engine *promql.Engine
	gzips  sync.Pool // of *gzip.Writer
}

// New is the API over o. The engine stays the caller's.
func New(o Options) *Dialect {
	router := route.New().WithPrefix(prefix)
	a := newAPI(&o)
	a.ClearCodecs()
	a.InstallCodec(codec{})
	a.Register(router)
	return &Dialect{router: router, engine: o.Engine}
}

// Routes is what is served.
func (d *Dialect) Routes() []api.Route {
	var out []api.Route
	for _, p := range paths {
		cost := api.Search
		if strings.HasPrefix(p.path, "/status") || p.path == "/metadata" {
			cost = api.Cheap
		}
		rt := api.Route{Pattern: "GET " + prefix + p.path, Cost: cost, Serve: d.serve}
		out = append(out, rt)
		if p.post {
			rt.Pattern = "POST " + prefix + p.path
			out = append(out, rt)
		}
	}
	return out
}

// Error is an error as Prometheus writes it. Its own handler does so for all that it finds wrong.
func (d *Dialect) Error(status int, detail string) api.Answer {
	kind := "internal"
	switch status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		kind = "unavailable"
	case http.StatusGatewayTimeout, http.StatusRequestTimeout:
		kind = "timeout"
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		kind = "bad_data"
	case http.StatusUnprocessableEntity:
		kind = "execution"
	}
	j := jsonout.Writer{}
	j.Open('{')
	j.Field("status", "error")
	j.Field("errorType", kind)
	j.Field("error", detail)
	j.Close('}')
	return api.Answer{Status: status, Body: j.B}
}

// newAPI fills in what Prometheus' constructor asks for. The parts that belong
// to endpoints which are not served are nil or off.
func newAPI(o *Options) *v1.API {
	targets := newTargets(o.Views, o.Gatherer)
	cfg := prometheusConfig(o.Interval)
	limits := o.Engine.Config
	return v1.NewAPI(
		o.Engine, o.Views,
		nil, nil, // appenders
		o.Views,
		nil, // scrape pools
		func(context.Context) v1.TargetRetriever { return targets },
		nil, // alert managers
		func() config.Config { return cfg },
		map[string]string{
			"query.timeout":         model.Duration(limits.Timeout).String(),
			"query.max-concurrency": strconv.Itoa(limits.MaxConcurrent),
			"query.max-samples":     strconv.Itoa(limits.MaxSamples),
			"query.lookback-delta":  model.Duration(limits.Lookback).String(),
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
		carry,                    // statistics
		false, nil, false, false, false, false,
		limits.Lookback,
		false, false,
		nil, nil,
		v1.OpenAPIOptions{},
		o.Engine.Parser,
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
