package quota

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

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
# HELP binnacle_quota_dropped_total What a bound kept from being held apart: evicted (keys that gave way to new ones of their rule or another, max_keys), shared_counter (decisions by a counter that keys share for want of room), refused_full (decisions refused since even those were used up), detailed_series (hits counted in the rule's series, max_detailed_series), edges (a pair of services forgotten for another, max_edges).
# TYPE binnacle_quota_dropped_total counter
binnacle_quota_dropped_total{reason="detailed_series"} 3
binnacle_quota_dropped_total{reason="edges"} 0
binnacle_quota_dropped_total{reason="evicted"} 0
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
