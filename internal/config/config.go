// Package config is the server's configuration: one YAML file made of each
// package's own section, read strictly, checked whole before anything of it is used.
//
// Layers, lowest first: the packages' defaults, the file, the command line.
// ${NAME} and ${NAME:-default} in the file stand for environment variables.
package config

//go:generate go run ./schemagen

import (
	"time"

	"github.com/binnacle-mesh/binnacle/aggregator"
	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/internal/api"
	"github.com/binnacle-mesh/binnacle/internal/door"
	"github.com/binnacle-mesh/binnacle/internal/ledger"
	"github.com/binnacle-mesh/binnacle/internal/promql"
	"github.com/binnacle-mesh/binnacle/quota"
	"github.com/binnacle-mesh/binnacle/storage/block"
	"github.com/binnacle-mesh/binnacle/storage/series"
	"github.com/binnacle-mesh/binnacle/storage/wal"
	"github.com/binnacle-mesh/binnacle/topology"
)

// Config is the whole configuration. The comments on its fields, here and in the
// packages that own the sections, are what users read in the schema; the tag enum lists
// the only values that a field may have.
type Config struct {
	// Data is the directory for everything on disk.
	Data   string `yaml:"data"`
	Listen Listen `yaml:"listen"`
	// Door is who may come in at any port, and how many.
	Door door.Config `yaml:"door"`
	Log  Log         `yaml:"log"`
	// Memory bounds what the process may take.
	Memory ledger.Config `yaml:"memory"`
	// Receive bounds what senders may do.
	Receive collector.Config `yaml:"receive"`
	// Collector is the OpenTelemetry Collector's own configuration. Left out it receives Zipkin
	// and Jaeger on their own ports of loopback; receivers written here take their place.
	Collector map[string]any `yaml:"collector"`
	// Topology is the live graph.
	Topology topology.Config `yaml:"topology"`
	// Aggregator makes the series of golden signals.
	Aggregator aggregator.Config `yaml:"aggregator"`
	Storage    Storage           `yaml:"storage"`
	// Quota is the rate limit service.
	Quota quota.Config `yaml:"quota"`
	// API is the web port.
	API api.Config `yaml:"api"`
	// PromQL bounds queries of series.
	PromQL promql.Config `yaml:"promql"`
}

// Listen holds the listeners' addresses, host:port. An empty one is not opened.
type Listen struct {
	// Mesh is the one port a proxy needs: access logs, rate limits and OTLP, all gRPC.
	Mesh string `yaml:"mesh"`
	// OTLPGRPC is for OTLP over gRPC alone, OTLPHTTP for OTLP over HTTP.
	OTLPGRPC string `yaml:"otlp_grpc"`
	OTLPHTTP string `yaml:"otlp_http"`
	// RLS is for Envoy's rate limit service alone.
	RLS string `yaml:"rls"`
	// Web is for the web view and the query APIs.
	Web string `yaml:"web"`
}

// Log says what the server writes to standard error.
type Log struct {
	// Level is the least that is written.
	Level string `yaml:"level" enum:"debug,info,warn,error"`
	// Format is how.
	Format string `yaml:"format" enum:"text,json"`
}

// Storage is what is on disk.
type Storage struct {
	// CheckpointInterval is how often graph and series state is saved; a restart replays
	// the log from there.
	CheckpointInterval time.Duration `yaml:"checkpoint_interval"`
	// RetentionInterval is how often blocks of traces that are too old, or too much, are removed: what
	// comes within it may lie on top of blocks.retention_bytes. Series look after themselves.
	RetentionInterval time.Duration `yaml:"retention_interval"`
	// WAL is the log, in which everything is before its sender is told OK.
	WAL wal.Config `yaml:"wal"`
	// Blocks are the traces.
	Blocks block.Config `yaml:"blocks"`
	// Series are the golden signals.
	Series series.Config `yaml:"series"`
}

// Default is the configuration of a server that nobody configured: everything
// on loopback, data in ./data.
func Default() Config {
	c := Config{
		Data: "data",
		Listen: Listen{
			Mesh: "127.0.0.1:9091", OTLPGRPC: "127.0.0.1:4317", OTLPHTTP: "127.0.0.1:4318",
			RLS: "127.0.0.1:8081", Web: "127.0.0.1:8700",
		},
		Door:       door.DefaultConfig(),
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
		PromQL: promql.DefaultConfig(),
	}
	c.Receive.Limits.MaxAge = c.keptFor()
	return c
}

// keptFor is how old a span may be unless receive.limits.max_age says
// otherwise: as old as the trace store lets one become. Series do not count here: they
// are written at the time of arrival. 0 is any age, as it is in both places.
func (c *Config) keptFor() time.Duration { return c.Storage.Blocks.RetentionAge }
