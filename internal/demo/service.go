package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// server is one workload's own program: it does what the shop's table says, and reaches others through its Envoy only.
type server struct {
	member
	index   int // in the plan
	shop    shop
	story   *story
	flaws   *flaws
	spans   *spanSender
	brokers map[string]*broker
	egress  string // host:port of the Envoy's outbound listener
	client  *http.Client
	rpc     map[string]*grpc.ClientConn // by service: those that speak gRPC
	log     *slog.Logger

	listener net.Listener
	http     *http.Server
	answers  *grpc.Server // instead of http, for a gRPC service
}

// carried are the request headers that a service passes on, so that a trace, and a quota's key, reach the last hop.
var carried = [...]string{"traceparent", "tracestate", "x-request-id", clientHeader} //nolint:gochecknoglobals // immutable

// incoming is what a request or message brought along for the calls that it causes.
type incoming struct {
	context spanContext
	headers http.Header // only those carried
}

// newServer listens on a port of the kernel's choice; run answers.
func newServer(s server) (*server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // does not wait for anything
	if err != nil {
		return nil, fmt.Errorf("listen for %s behind its Envoy: %w", s.pod(), err)
	}
	s.listener = listener
	s.client = &http.Client{
		Timeout:   15 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
	}
	s.rpc = map[string]*grpc.ClientConn{}
	for _, c := range s.calls {
		if !c.target.rpc {
			continue
		}
		if s.rpc[c.target.service], err = newRPCClient(s.egress, c.target); err != nil {
			return nil, errors.Join(err, listener.Close())
		}
	}
	if s.workload.rpc {
		s.answers = s.newRPCServer()
	}
	s.http = &http.Server{Handler: &s, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
	return &s, nil
}

func (s *server) port() int { return s.listener.Addr().(*net.TCPAddr).Port }

// run answers until close is called.
func (s *server) run() error {
	if s.answers != nil {
		if err := s.answers.Serve(s.listener); err != nil {
			return fmt.Errorf("serve %s: %w", s.pod(), err)
		}
		return nil
	}
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", s.pod(), err)
	}
	return nil
}

func (s *server) close() {
	if s.answers != nil {
		s.answers.Stop()
	}
	s.http.Close()
	for _, conn := range s.rpc {
		conn.Close()
	}
	s.client.CloseIdleConnections()
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, op := range s.operations {
		if !op.fits(r.Method, r.URL.Path) {
			continue
		}
		in := incoming{context: parseTraceparent(r.Header.Get("traceparent")), headers: http.Header{}}
		for _, name := range carried {
			if v := r.Header.Get(name); v != "" {
				in.headers.Set(name, v)
			}
		}
		status := s.perform(r.Context(), op, in)
		w.Header().Set("content-type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, "{\"service\":%q,\"version\":%q,\"operation\":%q}\n", s.service, s.version, op.name())
		return
	}
	http.NotFound(w, r)
}

// perform does the operation's own work, then its steps in order, and returns the HTTP status. A step that fails ends it:
// 429 is passed on as it is, anything else becomes 502.
func (s *server) perform(ctx context.Context, op operation, in incoming) int {
	pause(ctx, op.work)
	if s.service == slowService && s.story.telling(ChapterSlow) {
		pause(ctx, slowExtra)
	}
	for _, step := range op.steps {
		if !step.taken(s.version) || step.share > 0 && rand.Float64() >= step.share {
			continue
		}
		switch {
		case step.query != "":
			s.query(ctx, step.query, in)
		case step.publish != "":
			s.publish(step.publish, in)
		case step.call != "":
			if status := s.call(ctx, step, in); status == http.StatusTooManyRequests {
				return status
			} else if status >= 400 {
				return http.StatusBadGateway
			}
		}
	}
	if s.service == failingService && s.story.telling(ChapterErrors) && rand.Float64() < errorShare {
		return http.StatusInternalServerError
	}
	return http.StatusOK
}

// call sends the step's request to this workload's Envoy and returns the status; 502 when no answer came.
func (s *server) call(ctx context.Context, step step, in incoming) int {
	name, operation := step.callee()
	method, template, _ := strings.Cut(operation, " ")
	if method == rpcMethod {
		return s.callRPC(ctx, name, template, in)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+s.egress+fillPath(template), http.NoBody)
	if err != nil {
		s.log.Error("a step of the shop's table makes no request", "step", step.call, "err", err)
		return http.StatusInternalServerError
	}
	request.Host = name
	if target, ok := s.shop.service(name); ok {
		request.Host = target.workload(target.versions[0]).authority()
		if len(target.versions) > 1 && s.story.telling(ChapterRelease) && rand.Float64() < canaryShare {
			request.Header.Set(canaryHeader, target.versions[1])
		}
	}
	for header, values := range in.headers {
		if (s.service == "search" && s.story.telling(ChapterHeaders) || s.flaws.on(FlawHeaders, s.service)) && header != http.CanonicalHeaderKey(clientHeader) {
			continue
		}
		request.Header[header] = values
	}
	response, err := s.client.Do(request)
	if err != nil {
		return http.StatusBadGateway
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body) // so that the connection is used again
	return response.StatusCode
}

// query spends the database's time and tells of it in a span, as an instrumented driver does.
func (s *server) query(ctx context.Context, address string, in incoming) {
	d, _ := s.shop.database(address)
	start := time.Now()
	pause(ctx, d.took)
	verb, _, _ := strings.Cut(strings.TrimLeft(d.query, "{"), " ")
	verb = strings.TrimSuffix(verb, ":")
	s.spans.send(s.index, newSpan(verb, tracev1.Span_SPAN_KIND_CLIENT, in.context, in.context.child(), start,
		text("db.system.name", d.system),
		text("db.operation.name", verb),
		text("db.query.text", d.query),
		text("server.address", d.address),
		number("server.port", d.port),
	))
}

// publish hands the broker a message that carries the producer's span.
func (s *server) publish(name string, in incoming) {
	b := s.brokers[name]
	own := in.context.child()
	start := time.Now()
	m := message{context: own, headers: in.headers.Clone()}
	m.headers.Set("traceparent", own.traceparent())
	span := newSpan("send "+name, tracev1.Span_SPAN_KIND_PRODUCER, in.context, own, start,
		append(b.attributes(), text("messaging.operation.type", "send"), text("messaging.operation.name", "send"))...)
	if !b.offer(m) {
		span.Status = &tracev1.Status{Code: tracev1.Status_STATUS_CODE_ERROR, Message: "the queue is full"}
	}
	s.spans.send(s.index, span)
}

// consume performs the operation for each message of a queue until ctx ends.
func (s *server) consume(ctx context.Context, b *broker, op operation) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-b.messages:
			own := m.context.child()
			m.headers.Set("traceparent", own.traceparent())
			start := time.Now()
			status := s.perform(ctx, op, incoming{context: own, headers: m.headers})
			span := newSpan("process "+b.name, tracev1.Span_SPAN_KIND_CONSUMER, m.context, own, start,
				append(b.attributes(), text("messaging.operation.type", "process"), text("messaging.operation.name", "process"),
					text("messaging.consumer.group.name", s.service))...)
			if status >= 400 {
				span.Status = &tracev1.Status{Code: tracev1.Status_STATUS_CODE_ERROR, Message: "the message could not be processed: status " + strconv.Itoa(status)}
			}
			s.spans.send(s.index, span)
		}
	}
}

// pause waits for about as long as the median says: log-normal, as the latencies of real services are.
func pause(ctx context.Context, median time.Duration) {
	if median <= 0 {
		return
	}
	timer := time.NewTimer(time.Duration(float64(median) * math.Exp(0.4*rand.NormFloat64())))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// fillPath puts an identifier in place of a template's {placeholder}.
func fillPath(template string) string {
	before, rest, found := strings.Cut(template, "{")
	if !found {
		return template
	}
	_, after, _ := strings.Cut(rest, "}")
	return before + strconv.Itoa(1000+rand.IntN(9000)) + after
}
