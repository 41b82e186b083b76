package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	jaeger "github.com/jaegertracing/jaeger-idl/model/v1"
	jaegerapi "github.com/jaegertracing/jaeger-idl/proto-gen/api_v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/collector/otlp"
	"github.com/binnacle-mesh/binnacle/internal/shelf"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memoryLog keeps what spans were appended, as service/name/kind.
type memoryLog struct {
	pool *collector.Pool

	mu     sync.Mutex
	refuse error
	spans  []string
}

func (l *memoryLog) Append(_ context.Context, b *telemetry.Batch) (telemetry.Position, error) {
	defer l.pool.Put(b)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		return 0, l.refuse
	}
	for i := range b.Spans {
		s := &b.Spans[i]
		l.spans = append(l.spans, b.Str(b.Resources[s.Resource].Identity.Service)+"/"+b.Str(s.Name)+"/"+s.Kind.String())
	}
	return 1, nil
}

func (l *memoryLog) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.spans
	l.spans = nil
	return out
}

// world is an embedded collector that runs, with its ports.
type world struct {
	log *memoryLog
	out *bytes.Buffer
	col *Collector
	in  *collector.Intake
}

func start(t *testing.T, user map[string]any) *world {
	t.Helper()
	cfg := collector.DefaultConfig()
	cfg.Limits.MaxAge = 20 * 365 * 24 * time.Hour // the samples are years old
	return startWith(t, user, cfg)
}

func startWith(t *testing.T, user map[string]any, cfg collector.Config) *world {
	t.Helper()
	w := &world{log: &memoryLog{pool: collector.NewPool()}, out: &bytes.Buffer{}}
	c, err := collector.New(cfg, nil, w.log, w.log.pool, prometheus.NewRegistry(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	w.in = c.Intake("collector")
	front := Front{Bodies: w.in.Bodies(cfg.MaxMessageBytes)}
	w.col, err = New(t.Context(), user, otlp.New(w.in), front, "test", slog.New(slog.NewTextHandler(w.out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.col.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// stop ends the collector; nothing may have been logged but what the test expects.
func (w *world) stop(t *testing.T) {
	t.Helper()
	if err := w.col.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	if w.out.Len() > 0 {
		t.Errorf("it logged:\n%s", w.out)
	}
}

func post(t *testing.T, url, contentType string, body []byte) int {
	t.Helper()
	resp, err := http.Post(url, contentType, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if answer, _ := io.ReadAll(resp.Body); resp.StatusCode >= 300 {
		t.Logf("%d: %s", resp.StatusCode, answer)
	}
	http.DefaultClient.CloseIdleConnections()
	return resp.StatusCode
}

func zipkinSpan(service, name, kind string) string {
	return fmt.Sprintf(`{"traceId":"5982fe77008310cc80f1da5e10147517","id":"%016x","name":%q,"kind":%q,
		"timestamp":%d,"duration":120000,"localEndpoint":{"serviceName":%q}}`, len(name)+1, name, kind, time.Now().UnixMicro(), service)
}

// ports are those of our own pipeline, moved where no other test is.
type ports struct{ zipkin, grpc, thrift string }

func ownPorts(t *testing.T) (p ports, user map[string]any) {
	t.Helper()
	p = ports{shelf.FreeAddr(t), shelf.FreeAddr(t), shelf.FreeAddr(t)}
	return p, map[string]any{"receivers": tree{
		"zipkin": tree{"endpoint": p.zipkin},
		"jaeger": tree{"protocols": tree{"grpc": tree{"endpoint": p.grpc}, "thrift_http": tree{"endpoint": p.thrift}}},
	}}
}

func TestZipkin(t *testing.T) {
	p, user := ownPorts(t)
	w := start(t, user)
	defer w.stop(t)
	body := "[" + zipkinSpan("cart", "get /cart", "SERVER") + "," + zipkinSpan("frontend", "get", "CLIENT") + "]"
	if code := post(t, "http://"+p.zipkin+"/api/v2/spans", "application/json", []byte(body)); code != http.StatusAccepted {
		t.Errorf("answered %d, want 202", code)
	}
	if diff := cmp.Diff([]string{"cart/get /cart/server", "frontend/get/client"}, w.log.take()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if code := post(t, "http://"+p.zipkin+"/api/v2/spans", "application/json", []byte(`[{"traceId":`)); code != http.StatusBadRequest {
		t.Errorf("a truncated list is answered %d, want 400", code)
	}
	old := `[{"traceId":"5982fe77008310cc","id":"1","name":"old","timestamp":1,"localEndpoint":{"serviceName":"cart"}}`
	if code := post(t, "http://"+p.zipkin+"/api/v2/spans", "application/json", []byte(old+"]")); code != http.StatusBadRequest {
		t.Errorf("nothing but a span that is too old is answered %d, want 400", code)
	}
	if code := post(t, "http://"+p.zipkin+"/api/v2/spans", "application/json", []byte(old+","+zipkinSpan("cart", "young", "SERVER")+"]")); code != http.StatusAccepted {
		t.Errorf("a span that is too old beside one that is not is answered %d, want 202", code)
	}
	if diff := cmp.Diff([]string{"cart/young/server"}, w.log.take()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.log.mu.Lock()
	w.log.refuse = telemetry.ErrOverloaded
	w.log.mu.Unlock()
	if code := post(t, "http://"+p.zipkin+"/api/v2/spans", "application/json", []byte(body)); code < 429 {
		t.Errorf("with the log full it is answered %d, want an error that is worth another try", code)
	}
}

func TestJaeger(t *testing.T) {
	p, user := ownPorts(t)
	w := start(t, user)
	defer w.stop(t)
	conn, err := grpc.NewClient(p.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	process := jaeger.NewProcess("cart", nil)
	_, err = jaegerapi.NewCollectorServiceClient(conn).PostSpans(t.Context(), &jaegerapi.PostSpansRequest{Batch: jaeger.Batch{
		Process: process,
		Spans: []*jaeger.Span{{
			TraceID: jaeger.NewTraceID(1, 2), SpanID: jaeger.NewSpanID(3), OperationName: "GET /cart",
			StartTime: time.Now(), Duration: time.Millisecond, Process: process,
			Tags: []jaeger.KeyValue{jaeger.String("span.kind", "server")},
		}},
	}})
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"cart/GET /cart/server"}, w.log.take()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if code := post(t, "http://"+p.thrift+"/api/traces", "application/x-thrift", []byte("not thrift")); code != http.StatusBadRequest {
		t.Errorf("what is not Thrift is answered %d, want 400", code)
	}
}

// TestUserPipeline has an OTLP receiver and a processor of the user's in front
// of our exporter, which the pipeline does not name.
func TestUserPipeline(t *testing.T) {
	p, user := ownPorts(t)
	otlpHTTP := shelf.FreeAddr(t)
	user["receivers"].(tree)["otlp"] = tree{"protocols": tree{"http": tree{"endpoint": otlpHTTP}}}
	user["processors"] = tree{"batch": tree{"timeout": "10ms"}, "memory_limiter": tree{"check_interval": "1s", "limit_mib": 4000}}
	user["service"] = tree{"pipelines": tree{"traces": tree{"receivers": []any{"otlp"}, "processors": []any{"memory_limiter", "batch"}}}}
	w := start(t, user)
	if grpc, http := w.col.TakesOTLP(); grpc || !http {
		t.Errorf("TakesOTLP is %v, %v, want HTTP alone", grpc, http)
	}
	body := fmt.Sprintf(`{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"cart"}}]},
		"scopeSpans":[{"spans":[{"traceId":"5982fe77008310cc80f1da5e10147517","spanId":"5982fe77008310cc","name":"by otlp","kind":2,
		"startTimeUnixNano":"%d","endTimeUnixNano":"%d"}]}]}]}`, time.Now().UnixNano(), time.Now().UnixNano())
	if code := post(t, "http://"+otlpHTTP+"/v1/traces", "application/json", []byte(body)); code != http.StatusOK {
		t.Errorf("OTLP is answered %d, want 200", code)
	}
	if code := post(t, "http://"+p.zipkin+"/api/v2/spans", "application/json", []byte("["+zipkinSpan("cart", "by zipkin", "SERVER")+"]")); code != http.StatusAccepted {
		t.Errorf("Zipkin, in our own pipeline beside it, is answered %d, want 202", code)
	}
	w.stop(t) // which lets the batch processor run empty
	got := w.log.take()
	want := map[string]bool{"cart/by otlp/server": true, "cart/by zipkin/server": true}
	for _, s := range got {
		delete(want, s)
	}
	if len(got) != 2 || len(want) != 0 {
		t.Errorf("got %v", got)
	}
}

// TestSwitchedOff has no pipeline at all: nothing is opened, and nothing fails.
func TestSwitchedOff(t *testing.T) {
	w := start(t, map[string]any{
		"receivers": tree{"otlp": tree{"protocols": tree{"grpc": nil}}},
		"service":   tree{"pipelines": tree{ownPipeline: tree{}}},
	})
	if grpc, http := w.col.TakesOTLP(); grpc || http {
		t.Errorf("TakesOTLP is %v, %v for a receiver that no pipeline runs", grpc, http)
	}
	select {
	case <-w.col.Ended():
		t.Error("it has ended")
	default:
	}
	w.stop(t)
}

// TestStopFreesPorts starts twice on the same ports.
func TestStopFreesPorts(t *testing.T) {
	_, user := ownPorts(t)
	start(t, user).stop(t)
	start(t, user).stop(t)
}

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	c, err := collector.New(collector.DefaultConfig(), nil, nil, collector.NewPool(), prometheus.NewRegistry(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(context.Background()) }()
	for name, x := range map[string]struct {
		user map[string]any
		want string
	}{
		"a section that is none":    {tree{"receivers": "zipkin"}, "collector.receivers: is string, want a mapping"},
		"a pipeline that is none":   {tree{"service": tree{"pipelines": tree{"traces": 7}}}, "collector.service.pipelines.traces: is int"},
		"an unknown component":      {tree{"receivers": tree{"kafka": nil}}, `unknown type: "kafka"`},
		"an unknown setting":        {tree{"receivers": tree{"jaeger": tree{"protocolz": 1}}}, "protocolz"},
		"a receiver not configured": {tree{"service": tree{"pipelines": tree{"traces": tree{"receivers": []any{"otlp"}}}}}, `references receiver "otlp" which is not configured`},
		"a wrong level":             {tree{"service": tree{"telemetry": tree{"logs": tree{"level": "loud"}}}}, "loud"},
	} {
		_, err := New(t.Context(), x.user, otlp.New(c.Intake("collector")), Front{}, "test", slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), x.want) || !strings.HasPrefix(err.Error(), "collector") {
			t.Errorf("%s: %v; want it to name collector and say %q", name, err, x.want)
		}
	}
}

// TestZipkinPayloads posts lists of spans in Zipkin's JSON: our own, of which we know what must arrive, and those that the zipkin
// project keeps as samples, where the shelf is.
func TestZipkinPayloads(t *testing.T) {
	p, user := ownPorts(t)
	w := start(t, user)
	defer w.stop(t)
	send := func(name string, body []byte, want int) {
		t.Helper()
		if code := post(t, "http://"+p.zipkin+"/api/v2/spans", "application/json", body); code != want {
			t.Errorf("%s is answered %d, want %d", name, code, want)
		}
	}
	own := shelf.Own(t, "zipkin")
	for _, name := range slices.Sorted(maps.Keys(own)) {
		send(name, own[name], http.StatusAccepted)
	}
	want := []string{ // in no order: the Collector groups them by service
		"basket/get /basket/server", "basket/select/client", "mailer/receive/consumer", "mailer/render/internal", "orders/send/producer",
		"web/get /basket/client",
	}
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(w.log.take()))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	send("an address that is none", bytes.ReplaceAll(own["shop.json"], []byte("192.0.2.20"), []byte("192.0.2.020")), http.StatusBadRequest)
	send("an id that is none", bytes.ReplaceAll(own["shop.json"], []byte(`"id": "b4`), []byte(`"id": "x4`)), http.StatusBadRequest)
	if got := w.log.take(); len(got) > 0 {
		t.Errorf("of lists that were refused arrived %v", got)
	}

	samples, _ := shelf.Others(t, shelf.Fixtures, func(name string) bool {
		return strings.Contains(name, "/zipkin-lens/testdata/") && strings.HasSuffix(name, ".json")
	})
	posted := 0
	for name, body := range samples {
		var spans []struct {
			Timestamp int64 `json:"timestamp"`
		}
		if json.Unmarshal(body, &spans) != nil || len(spans) == 0 {
			continue
		}
		posted++
		if bytes.Contains(body, []byte(`"52.0.0.04"`)) {
			send(name, body, http.StatusBadRequest) // somebody made this address unreadable, and the Collector says so
		} else {
			send(name, body, http.StatusAccepted)
		}
	}
	if posted == 0 && len(samples) > 0 {
		t.Error("no sample was a list of spans")
	}
	t.Logf("%d samples of Zipkin's, %d spans", posted, len(w.log.take()))
}
