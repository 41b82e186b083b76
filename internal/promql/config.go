package promql

import (
	"fmt"
	"time"
)

// Config is what an operator may set of queries.
type Config struct {
	// Timeout ends a query that takes longer.
	Timeout time.Duration `yaml:"timeout"`
	// MaxConcurrent bounds the queries that run at once; further ones wait.
	MaxConcurrent int `yaml:"max_concurrent"`
	// MaxSamples bounds the samples that one query may hold in memory, at about 16
	// bytes each.
	MaxSamples int `yaml:"max_samples"`
	// MaxSeries bounds the series that one question may touch, those of views counted each: a
	// histogram makes some forty.
	MaxSeries int `yaml:"max_series"`
	// MaxExpressionBytes bounds an expression, and the selectors of one request together, in
	// bytes of text.
	MaxExpressionBytes int `yaml:"max_expression_bytes"`
	// MaxSteps bounds how often one query may be evaluated in time: a subquery's range by its
	// step, or the query's own.
	MaxSteps int `yaml:"max_steps"`
	// Lookback is how old the newest sample of a series may be to count as its
	// present value.
	Lookback time.Duration `yaml:"lookback"`
}

// DefaultConfig keeps the samples of the greatest query under 80 MB, and lets a subquery go
// through a year by the minute.
func DefaultConfig() Config {
	return Config{
		Timeout: time.Minute, MaxConcurrent: 4, MaxSamples: 5_000_000, Lookback: 5 * time.Minute,
		MaxSeries: 500_000, MaxExpressionBytes: 64 << 10, MaxSteps: 1_000_000,
	}
}

// Validate reports the first field that cannot work, by its path.
func (c *Config) Validate() error {
	switch {
	case c.Timeout < time.Second || c.Timeout > time.Hour:
		return fmt.Errorf("timeout: %v is not between 1s and 1h", c.Timeout)
	case c.MaxConcurrent < 1 || c.MaxConcurrent > 1000:
		return fmt.Errorf("max_concurrent: %d is not between 1 and 1000", c.MaxConcurrent)
	case c.MaxSamples < 1000:
		return fmt.Errorf("max_samples: %d is less than 1000", c.MaxSamples)
	case c.MaxSeries < 1000:
		return fmt.Errorf("max_series: %d is less than 1000", c.MaxSeries)
	case c.MaxExpressionBytes < 1000 || c.MaxExpressionBytes > 1<<20:
		return fmt.Errorf("max_expression_bytes: %d is not between 1000 and 1 MiB", c.MaxExpressionBytes)
	case c.MaxSteps < 11_001:
		return fmt.Errorf("max_steps: %d is less than the 11001 that a query of a range may have", c.MaxSteps)
	case c.Lookback < 10*time.Second || c.Lookback > time.Hour:
		return fmt.Errorf("lookback: %v is not between 10s and 1h", c.Lookback)
	}
	return nil
}
