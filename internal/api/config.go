package api

import (
	"fmt"
	"time"
)

// Config is the section of the configuration that this package reads.
type Config struct {
	// AllowedHosts are names by which this server may be asked, besides addresses,
	// names without a dot, and names that nobody can register (see host.go):
	// "binnacle.example.com", ".example.com" for all below, "*" for any.
	AllowedHosts []string `yaml:"allowed_hosts"`
	// RequestTimeout ends any request but a stream or a profile.
	RequestTimeout time.Duration `yaml:"request_timeout"`
	// MaxConcurrentQueries is how many requests may search the stores at once;
	// others wait for their turn.
	MaxConcurrentQueries int `yaml:"max_concurrent_queries"`
	// MaxStreams is how many may follow the live graph at once.
	MaxStreams int `yaml:"max_streams"`
	// Pprof serves Go's profiles under /debug/pprof/.
	Pprof bool `yaml:"pprof"`
}

// DefaultConfig is the configuration of a server that nobody configured.
func DefaultConfig() Config {
	return Config{RequestTimeout: 30 * time.Second, MaxConcurrentQueries: 16, MaxStreams: 256}
}

// Validate names the first field that makes no sense.
func (c Config) Validate() error {
	switch {
	case c.RequestTimeout < time.Second || c.RequestTimeout > time.Hour:
		return fmt.Errorf("request_timeout: %s is not between 1s and 1h", c.RequestTimeout)
	case c.MaxConcurrentQueries < 1:
		return fmt.Errorf("max_concurrent_queries: %d is less than 1", c.MaxConcurrentQueries)
	case c.MaxStreams < 1:
		return fmt.Errorf("max_streams: %d is less than 1", c.MaxStreams)
	}
	for i, h := range c.AllowedHosts {
		if err := checkAllowedHost(h); err != nil {
			return fmt.Errorf("allowed_hosts[%d]: %w", i, err)
		}
	}
	return nil
}
