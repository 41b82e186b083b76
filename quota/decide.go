package quota

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
	"math"
	"time"

	"github.com/binnacle-mesh/binnacle/quota/rule"
	"github.com/binnacle-mesh/binnacle/quota/window"
)

// Request asks whether something may happen. All bytes are borrowed for the call.
type Request struct {
	Domain      []byte
	Descriptors []Descriptor
	Hits        uint32 // for descriptors that do not say; 0 is 1
}

// Descriptor names one thing that may be limited.
type Descriptor struct {
	Entries  []rule.Entry
	Override rule.Limit // used instead of the rules' where OwnLimit is set
	OwnLimit bool
	Hits     uint64 // where OwnHits is set; 0 only looks
	OwnHits  bool
	Negative bool // give the hits back; never refused
}

// Decision is the answer to a Request. It is meant to be used again: Decide reuses its memory.
type Decision struct {
	Over     bool
	Statuses []Answer // one for each descriptor, in their order
	// Closest is the status whose limit is nearest to being reached (a refusing one before all others), -1 where no limit applies.
	Closest int
	Now     time.Time
	Config  *Config // in force when it was decided; not to be changed

	matches []rule.Match
	key     []byte
	name    []byte
}

// Answer is the answer for one descriptor.
type Answer struct {
	Over      bool
	Limit     *rule.Limit // the limit that applies; nil where none does, or it is unlimited. Valid as long as the Request
	Rule      *rule.Rule  // nil where no rule applies, or the request brought its own limit
	Unlimited bool
	Remaining uint32
	Reset     int64 // seconds until the window ends
}

// Errors that a request itself is the reason of.
var (
	ErrNoDomain      = errors.New("quota: the request has no domain; set it in the proxy's rate limit filter, equal to domain: in a rule file")
	ErrNoDescriptors = errors.New("quota: the request has no descriptors; a proxy that has nothing to ask about must not ask")
	ErrBadUnit       = errors.New("quota: a descriptor brings a limit of an unknown unit; use SECOND, MINUTE, HOUR, DAY, WEEK, MONTH or YEAR")
)

// Decide answers req into d, counting its hits. It does not allocate once d has grown to the size of the requests, and it is safe
// for concurrent use (with a Decision each).
//
// The order of things is envoyproxy/ratelimit's: find a limit for each descriptor, silence those that another one replaces, count
// all, and refuse if any refuses; of quota_mode limits, only if all refuse. A descriptor without a limit passes.
func (e *Engine) Decide(req *Request, d *Decision, now time.Time) error {
	if len(req.Domain) == 0 {
		return ErrNoDomain
	}
	if len(req.Descriptors) == 0 {
		return ErrNoDescriptors
	}
	g := e.current.Load()
	if err := g.find(req, d); err != nil {
		return err
	}
	d.silence()
	d.Now, d.Config = now, &g.cfg
	c := chooser{}
	sec := now.Unix()
	for i := range req.Descriptors {
		st := &d.Statuses[i]
		switch {
		case st.Unlimited:
			st.Remaining = math.MaxUint32
			g.rules[st.Rule.Index].stats.stripes[0].ok.Add(1)
		case st.Limit != nil:
			e.count(g, req, d, i, sec)
		}
		c.see(i, st, g.cfg.QuotaMode || st.Rule != nil && st.Rule.Quota && st.Limit != nil)
	}
	d.Over, d.Closest = c.result()
	if d.Over && g.cfg.ShadowMode {
		d.Over = false
		e.shadowed.Add(1)
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
	known := g.set.HasDomain(req.Domain)
	for i := range req.Descriptors {
		desc, m := &req.Descriptors[i], &d.matches[i]
		st := Answer{}
		switch {
		case !known:
		case desc.OwnLimit:
			if !desc.Override.Unit.Valid() {
				return ErrBadUnit
			}
			m.Rule, m.Patterns = nil, m.Patterns[:0]
			st.Limit = &desc.Override
		case g.set.Find(req.Domain, desc.Entries, m, &d.name):
			st.Rule = m.Rule
			if st.Unlimited = m.Rule.Limit.Unlimited; !st.Unlimited {
				st.Limit = &m.Rule.Limit
			}
		}
		d.Statuses = append(d.Statuses, st)
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

// count counts the hits of descriptor i and fills its status.
func (e *Engine) count(g *generation, req *Request, d *Decision, i int, now int64) {
	desc, st, m := &req.Descriptors[i], &d.Statuses[i], &d.matches[i]
	var stats *ruleStats
	hit := window.Hit{Limit: uint64(st.Limit.RequestsPerUnit), Refund: desc.Negative, Only: !g.cfg.CountRefused}
	var near uint64
	shadow := false
	if st.Rule != nil {
		c := &g.rules[st.Rule.Index]
		stats, hit.Length, hit.Rule, near, shadow = c.stats, c.window, c.shared, c.near, st.Rule.Shadow
	} else {
		stats = g.overrides[string(req.Domain)]
		hit.Length = st.Limit.Window()
		d.key = appendText(d.key[:0], req.Domain)
		hit.Rule = e.hash(binary.LittleEndian.AppendUint32(d.key, hit.Length))
		near = nearLimit(st.Limit.RequestsPerUnit, g.cfg.NearLimitRatio)
	}
	hit.Tag = stats.tag
	hit.N = desc.hits(req)
	d.key = appendKey(d.key[:0], req.Domain, desc.Entries, m.Patterns, hit.Length)
	hit.Key = e.hash(d.key)

	r := e.table.Do(&hit, now)

	st.Reset = int64(hit.Length) - (now - window.Start(now, hit.Length))
	st.Over = r.Over && !shadow
	if !r.Over && r.After < hit.Limit {
		st.Remaining = uint32(hit.Limit - r.After)
	}
	p := &stats.stripes[hit.Key.Lo>>32%stripes]
	h := &p.hits
	if st.Rule != nil && (st.Rule.Detailed || st.Rule.ByValue) {
		h = e.hitsFor(g, stats, p, m, desc.Entries, &d.name)
	}
	p.record(h, &hit, &r, near, shadow)
	e.notice(g, stats, req, d, i, &hit, &r)
}

func (d *Descriptor) hits(req *Request) uint64 {
	if d.OwnHits {
		return d.Hits
	}
	return uint64(max(1, req.Hits))
}

// appendKey writes what tells one counter from another: the domain, the entries, the window's length. Lengths stand before texts,
// so that no two things look alike.
func appendKey(dst, domain []byte, entries []rule.Entry, patterns []string, length uint32) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, length)
	dst = appendText(dst, domain)
	for i := range entries {
		dst = appendText(dst, entries[i].Key)
		if i < len(patterns) && patterns[i] != "" {
			dst = binary.AppendUvarint(dst, uint64(len(patterns[i])))
			dst = append(dst, patterns[i]...)
			continue
		}
		dst = appendText(dst, entries[i].Value)
	}
	return dst
}

func appendText(dst, s []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func (e *Engine) hash(b []byte) window.Key {
	return window.Key{Hi: maphash.Bytes(e.seeds[0], b), Lo: maphash.Bytes(e.seeds[1], b)}
}

// chooser finds the overall answer and the status to tell the client about.
type chooser struct {
	limits, quotas, quotasOver int // limits: refusing ones that are not quotas
	closest                    int // one more than the index
	least                      uint32
	fixed                      bool // closest is a refusing limit
}

func (c *chooser) see(i int, st *Answer, quota bool) {
	if st.Limit != nil && (c.closest == 0 || !c.fixed && st.Remaining < c.least) {
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
		c.closest, c.fixed = i+1, true
	}
}

func (c *chooser) result() (over bool, closest int) {
	return c.limits > 0 || c.quotas > 0 && c.quotas == c.quotasOver, c.closest - 1
}
