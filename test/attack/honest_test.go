package attack

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	data "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	als "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/binnacle-mesh/binnacle/internal/pb"
	"github.com/binnacle-mesh/binnacle/internal/wire"
)

// The honest application: four services that call one another, each with a database behind it.
var honestServices = []string{"honest-front", "honest-cart", "honest-stock", "honest-bill"}

const (
	honestStore   = "honest-store"
	spansATrace   = 3
	tracesASend   = 2
	honestProxy   = "honest-proxy"
	honestBehind  = "honest-behind"
	entriesASend  = 3
	honestSpacing = 50 * time.Millisecond // between sends of spans; the others' are multiples
)

// A call is one hop of a trace.
type hopOf struct{ from, to int }

// A sent is one honest export and what was heard of it.
type sent struct {
	traces [][16]byte
	hops   []hopOf // one a trace; each has a client and a server span, and a database span of the callee
	acked  bool
	at     time.Time // of the acknowledgement
}

// The honest sender sends little and steadily, and remembers all of it. It behaves as SDKs and proxies do: what is refused with a delay
// it sends again after the delay.
type honest struct {
	w    *world
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu                 sync.Mutex // of what is below
	sent               []*sent
	acks, quota, reads []time.Duration // from the moment when the call was due
	refused, unknown   int             // exports: sent again, and of an end that nobody knows
	quotaFailed        int
	readFailed         int
	late               int // traces that were asked for in vain two seconds after they were acknowledged
	entries            int // log entries sent on streams that did not break
	streamsBroken      int
	wrong              []string // answers that are not right
	lastErr            error
}

func (w *world) honest() *honest {
	ctx, cancel := context.WithCancel(context.Background())
	h := &honest{w: w, stop: cancel}
	w.t.Cleanup(func() { h.end() })
	h.wg.Go(func() { h.sendSpans(ctx) })
	h.wg.Go(func() { h.sendLogs(ctx) })
	h.wg.Go(func() { h.askQuota(ctx) })
	h.wg.Go(func() { h.read(ctx) })
	return h
}

// settle waits until the honest are known, as they are to a server that has run for a while: what is new when a flood begins may at first be
// counted with all else that is new.
func (h *honest) settle() error {
	n := len(honestServices)
	want := 2*n*(n-1) + n + 1 // both ends of each pair, the databases, the proxy
	return waitFor(20*time.Second, "the honest services have all their series", func() bool {
		got, err := h.w.honestSeries()
		return err == nil && len(got) == want
	})
}

// end stops sending and waits for what is under way.
func (h *honest) end() {
	h.stop()
	h.wg.Wait()
}

// every calls do on a goroutine of its own at each due time, at most so many at once, until ctx ends.
func (h *honest) every(ctx context.Context, gap time.Duration, most int, do func(due time.Time)) {
	room := make(chan struct{}, most)
	var wg sync.WaitGroup
	defer wg.Wait()
	for due := time.Now(); ; due = due.Add(gap) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(due)):
		}
		select {
		case <-ctx.Done():
			return
		case room <- struct{}{}:
		}
		wg.Go(func() { do(due); <-room })
	}
}

func (h *honest) sendSpans(ctx context.Context) {
	cc, err := dial(h.w.otlp)
	if err != nil {
		h.fail(err)
		return
	}
	defer cc.Close()
	h.every(ctx, honestSpacing, 256, func(due time.Time) { h.export(cc, due) })
}

func (h *honest) export(cc *grpc.ClientConn, due time.Time) {
	s := &sent{}
	var spans []forged
	for range tracesASend {
		from := rand.IntN(len(honestServices))
		c := hopOf{from, (from + 1 + rand.IntN(len(honestServices)-1)) % len(honestServices)}
		id := newTrace()
		s.traces, s.hops = append(s.traces, id), append(s.hops, c)
		spans = append(
			spans,
			forged{service: honestServices[c.from], trace: id, id: 1, kind: client, name: "op1"},
			forged{service: honestServices[c.to], trace: id, id: 2, parent: 1, kind: server, name: "op2"},
			forged{service: honestServices[c.to], trace: id, id: 3, parent: 2, kind: client, name: "op3", attrs: []attr{{"db.system.name", "postgresql"}, {"server.address", honestStore}}},
		)
	}
	h.mu.Lock()
	h.sent = append(h.sent, s)
	h.mu.Unlock()
	message := encode(spans)
	for {
		// An export that is under way when the sender stops is waited for: what becomes of it decides what must be there.
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		reply, err := call(ctx, cc, exportMethod, slices.Clone(message))
		cancel()
		h.mu.Lock()
		switch {
		case err == nil:
			s.acked, s.at = rejected(reply) == 0, time.Now()
			h.acks = append(h.acks, time.Since(due))
			h.mu.Unlock()
			return
		case refusal(err):
			h.refused++
			h.lastErr = err
			h.mu.Unlock()
			delay, _ := comeBack(err)
			if time.Since(due) > 15*time.Second {
				return
			}
			time.Sleep(max(delay, 50*time.Millisecond))
		default:
			h.unknown++
			h.lastErr = err
			h.mu.Unlock()
			return
		}
	}
}

// refusal says whether an error promises that nothing was kept.
func refusal(err error) bool {
	_, told := comeBack(err)
	return told || status.Code(err) == codes.ResourceExhausted
}

func (h *honest) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lastErr = err
}

func (h *honest) sendLogs(ctx context.Context) {
	cc, err := dial(h.w.mesh)
	if err != nil {
		h.fail(err)
		return
	}
	defer cc.Close()
	for ctx.Err() == nil {
		n, err := h.stream(ctx, cc)
		h.mu.Lock()
		if err == nil {
			h.entries += n
		} else {
			h.streamsBroken++
			h.lastErr = err
		}
		h.mu.Unlock()
		if err != nil {
			time.Sleep(200 * time.Millisecond)
		}
	}
}

// stream sends on one stream until ctx ends, and waits for the server to have read it all.
func (h *honest) stream(ctx context.Context, cc *grpc.ClientConn) (entries int, err error) {
	own, cancel := context.WithCancel(context.Background())
	defer cancel()
	st, err := cc.NewStream(own, &grpc.StreamDesc{ClientStreams: true}, logsMethod)
	if err != nil {
		return 0, err
	}
	for due, first := time.Now(), true; ctx.Err() == nil; due, first = due.Add(2*honestSpacing), false {
		m, err := honestLogs(first)
		if err != nil {
			return 0, err
		}
		var f wire.Frame
		f.Set(m)
		if err := st.SendMsg(&f); err != nil {
			return 0, err
		}
		entries += entriesASend
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(due.Add(2 * honestSpacing))):
		}
	}
	if err := st.CloseSend(); err != nil {
		return 0, err
	}
	late := time.AfterFunc(10*time.Second, cancel)
	defer late.Stop()
	var reply wire.Frame
	defer reply.Free()
	return entries, st.RecvMsg(&reply)
}

// honestLogs is a message of entries from one caller's proxy.
func honestLogs(first bool) ([]byte, error) {
	m := &als.StreamAccessLogsMessage{}
	if first {
		meta, err := structpb.NewStruct(map[string]any{"NAMESPACE": "hon", "WORKLOAD_NAME": honestProxy, "LABELS": map[string]any{"app": honestProxy}})
		if err != nil {
			return nil, err
		}
		m.Identifier = &als.StreamAccessLogsMessage_Identifier{LogName: "http", Node: &core.Node{
			Id: "sidecar~10.0.0.1~" + honestProxy + "-1.hon~hon.svc.cluster.local", Cluster: honestProxy + ".hon", Metadata: meta,
		}}
	}
	logs := &als.StreamAccessLogsMessage_HTTPAccessLogEntries{}
	for range entriesASend {
		id := newTrace()
		logs.LogEntry = append(logs.LogEntry, &data.HTTPAccessLogEntry{
			CommonProperties: &data.AccessLogCommon{
				StartTime: timestamppb.Now(), TimeToLastRxByte: durationpb.New(time.Millisecond), TimeToFirstUpstreamTxByte: durationpb.New(time.Millisecond),
				TimeToLastUpstreamTxByte: durationpb.New(time.Millisecond), TimeToFirstUpstreamRxByte: durationpb.New(2 * time.Millisecond),
				TimeToLastUpstreamRxByte: durationpb.New(2 * time.Millisecond), TimeToLastDownstreamTxByte: durationpb.New(2 * time.Millisecond),
				UpstreamCluster: "outbound|8080||" + honestBehind + ".hon.svc.cluster.local",
			},
			ProtocolVersion: data.HTTPAccessLogEntry_HTTP11,
			Request:         &data.HTTPRequestProperties{RequestMethod: core.RequestMethod_GET, Path: "/", Authority: honestBehind, RequestId: hex.EncodeToString(id[:])},
			Response:        &data.HTTPResponseProperties{ResponseCode: wrapperspb.UInt32(200)},
		})
	}
	m.LogEntries = &als.StreamAccessLogsMessage_HttpLogs{HttpLogs: logs}
	return proto.Marshal(m)
}

// question is a rate limit request of one descriptor.
func question(domain, key, value string) []byte {
	entry := pb.AppendBytes(pb.AppendBytes(nil, 1, key), 2, value)
	return pb.AppendUvarint(pb.AppendBytes(pb.AppendBytes(nil, 1, domain), 2, pb.AppendBytes(nil, 1, entry)), 3, 1)
}

// allowed reads a rate limit answer.
func allowed(reply []byte) bool {
	for r := pb.Over(reply); r.Next(); {
		if r.Tag == 1<<3|pb.Varint {
			return r.Uint == 1
		}
	}
	return false
}

func (h *honest) askQuota(ctx context.Context) {
	cc, err := dial(h.w.rls)
	if err != nil {
		h.fail(err)
		return
	}
	defer cc.Close()
	h.every(ctx, 20*time.Millisecond, 256, func(due time.Time) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		reply, err := call(ctx, cc, quotaMethod, question("honest", "tenant", fmt.Sprintf("t%d", due.UnixMilli()%16)))
		h.mu.Lock()
		defer h.mu.Unlock()
		if err != nil {
			h.quotaFailed++
			h.lastErr = err
			return
		}
		h.quota = append(h.quota, time.Since(due))
		if !allowed(reply) {
			h.wrong = append(h.wrong, "a quota of 100 M a minute refused an honest question")
		}
	})
}

// read looks at traces that were acknowledged a while ago, and at the honest edges' series.
func (h *honest) read(ctx context.Context) {
	n := 0
	h.every(ctx, 4*honestSpacing, 32, func(due time.Time) {
		h.mu.Lock()
		n++
		path, trace := "/api/v1/query?query="+url.QueryEscape(edgeSeries), false
		if s := h.acknowledged(2 * time.Second); s != nil && n%2 == 0 {
			path, trace = "/api/v1/traces/"+hex.EncodeToString(s.traces[0][:]), true
		}
		h.mu.Unlock()
		code, body := h.w.get(path, 10*time.Second)
		h.mu.Lock()
		defer h.mu.Unlock()
		if trace && code == http.StatusNotFound {
			h.late++ // the store is behind the log; what never comes the audit finds
			return
		}
		if code != http.StatusOK {
			h.readFailed++
			h.lastErr = fmt.Errorf("GET %.80s: %d %.200s", path, code, body)
			return
		}
		h.reads = append(h.reads, time.Since(due))
		if trace {
			if why := wrongTrace(body); why != "" {
				h.wrong = append(h.wrong, why)
			}
		}
	})
}

// acknowledged is a recent export that was acknowledged so long ago at least; nil where there is none.
func (h *honest) acknowledged(ago time.Duration) *sent {
	for i := len(h.sent) - 1; i >= max(0, len(h.sent)-400); i-- {
		if s := h.sent[i]; s.acked && time.Since(s.at) > ago {
			return s
		}
	}
	return nil
}

// counts copies what was heard, for the report.
type counts struct {
	acks, quota, reads                        []time.Duration
	refused, unknown, quotaFailed, readFailed int
	entries, streamsBroken, late              int
	wrong                                     []string
	lastErr                                   error
}

func (h *honest) counts() counts {
	h.mu.Lock()
	defer h.mu.Unlock()
	return counts{
		slices.Clone(h.acks), slices.Clone(h.quota), slices.Clone(h.reads), h.refused, h.unknown, h.quotaFailed, h.readFailed,
		h.entries, h.streamsBroken, h.late, slices.Clone(h.wrong), h.lastErr,
	}
}

// p99 of times that it sorts; 0 of none.
func p99(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[int(0.99*float64(len(times)-1))]
}
