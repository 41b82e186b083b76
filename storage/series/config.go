package series

import (
	"errors"
	"fmt"
	"time"
)

// Config is what an operator may set of the series store.
type Config struct {
	// RetentionAge is how long samples are kept; 0 keeps them until RetentionBytes
	// is reached.
	RetentionAge time.Duration `yaml:"retention_age"`
	// RetentionBytes bounds the blocks on disk; 0 is no bound. The newest two
	// hours, which are not in a block yet, come on top.
	RetentionBytes int64 `yaml:"retention_bytes"`
	// MaxSeries bounds the series of the newest two hours, which are in memory: those that go on and those that ended
	// and are not in a block yet. It should be twice aggregator.max_series. Beyond it new series wait.
	MaxSeries int64 `yaml:"max_series"`
	// MaxExemplars is how many exemplars are kept, over all series; the oldest make
	// room for the newest. Each takes about 150 bytes of memory. They are not in
	// blocks: a restart finds those of the newest hours in the write-ahead log.
	MaxExemplars int64 `yaml:"max_exemplars"`
	// OutOfOrderWindow is how far a sample may lie behind its series' newest. The
	// aggregator writes in order, so that 0 is right unless the clock is known to
	// be set back.
	OutOfOrderWindow time.Duration `yaml:"out_of_order_window"`
}

// DefaultConfig keeps 15 days, at most 4 GiB.
func DefaultConfig() Config {
	return Config{
		RetentionAge:   15 * 24 * time.Hour,
		RetentionBytes: 4 << 30,
		MaxSeries:      150_000,
		MaxExemplars:   100_000,
	}
}

// Validate reports the first field that cannot work, by its path.
func (c *Config) Validate() error {
	switch {
	case c.RetentionAge < 0 || c.RetentionAge > 0 && c.RetentionAge < blockRange:
		return fmt.Errorf("retention_age: %v is less than %v, the length of a block; use 0 to keep everything", c.RetentionAge, blockRange)
	case c.RetentionBytes < 0:
		return fmt.Errorf("retention_bytes: %d is negative; use 0 for no bound", c.RetentionBytes)
	case c.RetentionAge == 0 && c.RetentionBytes == 0:
		return errors.New("retention_age: 0, and retention_bytes is 0 as well: the disk would fill; set one of them")
	case c.MaxSeries < 1000 || c.MaxSeries > 100_000_000:
		return fmt.Errorf("max_series: %d is not between 1000 and 100000000", c.MaxSeries)
	case c.MaxExemplars < 0 || c.MaxExemplars > 10_000_000:
		return fmt.Errorf("max_exemplars: %d is not between 0 and 10000000", c.MaxExemplars)
	case c.OutOfOrderWindow < 0 || c.OutOfOrderWindow > blockRange:
		return fmt.Errorf("out_of_order_window: %v is not between 0 and %v", c.OutOfOrderWindow, blockRange)
	}
	return nil
}
