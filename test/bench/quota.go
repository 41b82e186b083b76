package main

import (
	"context"
	"fmt"
)

// quota measures CPU a decision beside a handler that answers an empty OK.
func (b *bench) quota(ctx context.Context) error {
	heading("CPU a quota decision (RLS v3, 10,000 keys)")
	f, err := b.floor(ctx, "rls", "127.0.0.1:17081")
	if err != nil {
		return err
	}
	defer f.stop()
	s, err := b.serve(ctx, "quota")
	if err != nil {
		return err
	}
	defer s.stop()
	for _, rate := range []string{"0", "4000"} {
		name := "flat out"
		if rate != "0" {
			name = rate + " a second"
		}
		args := func(addr, pid string) []string {
			return []string{"-addr", addr, "-pid", pid, "-t", (b.length / 2).String(), "-rate", rate, "-keys", "10000", "-warm", "1s"}
		}
		fl, err := b.generate(ctx, "rlsgen", args(f.addr, f.pid("target"))...)
		if err != nil {
			return err
		}
		r, err := b.generate(ctx, "rlsgen", args(s.rls, s.pid("target"))...)
		if err != nil {
			return err
		}
		floor, cost := fl.num("target.cpu_us_per_call"), r.num("target.cpu_us_per_call")
		fmt.Printf("  %-16s floor %6.1f µs   decision %6.1f µs   ratio %.2f (limit 1.30)   p50 %.0f µs p99 %.0f µs   failed %.0f\n",
			name, floor, cost, cost/floor, r.num("p50_us"), r.num("p99_us"), r.num("failed"))
	}
	return nil
}
