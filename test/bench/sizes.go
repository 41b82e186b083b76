package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/binnacle-mesh/binnacle/test/load"
)

// A size is a mesh under measurement, and how many times what the smallest costs it may cost.
type size struct {
	services, edges int
	limit           float64
}

// roomy lets a server hold the largest of them, with a database for every third service and several series an edge.
const roomy = "topology: {max_edges: 200000, max_nodes: 50000}\naggregator: {max_series: 2000000}\n"

// warm is how many spans each server gets before it is measured, so that it knows most edges: making an edge and its series is paid once.
const warm = 400 * load.SpansARequest

// sizes measures what a span costs, and how late its acknowledgement is, in meshes of three sizes. All sizes are taken in turn, round after round, on the same
// server: what the machine does meanwhile meets all of them, and it is their ratio that tells.
func (b *bench) sizes(ctx context.Context) error {
	all := []size{{40, 120, 1}, {1_000, 5_000, 1.2}, {10_000, 50_000, 1.5}}
	spans := make([]*load.Spans, len(all))
	edges := make([]int, len(all))
	for i, s := range all {
		shop := load.NewShop(s.services, s.edges)
		b.serial++
		spans[i], edges[i] = load.NewSpans(shop, b.serial), shop.Edges()
	}
	for _, of := range b.subjects {
		costs, acks := make([][]float64, len(all)), make([][]float64, len(all))
		for range max(2, b.rounds) {
			for i, s := range all {
				cost, ack, err := b.sized(ctx, of, spans[i])
				if err != nil {
					return err
				}
				costs[i], acks[i] = append(costs[i], cost), append(acks[i], ack)
				fmt.Printf("  %-4s %6d services, %6d edges: %6.2f µs of CPU a span, ack p99 %6.1f ms\n", of.name, s.services, edges[i], cost, ack)
			}
		}
		for i, s := range all[1:] {
			fmt.Printf("  %-4s %6d services, %6d edges: CPU a span %.2f times that of the smallest (limit %.1f), ack p99 %.2f times\n",
				of.name, s.services, edges[i+1], ratioOf(costs[i+1], costs[0]), s.limit, ratioOf(acks[i+1], acks[0]))
		}
	}
	return nil
}

// sized is CPU a span in µs, and the 99th of hundred acknowledgements in ms, of one server that is given these spans flat out.
func (b *bench) sized(ctx context.Context, of *subject, spans *load.Spans) (cost, ack float64, err error) {
	srv, err := b.serve(ctx, of, roomy)
	if err != nil {
		return 0, 0, err
	}
	defer srv.clear()
	if _, err := spans.Send(ctx, srv.otlp, load.Plan{Length: time.Minute, Limit: warm}); err != nil {
		return 0, 0, err
	}
	srv.settle(ctx)
	before := srv.cpu()
	sent, err := spans.Send(ctx, srv.otlp, load.Plan{Length: b.length})
	if err != nil {
		return 0, 0, err
	}
	if sent.Refused > 0 {
		return 0, 0, fmt.Errorf("%d spans were refused: %w", sent.Refused, sent.LastError)
	}
	srv.settle(ctx)
	return (srv.cpu() - before) / float64(sent.Acked) * 1e6, millis(quantile(sent.Acks, 0.99)), nil
}

// ratioOf is the median of the ratios of two figures that were taken in turn.
func ratioOf(of, to []float64) float64 {
	var all []float64
	for i := range of {
		if to[i] == 0 {
			return math.NaN()
		}
		all = append(all, of[i]/to[i])
	}
	return median(sorted(all))
}
