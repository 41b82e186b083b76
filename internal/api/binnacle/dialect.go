// Package binnacle is our own query API, /api/v1, as docs/api/http.md has it: the graph
// (graph.go), its stream (stream.go, hub.go) and its structure (analysis.go), traces (traces.go) and what they waited for (path.go), services, quotas and status
// (inventory.go), and what to paste into a sender's configuration (connect.go). It alone knows what the
// vocabulary looks like in JSON.
package binnacle

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/ledger"
	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Deps is what the API answers from. Every field but Now must be set.
type Deps struct {
	Query  *query.Engine
	Quotas func() Quotas
	Status func() Status
	// Findings is all that the server noticed, the gravest first.
	Findings func() []telemetry.Finding
	// Suspects is who is ill or has changed for the worse, as topology.Topology has it.
	Suspects func() []telemetry.Suspect
	// ConfigSchema is the JSON Schema of the configuration.
	ConfigSchema []byte
	// MaxStreams is how many may follow the live graph at once.
	MaxStreams int
	// MaxStreamsPerAddress is how many of them may be of one address.
	MaxStreamsPerAddress int
	// Memory is where the snapshots count that streams send; nil counts nothing.
	Memory     *ledger.Account
	Logger     *slog.Logger
	Registerer prometheus.Registerer // for the streams' own metrics
	Now        func() time.Time      // time.Now when nil
}

// A Dialect is the API. Close it when the server shuts down (http.Server.RegisterOnShutdown), or streams
// keep the server from ending.
type Dialect struct {
	deps    Deps
	now     func() time.Time
	graphs  graphCache
	shapes  shapeCache
	metrics *metrics
	hub     *hub
}

// New is the API over deps.
func New(deps Deps) (*Dialect, error) {
	if deps.Query == nil || deps.Quotas == nil || deps.Status == nil || deps.Findings == nil || deps.Suspects == nil || deps.ConfigSchema == nil || deps.Logger == nil || deps.Registerer == nil || deps.MaxStreams < 1 || deps.MaxStreamsPerAddress < 1 {
		return nil, errors.New("BUG: api: binnacle.Deps lacks a field")
	}
	m, err := newMetrics(deps.Registerer)
	if err != nil {
		return nil, err
	}
	d := &Dialect{deps: deps, now: deps.Now, metrics: m, graphs: graphCache{memory: deps.Memory}, shapes: shapeCache{memory: deps.Memory}}
	if d.now == nil {
		d.now = time.Now
	}
	d.hub = newHub(deps.Query.Live(), m, deps.Logger)
	return d, nil
}

// Close ends all streams and refuses new ones. Other requests are answered on.
func (d *Dialect) Close() { d.hub.close() }

// Error is a problem as RFC 9457 has it.
func (d *Dialect) Error(status int, detail string) api.Answer { return api.Problem(status, detail) }

// Routes is everything under /api/v1 that is ours.
func (d *Dialect) Routes() []api.Route {
	return []api.Route{
		{Pattern: "GET /api/v1/graph", CostOf: graphCost, Answer: d.graph},
		{Pattern: "GET /api/v1/graph/find", Answer: d.find},
		{Pattern: "GET /api/v1/graph/diff", Cost: api.Search, Answer: d.graphDiff},
		{Pattern: "GET /api/v1/graph/suspects", Cost: api.Search, Answer: d.suspects},
		{Pattern: "GET /api/v1/graph/analysis/blast", Cost: api.Search, Answer: d.blast},
		{Pattern: "GET /api/v1/graph/analysis/cycles", Cost: api.Search, Answer: d.cycles},
		{Pattern: "GET /api/v1/graph/analysis/cuts", Cost: api.Search, Answer: d.cuts},
		{Pattern: "GET /api/v1/graph/analysis/versions", Cost: api.Search, Answer: d.versions},
		{Pattern: "GET /api/v1/graph/stream", Cost: api.Endless, Serve: d.stream},
		{Pattern: "GET /api/v1/events", Cost: api.Search, Answer: d.events},
		{Pattern: "GET /api/v1/traces", Cost: api.Search, Answer: d.searchTraces},
		{Pattern: "GET /api/v1/traces/{trace_id}", Cost: api.Search, Answer: d.trace},
		{Pattern: "GET /api/v1/traces/{trace_id}/critical_path", Cost: api.Search, Answer: d.criticalPath},
		{Pattern: "GET /api/v1/critical_path", Cost: api.Search, Answer: d.operationPath},
		{Pattern: "GET /api/v1/services", Cost: api.Search, Answer: d.services},
		{Pattern: "GET /api/v1/quotas", Answer: func(*http.Request) (api.Answer, error) { return api.Value(d.deps.Quotas()) }},
		{Pattern: "GET /api/v1/status", Answer: d.status},
		{Pattern: "GET /api/v1/findings", Answer: d.findings},
		{Pattern: "GET /api/v1/connect/{sender}", Answer: d.connect},
		{Pattern: "GET /api/v1/config/schema.json", Answer: d.configSchema},
	}
}
