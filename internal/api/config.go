package api

import (
	"fmt"
	"path"
	"strings"
	"time"
)

// Config is the section of the configuration that this package reads.
type Config struct {
	// RequestTimeout ends any request but a stream or a profile.
	RequestTimeout time.Duration `yaml:"request_timeout"`
	// MaxConcurrentQueries is how many requests may search the stores at once; others wait for their turn when they
	// have computed for a moment, which most need in all. An eighth of them, one at least, may be PromQL that goes through much.
	MaxConcurrentQueries int `yaml:"max_concurrent_queries"`
	// MaxWaitingQueries is how many may wait for that turn, and as many again that go through much; further ones are told to come back.
	MaxWaitingQueries int `yaml:"max_waiting_queries"`
	// MaxQueryBytes bounds the memory that one question may hold: series, labels, samples,
	// spans and its answer. All together have a part of memory.limit_bytes.
	MaxQueryBytes int64 `yaml:"max_query_bytes"`
	// Dialects says which query APIs of other tools are served, and where.
	Dialects Dialects `yaml:"dialects"`
	// MaxStreams is how many may follow the live graph at once.
	MaxStreams int `yaml:"max_streams"`
	// MaxStreamsPerAddress is how many of them may be of one address. Behind a proxy all have its address.
	MaxStreamsPerAddress int `yaml:"max_streams_per_address"`
	// MaxAnswerBytes bounds an answer that is made whole before it is sent.
	MaxAnswerBytes int64 `yaml:"max_answer_bytes"`
	// Pprof serves Go's profiles under /debug/pprof/.
	Pprof bool `yaml:"pprof"`
}

// DefaultConfig is the configuration of a server that nobody configured.
func DefaultConfig() Config {
	on := Mount{Enabled: true}
	return Config{
		RequestTimeout: 30 * time.Second, MaxConcurrentQueries: 16, MaxWaitingQueries: 64, MaxStreams: 256, MaxStreamsPerAddress: 64,
		MaxQueryBytes: 256 << 20, MaxAnswerBytes: 128 << 20,
		Dialects: Dialects{Jaeger: on, JaegerV3: on, Prometheus: on},
	}
}

// Dialects has a place for each query API of another tool. Ours is always served.
type Dialects struct {
	// Jaeger is the JSON that Jaeger's page and Grafana ask for.
	Jaeger Mount `yaml:"jaeger"`
	// JaegerV3 is Jaeger's API v3.
	JaegerV3 Mount `yaml:"jaeger_v3"`
	// Prometheus is Prometheus' query API.
	Prometheus Mount `yaml:"prometheus"`
}

// Mount is where a dialect is served.
type Mount struct {
	// Enabled serves the dialect.
	Enabled bool `yaml:"enabled"`
	// Prefix is put before all paths of the dialect: "/tools/jaeger". Without one they are where its clients
	// know them. Two dialects that know the same path need at least one prefix. A dialect is also found below
	// a folder of its own name, such as /jaeger or /prometheus, whatever this says.
	Prefix string `yaml:"prefix"`
}

func (m Mount) validate() error {
	if m.Prefix == "" {
		return nil
	}
	if !strings.HasPrefix(m.Prefix, "/") || strings.HasSuffix(m.Prefix, "/") || m.Prefix != path.Clean(m.Prefix) || strings.ContainsAny(m.Prefix, "{}% ?#") {
		return fmt.Errorf("prefix: %q is not a path such as /tools/jaeger, with a slash before and none behind", m.Prefix)
	}
	return nil
}

// Validate names the first field that makes no sense.
func (c Config) Validate() error {
	switch {
	case c.RequestTimeout < time.Second || c.RequestTimeout > time.Hour:
		return fmt.Errorf("request_timeout: %s is not between 1s and 1h", c.RequestTimeout)
	case c.MaxConcurrentQueries < 1:
		return fmt.Errorf("max_concurrent_queries: %d is less than 1", c.MaxConcurrentQueries)
	case c.MaxWaitingQueries < 0:
		return fmt.Errorf("max_waiting_queries: %d is less than 0", c.MaxWaitingQueries)
	case c.MaxQueryBytes < 1<<20:
		return fmt.Errorf("max_query_bytes: %d is less than 1 MiB", c.MaxQueryBytes)
	case c.MaxStreams < 1:
		return fmt.Errorf("max_streams: %d is less than 1", c.MaxStreams)
	case c.MaxStreamsPerAddress < 1:
		return fmt.Errorf("max_streams_per_address: %d is less than 1", c.MaxStreamsPerAddress)
	case c.MaxAnswerBytes < 1<<20:
		return fmt.Errorf("max_answer_bytes: %d is less than 1 MiB", c.MaxAnswerBytes)
	}
	for _, d := range []struct {
		name  string
		mount Mount
	}{
		{"jaeger", c.Dialects.Jaeger}, {"jaeger_v3", c.Dialects.JaegerV3}, {"prometheus", c.Dialects.Prometheus},
	} {
		if err := d.mount.validate(); err != nil {
			return fmt.Errorf("dialects.%s.%w", d.name, err)
		}
	}
	return nil
}
