package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/otelcol"

	"github.com/binnacle-mesh/binnacle/collector/otlp"
)

// A Collector is an OpenTelemetry Collector with its configuration. Start and
// Stop may each be called once.
type Collector struct {
	col        *otelcol.Collector // nil where the user has switched everything off
	grpc, http bool
	listeners  []Listener
	log        *slog.Logger
	cancel     context.CancelFunc
	ended      chan struct{}
	err        error // why it ended; read after ended is closed
}

// New checks the user's configuration, which may be nil, and makes a Collector
// whose pipelines end in traces, which may be nil if it is not started. No port is opened yet.
func New(ctx context.Context, user map[string]any, traces *otlp.Service, version string, log *slog.Logger) (*Collector, error) {
	config, err := merged(user)
	if err != nil {
		return nil, err
	}
	c := &Collector{log: log, ended: make(chan struct{})}
	c.grpc, c.http = otlpProtocols(config)
	if !hasPipelines(config) {
		return c, nil // all is switched off: there is nothing to run
	}
	set := settings(config, traces, version, log)
	if c.listeners, err = check(ctx, set, user["receivers"] == nil); err != nil {
		return nil, fmt.Errorf("collector: %w", plain(err))
	}
	if c.col, err = otelcol.NewCollector(set); err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	return c, nil
}

func settings(config tree, traces *otlp.Service, version string, log *slog.Logger) otelcol.CollectorSettings {
	return otelcol.CollectorSettings{
		Factories: func() (otelcol.Factories, error) { return factories(traces, log) },
		BuildInfo: component.BuildInfo{Command: "binnacle", Description: "Binnacle", Version: version},
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{
			URIs:              []string{scheme + ":"},
			ProviderFactories: []confmap.ProviderFactory{provider(config), envprovider.NewFactory()},
		}},
		// Signals, and gRPC's logger, are the server's own.
		DisableGracefulShutdown: true,
		SkipSettingGRPCLogger:   true,
	}
}

// check reads the configuration as the Collector will, and says which ports that opens.
func check(ctx context.Context, set otelcol.CollectorSettings, builtIn bool) ([]Listener, error) {
	dry, err := otelcol.NewCollector(set)
	if err != nil {
		return nil, err
	}
	if err := dry.DryRun(ctx); err != nil {
		return nil, err
	}
	f, err := set.Factories()
	if err != nil {
		return nil, err
	}
	reader, err := otelcol.NewConfigProvider(set.ConfigProviderSettings)
	if err != nil {
		return nil, err
	}
	cfg, err := reader.Get(ctx, f)
	if err != nil {
		return nil, err
	}
	listeners, err := listenersOf(cfg, builtIn)
	return listeners, errors.Join(err, reader.Shutdown(ctx))
}

// plain is a complaint about the configuration in one line, without how it was found.
func plain(err error) error {
	lines := strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' })
	text := strings.Join(lines, " ")
	for _, how := range []string{"failed to get config: ", "cannot unmarshal the configuration: ", "decoding failed due to the following error(s): "} {
		text = strings.TrimPrefix(text, how)
	}
	return errors.New(text)
}

// TakesOTLP says which of OTLP's ports a receiver of the user's takes over, so
// that the server must not open them itself.
func (c *Collector) TakesOTLP() (grpc, http bool) { return c.grpc, c.http }

// Start opens the receivers' ports, and returns when they are open or cannot be.
func (c *Collector) Start(ctx context.Context) error {
	if c.col == nil {
		return nil
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.cancel = cancel
	go func() {
		defer close(c.ended)
		c.err = c.col.Run(run)
	}()
	// The Collector does not tell when it runs; it can be asked.
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for c.col.GetState() != otelcol.StateRunning {
		select {
		case <-c.ended:
			cancel()
			c.cancel = nil // there is nothing to stop
			if err := taken(ctx, c.listeners); err != nil {
				return err
			}
			return fmt.Errorf("start the embedded collector: %w", orClosed(c.err))
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("start the embedded collector: %w", ctx.Err()), c.Stop(context.WithoutCancel(ctx)))
		case <-tick.C:
		}
	}
	return nil
}

// Ended is closed when the Collector has ended, by Stop or because a component
// of it failed; Err says why.
func (c *Collector) Ended() <-chan struct{} { return c.ended }

// Err is why the Collector ended by itself, nil after Stop. It is known once
// Ended is closed.
func (c *Collector) Err() error {
	select {
	case <-c.ended:
		return c.err
	default:
		return nil
	}
}

// Stop closes the ports, lets the pipelines run empty, and returns when all
// has ended, or ctx has. Stopping what was not started does nothing.
func (c *Collector) Stop(ctx context.Context) error {
	if c.cancel == nil {
		return nil
	}
	defer c.cancel()
	go c.col.Shutdown()
	select {
	case <-c.ended:
		return c.err
	case <-ctx.Done():
		return fmt.Errorf("stop the embedded collector: %w", ctx.Err())
	}
}

func orClosed(err error) error {
	if err == nil {
		return errors.New("it was stopped")
	}
	return err
}

func hasPipelines(config tree) bool {
	service, _ := config["service"].(tree)
	pipelines, _ := service["pipelines"].(tree)
	return len(pipelines) > 0
}

// scheme is what the configuration's one address begins with.
const scheme = "binnacle"

// provider gives the Collector its configuration out of memory.
func provider(config tree) confmap.ProviderFactory {
	return confmap.NewProviderFactory(func(confmap.ProviderSettings) confmap.Provider { return memory(config) })
}

type memory tree

// Retrieve returns the configuration.
func (m memory) Retrieve(context.Context, string, confmap.WatcherFunc) (*confmap.Retrieved, error) {
	return confmap.NewRetrieved(tree(m))
}

// Scheme is that of the configuration's address.
func (memory) Scheme() string { return scheme }

// Shutdown has nothing to end.
func (memory) Shutdown(context.Context) error { return nil }
