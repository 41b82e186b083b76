package main

import (
	"context"
	"fmt"

	"github.com/binnacle-mesh/binnacle/test/load"
)

func quotaFloor(rate int) func(*bench, context.Context) (float64, error) {
	return func(b *bench, ctx context.Context) (float64, error) {
		f, err := b.floor(ctx)
		if err != nil {
			return 0, err
		}
		defer f.stop()
		cost, _, err := b.ask(ctx, f, f.addr, rate)
		return cost, err
	}
}

// quotaAt measures CPU a decision beside a handler that answers OK to all.
func quotaAt(rate int) func(*bench, context.Context, *subject, float64) ([]reading, error) {
	return func(b *bench, ctx context.Context, s *subject, floor float64) ([]reading, error) {
		srv, err := b.serve(ctx, s)
		if err != nil {
			return nil, err
		}
		defer srv.clear()
		cost, asked, err := b.ask(ctx, srv.process, srv.rls, rate)
		if err != nil {
			return nil, err
		}
		how := "flat out"
		if rate > 0 {
			how = fmt.Sprintf("%d/s", rate)
		}
		return []reading{{"CPU a quota decision, " + how, cost, "µs", fmt.Sprintf("%.2f times the floor (limit 1.06), p50 %.2f ms p99 %.2f ms",
			cost/floor, millis(quantile(asked.Acks, 0.5)), millis(quantile(asked.Acks, 0.99)))}}, nil
	}
}

// ask warms a server up and returns its CPU µs a question.
func (b *bench) ask(ctx context.Context, p *process, addr string, rate int) (float64, *load.Asked, error) {
	if _, err := b.questions.Ask(ctx, addr, rate, b.length/8); err != nil {
		return 0, nil, err
	}
	before := p.cpu()
	asked, err := b.questions.Ask(ctx, addr, rate, b.length/2)
	if err != nil {
		return 0, nil, err
	}
	return (p.cpu() - before) / float64(max(1, asked.Answered)) * 1e6, asked, nil
}
