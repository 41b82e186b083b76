package quota

import (
	"fmt"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/quota/rule"
)

// Config is the quota section of the configuration.
type Config struct {
	// Files are rule files, directories of which every *.yaml and *.yml is one, or patterns (/etc/quota/*.yaml). In the latter two,
	// names that start with a dot are left out.
	Files []string `yaml:"files"`
	// MergeDomains lets several files have rules for one domain.
	MergeDomains bool `yaml:"merge_domains"`
	// ShadowMode lets everything pass and only counts what would have been refused.
	ShadowMode bool `yaml:"shadow_mode"`
	// QuotaMode treats every rule as if it said quota_mode: a request is refused only when all its rules refuse.
	QuotaMode bool `yaml:"quota_mode"`
	// CountRefused counts refused hits as use, as envoyproxy/ratelimit does unless told otherwise. Without it a client that keeps
	// asking loses nothing by it, but one whose last request is too big for what is left is not charged for it at all. Each
	// descriptor of a request is treated by itself.
	CountRefused bool `yaml:"count_refused"`
	// OnCounterFailure says what a decision is when its counters cannot be reached: error (the proxy gets an error and decides by its
	// failure_mode_deny, as with envoyproxy/ratelimit), allow, deny, or local (counted in this process alone, so that each process
	// admits the limit). A rule may say otherwise in its metadata, as binnacle: {on_counter_failure: deny}. The counters in memory
	// are always reached.
	OnCounterFailure string `yaml:"on_counter_failure" enum:"error,allow,deny,local"`
	// NearLimitRatio is the share of a limit above which a hit counts as near the limit in the statistics.
	NearLimitRatio float64 `yaml:"near_limit_ratio"`
	// MaxKeys is about how many keys have a counter of their own, of about 80 bytes. Beyond it the least used key of the rule that has
	// most gives way to each new one, which then begins where that one stood: keys may be refused early, never admitted too often.
	MaxKeys int `yaml:"max_keys"`
	// SaveInterval is how often counters of windows of a minute and longer are saved, below the data directory. What was admitted in the
	// last interval before a crash is all that may be granted again; after an orderly stop it is nothing.
	SaveInterval time.Duration `yaml:"save_interval"`
	// MaxDetailedSeries is for how many values detailed_metric and value_to_metric have series of their own, over all rules.
	MaxDetailedSeries int `yaml:"max_detailed_series"`
	// MaxEdges is how many pairs of source and destination are remembered as throttled.
	MaxEdges int `yaml:"max_edges"`
	// SourceKeys and DestinationKeys are the descriptor keys whose values name the calling and the called service.
	SourceKeys      []string `yaml:"source_keys"`
	DestinationKeys []string `yaml:"destination_keys"`
	// Headers are added to responses by the proxy that asked.
	Headers HeaderConfig `yaml:"headers"`
	// DynamicMetadata sends the metadata of rules that let the request pass back to the proxy.
	DynamicMetadata bool `yaml:"dynamic_metadata"`
}

// HeaderConfig names the response headers that tell a client where it stands.
type HeaderConfig struct {
	// Enabled adds three headers about the limit that is nearest to being reached: how much is allowed, how much is left, and
	// in how many seconds it starts again.
	Enabled bool `yaml:"enabled"`
	// Limit, Remaining and Reset are their names.
	Limit     string `yaml:"limit"`
	Remaining string `yaml:"remaining"`
	Reset     string `yaml:"reset"`
	// Standard adds RateLimit-Policy and RateLimit as draft-ietf-httpapi-ratelimit-headers-10 writes them.
	Standard bool `yaml:"standard"`
}

// DefaultConfig has no rules and behaves as envoyproxy/ratelimit does by default.
func DefaultConfig() Config {
	return Config{
		CountRefused:      true,
		OnCounterFailure:  rule.FallbackError.String(),
		NearLimitRatio:    0.8,
		MaxKeys:           1_000_000,
		SaveInterval:      time.Second,
		MaxDetailedSeries: 1000,
		MaxEdges:          1024,
		SourceKeys:        []string{"source_cluster"},
		DestinationKeys:   []string{"destination_cluster"},
		Headers:           HeaderConfig{Limit: "X-RateLimit-Limit", Remaining: "X-RateLimit-Remaining", Reset: "X-RateLimit-Reset"},
	}
}

// Validate checks everything that can be checked without reading a rule file. Its errors name the field.
func (c *Config) Validate() error {
	switch {
	case !(c.NearLimitRatio > 0 && c.NearLimitRatio <= 1):
		return fmt.Errorf("near_limit_ratio: %v is not above 0 and at most 1; the usual is 0.8", c.NearLimitRatio)
	case c.MaxKeys < 1 || c.MaxKeys > 1<<30:
		return fmt.Errorf("max_keys: %d is not between 1 and %d; the usual is 1000000", c.MaxKeys, 1<<30)
	case c.SaveInterval < 10*time.Millisecond || c.SaveInterval > time.Minute:
		return fmt.Errorf("save_interval: %v is not between 10ms and 1m; the usual is 1s", c.SaveInterval)
	case c.MaxDetailedSeries < 0:
		return fmt.Errorf("max_detailed_series: %d is negative; 0 turns them off", c.MaxDetailedSeries)
	case c.MaxEdges < 1 || c.MaxEdges > 1<<16:
		return fmt.Errorf("max_edges: %d is not between 1 and %d; the usual is 1024", c.MaxEdges, 1<<16)
	}
	if _, known := rule.ParseFallback(c.OnCounterFailure); !known {
		return fmt.Errorf("on_counter_failure: %q is not known; use error, allow, deny or local", c.OnCounterFailure)
	}
	for i, f := range c.Files {
		if f == "" {
			return fmt.Errorf("files[%d]: is empty; name a file or a directory", i)
		}
	}
	for _, h := range []struct{ field, name string }{
		{"limit", c.Headers.Limit}, {"remaining", c.Headers.Remaining}, {"reset", c.Headers.Reset},
	} {
		if c.Headers.Enabled && (h.name == "" || strings.ContainsFunc(h.name, notToken)) {
			return fmt.Errorf("headers.%s: %q cannot be a header's name; use letters, digits and dashes", h.field, h.name)
		}
	}
	return nil
}

// NeedsRestart names the fields in which next differs from c and which a running engine cannot change.
func (c *Config) NeedsRestart(next *Config) (fields []string) {
	if c.MaxKeys != next.MaxKeys {
		fields = append(fields, "max_keys")
	}
	if c.MaxEdges != next.MaxEdges {
		fields = append(fields, "max_edges")
	}
	return fields
}

func notToken(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}
