package quota

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/binnacle-mesh/binnacle/quota/rule"
	"github.com/binnacle-mesh/binnacle/quota/top"
	"github.com/binnacle-mesh/binnacle/quota/window"
)

const (
	stripes    = 8  // parts of a rule's counters, so that processors do not fight for one cache line
	topLimited = 32 // refused keys that a rule remembers
	history    = 16 // seconds of a rule's past that are kept for its rates
	rateSpan   = 10 // seconds over which rates are taken
)

// hits are a rule's counters in envoyproxy/ratelimit's terms: they count hits, not decisions.
type hits struct {
	total, over, near, within, shadow, negative atomic.Uint64
}

// stripe is one part of a rule's counters. The first four are disjoint.
type stripe struct {
	ok, over, shadow atomic.Uint64
	failed           atomic.Uint64 // decided without a counter, by the fallback
	near             atomic.Uint64 // of ok: those above the near-limit ratio
	hits             hits
	_                [128 - 88]byte
}

// ruleStats is what is known of a rule's decisions. It belongs to the rule's identifier and outlives reloads.
type ruleStats struct {
	tag     uint32 // of the rule's counters in the table; never used for another rule
	stripes [stripes]stripe
	limited *top.Sketch
	busiest top.Busiest

	detailMu sync.RWMutex
	detail   map[string]*hits // by metric key, for detailed_metric and value_to_metric

	pastMu sync.Mutex
	past   [history]sample
	next   int
}

// sample is what a rule had counted at a time.
type sample struct {
	time     float64 // Unix seconds; 0 is none
	ok, over uint64
}

// decisions is the sum over a rule's stripes.
type decisions struct{ ok, over, shadow, failed, near uint64 }

func (s *ruleStats) decisions() (d decisions) {
	for i := range s.stripes {
		p := &s.stripes[i]
		d.ok += p.ok.Load()
		d.over += p.over.Load()
		d.shadow += p.shadow.Load()
		d.failed += p.failed.Load()
		d.near += p.near.Load()
	}
	return d
}

func (s *ruleStats) stripe(k window.Key) *stripe { return &s.stripes[k.Lo>>32%stripes] }

// record counts one decision. h is where its hits count: the stripe's own, or those of a detailed metric.
func (p *stripe) record(h *hits, hit *window.Hit, r *window.Result, near uint64, shadow bool) {
	if hit.Refund {
		h.negative.Add(hit.N)
		p.ok.Add(1)
		return
	}
	h.total.Add(hit.N)
	if !r.Over {
		p.ok.Add(1)
		h.within.Add(hit.N)
		if r.After > near {
			p.near.Add(1)
			h.near.Add(r.After - max(near, r.Before))
		}
		return
	}
	over := hit.N
	if !hit.OnlyAdmitted && !r.Full && r.Before < hit.Limit { // a part of it was still within
		over = r.After - hit.Limit
		h.near.Add(hit.Limit - max(near, r.Before))
	}
	h.over.Add(over)
	if shadow {
		h.shadow.Add(over)
		p.shadow.Add(1)
		return
	}
	p.over.Add(1)
}

// nearLimit is computed as envoyproxy/ratelimit does it, single precision included.
func nearLimit(limit uint32, ratio float64) uint64 {
	return uint64(math.Floor(float64(float32(limit) * float32(ratio))))
}

// hitsFor returns where the hits of a match count: in a series of its own where the rule asks for that and there is room.
func (e *Engine) hitsFor(g *generation, s *ruleStats, p *stripe, m *rule.Match, entries []rule.Entry, scratch *[]byte) *hits {
	*scratch = m.MetricKey(entries, (*scratch)[:0])
	s.detailMu.RLock()
	h := s.detail[string(*scratch)]
	s.detailMu.RUnlock()
	if h != nil {
		return h
	}
	s.detailMu.Lock()
	defer s.detailMu.Unlock()
	if h = s.detail[string(*scratch)]; h != nil {
		return h
	}
	if e.detailed.Add(1) > int64(g.cfg.MaxDetailedSeries) || len(*scratch) > maxLabel {
		e.detailed.Add(-1)
		e.droppedDetail.Add(1)
		return &p.hits
	}
	h = new(hits)
	if s.detail == nil {
		s.detail = make(map[string]*hits)
	}
	s.detail[string(*scratch)] = h
	return h
}

func (s *ruleStats) details() int {
	s.detailMu.RLock()
	defer s.detailMu.RUnlock()
	return len(s.detail)
}

// sample remembers the counts of now, in Unix seconds.
func (s *ruleStats) sample(now float64) {
	d := s.decisions()
	s.pastMu.Lock()
	s.past[s.next] = sample{now, d.ok, d.over}
	s.next = (s.next + 1) % history
	s.pastMu.Unlock()
}

// rates returns decisions a second over the last ten seconds, or since the rule is known.
func (s *ruleStats) rates(now float64, d decisions) (ok, over float64) {
	s.pastMu.Lock()
	defer s.pastMu.Unlock()
	var from sample
	for _, p := range s.past {
		if p.time != 0 && p.time <= now-0.5 && p.time >= now-rateSpan-0.5 && (from.time == 0 || p.time < from.time) {
			from = p
		}
	}
	if from.time == 0 {
		return 0, 0
	}
	span := now - from.time
	return float64(d.ok-from.ok) / span, float64(d.over-from.over) / span
}
