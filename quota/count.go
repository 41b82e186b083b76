package quota

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/binnacle-mesh/binnacle/quota/rule"
	"github.com/binnacle-mesh/binnacle/quota/window"
)

// The second step of a decision: counting.

// Counter counts hits. It is safe for concurrent use.
//
// [window.Table], in this process, is one; another may be shared among processes. It must keep what the table promises: no more is
// admitted in a window than the limit (I8), and hits of one batch count one after the other, in their order, though several are of
// one key.
type Counter interface {
	// Do counts hits at now, in Unix seconds, and writes what became of each to results, which is as long as hits. It keeps neither.
	// On an error results mean nothing, and whether anything was counted is not known.
	Do(ctx context.Context, hits []window.Hit, results []window.Result, now int64) error
}

// outage is that the counter could not be reached when last asked.
type outage struct {
	err    error
	latest time.Time // of the decisions that found out; brought up to date once a second
	told   bool      // in the log
}

// failures counts what was decided without a counter, by how.
type failures [rule.FallbackLocal + 1]atomic.Uint64

// count counts d.hits. Where the counter fails, each is answered by its rule's word, or by the configuration's.
func (e *Engine) count(ctx context.Context, g *generation, d *Decision) {
	d.results = slices.Grow(d.results[:0], len(d.hits))[:len(d.hits)]
	err := e.counter.Do(ctx, d.hits, d.results, d.unix)
	if err != nil {
		e.fallBack(g, d)
	}
	if err != nil || e.outage.Load() != nil {
		e.reached(err, d.Now)
	}
}

// fallBack answers what could not be counted.
func (e *Engine) fallBack(g *generation, d *Decision) {
	for k := range d.counts {
		c := &d.counts[k]
		st := &d.Statuses[c.descriptor]
		how := g.onFailure
		if st.Rule != nil && st.Rule.OnFailure != rule.FallbackUnset {
			how = st.Rule.OnFailure
		}
		if how != rule.FallbackLocal && (c.shadow || g.cfg.ShadowMode) {
			how = rule.FallbackAllow // nothing is refused in shadow mode, whatever happens
		}
		e.failures[how].Add(1)
		if how == rule.FallbackLocal {
			d.results[k] = e.table.Count(&d.hits[k], d.unix)
			continue
		}
		c.fallback = how
		d.results[k] = window.Result{}
	}
}

// tellEvery is how often the log tells of an outage, where one follows the other.
const tellEvery = 10 * time.Second

// reached notes whether the counter could be reached.
func (e *Engine) reached(err error, now time.Time) {
	old := e.outage.Load()
	if err == nil {
		if old != nil && e.outage.CompareAndSwap(old, nil) && old.told {
			e.log.Info("quota counters can be reached again")
		}
		return
	}
	if old != nil && now.Sub(old.latest) < time.Second {
		return
	}
	next := &outage{err: err, latest: now, told: old != nil && old.told}
	tell := !next.told && now.Unix()-e.outageTold.Load() >= int64(tellEvery/time.Second)
	next.told = next.told || tell
	if e.outage.CompareAndSwap(old, next) && tell {
		e.outageTold.Store(now.Unix())
		e.log.Error("quota counters cannot be reached", "err", err)
	}
}
