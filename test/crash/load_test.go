package crash

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// services and what they call; the last hop of each trace is a database.
var services = []string{"web", "cart", "stock", "bill", "mail"}

// A call is one hop of a trace.
type call struct{ from, to int }

// A sent is one export and what was heard of it.
type sent struct {
	traces [][16]byte
	calls  []call // one a trace; each has a client and a server span, and a database span of the callee
	acked  bool
}

const spansPerTrace = 3

// A load sends exports for as long as servers come and go, and remembers.
type load struct {
	mu   sync.Mutex
	sent []*sent
	seed *rand.Rand
	next uint64

	crashes, repairs, lost int // lost: spans that were acknowledged and are not there
}

// run sends to addr from several goroutines until ctx ends.
func (l *load) run(ctx context.Context, addr string) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			cc, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				return
			}
			defer func() { _ = cc.Close() }()
			client := coltrace.NewTraceServiceClient(cc)
			for ctx.Err() == nil {
				s, req := l.export()
				// Every trace is looked up in the end, so that the rate is bounded; bursts remain.
				time.Sleep(l.pause())
				resp, err := client.Export(ctx, req)
				if err != nil {
					continue // not acknowledged: it may or may not be there
				}
				l.mu.Lock()
				s.acked = resp.GetPartialSuccess().GetRejectedSpans() == 0
				l.mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// pause is mostly some milliseconds, and now and then nothing at all.
func (l *load) pause() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(0, time.Duration(l.seed.IntN(40)-8)*time.Millisecond)
}

// export makes a new export of some traces, each with ids never used before.
func (l *load) export() (*sent, *coltrace.ExportTraceServiceRequest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &sent{}
	by := make([]*trace.ScopeSpans, len(services))
	for i := range by {
		by[i] = &trace.ScopeSpans{}
	}
	for range 1 + l.seed.IntN(20) {
		l.next++
		from := l.seed.IntN(len(services))
		c := call{from, (from + 1 + l.seed.IntN(len(services)-1)) % len(services)}
		var id [16]byte
		binary.BigEndian.PutUint64(id[:], l.next*0x9E3779B97F4A7C15)
		binary.BigEndian.PutUint64(id[8:], l.next)
		s.traces, s.calls = append(s.traces, id), append(s.calls, c)
		client, server, db := span(id, 1, 0, trace.Span_SPAN_KIND_CLIENT), span(id, 2, 1, trace.Span_SPAN_KIND_SERVER), span(id, 3, 2, trace.Span_SPAN_KIND_CLIENT)
		db.Attributes = []*common.KeyValue{str("db.system.name", "postgresql"), str("server.address", "store")}
		by[c.from].Spans = append(by[c.from].Spans, client)
		by[c.to].Spans = append(by[c.to].Spans, server, db)
	}
	req := &coltrace.ExportTraceServiceRequest{}
	for i, ss := range by {
		if len(ss.Spans) > 0 {
			req.ResourceSpans = append(req.ResourceSpans, &trace.ResourceSpans{
				Resource:   &resource.Resource{Attributes: []*common.KeyValue{str("service.name", services[i])}},
				ScopeSpans: []*trace.ScopeSpans{ss},
			})
		}
	}
	l.sent = append(l.sent, s)
	return s, req
}

func span(id [16]byte, n, parent byte, kind trace.Span_SpanKind) *trace.Span {
	now := uint64(time.Now().UnixNano())
	s := &trace.Span{
		TraceId: id[:], SpanId: []byte{0, 0, 0, 0, 0, 0, 0, n}, Name: fmt.Sprintf("op%d", n), Kind: kind,
		StartTimeUnixNano: now - 2e6, EndTimeUnixNano: now - 1e6,
	}
	if parent != 0 {
		s.ParentSpanId = []byte{0, 0, 0, 0, 0, 0, 0, parent}
	}
	return s
}

func str(k, v string) *common.KeyValue {
	return &common.KeyValue{Key: k, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: v}}}
}
