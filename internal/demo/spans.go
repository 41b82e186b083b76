package demo

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	resourcev1 "go.opentelemetry.io/proto/otlp/resource/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// spanContext is what a traceparent header carries (W3C Trace Context). The zero value is none.
type spanContext struct {
	trace [16]byte
	span  [8]byte
}

// parseTraceparent reads a traceparent header; anything malformed gives none.
func parseTraceparent(header string) spanContext {
	var c spanContext
	parts := strings.Split(header, "-")
	if len(parts) != 4 || len(parts[1]) != 32 || len(parts[2]) != 16 {
		return spanContext{}
	}
	if _, err := hex.Decode(c.trace[:], []byte(parts[1])); err != nil {
		return spanContext{}
	}
	if _, err := hex.Decode(c.span[:], []byte(parts[2])); err != nil {
		return spanContext{}
	}
	return c
}

func (c spanContext) traceparent() string {
	return "00-" + hex.EncodeToString(c.trace[:]) + "-" + hex.EncodeToString(c.span[:]) + "-01"
}

// child is a new span in the same trace, or in a new one where there was none.
func (c spanContext) child() spanContext {
	next := c
	if c.trace == [16]byte{} {
		for i := range next.trace {
			next.trace[i] = byte(rand.Uint32())
		}
	}
	for i := range next.span {
		next.span[i] = byte(rand.Uint32())
	}
	return next
}

// spanSender sends the spans that services make themselves, over OTLP as any SDK would. Safe for concurrent use.
type spanSender struct {
	conn      *grpc.ClientConn
	client    collectorv1.TraceServiceClient
	queue     chan ownSpan
	resources []*resourcev1.Resource // by member
	lost      atomic.Uint64          // spans dropped because the queue was full or the export failed
}

// ownSpan is a span with the member that made it.
type ownSpan struct {
	member int
	span   *tracev1.Span
}

const (
	spanQueue = 8192 // spans that wait; more are dropped, a service must not wait for its telemetry
	spanBatch = 512
)

func newSpanSender(address string, members []member) (*spanSender, error) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("prepare to send spans to %s: %w", address, err)
	}
	s := &spanSender{
		conn:   conn,
		client: collectorv1.NewTraceServiceClient(conn),
		queue:  make(chan ownSpan, spanQueue),
	}
	for _, m := range members {
		attributes := []*commonv1.KeyValue{text("service.name", m.service)}
		for pair := range strings.SplitSeq(m.resource(), ",") {
			key, value, _ := strings.Cut(pair, "=")
			attributes = append(attributes, text(key, value))
		}
		attributes = append(attributes, text("telemetry.sdk.name", "binnacle-demo"), text("telemetry.sdk.language", "go"))
		s.resources = append(s.resources, &resourcev1.Resource{Attributes: attributes})
	}
	return s, nil
}

// send takes a finished span, or drops it when too many wait already.
func (s *spanSender) send(member int, span *tracev1.Span) {
	select {
	case s.queue <- ownSpan{member, span}:
	default:
		s.lost.Add(1)
	}
}

// run exports what is sent, as often as the Envoys do, until ctx ends; then closes the connection.
func (s *spanSender) run(ctx context.Context, log *slog.Logger) {
	defer s.conn.Close()
	tick := time.NewTicker(flushMillis * time.Millisecond)
	defer tick.Stop()
	var batch []ownSpan
	var warned time.Time
	for {
		var flush bool
		select {
		case <-ctx.Done():
			return
		case span := <-s.queue:
			batch = append(batch, span)
			flush = len(batch) >= spanBatch
		case <-tick.C:
			flush = len(batch) > 0
		}
		if !flush {
			continue
		}
		if err := s.export(ctx, batch); err != nil && ctx.Err() == nil {
			s.lost.Add(uint64(len(batch)))
			if now := time.Now(); now.Sub(warned) > 10*time.Second {
				warned = now
				log.Warn("services' own spans do not reach Binnacle", "err", err, "lost", s.lost.Load())
			}
		}
		batch = batch[:0]
	}
}

func (s *spanSender) export(ctx context.Context, batch []ownSpan) error {
	byMember := make([]*tracev1.ScopeSpans, len(s.resources))
	request := &collectorv1.ExportTraceServiceRequest{}
	for _, own := range batch {
		if byMember[own.member] == nil {
			byMember[own.member] = &tracev1.ScopeSpans{Scope: &commonv1.InstrumentationScope{Name: "binnacle/demo"}}
			request.ResourceSpans = append(request.ResourceSpans, &tracev1.ResourceSpans{
				Resource: s.resources[own.member], ScopeSpans: []*tracev1.ScopeSpans{byMember[own.member]},
			})
		}
		byMember[own.member].Spans = append(byMember[own.member].Spans, own.span)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := s.client.Export(ctx, request); err != nil {
		return fmt.Errorf("export %d spans: %w", len(batch), err)
	}
	return nil
}

// newSpan is a span that ends now.
func newSpan(name string, kind tracev1.Span_SpanKind, parent, own spanContext, start time.Time, attributes ...*commonv1.KeyValue) *tracev1.Span {
	span := &tracev1.Span{
		TraceId: own.trace[:], SpanId: own.span[:], Name: name, Kind: kind,
		StartTimeUnixNano: uint64(start.UnixNano()), EndTimeUnixNano: uint64(time.Now().UnixNano()),
		Attributes: attributes,
	}
	if parent.trace == own.trace {
		span.ParentSpanId = parent.span[:]
	}
	return span
}

func text(key, value string) *commonv1.KeyValue {
	return &commonv1.KeyValue{Key: key, Value: &commonv1.AnyValue{Value: &commonv1.AnyValue_StringValue{StringValue: value}}}
}

func number(key string, value int) *commonv1.KeyValue {
	return &commonv1.KeyValue{Key: key, Value: &commonv1.AnyValue{Value: &commonv1.AnyValue_IntValue{IntValue: int64(value)}}}
}
