package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const probes = 100

// freshness measures the time from a span sent until its edge is on the stream
// of the live graph, beside 20,000 spans a second.
func (b *bench) freshness(ctx context.Context) error {
	heading("From a span sent to its edge on the stream, beside 20,000 spans a second")
	s, err := b.serve(ctx, "fresh")
	if err != nil {
		return err
	}
	defer s.stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	seen, err := follow(ctx, s.web)
	if err != nil {
		return err
	}
	var load result
	var loadErr error
	var wg sync.WaitGroup
	wg.Go(func() {
		load, loadErr = b.generate(ctx, "spangen", "-addr", s.otlp, "-rate", "20000", "-t", "40s", "-pid", s.pid("target"), "-nosettle")
	})
	time.Sleep(3 * time.Second)
	cc, err := grpc.NewClient(s.otlp, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = cc.Close() }()
	var took []time.Duration
	for i := range probes {
		d, err := probe(ctx, cc, seen, fmt.Sprintf("probe%d", i))
		if err != nil {
			return err
		}
		took = append(took, d)
		time.Sleep(200 * time.Millisecond)
	}
	wg.Wait()
	if loadErr != nil {
		return loadErr
	}
	slices.Sort(took)
	fmt.Printf("  %d probes beside %.0f spans a second: p50 %d ms   p90 %d ms   p99 %d ms   max %d ms   (limit p99 1000)\n", probes, load.num("spans_per_s"),
		took[probes/2].Milliseconds(), took[probes*9/10].Milliseconds(), took[probes*99/100].Milliseconds(), took[probes-1].Milliseconds())
	return nil
}

// probe sends both halves of a hop between two services never heard of, and
// waits for the edge.
func probe(ctx context.Context, cc *grpc.ClientConn, seen <-chan string, name string) (time.Duration, error) {
	now := time.Now()
	id := fmt.Appendf(nil, "%-16s", name)[:16]
	half := func(service string, n, parent byte, kind trace.Span_SpanKind) *trace.ResourceSpans {
		s := &trace.Span{
			TraceId: id, SpanId: []byte{0, 0, 0, 0, 0, 0, 0, n}, Name: "GET", Kind: kind,
			StartTimeUnixNano: uint64(now.UnixNano()) - 2e6, EndTimeUnixNano: uint64(now.UnixNano()),
		}
		if parent != 0 {
			s.ParentSpanId = []byte{0, 0, 0, 0, 0, 0, 0, parent}
		}
		return &trace.ResourceSpans{
			Resource: &resource.Resource{Attributes: []*common.KeyValue{{
				Key: "service.name", Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: service}},
			}}},
			ScopeSpans: []*trace.ScopeSpans{{Spans: []*trace.Span{s}}},
		}
	}
	_, err := coltrace.NewTraceServiceClient(cc).Export(ctx, &coltrace.ExportTraceServiceRequest{ResourceSpans: []*trace.ResourceSpans{
		half(name+"a", 1, 0, trace.Span_SPAN_KIND_CLIENT), half(name+"b", 2, 1, trace.Span_SPAN_KIND_SERVER),
	}})
	if err != nil {
		return 0, err
	}
	deadline := time.After(20 * time.Second)
	for {
		select {
		case data := <-seen:
			if strings.Contains(data, `"`+name+"a>"+name+"b|") {
				return time.Since(now), nil
			}
		case <-deadline:
			return 0, fmt.Errorf("the edge of %s was not on the stream after 20 s", name)
		}
	}
}

// follow reads the graph's stream and passes on each event's data.
func follow(ctx context.Context, web string) (<-chan string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+web+"/api/v1/graph/stream", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req) //nolint:bodyclose // closed by the goroutine that reads it
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.Join(errors.New("stream: "+resp.Status), resp.Body.Close())
	}
	out := make(chan string, 1024)
	go func() {
		defer func() { _ = resp.Body.Close() }()
		r := bufio.NewReaderSize(resp.Body, 1<<20)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if data, ok := strings.CutPrefix(line, "data:"); ok {
				select {
				case out <- data:
				default: // a probe that waits reads on; between probes nobody does
				}
			}
		}
	}()
	return out, nil
}
