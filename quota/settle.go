package quota

import (
	"math"

	"github.com/binnacle-mesh/binnacle/quota/rule"
	"github.com/binnacle-mesh/binnacle/quota/window"
)

// The third step of a decision: statuses, statistics, and the answer to the whole.

// settle fills in d what the results of counting mean.
func (e *Engine) settle(g *generation, req *Request, d *Decision) error {
	unanswered := false
	for k := range d.counts {
		c, hit, r := &d.counts[k], &d.hits[k], &d.results[k]
		st := &d.Statuses[c.descriptor]
		st.Reset = int64(hit.Length) - (d.unix - window.Start(d.unix, hit.Length))
		if c.fallback != rule.FallbackUnset {
			st.Failed, st.Over = true, c.fallback == rule.FallbackDeny
			unanswered = unanswered || c.fallback == rule.FallbackError
			e.settleFailed(g, req, d, k)
			continue
		}
		st.Over = r.Over && !c.shadow
		if !r.Over && r.After < hit.Limit {
			st.Remaining = uint32(hit.Limit - r.After)
		}
		e.record(g, req, d, k)
	}
	var whole chooser
	for i := range d.Statuses {
		st := &d.Statuses[i]
		if st.Unlimited {
			st.Remaining = math.MaxUint32
			g.rules[st.Rule.Index].stats.stripes[0].ok.Add(1)
		}
		whole.see(i, st, g.cfg.QuotaMode || st.Rule != nil && st.Rule.Quota && st.Limit != nil)
	}
	d.Over, d.Closest = whole.result()
	switch {
	case d.Over && g.cfg.ShadowMode:
		d.Over = false
		e.shadowed.Add(1)
	case !d.Over && unanswered: // a refusal stands, whatever else is not known
		return ErrCounter
	}
	return nil
}

// record puts the result of hit k into the statistics and takes notice of it.
func (e *Engine) record(g *generation, req *Request, d *Decision, k int) {
	c, hit, r := &d.counts[k], &d.hits[k], &d.results[k]
	st, m := &d.Statuses[c.descriptor], &d.matches[c.descriptor]
	p := c.stats.stripe(hit.Key)
	h := &p.hits
	if st.Rule != nil && (st.Rule.Detailed || st.Rule.ByValue) {
		h = e.hitsFor(g, c.stats, p, m, req.Descriptors[c.descriptor].Entries, &d.name)
	}
	p.record(h, hit, r, c.near, c.shadow)
	e.notice(g, req, d, k)
}

// settleFailed puts hit k, which could not be counted, into the statistics. Hits and use are not known, refusals are.
func (e *Engine) settleFailed(g *generation, req *Request, d *Decision, k int) {
	c := &d.counts[k]
	c.stats.stripe(d.hits[k].Key).failed.Add(1)
	if c.fallback == rule.FallbackDeny {
		e.noticeRefused(g, req, d, k)
	}
}

// chooser finds the overall answer and the status to tell the client about.
type chooser struct {
	limits, quotas, quotasOver int // limits: refusing ones that are not quotas
	closest                    int // one more than the index
	least                      uint32
	fixed                      bool // closest is a refusing limit
}

func (c *chooser) see(i int, st *Answer, quota bool) {
	if st.Limit != nil && !st.Failed && (c.closest == 0 || !c.fixed && st.Remaining < c.least) {
		c.closest, c.least = i+1, st.Remaining
	}
	if st.Unlimited {
		return
	}
	if quota {
		c.quotas++
	}
	switch {
	case st.Over && quota:
		c.quotasOver++
	case st.Over:
		c.limits++
		if !st.Failed {
			c.closest, c.fixed = i+1, true
		}
	}
}

func (c *chooser) result() (over bool, closest int) {
	return c.limits > 0 || c.quotas > 0 && c.quotas == c.quotasOver, c.closest - 1
}
