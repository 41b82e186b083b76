package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/binnacle-mesh/binnacle/test/load"
)

// freshness measures the time from a span sent until its edge is on the stream of the live graph, beside 20,000 spans a second.
func (b *bench) freshness(ctx context.Context, s *subject, _ float64) ([]reading, error) {
	srv, err := b.serve(ctx, s)
	if err != nil {
		return nil, err
	}
	defer srv.clear()
	var sent *load.Sent
	var loadErr error
	var wg sync.WaitGroup
	const every = 100 * time.Millisecond
	probes := max(20, int(b.length/every))
	wg.Go(func() {
		sent, loadErr = b.spansOf().Send(ctx, srv.otlp, load.Plan{Rate: 20_000, Length: time.Duration(probes)*every + 2*time.Second})
	})
	time.Sleep(time.Second)
	took, err := load.Probes{OTLP: srv.otlp, Web: srv.web, Every: every, Number: probes}.Run(ctx)
	wg.Wait()
	if loadErr != nil {
		return nil, loadErr
	}
	if err != nil {
		return nil, err
	}
	return []reading{
		{"span sent to edge on the stream, p50", millis(quantile(took, 0.5)), "ms", fmt.Sprintf("%d probes beside %.0f spans a second%s", probes, float64(sent.Acked)/sent.Took.Seconds(), refused(sent))},
		{"span sent to edge on the stream, p99", millis(quantile(took, 0.99)), "ms", "(limit 1000)"},
	}, nil
}
