package quota

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ask asks n times and returns how many were admitted.
func ask(t testing.TB, e *Engine, now time.Time, n int, descriptors ...Descriptor) (admitted int) {
	t.Helper()
	var d Decision
	for range n {
		req := Request{Domain: []byte("shop"), Descriptors: descriptors}
		if err := e.Decide(t.Context(), &req, &d, now); err != nil {
			t.Fatal(err)
		}
		if !d.Over {
			admitted++
		}
	}
	return admitted
}

const shop = `
domain: shop
descriptors:
- key: client_id
  descriptors:
  - {key: path, value: /checkout, rate_limit: {unit: minute, requests_per_unit: 60}}
- {key: quiet, shadow_mode: true, rate_limit: {unit: hour, requests_per_unit: 1, name: q}}
- {key: free, rate_limit: {unlimited: true}}
`

// TestKeyFlood: a client that makes up keys without end gets memory for max_keys of them, is refused early beyond that, and does
// not take anything from a key that was there before.
func TestKeyFlood(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.MaxKeys, cfg.MaxEdges = 1000, 10
	e, _ := newEngine(t, cfg, `
domain: shop
descriptors:
- key: source_cluster
  descriptors:
  - {key: destination_cluster, detailed_metric: true, rate_limit: {unit: year, requests_per_unit: 3}}
`)
	now := time.Unix(1_700_000_000, 0)
	victim := descriptor("source_cluster=frontend", "destination_cluster=cart")
	if n := ask(t, e, now, 2, victim); n != 2 {
		t.Fatalf("%d admitted of the first 2", n)
	}
	for i := range 20_000 {
		ask(t, e, now, 1, descriptor(fmt.Sprintf("source_cluster=%d", i), "destination_cluster=cart"))
	}
	if n := ask(t, e, now, 5, victim); n != 1 {
		t.Errorf("%d admitted after the flood, want the 1 that was left", n)
	}
	keys, floors := e.table.Len()
	if keys > 1000 || floors > shards || e.sharedHits.Load() < 16_000 {
		t.Errorf("%d keys of 1000, %d floors, %d decisions by them", keys, floors, e.sharedHits.Load())
	}
	e.Tick(now)
	if f := e.Findings(now); len(f) != 1 || f[0].Kind != "quota_keys_crowded" || f[0].Count < 16_000 {
		t.Errorf("found %+v", f)
	}
	if f := e.Findings(now.Add(time.Hour)); len(f) != 0 {
		t.Errorf("an hour later found %+v", f)
	}
	if n := len(e.ThrottledEdges(now)); n > 10 {
		t.Errorf("%d edges of 10", n)
	}
	if n := len(e.Status(now).Rules[0].Top); n != topShown {
		t.Errorf("%d keys shown", n)
	}
	if n := e.detailed.Load(); n != int64(cfg.MaxDetailedSeries) {
		t.Errorf("%d detailed series of %d", n, cfg.MaxDetailedSeries)
	}
}

// TestLongValues: what a client sends is cut before it is remembered.
func TestLongValues(t *testing.T) {
	t.Parallel()
	e, _ := newEngine(t, DefaultConfig(), strings.Replace(shop, "60}", "0}", 1))
	long := strings.Repeat("x", 1<<20)
	now := time.Unix(1_700_000_000, 0)
	ask(t, e, now, 1, descriptor("client_id="+long, "path=/checkout"), descriptor("source_cluster="+long))
	if n := len(e.Status(now).Rules[0].Top[0].Key); n > 2*maxLabel {
		t.Errorf("a key of %d bytes is shown", n)
	}
	if n := len(e.ThrottledEdges(now)[0].Source); n > 2*maxLabel {
		t.Errorf("a source of %d bytes is remembered", n)
	}
}

func TestNewRefusesBadRules(t *testing.T) {
	t.Parallel()
	if err := Check(DefaultConfig(), rules(shop)); err != nil {
		t.Errorf("a good file: %v", err)
	}
	bad := DefaultConfig()
	bad.MaxKeys = 0
	for want, tt := range map[string]struct {
		cfg  Config
		yaml string
	}{
		"rules.yaml:1: the file has no domain": {DefaultConfig(), "descriptors:"},
		"max_keys: 0":                          {bad, shop},
	} {
		if _, err := New(tt.cfg, rules(tt.yaml), Deps{Secret: RandomSecret(), Log: silent(), Registerer: prometheus.NewRegistry()}, time.Now()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if err := Check(tt.cfg, rules(tt.yaml)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("checked: %v, want %q", err, want)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Config){
		"near_limit_ratio":    func(c *Config) { c.NearLimitRatio = 0 },
		"max_keys":            func(c *Config) { c.MaxKeys = 0 },
		"save_interval":       func(c *Config) { c.SaveInterval = 0 },
		"max_detailed_series": func(c *Config) { c.MaxDetailedSeries = -1 },
		"on_counter_failure":  func(c *Config) { c.OnCounterFailure = "" },
		"max_edges":           func(c *Config) { c.MaxEdges = 0 },
		"files[1]":            func(c *Config) { c.Files = []string{"a", ""} },
		"headers.remaining":   func(c *Config) { c.Headers.Enabled, c.Headers.Remaining = true, "X Left" },
	} {
		c := DefaultConfig()
		if err := c.Validate(); err != nil {
			t.Fatalf("the default: %v", err)
		}
		change(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), want+":") {
			t.Errorf("%v, want an error about %s", err, want)
		}
	}
}

// TestReloadWhileDeciding: rules that change under load, good and bad, let through exactly what the counters allow.
func TestReloadWhileDeciding(t *testing.T) {
	t.Parallel()
	const yaml = "domain: shop\ndescriptors:\n- {key: a, rate_limit: {unit: year, requests_per_unit: 5000}}\n"
	e, _ := newEngine(t, DefaultConfig(), yaml)
	now := time.Unix(1_700_000_000, 0)
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { admitted.Add(int64(ask(t, e, now, 1000, descriptor("a=x")))) })
	}
	wg.Go(func() {
		for i := range 50 {
			content := fmt.Sprintf("%s# %d\n", yaml, i)
			if i%2 == 1 {
				content = "no: rules"
			}
			commit, err := e.Prepare(DefaultConfig(), rules(content), now)
			if (err != nil) != (i%2 == 1) {
				t.Errorf("reload %d: %v", i, err)
			} else if err == nil {
				commit()
			}
			e.Status(now)
			e.Tick(now)
		}
	})
	wg.Wait()
	if n := admitted.Load(); n != 5000 {
		t.Errorf("%d admitted, want 5000", n)
	}
	if s := e.Status(now); s.Generation != 26 || s.Error == "" || s.Rules[0].Decisions.Total != 8000 {
		t.Errorf("generation %d, error %q, %d decisions", s.Generation, s.Error, s.Rules[0].Decisions.Total)
	}
}
