package collector

import (
	"fmt"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/pace"
)

// Config is what an operator may set of the way in: the section receive.
type Config struct {
	// MaxInflightBytes bounds the bytes of messages, decompressed, that are being
	// read, decoded or written at one time over all protocols. A message beyond it
	// is refused with a retry delay.
	MaxInflightBytes int64 `yaml:"max_inflight_bytes"`
	// MaxMessageBytes bounds one message, decompressed.
	MaxMessageBytes int `yaml:"max_message_bytes"`
	// RetryDelay is what a refused sender is told to wait.
	RetryDelay time.Duration `yaml:"retry_delay"`
	// ReadTimeout bounds how long a gRPC message may take to arrive, and how long the body of an HTTP
	// request may come at less than MinReadRate, and so how long a slow sender may hold what it was admitted for.
	ReadTimeout time.Duration `yaml:"read_timeout"`
	// MinReadRate is how many bytes a second of such a body must come when ReadTimeout is used up. 0: all of it must come within ReadTimeout.
	MinReadRate int64 `yaml:"min_read_rate"`
	// MaxReadTime bounds how long it may take at that rate. Less than ReadTimeout is ReadTimeout.
	MaxReadTime time.Duration `yaml:"max_read_time"`
	Limits      Limits        `yaml:"limits"`
}

// Limits bound what one message may hold. See [Fill] for what happens beyond them.
type Limits struct {
	// Records is how many spans or log entries a message may hold.
	Records int `yaml:"records"`
	// Attributes is how many attributes a span, log entry, event, link or resource keeps.
	Attributes int `yaml:"attributes"`
	// Events and Links are how many of each a span keeps.
	Events int `yaml:"events"`
	Links  int `yaml:"links"`
	// KeyBytes is the length of an attribute's key, ValueBytes that of a text: an
	// attribute's value (the JSON of an array or map included), a name, a message.
	KeyBytes   int `yaml:"key_bytes"`
	ValueBytes int `yaml:"value_bytes"`
	// Depth is how deep arrays and maps may nest in an attribute.
	Depth int `yaml:"depth"`
	// MaxFuture is how far ahead of this server's clock a span may start; beyond
	// it the sender's clock is taken to be wrong, and the span is kept at its
	// moment of arrival.
	MaxFuture time.Duration `yaml:"max_future"`
	// MaxAge is how old a span may be when it comes; older ones are rejected, and their sender is
	// told. 0 takes all. Unless it is set, it is storage.blocks.retention_age: how old the store lets spans become.
	MaxAge time.Duration `yaml:"max_age"`
}

// DefaultConfig is fit for a server of a few hundred megabytes. It takes spans
// of any age: what the stores can keep, only the whole configuration knows.
func DefaultConfig() Config {
	return Config{
		MaxInflightBytes: 64 << 20,
		MaxMessageBytes:  16 << 20,
		RetryDelay:       time.Second,
		ReadTimeout:      10 * time.Second,
		MinReadRate:      8 << 10,
		MaxReadTime:      2 * time.Minute,
		Limits: Limits{
			Records:    100_000,
			Attributes: 128,
			Events:     128,
			Links:      128,
			KeyBytes:   256,
			ValueBytes: 4096,
			Depth:      16,
			MaxFuture:  24 * time.Hour,
		},
	}
}

// bodyPace is how fast the body of an HTTP request must come.
func (c *Config) bodyPace() pace.Pace {
	return pace.Pace{Grace: c.ReadTimeout, Rate: c.MinReadRate, Most: c.MaxReadTime}
}

// Validate reports the first field that cannot work, by its path.
func (c *Config) Validate() error {
	for _, f := range []struct {
		path       string
		value      int64
		least, top int64
	}{
		{"max_inflight_bytes", c.MaxInflightBytes, 1 << 16, 1 << 40},
		{"max_message_bytes", int64(c.MaxMessageBytes), 1 << 10, 1 << 29}, // a batch's offsets have 32 bits
		{"min_read_rate", c.MinReadRate, 0, 1 << 30},
		{"limits.records", int64(c.Limits.Records), 1, 1 << 24},
		{"limits.attributes", int64(c.Limits.Attributes), 1, 1 << 16},
		{"limits.events", int64(c.Limits.Events), 0, 1 << 16},
		{"limits.links", int64(c.Limits.Links), 0, 1 << 16},
		{"limits.key_bytes", int64(c.Limits.KeyBytes), 16, 1 << 16},
		{"limits.value_bytes", int64(c.Limits.ValueBytes), 64, 1 << 24},
		{"limits.depth", int64(c.Limits.Depth), 1, 64},
	} {
		if f.value < f.least || f.value > f.top {
			return fmt.Errorf("%s: %d is not between %d and %d", f.path, f.value, f.least, f.top)
		}
	}
	if int64(c.MaxMessageBytes) > c.MaxInflightBytes {
		return fmt.Errorf("max_message_bytes: %d is more than max_inflight_bytes (%d), so that no such message could be admitted",
			c.MaxMessageBytes, c.MaxInflightBytes)
	}
	for _, f := range []struct {
		path  string
		value time.Duration
		least time.Duration
	}{
		{"retry_delay", c.RetryDelay, time.Millisecond},
		{"read_timeout", c.ReadTimeout, 10 * time.Millisecond},
		{"max_read_time", c.MaxReadTime, 0},
		{"limits.max_future", c.Limits.MaxFuture, time.Second},
		{"limits.max_age", c.Limits.MaxAge, 0},
	} {
		if f.value < f.least || f.value > 100*365*24*time.Hour {
			return fmt.Errorf("%s: %v is not between %v and a hundred years", f.path, f.value, f.least)
		}
	}
	return nil
}
