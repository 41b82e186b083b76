// Package promql is the server's one PromQL engine: Prometheus' own, with our
// limits. internal/app builds it and hands it to whoever evaluates an expression: the
// Prometheus dialect of the web port, and rules. They share its limits, so that what a
// query may cost is bounded for the process and not for each of them.
package promql

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// An Engine evaluates expressions. It is safe for concurrent use. Close it when
// nobody asks any more.
type Engine struct {
	*promql.Engine
	// Parser reads expressions as the engine does.
	Parser parser.Parser
	// Config is what the engine was made with. It does not change.
	Config Config

	refused *prometheus.CounterVec
}

// New is an engine by cfg. Its metrics go to reg under the names that Prometheus
// gives them (prometheus_engine_*), which allows one engine a registry.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("promql: %w", err)
	}
	p := parser.NewParser(parser.Options{})
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "binnacle_promql_refused_total",
		Help: "Questions refused for what they would cost, before anything was spent on them: length, depth, operators, regex and selectors (of their text), steps (in time), labels (made by label_replace and its like).",
	}, []string{"reason"})
	if err := reg.Register(refused); err != nil {
		return nil, fmt.Errorf("promql: register metrics: %w", err)
	}
	return &Engine{Parser: p, Config: cfg, refused: refused, Engine: promql.NewEngine(promql.EngineOpts{
		Logger:               log,
		Reg:                  reg,
		MaxSamples:           cfg.MaxSamples,
		Timeout:              cfg.Timeout,
		LookbackDelta:        cfg.Lookback,
		ActiveQueryTracker:   newGate(cfg.MaxConcurrent),
		EnableAtModifier:     true,
		EnableNegativeOffset: true,
		NoStepSubqueryIntervalFn: func(int64) int64 {
			return time.Minute.Milliseconds()
		},
		Parser: p,
	})}, nil
}

// Close ends what the engine holds.
func (e *Engine) Close() error {
	if err := e.Engine.Close(); err != nil {
		return fmt.Errorf("close the query engine: %w", err)
	}
	return nil
}
