package aggregator

import (
	"fmt"
	"time"
)

// Config is what an operator may set of the aggregator.
type Config struct {
	// FlushInterval is how often the app calls Flush: the spacing of samples.
	FlushInterval time.Duration `yaml:"flush_interval"`
	// Heartbeat is how often a series that saw nothing is written again. It must be
	// well under Prometheus' lookback of 5 minutes. A query's range must hold two
	// samples, so that rate() over less than two heartbeats shows an idle series
	// as absent and not as 0.
	Heartbeat time.Duration `yaml:"heartbeat"`
	// ExemplarInterval is how often a series gives exemplars: the slowest span and one
	// that failed of all since the last time. The store keeps a fixed number, so
	// that a shorter interval means that they reach less far back.
	ExemplarInterval time.Duration `yaml:"exemplar_interval"`
	// IdleAfter is how long a series may see nothing before it is marked stale
	// and leaves memory. When it comes back it starts again at 0, as a counter does
	// after its process restarts; increase() and rate() see every request exactly once.
	IdleAfter time.Duration `yaml:"idle_after"`
	// MaxSeries bounds the series in memory, operations and edges together. What
	// comes beyond is counted in the overflow series; what comes again takes the place of what was hardly seen and has been
	// idle for 20 s. The last sixteenth is kept for those and for what is known. One service has at most half.
	MaxSeries int `yaml:"max_series"`
	// MaxOperations bounds the operations of one service; further ones are {other}, until
	// they come again and another has been idle for 20 s.
	MaxOperations int `yaml:"max_operations"`
}

// DefaultConfig is fit for a mesh of some thousand edges.
func DefaultConfig() Config {
	return Config{
		FlushInterval:    5 * time.Second,
		Heartbeat:        15 * time.Second,
		ExemplarInterval: 30 * time.Second,
		IdleAfter:        15 * time.Minute,
		MaxSeries:        50_000,
		MaxOperations:    200,
	}
}

// Validate reports the first field that cannot work, by its path.
func (c *Config) Validate() error {
	for _, f := range []struct {
		path        string
		value       time.Duration
		least, most time.Duration
	}{
		{"flush_interval", c.FlushInterval, 100 * time.Millisecond, time.Minute},
		{"heartbeat", c.Heartbeat, c.FlushInterval, 2 * time.Minute},
		{"exemplar_interval", c.ExemplarInterval, c.FlushInterval, time.Hour},
		{"idle_after", c.IdleAfter, max(time.Minute, 2*c.Heartbeat), 30 * 24 * time.Hour},
	} {
		if f.value < f.least || f.value > f.most {
			return fmt.Errorf("%s: %v is not between %v and %v", f.path, f.value, f.least, f.most)
		}
	}
	if c.MaxSeries < 10 || c.MaxSeries > 10_000_000 {
		return fmt.Errorf("max_series: %d is not between 10 and 10000000", c.MaxSeries)
	}
	if c.MaxOperations < 1 || c.MaxOperations > 100_000 {
		return fmt.Errorf("max_operations: %d is not between 1 and 100000", c.MaxOperations)
	}
	return nil
}
