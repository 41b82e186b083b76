package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/binnacle-mesh/binnacle/test/load"
)

func (b *bench) spanFloor(ctx context.Context) (float64, error) {
	f, err := b.floor(ctx)
	if err != nil {
		return 0, err
	}
	defer f.stop()
	before := f.cpu()
	sent, err := b.spansOf().Send(ctx, f.addr, load.Plan{Length: b.length / 4})
	if err != nil {
		return 0, err
	}
	return (f.cpu() - before) / float64(sent.Acked) * 1e6, nil
}

// spans measures CPU a span, all in, and bytes on disk. The server is stopped at the end, which writes the last block: its whole
// life's CPU, less that of its start, is charged to the spans.
func (b *bench) spans(ctx context.Context, s *subject, floor float64) ([]reading, error) {
	srv, err := b.serve(ctx, s)
	if err != nil {
		return nil, err
	}
	defer srv.clear()
	before := srv.cpu()
	sent, err := b.spansOf().Send(ctx, srv.otlp, load.Plan{Length: b.length})
	if err != nil {
		return nil, err
	}
	until := srv.cpu() - before
	srv.settle(ctx)
	total := srv.stop() - before
	disk, err := diskUse(filepath.Join(srv.data, "blocks"))
	if err != nil {
		return nil, err
	}
	n := float64(sent.Acked)
	cost := total / n * 1e6
	return []reading{
		{"CPU a span, all in", cost, "µs", fmt.Sprintf("(limit 7) %.1f times the floor%s", cost/floor, refused(sent))},
		{"CPU a span until its ack", until / n * 1e6, "µs", fmt.Sprintf("at %.0f spans a second", n/sent.Took.Seconds())},
		{"ack p50, flat out", millis(quantile(sent.Acks, 0.5)), "ms", ""},
		{"ack p99, flat out", millis(quantile(sent.Acks, 0.99)), "ms", ""},
		{"on disk a span", float64(disk) / n, "bytes", "(limit 60)"},
	}, nil
}

// memory measures what is resident at 40,000 spans a second.
func (b *bench) memory(ctx context.Context, s *subject, _ float64) ([]reading, error) {
	srv, err := b.serve(ctx, s)
	if err != nil {
		return nil, err
	}
	defer srv.clear()
	sent, err := b.spansOf().Send(ctx, srv.otlp, load.Plan{Rate: 40_000, Length: 2 * b.length})
	if err != nil {
		return nil, err
	}
	peak, err := srv.peakMB()
	if err != nil {
		return nil, err
	}
	return []reading{
		{"resident at 40,000 spans/s, peak", peak, "MB", fmt.Sprintf("(limit 300) at %.0f spans a second%s", float64(sent.Acked)/sent.Took.Seconds(), refused(sent))},
		{"ack p50 at 40,000 spans/s", millis(quantile(sent.Acks, 0.5)), "ms", ""},
		{"ack p99 at 40,000 spans/s", millis(quantile(sent.Acks, 0.99)), "ms", ""},
	}, nil
}

func refused(sent *load.Sent) string {
	if sent.Refused == 0 {
		return ""
	}
	return fmt.Sprintf("; REFUSED %d: %v", sent.Refused, sent.LastError)
}

// quantile of sorted times; 0 of none.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func millis(d time.Duration) float64 { return d.Seconds() * 1e3 }
