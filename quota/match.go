package quota

import (
	"github.com/binnacle-mesh/binnacle/quota/rule"
	"github.com/binnacle-mesh/binnacle/quota/window"
)

// The first step of a decision: what limits apply, and what is to be counted for them.

// count is what is to be counted for a descriptor, beside the hit itself.
type count struct {
	descriptor int
	stats      *ruleStats
	near       uint64
	shadow     bool
	fallback   rule.Fallback // how it was decided without a counter; unset where it was counted
}

// match fills d.Statuses with the limits that apply and d.hits with what to count.
func (e *Engine) match(g *generation, req *Request, d *Decision) error {
	if err := g.find(req, d); err != nil {
		return err
	}
	d.silence()
	d.counts, d.hits = d.counts[:0], d.hits[:0]
	for i := range d.Statuses {
		if d.Statuses[i].Limit != nil {
			e.list(g, req, d, i)
		}
	}
	return nil
}

// find fills d.matches and the limits of d.Statuses.
func (g *generation) find(req *Request, d *Decision) error {
	n := len(req.Descriptors)
	for cap(d.matches) < n {
		d.matches = append(d.matches[:cap(d.matches)], rule.Match{})
	}
	d.matches = d.matches[:n]
	d.Statuses = d.Statuses[:0]
	domain := g.set.Domain(req.Domain)
	for i := range req.Descriptors {
		desc, m := &req.Descriptors[i], &d.matches[i]
		d.Statuses = append(d.Statuses, Answer{})
		st := &d.Statuses[i]
		switch {
		case domain == nil:
		case desc.OwnLimit:
			if !desc.Override.Unit.Valid() {
				return ErrBadUnit
			}
			m.Rule, m.Patterns = nil, m.Patterns[:0]
			st.Limit = &desc.Override
		case domain.Find(desc.Entries, m, &d.name):
			st.Rule = m.Rule
			if st.Unlimited = m.Rule.Limit.Unlimited; !st.Unlimited {
				st.Limit = &m.Rule.Limit
			}
		}
	}
	return nil
}

// silence takes limits out that another of the request replaces by name. An unlimited rule replaces too, but stays.
func (d *Decision) silence() {
	for i := range d.Statuses {
		r := d.Statuses[i].Rule
		if r == nil {
			continue
		}
		for _, name := range r.Replaces {
			for j := range d.Statuses {
				if s := &d.Statuses[j]; s.Limit != nil && s.Limit.Name == name {
					s.Limit = nil
				}
			}
		}
	}
}

// list appends what to count for descriptor i, which has a limit.
func (e *Engine) list(g *generation, req *Request, d *Decision, i int) {
	desc, st, m := &req.Descriptors[i], &d.Statuses[i], &d.matches[i]
	d.counts = append(d.counts, count{descriptor: i})
	d.hits = append(d.hits, window.Hit{})
	c, hit := &d.counts[len(d.counts)-1], &d.hits[len(d.hits)-1]
	hit.Limit, hit.N, hit.Refund, hit.OnlyAdmitted = uint64(st.Limit.RequestsPerUnit), desc.hits(req), desc.Negative, !g.cfg.CountRefused
	if st.Rule != nil {
		r := &g.rules[st.Rule.Index]
		c.stats, c.near, c.shadow = r.stats, r.near, st.Rule.Shadow
		hit.Length = r.window
	} else {
		c.stats, c.near = g.overrides[string(req.Domain)], nearLimit(st.Limit.RequestsPerUnit, g.cfg.NearLimitRatio)
		hit.Length = st.Limit.Window()
	}
	hit.Tag = c.stats.tag
	d.key = appendKey(d.key[:0], req.Domain, desc.Entries, m.Patterns, hit.Length)
	hit.Key = e.secret.key(d.key)
}

func (d *Descriptor) hits(req *Request) uint64 {
	if d.OwnHits {
		return d.Hits
	}
	return uint64(max(1, req.Hits))
}
