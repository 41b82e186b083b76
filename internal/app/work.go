package app

import (
	"context"
	"time"

	"github.com/binnacle-mesh/binnacle/aggregator"
	"github.com/binnacle-mesh/binnacle/internal/failpoint"
	"github.com/binnacle-mesh/binnacle/topology"
)

const (
	tickEvery      = lookEvery // topology publishes at the first tick after its publish_every: a longer tick would add to the age of all that is shown
	throttledEvery = time.Second
	scrapeEvery    = 10 * time.Second
)

// periodic is what the follower of graph and signals does between entries, so that the
// states need no locks.
func (a *App) periodic() []periodic {
	self := aggregator.NewSelfScraper(a.reg)
	ctx := context.Background()
	return []periodic{
		{"graph", tickEvery, func(now time.Time) error {
			a.signals.Observe(a.topology.Tick(now.UnixNano()))
			return nil
		}},
		{"throttled edges", throttledEvery, func(now time.Time) error {
			a.topology.SetThrottledBy(now.UnixNano(), a.throttled(now))
			return nil
		}},
		{"series", a.cfg.Aggregator.FlushInterval, func(now time.Time) error {
			failpoint.Here(failpoint.SeriesFlush)
			return a.signals.Flush(ctx, now, a.series)
		}},
		{"own metrics", scrapeEvery, func(now time.Time) error {
			return self.Scrape(ctx, now, a.series)
		}},
	}
}

// throttled is what the quota service refuses, in the graph's words.
func (a *App) throttled(now time.Time) []topology.ThrottledBy {
	edges := a.quota.ThrottledEdges(now)
	out := make([]topology.ThrottledBy, len(edges))
	for i, e := range edges {
		out[i] = topology.ThrottledBy{Source: e.Source, Target: e.Destination, Rule: e.Rule, Rate: e.Rate}
	}
	return out
}

// lookForIdle is how often the trace store looks for spans that nothing comes after any more.
const lookForIdle = time.Second

// retained is a store whose old data goes; see block.Store.
type retained interface {
	SealIdle(now time.Time)
	Retain(now time.Time) error
}

// retain removes what is too old, or too much, each storage.retention_interval,
// until ctx ends. It deletes files, and so does not belong among the periodic work.
func (a *App) retain(ctx context.Context, store retained) {
	remove := time.NewTicker(a.cfg.Storage.RetentionInterval)
	defer remove.Stop()
	idle := time.NewTicker(lookForIdle)
	defer idle.Stop()
	for {
		select {
		case now := <-idle.C:
			store.SealIdle(now)
		case now := <-remove.C:
			if err := store.Retain(now); err != nil {
				a.log.Error("retention failed", "err", err)
			}
		case every := <-a.reloads.retentionInterval:
			remove.Reset(every)
		case <-ctx.Done():
			return
		}
	}
}
