package quota

import (
	"slices"
	"time"

	"github.com/binnacle-mesh/binnacle/quota/rule"
)

// Status is the body of GET /api/v1/quotas (docs/api/http.md).
type Status struct {
	Generation int    `json:"generation"` // counts loadings of the rule files that succeeded
	LoadedAt   int64  `json:"loaded_at"`  // Unix ms
	Error      string `json:"error"`      // why the newest files were refused
	// Counter is the outage of the counters that decisions need; empty where they could be reached when last asked.
	Counter CounterStatus `json:"counter"`
	Files   []FileStatus  `json:"files"`
	Rules   []RuleStatus  `json:"rules"`
}

// CounterStatus is an outage of the counters.
type CounterStatus struct {
	Error    string `json:"error"`     // of the latest decision that could not be counted
	FailedAt int64  `json:"failed_at"` // Unix ms, to a second
	Fallback string `json:"fallback"`  // what then is answered where rules have no word of their own: error, allow, deny or local
}

// FileStatus is one rule file.
type FileStatus struct {
	Name   string `json:"name"`
	Domain string `json:"domain"`
}

// RuleStatus is one rule and what became of requests under it.
type RuleStatus struct {
	ID              string          `json:"id"`
	Domain          string          `json:"domain"`
	Descriptor      string          `json:"descriptor"`
	Name            string          `json:"name"`
	Unit            string          `json:"unit"`
	RequestsPerUnit uint32          `json:"requests_per_unit"`
	Unlimited       bool            `json:"unlimited"`
	ShadowMode      bool            `json:"shadow_mode"`
	QuotaMode       bool            `json:"quota_mode"`
	Decisions       DecisionsStatus `json:"decisions"`
	Rates           RatesStatus     `json:"rates"`
	ActiveKeys      int             `json:"active_keys"` // with hits in a window that has not ended
	Top             []KeyStatus     `json:"top"`
}

// DecisionsStatus counts decisions since the rule was first loaded. Total is OK + OverLimit + Shadow + Failed.
type DecisionsStatus struct {
	Total     uint64 `json:"total"`
	OK        uint64 `json:"ok"`
	OverLimit uint64 `json:"over_limit"`
	NearLimit uint64 `json:"near_limit"` // of OK
	Shadow    uint64 `json:"shadow"`     // passed, but would have been refused without shadow_mode
	Failed    uint64 `json:"failed"`     // without a counter, by the fallback
}

// RatesStatus is decisions a second over the last ten seconds.
type RatesStatus struct {
	OK        float64 `json:"ok"`
	OverLimit float64 `json:"over_limit"`
}

// KeyStatus is one key under a rule.
type KeyStatus struct {
	Key         string  `json:"key"`
	Used        uint64  `json:"used"` // of Limit, in the current window
	Limit       uint64  `json:"limit"`
	Limited     uint64  `json:"limited"`      // refusals since the key came to notice
	LimitedRate float64 `json:"limited_rate"` // refusals a second over the last minute
	ResetsIn    int64   `json:"resets_in"`    // ms until the window ends; 0 where the request brought its own window
}

// Status describes the engine at now.
func (e *Engine) Status(now time.Time) Status {
	g := e.current.Load()
	s := Status{Generation: g.number, LoadedAt: g.loadedAt.UnixMilli(), Files: slices.Clone(g.files), Rules: []RuleStatus{}}
	if f := e.failure.Load(); f != nil {
		s.Error = f.err.Error()
	}
	s.Counter.Fallback = g.onFailure.String()
	if o := e.outage.Load(); o != nil {
		s.Counter.Error, s.Counter.FailedAt = o.err.Error(), o.latest.UnixMilli()
	}
	if s.Files == nil {
		s.Files = []FileStatus{}
	}
	active := e.keys.at(e, now)
	for i := range g.rules {
		c := &g.rules[i]
		s.Rules = append(s.Rules, e.ruleStatus(g, c.rule, c.stats, c.window, active, now))
	}
	for _, domain := range g.domains {
		stats := g.overrides[domain]
		if stats.decisions() == (decisions{}) {
			continue
		}
		r := &rule.Rule{ID: overrideID(domain), Domain: domain, Descriptor: "(limits that requests bring)"}
		s.Rules = append(s.Rules, e.ruleStatus(g, r, stats, 0, active, now))
	}
	return s
}

func (e *Engine) ruleStatus(g *generation, r *rule.Rule, stats *ruleStats, length uint32, active []int, now time.Time) RuleStatus {
	d := stats.decisions()
	s := RuleStatus{
		ID: r.ID, Domain: r.Domain, Descriptor: r.Descriptor, Name: r.Limit.Name, RequestsPerUnit: r.Limit.RequestsPerUnit,
		Unlimited: r.Limit.Unlimited, ShadowMode: r.Shadow || g.cfg.ShadowMode, QuotaMode: r.Quota || g.cfg.QuotaMode,
		Decisions: DecisionsStatus{Total: d.ok + d.over + d.shadow + d.failed, OK: d.ok, OverLimit: d.over, NearLimit: d.near, Shadow: d.shadow, Failed: d.failed},
	}
	if r.Limit.Unit.Valid() {
		s.Unit = r.Limit.Unit.String()
	}
	if int(stats.tag) < len(active) {
		s.ActiveKeys = active[stats.tag]
	}
	s.Rates.OK, s.Rates.OverLimit = stats.rates(seconds(now), d)
	s.Top = e.topKeys(stats, length, uint64(r.Limit.RequestsPerUnit), now)
	return s
}

// RuleCount is how often a rule has decided which way since it was first loaded; the four are disjoint.
type RuleCount struct {
	Domain, Rule     string
	OK, Over, Shadow uint64
	Failed           uint64 // without a counter, by the fallback
	NearLimit        uint64 // of OK
}

// EachRule calls f for every rule of the current generation, limits brought by requests included where there were any. It is
// what binnacle_quota_decisions_total is made of.
func (e *Engine) EachRule(f func(RuleCount)) {
	g := e.current.Load()
	count := func(domain, id string, d decisions) {
		f(RuleCount{Domain: domain, Rule: id, OK: d.ok, Over: d.over, Shadow: d.shadow, Failed: d.failed, NearLimit: d.near})
	}
	for i := range g.rules {
		count(g.rules[i].rule.Domain, g.rules[i].rule.ID, g.rules[i].stats.decisions())
	}
	for _, domain := range g.domains {
		if d := g.overrides[domain].decisions(); d != (decisions{}) {
			count(domain, overrideID(domain), d)
		}
	}
}
