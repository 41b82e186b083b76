package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/service/telemetry"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// selfTelemetry is service.telemetry: what the Collector says of itself. It
// logs to the server's own log; of metrics and traces it has none, since the server
// counts what it receives.
type selfTelemetry struct {
	Logs struct {
		Level zapcore.Level `mapstructure:"level"`
	} `mapstructure:"logs"`

	// Standard settings that have no effect here, so that a configuration from
	// elsewhere can stay as it is.
	Metrics  map[string]any `mapstructure:"metrics"`
	Traces   map[string]any `mapstructure:"traces"`
	Resource map[string]any `mapstructure:"resource"`
}

func newTelemetryFactory(log *slog.Logger) telemetry.Factory {
	defaults := func() component.Config {
		t := &selfTelemetry{}
		t.Logs.Level = zapcore.WarnLevel
		return t
	}
	logger := func(_ context.Context, _ telemetry.LoggerSettings, c component.Config) (*zap.Logger, component.ShutdownFunc, error) {
		t, ok := c.(*selfTelemetry)
		if !ok {
			return nil, nil, fmt.Errorf("service.telemetry: is %T", c)
		}
		if len(t.Metrics)+len(t.Traces)+len(t.Resource) > 0 {
			log.Warn("collector.service.telemetry: metrics, traces and resource have no effect here; /metrics has what is received")
		}
		// Senders can provoke some messages: one that repeats is written ten times
		// a second at most.
		core := zapcore.NewSamplerWithOptions(&slogCore{t.Logs.Level, log.Handler()}, time.Second, 10, 1000)
		return zap.New(core), nil, nil
	}
	return telemetry.NewFactory(defaults, telemetry.WithCreateLogger(logger))
}

// slogCore is a zapcore.Core over a slog.Handler.
type slogCore struct {
	level zapcore.LevelEnabler
	to    slog.Handler
}

// Enabled says whether both sides want this level.
func (c *slogCore) Enabled(l zapcore.Level) bool {
	return c.level.Enabled(l) && c.to.Enabled(context.Background(), levelOf(l))
}

// With returns a core that adds fields to all it writes.
func (c *slogCore) With(fields []zapcore.Field) zapcore.Core {
	return &slogCore{c.level, c.to.WithAttrs(attrsOf(fields))}
}

// Check adds the core to what will write e.
func (c *slogCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

// Write writes e.
func (c *slogCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	r := slog.NewRecord(e.Time, levelOf(e.Level), e.Message, e.Caller.PC)
	r.AddAttrs(attrsOf(fields)...)
	return c.to.Handle(context.Background(), r)
}

// Sync has nothing to do: a handler keeps nothing back.
func (c *slogCore) Sync() error { return nil }

func levelOf(l zapcore.Level) slog.Level {
	switch {
	case l >= zapcore.ErrorLevel:
		return slog.LevelError
	case l == zapcore.WarnLevel:
		return slog.LevelWarn
	case l == zapcore.InfoLevel:
		return slog.LevelInfo
	default:
		return slog.LevelDebug
	}
}

func attrsOf(fields []zapcore.Field) []slog.Attr {
	enc := zapcore.NewMapObjectEncoder()
	out := make([]slog.Attr, 0, len(fields))
	for _, f := range fields {
		clear(enc.Fields)
		f.AddTo(enc)
		for k, v := range enc.Fields {
			out = append(out, slog.Any(k, v))
		}
	}
	return out
}
