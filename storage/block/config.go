package block

import (
	"fmt"
	"time"
)

// Config is how much the store keeps, in memory and on disk.
type Config struct {
	// MaxHeadSpans is how many spans and requests the newest data in memory may
	// hold before it is written as a block. Two heads at most are in memory, the
	// one that fills and the one that is being written.
	MaxHeadSpans int `yaml:"max_head_spans"`
	// MaxHeadBytes bounds one head's memory, in bytes.
	MaxHeadBytes int64 `yaml:"max_head_bytes"`
	// HeadMaxAge is how old the oldest entry of the head may grow, by the log's
	// clock, before the head is written although it is not full.
	HeadMaxAge time.Duration `yaml:"head_max_age"`
	// RetentionAge is how long blocks are kept after their newest entry came; 0 is for ever.
	RetentionAge time.Duration `yaml:"retention_age"`
	// RetentionBytes is how much disk the blocks may take; the oldest go first. 0 is without limit.
	RetentionBytes int64 `yaml:"retention_bytes"`
	// MaxOpenFiles bounds the block files that are kept open with their parsed footers.
	MaxOpenFiles int `yaml:"max_open_files"`
	// SearchConcurrency is how many blocks one search reads at once.
	SearchConcurrency int `yaml:"search_concurrency"`
}

// DefaultConfig keeps a week, in at most 10 GiB.
func DefaultConfig() Config {
	return Config{
		MaxHeadSpans:      128 << 10,
		MaxHeadBytes:      48 << 20,
		HeadMaxAge:        2 * time.Minute,
		RetentionAge:      7 * 24 * time.Hour,
		RetentionBytes:    10 << 30,
		MaxOpenFiles:      128,
		SearchConcurrency: 2,
	}
}

// Validate says which field is wrong, and what it may be.
func (c Config) Validate() error {
	switch {
	case c.MaxHeadSpans < 1 || c.MaxHeadSpans > maxHeadRows:
		return fmt.Errorf("max_head_spans: %d is not between 1 and %d", c.MaxHeadSpans, maxHeadRows)
	case c.MaxHeadBytes < 1<<20 || c.MaxHeadBytes > 2<<30:
		return fmt.Errorf("max_head_bytes: %d is not between 1 MiB and 2 GiB", c.MaxHeadBytes)
	case c.HeadMaxAge <= 0:
		return fmt.Errorf("head_max_age: %v is not above 0; 2m is a good start", c.HeadMaxAge)
	case c.RetentionAge < 0:
		return fmt.Errorf("retention_age: %v is below 0; 0 keeps blocks for ever", c.RetentionAge)
	case c.RetentionBytes < 0:
		return fmt.Errorf("retention_bytes: %d is below 0; 0 sets no limit", c.RetentionBytes)
	case c.MaxOpenFiles < 4:
		return fmt.Errorf("max_open_files: %d is below 4", c.MaxOpenFiles)
	case c.SearchConcurrency < 1 || c.SearchConcurrency > 64:
		return fmt.Errorf("search_concurrency: %d is not between 1 and 64", c.SearchConcurrency)
	}
	return nil
}
