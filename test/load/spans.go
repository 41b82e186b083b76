package load

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/binnacle-mesh/binnacle/internal/pb"
	"github.com/binnacle-mesh/binnacle/internal/wire"
)

// exportMethod is OTLP's.
const exportMethod = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

// SpansARequest is how many spans each request has, as a collector's default batches are of that order.
const SpansARequest = 512

// Spans sends a shop's spans. It is safe for concurrent use.
type Spans struct {
	requests []request
	run      uint64 // another for each Spans, so that no two send the same ids
	sends    atomic.Uint64
}

type request struct {
	piece
	traces uint64
}

// NewSpans encodes some requests of a shop's spans. About nine spans are a trace, a span has about twelve attributes, and those of
// one instance stand together below its resource.
func NewSpans(shop *Shop, run uint64) *Spans {
	s := &Spans{run: mix(run)}
	w := &walker{shop: shop, chance: rand.New(rand.NewPCG(7, 77))} //nolint:gosec // a load's chance
	for range Variety(shop) {
		w.trace = 0
		var all []placed
		for len(all) < SpansARequest {
			w.walk(SpansARequest - len(all))
			all = append(all, w.spans...)
		}
		s.requests = append(s.requests, request{export(shop, all), w.trace})
	}
	return s
}

// Variety is after how many requests the same spans come again with other ids, paths and times: the more edges a shop has, the later, so that
// most of fifty thousand are used.
func Variety(shop *Shop) int { return min(max(96, shop.Edges()/125), 400) }

// export puts spans below the instances that report them.
func export(shop *Shop, spans []placed) (req piece) {
	type reporter struct{ service, instance int }
	var order []reporter
	by := map[reporter]*piece{}
	for i := range spans {
		r := reporter{spans[i].service, spans[i].instance}
		scope := by[r]
		if scope == nil {
			scope = &piece{}
			var name piece
			name.text(1, "market/instrumentation")
			name.text(2, "0.9.0")
			scope.nest(1, &name)
			by[r], order = scope, append(order, r)
		}
		scope.nest(2, &spans[i].span)
	}
	for _, r := range order {
		var rs piece
		resource := resourceOf(shop.services[r.service].name, r.service, r.instance)
		rs.nest(1, &resource)
		rs.nest(2, by[r])
		req.nest(1, &rs)
	}
	return req
}

// resourceOf is what an SDK in Kubernetes says of itself.
func resourceOf(name string, service, instance int) (p piece) {
	pod := fmt.Sprintf("%s-5d8c7b9f4-%05x", name, service*instances+instance+0xa0000)
	for _, kv := range [...][2]string{
		{"service.name", name},
		{"service.namespace", "market"},
		{"service.version", "3.2.1"},
		{"service.instance.id", pod},
		{"deployment.environment.name", "production"},
		{"k8s.cluster.name", "north-2"},
		{"k8s.namespace.name", "market"},
		{"k8s.deployment.name", name},
		{"k8s.pod.name", pod},
		{"k8s.node.name", fmt.Sprintf("node-%d.north-2.example", service%9)},
		{"k8s.container.name", "main"},
		{"host.name", pod},
		{"telemetry.sdk.name", "opentelemetry"},
		{"telemetry.sdk.language", "go"},
		{"telemetry.sdk.version", "1.38.0"},
	} {
		p.attr(1, kv[0], kv[1])
	}
	return p
}

// A Plan is how spans are sent.
type Plan struct {
	Rate   int           // spans a second; 0 sends the next when the last was answered
	Length time.Duration // how long
	Limit  int           // spans after which to end before; 0 is none
	Sample int           // how many trace ids to remember
}

// Sent is what became of the spans.
type Sent struct {
	Acked, Refused int             // spans
	Took           time.Duration   // from the first to the last answer
	Acks           []time.Duration // sorted; with a rate, from the moment when the request was due
	Traces         []string        // ids of acknowledged traces, a sample
	LastError      error           // of a refusal
}

// Two connections with two requests under way each keep two processors busy.
const connections, underWay = 2, 2

// Send sends spans to an OTLP gRPC address until the plan is done or ctx ends.
func (s *Spans) Send(ctx context.Context, addr string, plan Plan) (*Sent, error) {
	out := &Sent{}
	var mu sync.Mutex // of out
	var wg sync.WaitGroup
	var begun atomic.Int64
	start := time.Now()
	for c := range connections {
		cc, err := dial(addr)
		if err != nil {
			return nil, err
		}
		defer func() { _ = cc.Close() }()
		for k := range underWay {
			due := newPace(start, plan.Rate, SpansARequest, c*underWay+k, connections*underWay)
			wg.Go(func() {
				for ctx.Err() == nil {
					at := due.wait()
					if at.Sub(start) >= plan.Length || plan.Limit > 0 && begun.Add(SpansARequest) > int64(plan.Limit) {
						return
					}
					n := s.sends.Add(1)
					err := s.send(ctx, cc, n)
					took := time.Since(at)
					mu.Lock()
					s.note(out, plan, n, took, err)
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	out.Took = time.Since(start)
	slices.Sort(out.Acks)
	if out.Acked == 0 {
		return out, errors.Join(fmt.Errorf("load: no spans were taken by %s", addr), out.LastError, ctx.Err())
	}
	return out, ctx.Err()
}

func (s *Spans) note(out *Sent, plan Plan, n uint64, took time.Duration, err error) {
	if err != nil {
		out.Refused += SpansARequest
		out.LastError = err
		return
	}
	out.Acked += SpansARequest
	out.Acks = append(out.Acks, took)
	if n%8 == 0 && len(out.Traces) < plan.Sample {
		id := traceOf(s.run, n, n/8%s.requests[n%uint64(len(s.requests))].traces)
		out.Traces = append(out.Traces, hex.EncodeToString(id[:]))
	}
}

// send sends request n. A partial success is a refusal of all of it.
func (s *Spans) send(ctx context.Context, cc *grpc.ClientConn, n uint64) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var req, reply wire.Frame
	defer reply.Free()
	p := &s.requests[n%uint64(len(s.requests))]
	req.Set(p.fill(s.run, n, time.Now().Add(-100*time.Millisecond).UnixNano()))
	if err := cc.Invoke(ctx, exportMethod, &req, &reply); err != nil {
		return err
	}
	for r := pb.Over(reply.Bytes()); r.Next(); {
		if r.Tag == 1<<3|pb.Bytes && len(r.Bytes()) > 0 {
			return fmt.Errorf("load: partial success: %q", r.Bytes())
		}
	}
	return nil
}
