package quota

import (
	"slices"
	"time"

	"github.com/binnacle-mesh/binnacle/quota/rule"
)

// Status is how the engine fares. The HTTP API shows it at /api/v1/quotas.
type Status struct {
	Generation int // counts loadings of the rule files that succeeded
	LoadedAt   time.Time
	Error      string // why the newest files were refused
	// Counter is the outage of the counters that decisions need; empty where they could be reached when last asked.
	Counter CounterStatus
	Files   []FileStatus
	Rules   []RuleStatus
}

// CounterStatus is an outage of the counters.
type CounterStatus struct {
	Error    string    // of the latest decision that could not be counted
	FailedAt time.Time // to a second; zero without an outage
	Fallback string    // what then is answered where rules have no word of their own: error, allow, deny or local
}

// FileStatus is one rule file.
type FileStatus struct {
	Name   string
	Domain string
}

// RuleStatus is one rule and what became of requests under it.
type RuleStatus struct {
	ID              string
	Domain          string
	Descriptor      string
	Name            string
	Unit            string
	RequestsPerUnit uint32
	Unlimited       bool
	ShadowMode      bool
	QuotaMode       bool
	Decisions       DecisionsStatus
	Rates           RatesStatus
	ActiveKeys      int // with hits in a window that has not ended
	Top             []KeyStatus
}

// DecisionsStatus counts decisions since the rule was first loaded. Total is OK + OverLimit + Shadow + Failed.
type DecisionsStatus struct {
	Total     uint64
	OK        uint64
	OverLimit uint64
	NearLimit uint64 // of OK
	Shadow    uint64 // passed, but would have been refused without shadow_mode
	Failed    uint64 // without a counter, by the fallback
}

// RatesStatus is decisions a second over the last ten seconds.
type RatesStatus struct {
	OK        float64
	OverLimit float64
}

// KeyStatus is one key under a rule.
type KeyStatus struct {
	Key         string
	Used        uint64 // of Limit, in the current window
	Limit       uint64
	Limited     uint64        // refusals since the key came to notice
	LimitedRate float64       // refusals a second over the last minute
	ResetsIn    time.Duration // until the window ends, in whole ms; 0 where the request brought its own window
}

// Status describes the engine at now.
func (e *Engine) Status(now time.Time) Status {
	g := e.current.Load()
	s := Status{Generation: g.number, LoadedAt: g.loadedAt, Files: slices.Clone(g.files), Rules: []RuleStatus{}}
	if f := e.failure.Load(); f != nil {
		s.Error = f.err.Error()
	}
	s.Counter.Fallback = g.onFailure.String()
	if o := e.outage.Load(); o != nil {
		s.Counter.Error, s.Counter.FailedAt = o.err.Error(), o.latest
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
		Decisions: DecisionsStatus{
			Total: d.ok + d.over + d.shadow + d.failed, OK: d.ok, OverLimit: d.over, NearLimit: d.near, Shadow: d.shadow, Failed: d.failed,
		},
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
