package topology

import (
	"fmt"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry/health"
)

// Config is the graph's section of the configuration.
type Config struct {
	// PairWait is how long a half waits for its other half, in the log's time.
	PairWait time.Duration `yaml:"pair_wait"`
	// MaxPending is how many halves may wait (64 bytes each, and 32 to find
	// it). When it is reached the oldest are made final before their time.
	MaxPending int `yaml:"max_pending"`
	// MaxLate is how many spans that were alone when the wait was over are remembered for 15
	// minutes, 24 bytes each, so that the other one of their request, should it come, counts no second. 0: none.
	MaxLate int `yaml:"max_late"`
	// MaxEdges and MaxNodes bound the graph; what exceeds them is counted on
	// one overflow edge a kind of target.
	MaxEdges int `yaml:"max_edges"`
	MaxNodes int `yaml:"max_nodes"`
	// ForgetAfter is how long an edge stays in the graph without traffic.
	ForgetAfter time.Duration `yaml:"forget_after"`
	// VanishedAfter is for how long a call must be silent, while others are heard, until an event says that it has vanished; one that was
	// silent before, for twice as long as it was.
	VanishedAfter time.Duration `yaml:"vanished_after"`
	// PublishEvery is the least time between two snapshots.
	PublishEvery time.Duration `yaml:"publish_every"`
	// ProxyCalls draws the calls that Envoys make on their own account, to
	// rate limit and authorization services.
	ProxyCalls bool `yaml:"proxy_calls"`
	// Health is the rule by which edges and nodes are judged, of past ranges too.
	Health health.Config `yaml:"health"`
}

// DefaultConfig is the configuration of an empty section.
func DefaultConfig() Config {
	return Config{
		PairWait:      10 * time.Second,
		MaxPending:    1 << 20,
		MaxLate:       1 << 18,
		MaxEdges:      20_000,
		MaxNodes:      20_000,
		ForgetAfter:   time.Hour,
		VanishedAfter: 72 * time.Hour,
		PublishEvery:  250 * time.Millisecond,
		Health:        health.DefaultConfig(),
	}
}

// Validate reports the first field that makes no sense, by its path.
func (c Config) Validate() error {
	for _, f := range []struct {
		ok         bool
		path, want string
		have       any
	}{
		{c.PairWait >= time.Second && c.PairWait <= 15*time.Minute, "pair_wait", "from 1s to 15m", c.PairWait},
		{c.MaxPending >= 1<<10 && c.MaxPending <= 1<<26, "max_pending", "from 1024 to 67108864", c.MaxPending},
		{c.MaxLate >= 0 && c.MaxLate <= 1<<24, "max_late", "from 0 to 16777216", c.MaxLate},
		{c.MaxEdges >= 1 && c.MaxEdges <= 1<<20, "max_edges", "from 1 to 1048576", c.MaxEdges},
		{c.MaxNodes >= 1 && c.MaxNodes <= 1<<20, "max_nodes", "from 1 to 1048576", c.MaxNodes},
		{c.ForgetAfter >= 2*c.PairWait, "forget_after", "at least twice pair_wait", c.ForgetAfter},
		{c.VanishedAfter >= time.Hour && c.VanishedAfter <= 366*24*time.Hour, "vanished_after", "from 1h to 8784h", c.VanishedAfter},
		{c.PublishEvery >= 50*time.Millisecond && c.PublishEvery <= time.Minute, "publish_every", "from 50ms to 1m", c.PublishEvery},
	} {
		if !f.ok {
			return fmt.Errorf("%s: %v is not %s", f.path, f.have, f.want)
		}
	}
	if err := c.Health.Validate(); err != nil {
		return fmt.Errorf("health.%w", err)
	}
	return nil
}
