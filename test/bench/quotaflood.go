package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/binnacle-mesh/binnacle/test/load"
)

// askedBeside is how many quota questions a second are asked beside a flood.
const askedBeside = 500

// quotaFlood measures how long a quota question takes while nothing else is done, and while spans come in flat out. Those who flood are
// a process of lowest priority, so that what is waited for is the server, and not a processor that the flood itself has.
func (b *bench) quotaFlood(ctx context.Context, s *subject, _ float64) ([]reading, error) {
	srv, err := b.serve(ctx, s)
	if err != nil {
		return nil, err
	}
	defer srv.clear()
	calm, err := b.questions.Ask(ctx, srv.rls, askedBeside, b.length/2)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	flood, err := startProcess(ctx, srv.otlp, "nice", "-n", "19", self, "-flood", srv.otlp)
	if err != nil {
		return nil, err
	}
	defer flood.stop()
	time.Sleep(2 * time.Second)
	before, err := srv.counter(ctx, "binnacle_collector_spans_total")
	if err != nil {
		return nil, err
	}
	began := time.Now()
	busy, err := b.questions.Ask(ctx, srv.rls, askedBeside, b.length)
	if err != nil {
		return nil, err
	}
	after, err := srv.counter(ctx, "binnacle_collector_spans_total")
	if err == nil && after == before {
		err = errors.New("no span came in while questions were asked")
	}
	if err != nil {
		return nil, err
	}
	flooded := fmt.Sprintf("beside %.0f spans a second", (after-before)/time.Since(began).Seconds())
	return []reading{
		{"quota answer p50, calm", millis(quantile(calm.Acks, 0.5)), "ms", fmt.Sprintf("%d/s", askedBeside)},
		{"quota answer p99, calm", millis(quantile(calm.Acks, 0.99)), "ms", ""},
		{"quota answer p50, flood", millis(quantile(busy.Acks, 0.5)), "ms", flooded},
		{"quota answer p99, flood", millis(quantile(busy.Acks, 0.99)), "ms", "(limit 10)"},
		{"quota answer p99.9, flood", millis(quantile(busy.Acks, 0.999)), "ms", ""},
	}, nil
}

// sendFlood sends spans flat out until ctx ends.
func (b *bench) sendFlood(ctx context.Context, addr string) error {
	if _, err := b.spansOf().Send(ctx, addr, load.Plan{Length: time.Hour}); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}
