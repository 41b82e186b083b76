package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// spans measures CPU a span, all in, and bytes on disk. The server is stopped at the end, which
// writes the last block: its whole life's CPU, less its start, is charged to the spans.
func (b *bench) spans(ctx context.Context) error {
	heading("CPU a span, all in (OTLP gRPC, 512 spans a request, flat out)")
	f, err := b.floor(ctx, "otlp", "127.0.0.1:17080")
	if err != nil {
		return err
	}
	fl, err := b.generate(ctx, "spangen", "-addr", f.addr, "-t", (b.length / 2).String(), "-warm", "1s", "-pid", f.pid("target"))
	f.stop()
	if err != nil {
		return err
	}
	s, err := b.serve(ctx, "spans")
	if err != nil {
		return err
	}
	start := s.cpu()
	r, err := b.generate(ctx, "spangen", "-addr", s.otlp, "-t", b.length.String(), "-pid", s.pid("target"), "-settle", "10s")
	if err != nil {
		s.stop()
		return err
	}
	total := s.stop() - start
	n := r.num("acked_spans")
	disk, err := diskUse(filepath.Join(s.data, "blocks"))
	if err != nil {
		return err
	}
	floor := fl.num("target.cpu_us_per_span")
	cost := total / n * 1e6
	fmt.Printf("  floor, not decoded            %8.2f µs a span\n", floor)
	fmt.Printf("  Binnacle, all in              %8.2f µs a span   %.1f times the floor   (limit 10)\n", cost, cost/floor)
	fmt.Printf("  of it until the last ack      %8.2f µs a span   at %.0f spans a second, ack p50 %.1f ms p99 %.1f ms\n",
		r.num("target.cpu_s_at_last_ack")/n*1e6, r.num("spans_per_s"), r.num("ack_p50_ms"), r.num("ack_p99_ms"))
	fmt.Printf("  refused                       %8.0f spans of %.0f\n", r.num("failed_spans"), n)
	fmt.Printf("  on disk, blocks               %8.1f bytes a span   (limit 60)\n", float64(disk)/n)
	return nil
}

// memory measures what is resident at 40,000 spans a second.
func (b *bench) memory(ctx context.Context) error {
	heading("Memory at 40,000 spans a second")
	s, err := b.serve(ctx, "memory")
	if err != nil {
		return err
	}
	defer s.stop()
	r, err := b.generate(ctx, "spangen", "-addr", s.otlp, "-rate", "40000", "-t", (3 * b.length).String(), "-pid", s.pid("target"), "-nosettle")
	if err != nil {
		return err
	}
	fmt.Printf("  sent %.0f spans a second, %.0f refused, ack p99 %.1f ms\n", r.num("spans_per_s"), r.num("failed_spans"), r.num("ack_p99_ms"))
	fmt.Printf("  resident, peak                %8.0f MB   (limit 300)\n", r.num("target.peak_rss_mb"))
	fmt.Printf("  cores while sending           %8.2f\n", r.num("target.cores_while_sending"))
	return nil
}

// queries measures lookups over a million spans in blocks.
func (b *bench) queries(ctx context.Context) error {
	heading("Queries over 1,000,000 spans")
	s, err := b.serve(ctx, "queries")
	if err != nil {
		return err
	}
	ids := filepath.Join(b.dir, "ids")
	if _, err := b.generate(ctx, "spangen", "-addr", s.otlp, "-rate", "60000", "-n", "1000000", "-t", "60s", "-ids", ids, "-pid", s.pid("target"), "-settle", "10s"); err != nil {
		s.stop()
		return err
	}
	s.stop() // the head becomes a block
	if s, err = b.serve(ctx, "queries"); err != nil {
		return err
	}
	defer s.stop()
	time.Sleep(time.Second)
	for _, q := range []struct{ what, limit, url string }{
		{"trace by id", "10", "/api/v1/traces/{traceid}"},
		{"search: service, error, duration", "40", "/api/v1/traces?service={svc}&status=error&min_duration=5ms&limit=20"},
	} {
		r, err := b.generate(ctx, "qbench", "-url", "http://"+s.web+q.url, "-ids", ids, "-n", "300", "-pid", s.pid("target"))
		if err != nil {
			return err
		}
		fmt.Printf("  %-34s p50 %6.1f ms   p99 %6.1f ms   %5.1f ms CPU   answers %v   (limit p50 %s)\n",
			q.what, r.num("p50_ms"), r.num("p99_ms"), r.num("target_cpu_ms_per_query"), r["codes"], q.limit)
	}
	return nil
}
