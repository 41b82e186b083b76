// Command bench measures what Binnacle costs: CPU a span, all in (received over
// OTLP gRPC, durable, in graph and signals, written as Parquet), CPU a log entry,
// and CPU a quota decision, each beside its floor, a gRPC server that does
// nothing, taken in the same run; then bytes on disk, memory, and queries over
// a million spans.
//
// Spans and decisions come from the load generators of ../shared/bench, so that the
// figures stand beside the peers' in its README; log entries from this program.
// Figures are CPU of the whole process as the kernel accounts it. Machines are
// noisy: quote ratios.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	binnacle := flag.String("binnacle", "bin/binnacle", "the server to measure")
	harness := flag.String("harness", filepath.Join("..", "shared", "bench", "harness"), "the load generators' source")
	only := flag.String("only", "", "measure only these, separated by commas: spans, memory, freshness, logs, quota, queries")
	floor := flag.String("alsfloor", "", "internal: be the access-log floor on this address")
	sleep := flag.Duration("t", 10*time.Second, "length of each measured load")
	flag.Parse()
	if *floor != "" {
		return serveALSFloor(ctx, *floor)
	}
	dir, err := os.MkdirTemp("", "binnacle-bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &bench{dir: dir, binnacle: *binnacle, length: *sleep}
	if err := b.build(ctx, *harness); err != nil {
		return err
	}
	for _, m := range []struct {
		name string
		do   func(context.Context) error
	}{{"spans", b.spans}, {"memory", b.memory}, {"freshness", b.freshness}, {"logs", b.logs}, {"quota", b.quota}, {"queries", b.queries}} {
		if *only != "" && !strings.Contains(","+*only+",", ","+m.name+",") {
			continue
		}
		if err := m.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}
