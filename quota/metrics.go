package quota

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/quota/rule"
)

// The engine is a collector of its own: its counters live with the rules and are read when asked for, so that series come and go
// with the rule files and a decision pays for no metric object.

var _ prometheus.Collector = (*Engine)(nil)

// originalNames are envoyproxy/ratelimit's metrics as its statsd mapping names them, which dashboards expect. key1 and key2 are
// the first two levels of a rule, as key or key_value; deeper levels add up.
var originalNames = [...]string{ //nolint:gochecknoglobals // immutable
	"total_hits", "over_limit", "near_limit", "within_limit", "shadow_mode", "total_negative_hits",
}

func decisionsDesc() *prometheus.Desc {
	return prometheus.NewDesc("binnacle_quota_decisions_total",
		"Decisions by rule; outcome is ok, over_limit (refused), shadow (passed, but would have been refused) or failed (without a counter).",
		[]string{"domain", "rule", "outcome"}, nil)
}

func originalDesc(name string) *prometheus.Desc {
	return prometheus.NewDesc("ratelimit_service_rate_limit_"+name,
		"Hits by rule, under the name of envoyproxy/ratelimit.", []string{"domain", "key1", "key2"}, nil)
}

func droppedDesc() *prometheus.Desc {
	return prometheus.NewDesc("binnacle_quota_dropped_total",
		"What a bound kept from being held apart: evicted (keys that gave way to new ones of their rule or another, max_keys), "+
			"shared_counter (decisions by a counter that keys share for want of room), "+
			"refused_full (decisions refused since even those were used up), detailed_series (hits counted in the rule's series, "+
			"max_detailed_series), edges (a pair of services forgotten for another, max_edges).",
		[]string{"reason"}, nil)
}

func failuresDesc() *prometheus.Desc {
	return prometheus.NewDesc("binnacle_quota_counter_failures_total",
		"Descriptors that could not be counted, by what was answered: error (the proxy decides), allow, deny, local (counted in this process).",
		[]string{"answer"}, nil)
}

func simpleDesc(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }

// Describe says nothing, which makes the collector an unchecked one: its series follow the rule files.
func (e *Engine) Describe(chan<- *prometheus.Desc) {}

// Collect sends all metrics.
func (e *Engine) Collect(out chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(name, help string, v float64) {
		out <- prometheus.MustNewConstMetric(simpleDesc(name, help), prometheus.GaugeValue, v)
	}
	desc := decisionsDesc()
	e.EachRule(func(c RuleCount) {
		counter(desc, c.OK, c.Domain, c.Rule, "ok")
		counter(desc, c.Over, c.Domain, c.Rule, "over_limit")
		counter(desc, c.Shadow, c.Domain, c.Rule, "shadow")
		if c.Failed > 0 {
			counter(desc, c.Failed, c.Domain, c.Rule, "failed")
		}
	})
	original := e.originalHits()
	for i, name := range originalNames {
		d := originalDesc(name)
		for at, values := range original {
			if i < 5 || values[i] > 0 {
				counter(d, values[i], at.domain, at.key1, at.key2)
			}
		}
	}
	dropped := droppedDesc()
	counter(dropped, e.table.Evicted(), "evicted")
	counter(dropped, e.sharedHits.Load(), "shared_counter")
	counter(dropped, e.fullHits.Load(), "refused_full")
	counter(dropped, e.droppedDetail.Load(), "detailed_series")
	counter(dropped, e.edges.Evicted(), "edges")
	failed := failuresDesc()
	for how := rule.FallbackError; int(how) < len(e.failures); how++ {
		counter(failed, e.failures[how].Load(), how.String())
	}
	simple := func(name, help string, v uint64) { counter(simpleDesc(name, help), v) }
	simple("binnacle_quota_shadowed_requests_total", "Requests that passed only because of the global shadow_mode.", e.shadowed.Load())
	simple("ratelimit_service_config_load_success", "Loadings of rule files that succeeded.", e.reloads.Load())
	simple("ratelimit_service_config_load_error", "Loadings of rule files that failed and left the old rules in force.",
		e.refusals.Load())
	simple("binnacle_quota_saves_total", "Savings of counters that wrote anything.", e.saver.saves.Load())
	simple("binnacle_quota_save_failures_total", "Savings of counters that failed: a crash would forget more than one interval's use.",
		e.saver.failures.Load())
	gauge("binnacle_quota_last_save_timestamp_seconds", "When all that was used had been saved last, in Unix seconds; 0 before the first time.",
		float64(e.saver.savedAt.Load())/1e9)
	gauge("binnacle_quota_restored_keys", "Keys whose use was restored at the start.", float64(e.restored))
	damaged := 0.0
	if e.damage != nil {
		damaged = 1
	}
	gauge("binnacle_quota_restore_damaged", "1 where some of what was saved could not be read at the start: its use may be granted again.", damaged)
	keys, floors := e.table.Len()
	gauge("binnacle_quota_keys", "Keys with a counter of their own.", float64(keys))
	gauge("binnacle_quota_shared_counters", "Counters that stand for keys of a rule that have none, for want of room.", float64(floors))
	bad := 0.0
	if e.failure.Load() != nil {
		bad = 1
	}
	gauge("binnacle_quota_rules_refused", "1 while the rule files as they are now are refused and older rules are in force.", bad)
}

// place is where the original counts a hit.
type place struct{ domain, key1, key2 string }

// originalHits adds up hits by place.
func (e *Engine) originalHits() map[place][len(originalNames)]uint64 {
	all := make(map[place][len(originalNames)]uint64)
	add := func(domain string, path []string, h *hits) {
		at := place{domain: domain}
		if len(path) > 0 {
			at.key1 = statName(path[0])
		}
		if len(path) > 1 {
			at.key2 = statName(path[1])
		}
		v := all[at]
		for i, n := range [...]uint64{h.total.Load(), h.over.Load(), h.near.Load(), h.within.Load(), h.shadow.Load(), h.negative.Load()} {
			v[i] += n
		}
		all[at] = v
	}
	g := e.current.Load()
	for i := range g.rules {
		c := &g.rules[i]
		if c.rule.Limit.Unlimited {
			continue // not counted there
		}
		for j := range c.stats.stripes {
			add(c.rule.Domain, c.rule.Path, &c.stats.stripes[j].hits)
		}
		c.stats.detailMu.RLock()
		for key, h := range c.stats.detail {
			add(c.rule.Domain, strings.Split(valid([]byte(key)), "."), h)
		}
		c.stats.detailMu.RUnlock()
	}
	for _, domain := range g.domains {
		if s := g.overrides[domain]; s.decisions() != (decisions{}) {
			for j := range s.stripes {
				add(domain, []string{"(request)"}, &s.stripes[j].hits)
			}
		}
	}
	return all
}

// statName replaces what statsd gives a meaning to, as the original does.
func statName(s string) string { return strings.NewReplacer(":", "_", "|", "_").Replace(s) }
