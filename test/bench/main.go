// Command bench measures what Binnacle costs: CPU a span (received over OTLP gRPC, durable, in graph and signals, written as
// Parquet), a log entry and a quota decision, each beside its floor, a gRPC server that throws away what it gets; the time to an
// acknowledgement, and to an edge on the stream; bytes on disk, memory, and queries over a million spans.
//
//	go run ./test/bench -binnacle bin/binnacle
//	go run ./test/bench -binnacle bin/binnacle -vs /elsewhere/bin/binnacle
//
// With -vs two binaries are measured in turn, figure by figure, and their ratios printed: a machine shared with others has hours
// in which everything costs half as much again, but hardly within the seconds of one pair.
//
// CPU is that of the whole process, as the kernel accounts it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/test/load"
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
	vs := flag.String("vs", "", "another server to measure it against")
	only := flag.String("only", "", "measure only these, separated by commas: "+names())
	length := flag.Duration("t", 8*time.Second, "length of the load for CPU a span; the others follow it")
	quick := flag.Bool("quick", false, "a third of the loads' length and a fifth of the queries' spans: to try things out, not to judge")
	pairs := flag.Int("pairs", 3, "with -vs, how often each figure is taken of each server")
	services := flag.Int("services", 40, "services of the load")
	edges := flag.Int("edges", 120, "edges between them")
	floor := flag.String("floor", "", "internal: be the floor on this address")
	flood := flag.String("flood", "", "internal: be a flood of spans to this address")
	flag.Parse()
	if *floor != "" {
		return load.ServeFloor(ctx, *floor)
	}
	b := &bench{length: *length, shop: load.NewShop(*services, *edges), questions: load.NewQuestions(10_000), searched: 1_000_000, rounds: 1}
	if *quick {
		b.length, b.searched = *length/3, b.searched/5
	}
	if *flood != "" {
		return b.sendFlood(ctx, *flood)
	}
	b.subjects = []*subject{{name: "", binary: *binnacle}}
	if *vs != "" {
		b.subjects = []*subject{{name: "new", binary: *binnacle}, {name: "old", binary: *vs}}
		b.rounds = max(3, *pairs)
	}
	var err error
	if b.dir, err = os.MkdirTemp("", "binnacle-bench"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(b.dir) }()
	for _, s := range b.subjects {
		if err := s.copyTo(b.dir); err != nil {
			return err
		}
	}
	start := time.Now()
	for _, m := range measurements() {
		if *only != "" && !strings.Contains(","+*only+",", ","+m.name+",") {
			continue
		}
		if err := b.measure(ctx, &m); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	if *vs != "" {
		verdict(os.Stdout, b.figures, b.rounds)
	}
	fmt.Printf("\ntook %s; %s\n", time.Since(start).Round(time.Second), machine())
	return nil
}
