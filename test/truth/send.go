package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	tracev1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// every is how often what is due is sent, and most how many spans go in one message.
const (
	every = 50 * time.Millisecond
	most  = 1_000
)

// send sends what is due to all, the same messages to each. Neither is ahead: the next message goes out when all have answered.
func (m *mesh) send(ctx context.Context, addrs ...string) error {
	var to []tracev1.TraceServiceClient
	for _, addr := range addrs {
		cc, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return err
		}
		defer func() { _ = cc.Close() }()
		to = append(to, tracev1.NewTraceServiceClient(cc))
	}
	start := time.Now()
	for rest := m.due; len(rest) > 0; {
		now := time.Since(start)
		n := 0
		for n < min(len(rest), most) && rest[n].at <= now {
			n++
		}
		if n == 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(every):
			}
			continue
		}
		if late := now - rest[0].at; late > 5*time.Second {
			return fmt.Errorf("the machine is too slow for so many spans: they are %v behind; ask for a longer time (-t)", late.Round(time.Second))
		}
		req := export(rest[:n])
		rest = rest[n:]
		errs := make(chan error, len(to))
		for i := range to {
			go func() { errs <- deliver(ctx, to[i], addrs[i], req) }()
		}
		for range to {
			if err := <-errs; err != nil {
				return err
			}
		}
	}
	return nil
}

// deliver sends a message until it is taken.
func deliver(ctx context.Context, to tracev1.TraceServiceClient, addr string, req *tracev1.ExportTraceServiceRequest) error {
	var err error
	for range 100 {
		var reply *tracev1.ExportTraceServiceResponse
		if reply, err = to.Export(ctx, req); err == nil {
			if n := reply.GetPartialSuccess().GetRejectedSpans(); n > 0 {
				return fmt.Errorf("%s refused %d spans: %s", addr, n, reply.GetPartialSuccess().GetErrorMessage())
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return fmt.Errorf("send spans to %s: %w", addr, err)
}

// export puts spans below the services that report them.
func export(events []event) *tracev1.ExportTraceServiceRequest {
	now := uint64(time.Now().UnixNano()) //nolint:gosec // after 1970
	req := &tracev1.ExportTraceServiceRequest{}
	of := map[int32]*tracepb.ScopeSpans{}
	for i := range events {
		e := &events[i]
		who := e.from
		if e.server {
			who = e.to
		}
		scope := of[who]
		if scope == nil {
			scope = &tracepb.ScopeSpans{}
			of[who] = scope
			req.ResourceSpans = append(req.ResourceSpans, &tracepb.ResourceSpans{
				Resource:   &resourcepb.Resource{Attributes: []*commonpb.KeyValue{text("service.name", service(who)), text("service.namespace", "shop")}},
				ScopeSpans: []*tracepb.ScopeSpans{scope},
			})
		}
		scope.Spans = append(scope.Spans, span(e, now))
	}
	return req
}

func span(e *event, now uint64) *tracepb.Span {
	id := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	s := &tracepb.Span{
		TraceId: append(id(e.request*0x9e3779b97f4a7c15), id(e.request)...), SpanId: id(2 * e.request), Name: "GET /goods", Kind: tracepb.Span_SPAN_KIND_CLIENT,
		StartTimeUnixNano: now - uint64(e.took)*1000, EndTimeUnixNano: now, //nolint:gosec // not negative
	}
	if e.server {
		s.SpanId, s.ParentSpanId, s.Kind = id(2*e.request+1), id(2*e.request), tracepb.Span_SPAN_KIND_SERVER
	} else {
		s.Attributes = append(s.Attributes, text("server.address", service(e.to)+".shop.svc.cluster.local"))
	}
	status := int64(200)
	if e.failed {
		status = 500
		s.Status = &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR}
	}
	s.Attributes = append(s.Attributes, text("http.request.method", "GET"), &commonpb.KeyValue{
		Key: "http.response.status_code", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: status}},
	})
	return s
}

func text(key, value string) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: value}}}
}
