package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/service"

	"github.com/binnacle-mesh/binnacle/collector/otlp"
)

// A Collector is an OpenTelemetry Collector with its configuration. Start and
// Stop may each be called once.
//
// It is put together of that project's service, and not of its command's otelcol.Collector:
// that one listens for SIGHUP by itself, at which it closes all ports and opens them again.
type Collector struct {
	set        service.Settings
	pipelines  *service.Config // nil where the user has switched everything off
	grpc, http bool
	listeners  []Listener

	running *service.Service // nil until started
	failed  chan error       // by components that run
	done    chan struct{}    // closed by Stop
	ended   chan struct{}
	err     error // why it ended; read after ended is closed
}

// New checks the user's configuration, which may be nil, and makes a Collector
// whose pipelines end in traces, which may be nil if it is not started, and before whose ports front stands. No port is opened yet.
func New(ctx context.Context, user map[string]any, traces *otlp.Service, front Front, version string, log *slog.Logger) (*Collector, error) {
	config, err := merged(user)
	if err != nil {
		return nil, err
	}
	c := &Collector{failed: make(chan error), done: make(chan struct{}), ended: make(chan struct{})}
	c.grpc, c.http = otlpProtocols(config)
	if !hasPipelines(config) {
		return c, nil // all is switched off: there is nothing to run
	}
	f, err := factories(traces, front, log)
	if err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	cfg, err := read(ctx, config, f)
	if err != nil {
		return nil, fmt.Errorf("collector: %w", plain(err))
	}
	front.bound(cfg.Receivers)
	c.pipelines = &cfg.Service
	c.set = service.Settings{
		BuildInfo:           component.BuildInfo{Command: "binnacle", Description: "Binnacle", Version: version},
		ReceiversConfigs:    cfg.Receivers,
		ReceiversFactories:  f.Receivers,
		ProcessorsConfigs:   cfg.Processors,
		ProcessorsFactories: f.Processors,
		ExportersConfigs:    cfg.Exporters,
		ExportersFactories:  f.Exporters,
		ConnectorsConfigs:   cfg.Connectors,
		ConnectorsFactories: f.Connectors,
		ExtensionsConfigs:   cfg.Extensions,
		ExtensionsFactories: f.Extensions,
		AsyncErrorChannel:   c.failed,
		TelemetryFactory:    f.Telemetry,
	}
	if err := service.Validate(ctx, c.set, cfg.Service); err != nil {
		return nil, fmt.Errorf("collector: %w", plain(err))
	}
	c.listeners, err = listenersOf(cfg, user["receivers"] == nil)
	return c, err
}

// read is the configuration as the components understand it, and checked by them.
func read(ctx context.Context, config tree, f otelcol.Factories) (*otelcol.Config, error) {
	reader, err := otelcol.NewConfigProvider(otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{
		URIs:              []string{scheme + ":"},
		ProviderFactories: []confmap.ProviderFactory{provider(config), envprovider.NewFactory()},
	}})
	if err != nil {
		return nil, err
	}
	cfg, err := reader.Get(ctx, f)
	if err == nil {
		err = confmap.Validate(cfg)
	}
	return cfg, errors.Join(err, reader.Shutdown(ctx))
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
	if c.pipelines == nil {
		return nil
	}
	ctx = context.WithoutCancel(ctx) // components may go on with it; Stop ends them
	go c.watch()
	s, err := service.New(ctx, c.set, *c.pipelines)
	if err != nil {
		close(c.done)
		return fmt.Errorf("make the embedded collector: %w", err)
	}
	if err := s.Start(ctx); err != nil {
		err = errors.Join(err, s.Shutdown(ctx))
		close(c.done)
		if inUse := taken(ctx, c.listeners); inUse != nil {
			return inUse
		}
		return fmt.Errorf("start the embedded collector: %w", err)
	}
	c.running = s
	return nil
}

// watch waits for the first component that fails while it runs.
func (c *Collector) watch() {
	for first := true; ; {
		select {
		case err := <-c.failed:
			if first {
				first, c.err = false, err
				close(c.ended)
			}
		case <-c.done:
			return
		}
	}
}

// Ended is closed when a component has failed while it ran; Err says why.
func (c *Collector) Ended() <-chan struct{} { return c.ended }

// Err is why a component failed. It is known once Ended is closed.
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
	if c.running == nil {
		return nil
	}
	stopped := make(chan error, 1)
	go func() {
		stopped <- c.running.Shutdown(ctx)
		close(c.done)
	}()
	select {
	case err := <-stopped:
		if err != nil {
			return fmt.Errorf("stop the embedded collector: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop the embedded collector: %w", ctx.Err())
	}
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
