package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/binnacle-mesh/binnacle/test/load"
)

// Entries a second. Nobody answers an access log, so that it cannot be sent flat out as spans can: the busy rate is below what
// either end can do. The calm one shows what waking up costs.
const busyLogs, calmLogs = 200_000, 20_000

func logFloor(rate int) func(*bench, context.Context) (float64, error) {
	return func(b *bench, ctx context.Context) (float64, error) {
		f, err := b.floor(ctx)
		if err != nil {
			return 0, err
		}
		defer f.stop()
		before := f.cpu()
		sent, err := load.SendLogs(ctx, f.addr, rate, b.length/4)
		return (f.cpu() - before) / float64(max(1, sent)) * 1e6, err
	}
}

// logsAt measures CPU a log entry, all in.
func logsAt(rate int) func(*bench, context.Context, *subject, float64) ([]reading, error) {
	return func(b *bench, ctx context.Context, s *subject, floor float64) ([]reading, error) {
		srv, err := b.serve(ctx, s)
		if err != nil {
			return nil, err
		}
		defer srv.clear()
		before := srv.cpu()
		start := time.Now()
		sent, err := load.SendLogs(ctx, srv.mesh, rate, b.length*3/4)
		reached := float64(sent) / time.Since(start).Seconds()
		if err != nil {
			return nil, err
		}
		srv.settle(ctx)
		taken, err := srv.counter(ctx, "binnacle_pipeline_requests_total")
		if err == nil && taken == 0 {
			err = errors.New("no entry was taken, by binnacle_pipeline_requests_total")
		}
		if err != nil {
			return nil, err
		}
		cost := (srv.stop() - before) / taken * 1e6
		name, remark := "CPU a log entry, 200,000/s", fmt.Sprintf("(limit 5) %.1f times the floor, at %.0f a second", cost/floor, reached)
		if rate == calmLogs {
			name, remark = "CPU a log entry, 20,000/s", fmt.Sprintf("%.1f times the floor", cost/floor)
		}
		if left := float64(sent) - taken; left > 0 {
			remark += fmt.Sprintf("; DROPPED %.0f of %d", left, sent)
		}
		return []reading{{name, cost, "µs", remark}}, nil
	}
}
