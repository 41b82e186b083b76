package quota

import (
	"path/filepath"
	"time"

	"github.com/binnacle-mesh/binnacle/quota/rule"
	"github.com/binnacle-mesh/binnacle/quota/top"
)

// generation is what one loading of the configuration and the rule files made. It is immutable; the statistics it points to are
// not.
type generation struct {
	number    int
	loadedAt  time.Time
	cfg       Config
	sources   []rule.File // that the set was read from
	set       *rule.Set
	rules     []compiled            // by Rule.Index
	overrides map[string]*ruleStats // by domain: limits that requests bring themselves
	domains   []string              // sorted
	onFailure rule.Fallback         // where a rule has no word of its own
	files     []FileStatus
}

// compiled is what a decision needs of a rule, worked out beforehand.
type compiled struct {
	rule   *rule.Rule
	stats  *ruleStats
	window uint32
	near   uint64
}

// compile makes a generation of set, with the statistics of rules that were there before.
func (e *Engine) compile(cfg Config, files []rule.File, set *rule.Set, domains []string, now time.Time) *generation {
	e.mu.Lock()
	defer e.mu.Unlock()
	g := &generation{number: 1, loadedAt: now, cfg: cfg, sources: files, set: set, overrides: make(map[string]*ruleStats)}
	if old := e.current.Load(); old != nil {
		g.number = old.number + 1
	}
	for i, f := range files {
		g.files = append(g.files, FileStatus{Name: filepath.Base(f.Name), Domain: domains[i]})
	}
	kept := make(map[string]*ruleStats, len(set.Rules))
	for _, r := range set.Rules {
		s := e.statsOf(r.ID, kept)
		length := max(1, r.Limit.Window()) // an unlimited rule has no window and needs none
		g.rules = append(g.rules, compiled{
			rule: r, stats: s, window: length, near: nearLimit(r.Limit.RequestsPerUnit, cfg.NearLimitRatio),
		})
	}
	g.onFailure, _ = rule.ParseFallback(cfg.OnCounterFailure) // checked by Validate
	g.domains = set.Domains()
	for _, domain := range g.domains {
		g.overrides[domain] = e.statsOf(overrideID(domain), kept)
	}
	for id, s := range e.stats {
		if kept[id] == nil {
			e.detailed.Add(-int64(s.details()))
		}
	}
	e.stats = kept
	return g
}

// overrideID is the identifier under which limits that requests bring themselves are counted. It cannot be a rule's: no path
// of keys starts so, and if one did, the statistics of both would be one.
func overrideID(domain string) string { return domain + "/(request)" }

// statsOf returns the statistics of a rule, new ones for a new rule. mu is held.
func (e *Engine) statsOf(id string, kept map[string]*ruleStats) *ruleStats {
	s := e.stats[id]
	if s == nil {
		s = &ruleStats{tag: e.tags.Add(1) - 1, limited: top.NewSketch(topLimited)}
	}
	kept[id] = s
	return s
}
