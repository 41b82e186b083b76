// Package config is the server's configuration: one YAML file made of each
// package's own section, read strictly, checked whole before anything of it is used.
//
// Layers, lowest first: the packages' defaults, the file, the command line.
// ${NAME} and ${NAME:-default} in the file stand for environment variables.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/binnacle-mesh/binnacle/aggregator"
	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/promapi"
	"github.com/binnacle-mesh/binnacle/quota"
	"github.com/binnacle-mesh/binnacle/storage/block"
	"github.com/binnacle-mesh/binnacle/storage/series"
	"github.com/binnacle-mesh/binnacle/storage/wal"
	"github.com/binnacle-mesh/binnacle/topology"
)

// Config is the whole configuration.
type Config struct {
	// Data is the directory for everything on disk.
	Data   string `yaml:"data"`
	Listen Listen `yaml:"listen"`
	Log    Log    `yaml:"log"`
	// Receive bounds what senders may do.
	Receive collector.Config `yaml:"receive"`
	// Collector is the OpenTelemetry Collector's own configuration: receivers,
	// processors, exporters, extensions, service. Empty means Zipkin and Jaeger on
	// their own ports.
	Collector  map[string]any    `yaml:"collector"`
	Topology   topology.Config   `yaml:"topology"`
	Aggregator aggregator.Config `yaml:"aggregator"`
	Storage    Storage           `yaml:"storage"`
	Quota      quota.Config      `yaml:"quota"`
	API        api.Config        `yaml:"api"`
	PromQL     promapi.Config    `yaml:"promql"`
}

// Listen holds the listeners' addresses. An empty one is not opened.
type Listen struct {
	// Mesh is the one port a proxy needs: access logs, rate limits and OTLP, all gRPC.
	Mesh     string `yaml:"mesh"`
	OTLPGRPC string `yaml:"otlp_grpc"`
	OTLPHTTP string `yaml:"otlp_http"`
	RLS      string `yaml:"rls"`
	Web      string `yaml:"web"`
}

// Log says what the server writes to standard error.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // text, json
}

// Storage is what is on disk.
type Storage struct {
	// CheckpointInterval is how often graph and series state is saved; a restart replays
	// the log from there.
	CheckpointInterval time.Duration `yaml:"checkpoint_interval"`
	// RetentionInterval is how often what is too old, or too much, is removed.
	RetentionInterval time.Duration `yaml:"retention_interval"`
	WAL               wal.Config    `yaml:"wal"`
	Blocks            block.Config  `yaml:"blocks"`
	Series            series.Config `yaml:"series"`
}

// Default is the configuration of a server that nobody configured: everything
// on loopback, data in ./data.
func Default() Config {
	return Config{
		Data: "data",
		Listen: Listen{
			Mesh: "127.0.0.1:9091", OTLPGRPC: "127.0.0.1:4317", OTLPHTTP: "127.0.0.1:4318",
			RLS: "127.0.0.1:8081", Web: "127.0.0.1:8700",
		},
		Log:        Log{Level: "info", Format: "text"},
		Receive:    collector.DefaultConfig(),
		Topology:   topology.DefaultConfig(),
		Aggregator: aggregator.DefaultConfig(),
		Storage: Storage{
			CheckpointInterval: 15 * time.Second, RetentionInterval: time.Minute,
			WAL: wal.DefaultConfig(), Blocks: block.DefaultConfig(), Series: series.DefaultConfig(),
		},
		Quota:  quota.DefaultConfig(),
		API:    api.DefaultConfig(),
		PromQL: promapi.DefaultConfig(),
	}
}

// Load reads a file over the defaults and checks the result. An empty name
// gives the defaults.
func Load(name string) (Config, error) {
	c := Default()
	if name == "" {
		return c, nil
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return c, fmt.Errorf("read configuration: %w", err)
	}
	if err := c.parse(b, os.LookupEnv); err != nil {
		return c, fmt.Errorf("configuration %s: %w", name, err)
	}
	return c, nil
}

// parse reads YAML over what c holds and checks the result.
func (c *Config) parse(b []byte, env func(string) (string, bool)) error {
	b, err := expand(b, env)
	if err != nil {
		return err
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return tidy(err)
	}
	var more any
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return errors.New("there is a second YAML document after ---; only one is read")
	}
	return c.Validate()
}

// tidy makes yaml's error one line without the names of our types.
func tidy(err error) error {
	if te, ok := errors.AsType[*yaml.TypeError](err); ok {
		lines := make([]string, len(te.Errors))
		for i, l := range te.Errors {
			l, _, _ = strings.Cut(l, " in type ")
			lines[i] = strings.Replace(l, "not found", "is not known here", 1)
		}
		return errors.New(strings.Join(lines, "; "))
	}
	return errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
}

// Validate checks everything that can be checked without opening anything. The
// error names the field by its path.
func (c *Config) Validate() error {
	if c.Data == "" {
		return errors.New("data: is empty; name a directory")
	}
	for _, l := range []struct{ field, addr string }{
		{"mesh", c.Listen.Mesh},
		{"otlp_grpc", c.Listen.OTLPGRPC},
		{"otlp_http", c.Listen.OTLPHTTP},
		{"rls", c.Listen.RLS},
		{"web", c.Listen.Web},
	} {
		if l.addr == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(l.addr); err != nil {
			return fmt.Errorf("listen.%s: %q is not host:port (%w)", l.field, l.addr, err)
		}
	}
	switch c.Log.Level {
	case "debug", "info", "warn", "error":
	default:
		return fmt.Errorf("log.level: %q is none of debug, info, warn, error", c.Log.Level)
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		return fmt.Errorf("log.format: %q is neither text nor json", c.Log.Format)
	}
	if d := c.Storage.CheckpointInterval; d < 100*time.Millisecond || d > time.Hour {
		return fmt.Errorf("storage.checkpoint_interval: %s is not between 100ms and 1h", d)
	}
	if d := c.Storage.RetentionInterval; d < time.Second || d > 24*time.Hour {
		return fmt.Errorf("storage.retention_interval: %s is not between 1s and 24h", d)
	}
	for _, s := range []struct {
		path string
		err  error
	}{
		{"receive", c.Receive.Validate()},
		{"topology", c.Topology.Validate()},
		{"aggregator", c.Aggregator.Validate()},
		{"storage.wal", c.Storage.WAL.Validate()},
		{"storage.blocks", c.Storage.Blocks.Validate()},
		{"storage.series", c.Storage.Series.Validate()},
		{"quota", c.Quota.Validate()},
		{"api", c.API.Validate()},
		{"promql", c.PromQL.Validate()},
	} {
		if s.err != nil {
			return fmt.Errorf("%s.%w", s.path, s.err)
		}
	}
	return nil
}
