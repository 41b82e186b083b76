package load

import (
	"bytes"
	"context"
	"net"
	"testing"
	"time"

	als "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	rls "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

func TestShop(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ services, edges, want int }{
		{40, 120, 120}, {2, 1, 1}, {10, 1000, 45}, {30, 0, 28}, {300, 2000, 2000},
	} {
		s := NewShop(c.services, c.edges)
		if got := s.Edges(); got != c.want {
			t.Errorf("%d services, %d edges asked for: %d, want %d", c.services, c.edges, got, c.want)
		}
		called := map[int]bool{}
		for i := range s.services {
			for _, c := range s.services[i].calls {
				if c.to <= i {
					t.Errorf("service %d calls %d, which is not behind it", i, c.to)
				}
				called[c.to] = true
			}
		}
		if len(called) != c.services-s.entries {
			t.Errorf("%d services of %d are called, of which %d are entries", len(called), c.services, s.entries)
		}
	}
}

// TestSpans reads some requests by protobuf: each is whole, and of no other's ids.
func TestSpans(t *testing.T) {
	t.Parallel()
	s := NewSpans(NewShop(40, 120), 1)
	seen := map[string]bool{}
	var spans, size, traces, attributes int
	now := time.Now().UnixNano()
	variety := uint64(len(s.requests))
	for i := range 40 {
		n := uint64(i/2)*5 + uint64(i%2)*variety // each request twice: with other ids the second time
		r := &s.requests[n%variety]
		raw := r.fill(s.run, n, now)
		req := &coltrace.ExportTraceServiceRequest{}
		if err := proto.Unmarshal(raw, req); err != nil {
			t.Fatal(err)
		}
		all, byID := 0, map[string]*trace.Span{}
		inRequest := map[string]bool{}
		for _, rs := range req.ResourceSpans {
			for _, sp := range rs.ScopeSpans[0].Spans {
				all++
				attributes += len(sp.Attributes)
				byID[string(sp.TraceId)+string(sp.SpanId)] = sp
				inRequest[string(sp.TraceId)] = true
				if sp.EndTimeUnixNano <= sp.StartTimeUnixNano || sp.StartTimeUnixNano < uint64(now) || sp.StartTimeUnixNano > uint64(now)+uint64(time.Second) {
					t.Fatalf("a span from %d to %d, sent at %d", sp.StartTimeUnixNano, sp.EndTimeUnixNano, now)
				}
			}
		}
		if all != SpansARequest || len(byID) != all || len(inRequest) != int(r.traces) {
			t.Fatalf("%d spans, %d ids of them, %d traces; want %d and %d traces", all, len(byID), len(inRequest), SpansARequest, r.traces)
		}
		for id, sp := range byID {
			if len(sp.ParentSpanId) > 0 && byID[id[:16]+string(sp.ParentSpanId)] == nil {
				t.Fatalf("the parent of span %x is not in the request", sp.SpanId)
			}
		}
		for k := range r.traces {
			if id := traceOf(s.run, n, k); !inRequest[string(id[:])] {
				t.Fatalf("trace %d of send %d is not in its request", k, n)
			}
		}
		for id := range inRequest {
			if seen[id] {
				t.Fatalf("trace %x was sent twice", id)
			}
			seen[id] = true
		}
		spans, size, traces = spans+all, size+len(raw), traces+int(r.traces)
	}
	// What the page of figures says of the load.
	if a, b, c := float64(spans)/float64(traces), size/spans, attributes/spans; a < 8 || a > 10 || b < 590 || b > 650 || c < 11 || c > 13 {
		t.Errorf("%.1f spans a trace, %d bytes and %d attributes a span: another load than the figures were taken with", a, b, c)
	}
}

func TestHop(t *testing.T) {
	t.Parallel()
	req := &coltrace.ExportTraceServiceRequest{}
	if err := proto.Unmarshal(hop("one", "two", time.Now()), req); err != nil {
		t.Fatal(err)
	}
	var spans []*trace.Span
	for i, want := range []string{"one", "two"} {
		if got := req.ResourceSpans[i].Resource.Attributes[0].Value.GetStringValue(); got != want {
			t.Errorf("span %d is of %s, want %s", i, got, want)
		}
		spans = append(spans, req.ResourceSpans[i].ScopeSpans[0].Spans...)
	}
	client, server := spans[0], spans[1]
	if client.Kind != trace.Span_SPAN_KIND_CLIENT || server.Kind != trace.Span_SPAN_KIND_SERVER || len(client.ParentSpanId) != 0 ||
		!bytes.Equal(client.TraceId, server.TraceId) || !bytes.Equal(client.SpanId, server.ParentSpanId) {
		t.Errorf("not the two ends of a hop: %v, %v", client, server)
	}
}

// TestSidecars reads what both ends log of the same requests.
func TestSidecars(t *testing.T) {
	t.Parallel()
	var ids [2][]string
	for i := range ids {
		s, err := newSidecar(i)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 3 {
			msg := &als.StreamAccessLogsMessage{}
			if err := proto.Unmarshal(s.message(), msg); err != nil {
				t.Fatal(err)
			}
			if entries := msg.GetHttpLogs().GetLogEntry(); len(entries) != EntriesAMessage || (msg.Identifier != nil) != (n == 0) {
				t.Fatalf("message %d has %d entries, identifier %v", n, len(entries), msg.Identifier)
			}
			for _, e := range msg.GetHttpLogs().GetLogEntry() {
				ids[i] = append(ids[i], e.Request.RequestId)
			}
		}
	}
	for i, id := range ids[0] {
		if ids[1][i] != id {
			t.Fatalf("request %d is %s for the caller and %s for the callee", i, id, ids[1][i])
		}
	}
}

func TestQuestions(t *testing.T) {
	t.Parallel()
	for i, raw := range NewQuestions(3).encoded {
		m := &rls.RateLimitRequest{}
		if err := proto.Unmarshal(raw, m); err != nil {
			t.Fatal(err)
		}
		if again, err := (proto.MarshalOptions{Deterministic: true}).Marshal(m); err != nil || !bytes.Equal(again, raw) || len(m.Descriptors) != 1 {
			t.Errorf("question %d: %v, %v", i, m, err)
		}
	}
}

// TestFloor sends each load to the floor, which takes all.
func TestFloor(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- ServeFloor(ctx, addr) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	for c, err := net.Dial("tcp", addr); ; c, err = net.Dial("tcp", addr) {
		if err == nil {
			_ = c.Close()
			break
		}
		time.Sleep(time.Millisecond)
	}
	s := NewSpans(NewShop(5, 6), 1)
	sent, err := s.Send(ctx, addr, Plan{Length: time.Hour, Limit: 20 * SpansARequest, Sample: 2})
	if err != nil || sent.Acked != 20*SpansARequest || sent.Refused != 0 || len(sent.Traces) == 0 {
		t.Errorf("spans flat out: %+v, %v", sent, err)
	}
	if sent, err = s.Send(ctx, addr, Plan{Rate: 100 * SpansARequest, Length: time.Hour, Limit: 3 * SpansARequest}); err != nil || sent.Acked != 3*SpansARequest {
		t.Errorf("spans at a rate: %+v, %v", sent, err)
	}
	if err := SendHop(ctx, addr, "one", "two"); err != nil {
		t.Errorf("a hop: %v", err)
	}
	if n, err := SendLogs(ctx, addr, 100*logStreams*EntriesAMessage, 20*time.Millisecond); err != nil || n != 2*logStreams*EntriesAMessage {
		t.Errorf("%d log entries, %v", n, err)
	}
	if a, err := NewQuestions(10).Ask(ctx, addr, 0, 20*time.Millisecond); err != nil || a.Answered == 0 {
		t.Errorf("questions: %+v, %v", a, err)
	}
}
