package app

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/binnacle-mesh/binnacle/aggregator"
	"github.com/binnacle-mesh/binnacle/topology"
)

const (
	graphBeat  = 100 * time.Millisecond // topology publishes at most each of its publish_every
	quotaBeat  = time.Second
	scrapeBeat = 10 * time.Second
)

// periodic is what the delivery goroutine does between batches, so that the
// sinks need no locks.
func (a *App) periodic() []periodic {
	self := aggregator.NewSelfScraper(a.reg)
	ctx := context.Background()
	return []periodic{
		{"graph", graphBeat, func(now time.Time) error {
			a.signals.Observe(a.topology.Tick(now.UnixNano()))
			return nil
		}},
		{"throttled edges", quotaBeat, func(now time.Time) error {
			a.topology.SetThrottledBy(now.UnixNano(), a.throttled(now))
			return nil
		}},
		{"series", a.cfg.Aggregator.FlushInterval, func(now time.Time) error {
			return a.signals.Flush(ctx, now, a.series)
		}},
		{"own metrics", scrapeBeat, func(now time.Time) error {
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

// retain removes what is too old, or too much, until ctx ends. It deletes
// files, and so does not belong to the delivery goroutine.
func (a *App) retain(ctx context.Context) {
	tick := time.NewTicker(min(a.cfg.Storage.RetentionInterval, time.Second))
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			if err := a.blocks.Retain(now); err != nil {
				a.log.Error("retention failed", "err", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// reloadOnHangup reads the rule files again at each SIGHUP until ctx ends.
// Whether they were taken is told in the log and by /api/v1/quotas.
func (a *App) reloadOnHangup(ctx context.Context) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-hangup:
			_ = a.reloadRules(time.Now())
		case <-ctx.Done():
			return
		}
	}
}
