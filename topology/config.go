package topology

import (
	"fmt"
	"time"
)

// Config is the graph's section of the configuration.
type Config struct {
	// PairWait is how long a half waits for its other half, in the log's time.
	PairWait time.Duration `yaml:"pair_wait"`
	// MaxPending is how many halves may wait (64 bytes each, and 32 to find
	// it). When it is reached the oldest are made final before their time.
	MaxPending int `yaml:"max_pending"`
	// MaxEdges and MaxNodes bound the graph; what exceeds them is counted on
	// one overflow edge a kind of target.
	MaxEdges int `yaml:"max_edges"`
	MaxNodes int `yaml:"max_nodes"`
	// ForgetAfter is how long an edge stays in the graph without traffic.
	ForgetAfter time.Duration `yaml:"forget_after"`
	// PublishEvery is the least time between two snapshots.
	PublishEvery time.Duration `yaml:"publish_every"`
	// ProxyCalls draws the calls that Envoys make on their own account, to
	// rate limit and authorization services.
	ProxyCalls bool         `yaml:"proxy_calls"`
	Health     HealthConfig `yaml:"health"`
}

// HealthConfig says what is ill. Shares are of requests, from 0 to 1.
type HealthConfig struct {
	DegradedErrors float64 `yaml:"degraded_errors"`
	FailingErrors  float64 `yaml:"failing_errors"`
	Throttled      float64 `yaml:"throttled"` // degraded
	// DegradedLatency and FailingLatency are by how many times the recent p90
	// exceeds that of the minutes before.
	DegradedLatency float64 `yaml:"degraded_latency"`
	FailingLatency  float64 `yaml:"failing_latency"`
	// LatencyFloor is a p90 that nobody minds, whatever it was before.
	LatencyFloor time.Duration `yaml:"latency_floor"`
}

// DefaultConfig is the configuration of an empty section.
func DefaultConfig() Config {
	return Config{
		PairWait:     10 * time.Second,
		MaxPending:   1 << 20,
		MaxEdges:     20_000,
		MaxNodes:     20_000,
		ForgetAfter:  time.Hour,
		PublishEvery: 250 * time.Millisecond,
		Health: HealthConfig{
			DegradedErrors: 0.05, FailingErrors: 0.1, Throttled: 0.05,
			DegradedLatency: 2, FailingLatency: 5, LatencyFloor: 10 * time.Millisecond,
		},
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
		{c.MaxEdges >= 1 && c.MaxEdges <= 1<<20, "max_edges", "from 1 to 1048576", c.MaxEdges},
		{c.MaxNodes >= 1 && c.MaxNodes <= 1<<20, "max_nodes", "from 1 to 1048576", c.MaxNodes},
		{c.ForgetAfter >= 2*c.PairWait, "forget_after", "at least twice pair_wait", c.ForgetAfter},
		{c.PublishEvery >= 50*time.Millisecond && c.PublishEvery <= time.Minute, "publish_every", "from 50ms to 1m", c.PublishEvery},
		{share(c.Health.DegradedErrors), "health.degraded_errors", "above 0, at most 1", c.Health.DegradedErrors},
		{share(c.Health.FailingErrors), "health.failing_errors", "above 0, at most 1", c.Health.FailingErrors},
		{share(c.Health.Throttled), "health.throttled", "above 0, at most 1", c.Health.Throttled},
		{c.Health.DegradedLatency > 1, "health.degraded_latency", "above 1", c.Health.DegradedLatency},
		{c.Health.FailingLatency > 1, "health.failing_latency", "above 1", c.Health.FailingLatency},
		{c.Health.LatencyFloor >= 0, "health.latency_floor", "not negative", c.Health.LatencyFloor},
	} {
		if !f.ok {
			return fmt.Errorf("%s: %v is not %s", f.path, f.have, f.want)
		}
	}
	return nil
}

func share(f float64) bool { return f > 0 && f <= 1 }
