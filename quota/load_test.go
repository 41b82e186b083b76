package quota

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// TestPrepare: nothing changes before the commit, or where anything is wrong, and the same again has no effect.
func TestPrepare(t *testing.T) {
	t.Parallel()
	e, reg := newEngine(t, DefaultConfig(), shop)
	now := time.Unix(1_700_000_000, 0)
	strict := strings.Replace(shop, "60}", "0}", 1)
	checkout := descriptor("client_id=a", "path=/checkout")
	expect := func(what string, generation, admitted int, wrong string, failures float64) {
		t.Helper()
		s := e.Status(now)
		if s.Generation != generation || !strings.Contains(s.Error, wrong) || wrong == "" && s.Error != "" {
			t.Errorf("%s: generation %d, error %q, want %d and %q", what, s.Generation, s.Error, generation, wrong)
		}
		if n := ask(t, e, now, 1, checkout); n != admitted {
			t.Errorf("%s: %d admitted, want %d", what, n, admitted)
		}
		for name, want := range map[string]float64{
			"ratelimit_service_config_load_success": float64(generation), "ratelimit_service_config_load_error": failures,
			"binnacle_quota_rules_refused": map[bool]float64{true: 1}[wrong != ""],
		} {
			if got := valueOfMetric(t, reg, name); got != want {
				t.Errorf("%s: %s is %v, want %v", what, name, got, want)
			}
		}
	}
	prepare := func(cfg Config, yaml string) func() {
		t.Helper()
		commit, err := e.Prepare(cfg, rules(yaml), now)
		if (err == nil) != (commit != nil) {
			t.Fatalf("commit %v and error %v", commit != nil, err)
		}
		return commit
	}
	commit := prepare(DefaultConfig(), strict)
	expect("prepared", 1, 1, "", 0)
	commit()
	expect("committed", 2, 0, "", 0)
	prepare(DefaultConfig(), strict)()
	expect("the same again", 2, 0, "", 0)
	for range 2 {
		if prepare(DefaultConfig(), "domain: [") != nil {
			t.Error("wrong rules were accepted")
		}
		expect("wrong rules, twice", 2, 0, "not valid YAML", 1)
	}
	prepare(DefaultConfig(), strict)()
	expect("the wrong ones taken back", 2, 0, "", 1)
	for range 2 {
		e.Refuse(errors.New("disk on fire"))
		expect("unreadable, twice", 2, 0, "disk on fire", 2)
	}
	cfg := DefaultConfig()
	cfg.ShadowMode = true
	prepare(cfg, strict)()
	expect("another configuration", 3, 1, "", 2)
	cfg.NearLimitRatio = 7
	if prepare(cfg, strict) != nil {
		t.Error("a wrong configuration was accepted")
	}
	expect("a wrong configuration", 3, 1, "near_limit_ratio", 3)
}

// valueOfMetric returns the value of the one series of a metric.
func valueOfMetric(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name && len(f.Metric) == 1 {
			return f.Metric[0].GetCounter().GetValue() + f.Metric[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s with one series", name)
	return 0
}

func TestNeedsRestart(t *testing.T) {
	t.Parallel()
	c, next := DefaultConfig(), DefaultConfig()
	next.ShadowMode, next.Files = true, []string{"x"}
	if got := c.NeedsRestart(&next); got != nil {
		t.Errorf("%v for what a running engine can change", got)
	}
	next.MaxKeys, next.MaxEdges = 1, 1
	if diff := cmp.Diff([]string{"max_keys", "max_edges"}, c.NeedsRestart(&next)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
