package quota

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/binnacle-mesh/binnacle/quota/rule"
	"github.com/binnacle-mesh/binnacle/quota/window"
)

// Status is the body of GET /api/v1/quotas (docs/api/http.md).
type Status struct {
	Generation int          `json:"generation"` // counts loadings of the rule files that succeeded
	LoadedAt   int64        `json:"loaded_at"`  // Unix ms
	Error      string       `json:"error"`      // why the newest files were refused
	Files      []FileStatus `json:"files"`
	Rules      []RuleStatus `json:"rules"`
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

// DecisionsStatus counts decisions since the rule was first loaded. Total is OK + OverLimit + Shadow.
type DecisionsStatus struct {
	Total     uint64 `json:"total"`
	OK        uint64 `json:"ok"`
	OverLimit uint64 `json:"over_limit"`
	NearLimit uint64 `json:"near_limit"` // of OK
	Shadow    uint64 `json:"shadow"`     // passed, but would have been refused without shadow_mode
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

// topShown is how many keys a rule shows.
const topShown = 10

// Status describes the engine at now.
func (e *Engine) Status(now time.Time) Status {
	g := e.current.Load()
	s := Status{Generation: g.number, LoadedAt: g.loadedAt.UnixMilli(), Files: slices.Clone(g.files), Rules: []RuleStatus{}}
	if f := e.failure.Load(); f != nil {
		s.Error = f.err.Error()
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
		Decisions: DecisionsStatus{Total: d.ok + d.over + d.shadow, OK: d.ok, OverLimit: d.over, NearLimit: d.near, Shadow: d.shadow},
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

// topKeys returns the keys refused most, then those that have used the greatest share of their limit. length and limit are the
// rule's as it is now; length is 0 where requests bring their own limits, and then each key has the one it came to notice with.
func (e *Engine) topKeys(stats *ruleStats, length uint32, limit uint64, now time.Time) []KeyStatus {
	list := []KeyStatus{}
	sec := now.Unix()
	resets := int64(0)
	if length > 0 {
		resets = (window.Start(sec, length)+int64(length))*1000 - now.UnixMilli()
	}
	limitOf := func(noticed uint64) uint64 {
		if length > 0 {
			return limit
		}
		return noticed
	}
	use := func(k window.Key, limit uint64) uint64 { return min(e.table.Peek(k, sec), limit) }
	seen := make(map[window.Key]bool)
	for _, r := range stats.limited.Top(topShown, seconds(now)) {
		seen[r.Key] = true
		limit := limitOf(uint64(r.Tag))
		list = append(list, KeyStatus{
			Key: valid([]byte(r.Label)), Used: use(r.Key, limit), Limit: limit, Limited: r.Count, LimitedRate: r.Rate, ResetsIn: resets,
		})
	}
	refused := len(list)
	for _, b := range stats.busiest.List() {
		limit := limitOf(b.Limit)
		if used := use(b.Key, limit); used > 0 && !seen[b.Key] {
			list = append(list, KeyStatus{Key: valid(b.Label), Used: used, Limit: limit, ResetsIn: resets})
		}
	}
	slices.SortStableFunc(list[refused:], func(a, b KeyStatus) int {
		return cmp.Or(-cmp.Compare(a.Used*max(1, b.Limit), b.Used*max(1, a.Limit)), cmp.Compare(a.Key, b.Key))
	})
	return list[:min(topShown, len(list))]
}

// keyCounts caches how many keys each rule has: counting reads every counter, and several viewers may ask every second.
type keyCounts struct {
	mu    sync.Mutex
	byTag []int
	time  time.Time
}

func (c *keyCounts) at(e *Engine, now time.Time) []int {
	tags := int(e.tags.Load())
	c.mu.Lock()
	defer c.mu.Unlock()
	age := now.Sub(c.time)
	if len(c.byTag) == tags && age >= 0 && age < time.Second {
		return c.byTag
	}
	c.byTag, c.time = make([]int, tags), now
	e.table.CountByTag(now.Unix(), c.byTag)
	return c.byTag
}

// RuleCount is how often a rule has decided which way since it was first loaded; the three are disjoint.
type RuleCount struct {
	Domain, Rule     string
	OK, Over, Shadow uint64
	NearLimit        uint64 // of OK
}

// EachRule calls f for every rule of the current generation, limits brought by requests included where there were any. It is
// what binnacle_quota_decisions_total is made of.
func (e *Engine) EachRule(f func(RuleCount)) {
	g := e.current.Load()
	count := func(domain, id string, d decisions) {
		f(RuleCount{Domain: domain, Rule: id, OK: d.ok, Over: d.over, Shadow: d.shadow, NearLimit: d.near})
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
