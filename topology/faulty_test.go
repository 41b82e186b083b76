package topology

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A faulty mesh is one in simulated time in which one thing at a time goes wrong with the telemetry of one service: each has a proxy that sends spans and logs, or an SDK
// that sends spans alone.
//
//	mesh seed=1 rate=40 [sdk] [flush=200ms] [lost=100] [late=50]   lost: one item in so many never comes; late: one in so many comes 3 s late
//	run for=60s             prints what is found at the end
//	fault kind service      from now on
//	until for=10s           runs until something is found, or for so long
type faulty struct {
	t        *Topology
	r        *rand.Rand
	now      int64
	position telemetry.Position
	rate     float64
	sdk      bool
	flush    time.Duration
	spans    time.Duration // how often spans are sent, where not as often as logs
	lost     int
	late     int
	fault    [2]string
	due      map[int64][]item // by step
	phase    map[string]int64
	ids      uint64
	batch    *telemetry.Batch
	restarts
}

const step = int64(100e6)

// item is a span or a log entry on its way.
type item struct {
	service, pod string
	isLog        bool
	span         telemetry.Span
	request      telemetry.Request
	name, peer   string
}

type traceContext struct {
	trace telemetry.TraceID
	span  telemetry.SpanID
}

// calls are whom each service of the mesh calls, and how often; a database has a dot.
var faultyCalls = map[string][]struct {
	callee string
	share  float64
}{
	"gateway":   {{"front", 1}},
	"front":     {{"cart", 0.4}, {"search", 0.4}, {"reviews", 0.3}, {"catalog", 0.5}},
	"search":    {{"catalog", 0.5}, {"index.db", 1}},
	"cart":      {{"pricing", 0.5}, {"cache.db", 1}},
	"catalog":   {{"pricing", 0.5}, {"stock.db", 1}},
	"reviews":   {{"reviews.db", 1}},
	"pricing":   nil,
	"heartbeat": nil,
}

func newFaulty(t *testing.T, d *datadriven.TestData) *faulty {
	t.Helper()
	seed, rate := uint64(1), 40
	f := &faulty{t: New(DefaultConfig()), now: storyStart, flush: 200 * time.Millisecond, due: map[int64][]item{}, phase: map[string]int64{}, batch: telemetry.NewBatch()}
	for _, a := range d.CmdArgs {
		switch a.Key {
		case "seed":
			a.Scan(t, 0, &seed)
		case "rate":
			a.Scan(t, 0, &rate)
		case "sdk":
			f.sdk = true
		case "flush":
			f.flush = duration(t, a.Vals[0])
		case "lost":
			a.Scan(t, 0, &f.lost)
		case "late":
			a.Scan(t, 0, &f.late)
		default:
			d.Fatalf(t, "unknown word %s", a.Key)
		}
	}
	f.r, f.rate = rand.New(rand.NewPCG(seed, 5)), float64(rate)
	return f
}

// begin begins a mesh that is not told of in a story.
func (f *faulty) begin(seed uint64) {
	f.t, f.now, f.r = New(DefaultConfig()), storyStart, rand.New(rand.NewPCG(seed, 9))
	f.due, f.phase, f.batch = map[int64][]item{}, map[string]int64{}, telemetry.NewBatch()
}

func (f *faulty) on(kind, service string) bool { return f.fault == [2]string{kind, service} }

func (f *faulty) id() (id telemetry.SpanID) {
	f.ids++
	return id64(f.ids)
}

// emit sends an item at a time, when its sender next flushes.
func (f *faulty) emit(at int64, i item) {
	if f.lost > 0 && f.r.IntN(f.lost) == 0 {
		return
	}
	key, flush := i.pod+strconv.FormatBool(i.isLog), int64(f.flush)
	if !i.isLog && f.spans > 0 {
		flush = int64(f.spans)
	}
	phase, ok := f.phase[key]
	if !ok {
		phase = f.r.Int64N(flush)
		f.phase[key] = phase
	}
	due := (at-phase)/flush*flush + phase + flush
	if f.late > 0 && f.r.IntN(f.late) == 0 {
		due += 3e9
	}
	f.due[due/step+1] = append(f.due[due/step+1], i)
}

// reports sends a span of a service as its fault has it.
func (f *faulty) reports(end int64, service, pod, name, peer string, s telemetry.Span) {
	if f.on("tracer", service) || f.on("sampling", service) && s.TraceID[7]%100 != 0 {
		return
	}
	if f.on("stated", service) { // one trace in a hundred, and its spans say so
		if s.TraceID[7]%100 != 0 {
			return
		}
		s.Weight = telemetry.WeightOf(100, s.TraceID)
	}
	if f.on("clock", service) {
		s.Start += 3e9
	}
	f.emit(end, item{service: service, pod: pod, span: s, name: name, peer: peer})
}

func (f *faulty) logs(end int64, service, pod, peer string, r telemetry.Request) {
	if f.sdk {
		return
	}
	if f.on("clock", service) {
		r.Start += 3e9
	}
	f.emit(end, item{service: service, pod: pod, isLog: true, request: r, peer: peer})
	if f.on("twice", service) && r.Side == telemetry.SideServer {
		r.Start, r.Duration = r.Start+2e5, r.Duration-4e5
		f.emit(end, item{service: service, pod: service + "-waypoint", isLog: true, request: r})
	}
}

// serve is a request at a service, and all that it causes; it ends at end.
func (f *faulty) serve(at int64, service, pod string, from traceContext) (end int64) {
	own := traceContext{from.trace, f.id()}
	if from.trace.IsZero() {
		own.trace = traceID(fmt.Sprintf("%07d%c", f.ids%10_000_000, byte(f.ids/7%100)))
	}
	untraced := f.on("tracer", service)
	if untraced {
		own = from
	}
	end = at + int64(1e6*(1+f.r.ExpFloat64()))
	for _, c := range faultyCalls[service] {
		if f.r.Float64() < c.share {
			end = f.call(end, service, pod, c.callee, own)
		}
	}
	end += 5e5
	f.reports(end, service, pod, "GET /"+service, "", telemetry.Span{
		TraceID: own.trace, SpanID: own.span, ParentID: from.span, Kind: telemetry.KindServer, Protocol: telemetry.ProtocolHTTP, Start: at, Duration: end - at, Code: 200,
	})
	if service != "gateway" {
		f.logs(end, service, pod, "", telemetry.Request{
			TraceID: own.trace, SpanID: own.span, Side: telemetry.SideServer, Protocol: telemetry.ProtocolHTTP, Start: at, Duration: end - at, Code: 200,
		})
	}
	return end
}

// call is a call of a service to another, or to a database.
func (f *faulty) call(at int64, service, pod, callee string, own traceContext) (end int64) {
	start := at + int64(2e5)
	from := own
	if f.on("headers", service) {
		from = traceContext{}
	}
	out := traceContext{from.trace, f.id()}
	if from.trace.IsZero() {
		out.trace = traceID(fmt.Sprintf("n%06d%c", f.ids%1_000_000, byte(f.ids/7%100)))
	}
	span := telemetry.Span{TraceID: out.trace, SpanID: out.span, ParentID: from.span, Kind: telemetry.KindClient, Protocol: telemetry.ProtocolHTTP, Start: start, Code: 200, PeerKind: telemetry.NodeService}
	if strings.Contains(callee, ".") {
		span.PeerKind, span.Protocol, span.Duration = telemetry.NodeDatabase, telemetry.ProtocolDatabase, 1e6
		span.TraceID, span.ParentID = own.trace, own.span
		f.reports(start+1e6, service, pod, "SELECT", callee, span)
		return start + 12e5
	}
	if f.on("tracer", service) {
		out = own
	}
	who, at2 := f.pick(callee)
	end = f.serve(start+3e5, who, at2, out) + 3e5
	span.Duration = end - start
	f.reports(end, service, pod, "GET", callee, span)
	f.logs(end, service, pod, callee, telemetry.Request{
		TraceID: out.trace, SpanID: out.span, Side: telemetry.SideClient, Protocol: telemetry.ProtocolHTTP, Start: start, Duration: end - start, Code: 200,
		PeerKind: telemetry.NodeService,
	})
	return end + 1e5
}

// pick is who answers for a service: one of two pods.
func (f *faulty) pick(service string) (who, pod string) {
	n := f.r.IntN(2)
	switch {
	case n == 1 && f.on("address", service):
		return "pricing", "pricing-9"
	case f.on("replica", service):
		n = 0
	}
	return service, fmt.Sprint(service, "-", n)
}

// second lives a second.
func (f *faulty) second() {
	for range 10 {
		n := int(f.rate / 10)
		if f.r.Float64() < f.rate/10-float64(n) {
			n++
		}
		for range n {
			f.serve(f.now+f.r.Int64N(step), "gateway", "gateway-0", traceContext{})
		}
		if f.r.IntN(10) == 0 { // a heartbeat is part of no request
			f.call(f.now, "cart", "cart-0", "heartbeat", traceContext{})
		}
		f.now += step
		f.deliver(f.now / step)
		f.t.Tick(f.now)
	}
}

// deliver hands over what is due, a batch for each sender.
func (f *faulty) deliver(at int64) {
	items := f.due[at]
	delete(f.due, at)
	slices.SortStableFunc(items, func(a, b item) int {
		if a.isLog != b.isLog {
			if a.isLog {
				return 1
			}
			return -1
		}
		return strings.Compare(a.pod, b.pod)
	})
	items = slices.DeleteFunc(items, f.away)
	for len(items) > 0 {
		n := 1
		for n < len(items) && items[n].pod == items[0].pod && items[n].isLog == items[0].isLog {
			n++
		}
		f.consume(items[:n])
		items = items[n:]
	}
}

func (f *faulty) consume(items []item) {
	service := items[0].service
	if f.on("renamed", service) {
		service += "-next"
	}
	f.take(f.now, service, items)
	f.remember(f.now, service, items)
}

// take has the graph consume what a sender sent at a time.
func (f *faulty) take(now int64, service string, items []item) {
	b := f.batch
	b.Reset()
	b.Received = now
	b.Resources = append(b.Resources, telemetry.Resource{Identity: telemetry.Identity{
		Namespace: b.InternString("shop"), Service: b.InternString(service), Instance: b.InternString(items[0].pod), Version: b.InternString("v1"),
	}})
	for i := range items {
		it := &items[i]
		if it.isLog {
			r := it.request
			r.Outcome = telemetry.OutcomeOK
			if it.peer != "" {
				r.Peer.Namespace, r.Peer.Service = b.InternString("shop"), b.InternString(it.peer)
				r.Upstream = telemetry.Address{Host: b.InternString("10.0.0.7"), Port: 8080}
			}
			b.Requests = append(b.Requests, r)
			continue
		}
		s := it.span
		s.Name = b.InternString(it.name)
		if it.peer != "" {
			s.Peer = b.InternString(it.peer)
			if s.PeerKind == telemetry.NodeService {
				s.PeerNamespace = b.InternString("shop")
			}
		}
		b.Spans = append(b.Spans, s)
	}
	f.position++
	f.t.Consume(telemetry.Entry{Position: f.position, Batch: b})
}

// found are the kinds and where they are, and with sentences what is said.
func (f *faulty) found(sentences bool) string {
	var sb strings.Builder
	for _, x := range f.t.Findings(time.Time{}) {
		fmt.Fprintf(&sb, "%s %s nodes=%s edges=%s\n", x.Kind, x.Subject, strings.Join(x.Nodes, ","), strings.Join(x.Edges, ","))
		if sentences {
			fmt.Fprintf(&sb, "  %s\n", x.Says)
			for _, e := range x.Evidence {
				fmt.Fprintf(&sb, "  %s\n", e)
			}
		}
	}
	if sb.Len() == 0 {
		return "none\n"
	}
	return sb.String()
}

// TestFaults tells each fault's story: what is found, how soon, and that it ends.
func TestFaults(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata/faults", func(t *testing.T, path string) {
		t.Parallel()
		var f *faulty
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			t.Helper()
			length := time.Duration(0)
			if d.HasArg("for") {
				var text string
				d.ScanArgs(t, "for", &text)
				length = duration(t, text)
			}
			switch d.Cmd {
			case "mesh":
				f = newFaulty(t, d)
				return ""
			case "fault":
				f.fault = [2]string{d.CmdArgs[0].Key, d.CmdArgs[1].Key}
				return ""
			case "run":
				for range length / time.Second {
					f.second()
				}
				return f.found(d.HasArg("says"))
			case "until":
				for n := range length / time.Second {
					if f.second(); len(f.t.Findings(time.Time{})) > 0 {
						return fmt.Sprintf("after %d s: %s", n+1, f.found(d.HasArg("says")))
					}
				}
				return fmt.Sprintf("nothing for %s\n", length)
			default:
				d.Fatalf(t, "unknown command %s", d.Cmd)
				return ""
			}
		})
	})
}

// TestHealthyTwentyMinutes: nothing is found where nothing is wrong, whatever the senders' ways.
func TestHealthyTwentyMinutes(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]faulty{
		"proxies":                {flush: 200 * time.Millisecond, rate: 15},
		"proxies, lost and late": {flush: time.Second, rate: 10, lost: 50, late: 30},
		"SDKs":                   {flush: 5 * time.Second, rate: 10, sdk: true, lost: 100, late: 50},
		"seldom":                 {flush: 5 * time.Second, rate: 0.5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := f
			f.begin(3)
			for n := range 20 * 60 {
				if f.second(); len(f.t.Findings(time.Time{})) > 0 {
					t.Fatalf("after %d s: %s", n+1, f.found(true))
				}
			}
			if len(f.t.Snapshot().Edges) < len(faultyCalls) {
				t.Fatalf("the mesh has %d edges", len(f.t.Snapshot().Edges))
			}
		})
	}
}
