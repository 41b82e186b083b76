package quota

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
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

// TestStatus asks some requests and holds what is told of them.
func TestStatus(t *testing.T) {
	t.Parallel()
	e, _ := newEngine(t, DefaultConfig(), shop)
	start := time.Unix(1_700_000_040, 0) // 1,700,000,040 is a whole minute
	for s := range 12 {
		now := start.Add(time.Duration(s) * time.Second)
		e.Tick(now)
		ask(t, e, now, 10, descriptor("client_id=mobile", "path=/checkout"))
		ask(t, e, now, 1, descriptor("client_id=web", "path=/checkout"))
	}
	ask(t, e, start, 2, descriptor("quiet=x"))
	ask(t, e, start, 1, descriptor("free=x"))
	got := e.Status(start.Add(12 * time.Second))
	if r := got.Rules[0].Top[0].LimitedRate; r < 0.9 || r > 1.0 { // 60 refusals, fading by a minute
		t.Errorf("limited_rate %v, want a little under 1", r)
	}
	got.Rules[0].Top[0].LimitedRate, got.Rules[1].Top[0].LimitedRate = 1, 1
	want := Status{
		Generation: 1, LoadedAt: time.Unix(0, 0), Counter: CounterStatus{Fallback: "error"},
		Files: []FileStatus{{Name: "rules.yaml", Domain: "shop"}},
		Rules: []RuleStatus{
			{
				ID: "shop/client_id/path_/checkout", Domain: "shop", Descriptor: "client_id / path=/checkout", Unit: "minute", RequestsPerUnit: 60,
				Decisions:  DecisionsStatus{Total: 132, OK: 72, OverLimit: 60, NearLimit: 12},
				Rates:      RatesStatus{OK: 5, OverLimit: 6},
				ActiveKeys: 2,
				Top: []KeyStatus{
					{Key: "client_id=mobile, path=/checkout", Used: 60, Limit: 60, Limited: 60, LimitedRate: 1, ResetsIn: 48000 * time.Millisecond},
					{Key: "client_id=web, path=/checkout", Used: 12, Limit: 60, ResetsIn: 48000 * time.Millisecond},
				},
			},
			{
				ID: "shop/quiet", Domain: "shop", Descriptor: "quiet", Name: "q", Unit: "hour", RequestsPerUnit: 1, ShadowMode: true,
				Decisions:  DecisionsStatus{Total: 2, OK: 1, NearLimit: 1, Shadow: 1},
				Rates:      RatesStatus{OK: 0.1},
				ActiveKeys: 1,
				Top: []KeyStatus{
					{Key: "quiet=x", Used: 1, Limit: 1, Limited: 1, LimitedRate: 1, ResetsIn: 2748000 * time.Millisecond},
				},
			},
			{
				ID: "shop/free", Domain: "shop", Descriptor: "free", Unlimited: true,
				Decisions: DecisionsStatus{Total: 1, OK: 1},
				Rates:     RatesStatus{OK: 0.1},
				Top:       []KeyStatus{},
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestMetrics: our own series and those of envoyproxy/ratelimit, hits that straddle a limit split as it splits them.
func TestMetrics(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.MaxDetailedSeries = 2
	e, reg := newEngine(t, cfg, `
domain: shop
descriptors:
- key: client
  descriptors:
  - {key: path, rate_limit: {unit: year, requests_per_unit: 10}}
- {key: quiet, shadow_mode: true, rate_limit: {unit: year, requests_per_unit: 1}}
- {key: who, detailed_metric: true, rate_limit: {unit: year, requests_per_unit: 1}}
`)
	now := time.Unix(1_700_000_000, 0)
	seven := descriptor("client=a", "path=/x")
	seven.Hits, seven.OwnHits = 7, true
	ask(t, e, now, 2, seven) // 7 within; then 3 up to the limit (2 of them above 8: near) and 4 over
	ten := descriptor("client=b", "path=/x")
	ten.Hits, ten.OwnHits = 10, true
	ask(t, e, now, 1, ten) // all within, 2 of them near
	back := seven
	back.Negative = true
	ask(t, e, now, 1, back)
	ask(t, e, now, 3, descriptor("quiet=x"))
	for _, who := range []string{"who=ann", "who=bob", "who=eve", "who=eve", "who=\xff"} {
		ask(t, e, now, 1, descriptor(who))
	}
	own := descriptor("whatever=x")
	own.OwnLimit, own.Override.Unit = true, 1
	ask(t, e, now, 1, own)
	err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP binnacle_quota_decisions_total Decisions by rule; outcome is ok, over_limit (refused), shadow (passed, but would have been refused) or failed (without a counter).
# TYPE binnacle_quota_decisions_total counter
binnacle_quota_decisions_total{domain="shop",outcome="ok",rule="shop/client/path"} 3
binnacle_quota_decisions_total{domain="shop",outcome="over_limit",rule="shop/client/path"} 1
binnacle_quota_decisions_total{domain="shop",outcome="shadow",rule="shop/client/path"} 0
binnacle_quota_decisions_total{domain="shop",outcome="ok",rule="shop/quiet"} 1
binnacle_quota_decisions_total{domain="shop",outcome="over_limit",rule="shop/quiet"} 0
binnacle_quota_decisions_total{domain="shop",outcome="shadow",rule="shop/quiet"} 2
binnacle_quota_decisions_total{domain="shop",outcome="ok",rule="shop/who"} 4
binnacle_quota_decisions_total{domain="shop",outcome="over_limit",rule="shop/who"} 1
binnacle_quota_decisions_total{domain="shop",outcome="shadow",rule="shop/who"} 0
binnacle_quota_decisions_total{domain="shop",outcome="ok",rule="shop/(request)"} 0
binnacle_quota_decisions_total{domain="shop",outcome="over_limit",rule="shop/(request)"} 1
binnacle_quota_decisions_total{domain="shop",outcome="shadow",rule="shop/(request)"} 0
# HELP binnacle_quota_dropped_total What a bound kept from being held apart: shared_counter (decisions by a counter that a rule's new keys share, max_keys), refused_full (decisions refused since even those were used up), detailed_series (hits counted in the rule's series, max_detailed_series), edges (a pair of services forgotten for another, max_edges).
# TYPE binnacle_quota_dropped_total counter
binnacle_quota_dropped_total{reason="detailed_series"} 3
binnacle_quota_dropped_total{reason="edges"} 0
binnacle_quota_dropped_total{reason="refused_full"} 0
binnacle_quota_dropped_total{reason="shared_counter"} 0
# HELP ratelimit_service_rate_limit_near_limit Hits by rule, under the name of envoyproxy/ratelimit.
# TYPE ratelimit_service_rate_limit_near_limit counter
ratelimit_service_rate_limit_near_limit{domain="shop",key1="(request)",key2=""} 0
ratelimit_service_rate_limit_near_limit{domain="shop",key1="client",key2="path"} 4
ratelimit_service_rate_limit_near_limit{domain="shop",key1="quiet",key2=""} 1
ratelimit_service_rate_limit_near_limit{domain="shop",key1="who",key2=""} 2
ratelimit_service_rate_limit_near_limit{domain="shop",key1="who_ann",key2=""} 1
ratelimit_service_rate_limit_near_limit{domain="shop",key1="who_bob",key2=""} 1
# HELP ratelimit_service_rate_limit_over_limit Hits by rule, under the name of envoyproxy/ratelimit.
# TYPE ratelimit_service_rate_limit_over_limit counter
ratelimit_service_rate_limit_over_limit{domain="shop",key1="(request)",key2=""} 1
ratelimit_service_rate_limit_over_limit{domain="shop",key1="client",key2="path"} 4
ratelimit_service_rate_limit_over_limit{domain="shop",key1="quiet",key2=""} 2
ratelimit_service_rate_limit_over_limit{domain="shop",key1="who",key2=""} 1
ratelimit_service_rate_limit_over_limit{domain="shop",key1="who_ann",key2=""} 0
ratelimit_service_rate_limit_over_limit{domain="shop",key1="who_bob",key2=""} 0
# HELP ratelimit_service_rate_limit_shadow_mode Hits by rule, under the name of envoyproxy/ratelimit.
# TYPE ratelimit_service_rate_limit_shadow_mode counter
ratelimit_service_rate_limit_shadow_mode{domain="shop",key1="(request)",key2=""} 0
ratelimit_service_rate_limit_shadow_mode{domain="shop",key1="client",key2="path"} 0
ratelimit_service_rate_limit_shadow_mode{domain="shop",key1="quiet",key2=""} 2
ratelimit_service_rate_limit_shadow_mode{domain="shop",key1="who",key2=""} 0
ratelimit_service_rate_limit_shadow_mode{domain="shop",key1="who_ann",key2=""} 0
ratelimit_service_rate_limit_shadow_mode{domain="shop",key1="who_bob",key2=""} 0
# HELP ratelimit_service_rate_limit_total_hits Hits by rule, under the name of envoyproxy/ratelimit.
# TYPE ratelimit_service_rate_limit_total_hits counter
ratelimit_service_rate_limit_total_hits{domain="shop",key1="(request)",key2=""} 1
ratelimit_service_rate_limit_total_hits{domain="shop",key1="client",key2="path"} 24
ratelimit_service_rate_limit_total_hits{domain="shop",key1="quiet",key2=""} 3
ratelimit_service_rate_limit_total_hits{domain="shop",key1="who",key2=""} 3
ratelimit_service_rate_limit_total_hits{domain="shop",key1="who_ann",key2=""} 1
ratelimit_service_rate_limit_total_hits{domain="shop",key1="who_bob",key2=""} 1
# HELP ratelimit_service_rate_limit_total_negative_hits Hits by rule, under the name of envoyproxy/ratelimit.
# TYPE ratelimit_service_rate_limit_total_negative_hits counter
ratelimit_service_rate_limit_total_negative_hits{domain="shop",key1="client",key2="path"} 7
# HELP ratelimit_service_rate_limit_within_limit Hits by rule, under the name of envoyproxy/ratelimit.
# TYPE ratelimit_service_rate_limit_within_limit counter
ratelimit_service_rate_limit_within_limit{domain="shop",key1="(request)",key2=""} 0
ratelimit_service_rate_limit_within_limit{domain="shop",key1="client",key2="path"} 17
ratelimit_service_rate_limit_within_limit{domain="shop",key1="quiet",key2=""} 1
ratelimit_service_rate_limit_within_limit{domain="shop",key1="who",key2=""} 2
ratelimit_service_rate_limit_within_limit{domain="shop",key1="who_ann",key2=""} 1
ratelimit_service_rate_limit_within_limit{domain="shop",key1="who_bob",key2=""} 1
`), "binnacle_quota_decisions_total", "binnacle_quota_dropped_total", "ratelimit_service_rate_limit_total_hits",
		"ratelimit_service_rate_limit_over_limit", "ratelimit_service_rate_limit_near_limit", "ratelimit_service_rate_limit_within_limit",
		"ratelimit_service_rate_limit_shadow_mode", "ratelimit_service_rate_limit_total_negative_hits")
	if err != nil {
		t.Error(err)
	}
}

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
	keys, shared := e.table.Len()
	if keys > 1000 || shared > shards || e.sharedHits.Load() < 18_000 {
		t.Errorf("%d keys of 1000, %d shared counters, %d decisions by them", keys, shared, e.sharedHits.Load())
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
