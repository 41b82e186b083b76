package topology

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A lossy mesh: requests between random services, whose spans come apart, late, or not at all. All is known of each request, and so is what
// the graph can know of it.
type lossy struct {
	r      *rand.Rand
	counts [2]int // requests, services
	split  time.Duration
	late   time.Duration // of one in fifty
	lone   int           // one in so many has one side's span alone

	due  [][]event // by second
	want map[onEdge]counted
}

const lossySeconds = 60

func (l *lossy) draw() {
	seconds := lossySeconds + int((l.late+l.split)/time.Second) + 1
	l.due, l.want = make([][]event, seconds), map[onEdge]counted{}
	for i := range l.counts[0] {
		from, to := l.r.IntN(l.counts[1]), l.r.IntN(l.counts[1]-1)
		if to >= from {
			to++
		}
		source, target := fmt.Sprint("shop/s", from), fmt.Sprint("shop/s", to)
		at := [2]time.Duration{time.Duration(l.r.Int64N(int64(lossySeconds * time.Second)))}
		at[1] = at[0]
		if l.r.IntN(2) == 0 {
			at[l.r.IntN(2)] += time.Duration(l.r.Int64N(int64(l.split)))
		}
		if l.late > 0 && l.r.IntN(50) == 0 {
			at[l.r.IntN(2)] += l.late
		}
		missing := -1
		if l.r.IntN(l.lone) == 0 {
			missing = l.r.IntN(2)
		}
		failed := l.r.IntN(10) == 0
		o, code := outcome(failed)
		trace := traceID(fmt.Sprint("t", i))
		client, server := id64(uint64(2*i+1)), id64(uint64(2*i+2)) //nolint:gosec // not negative
		took := l.r.Int64N(1e9)
		if missing != 0 {
			l.put(at[0], func(b *telemetry.Batch, resource func(string) uint32) {
				b.Spans = append(b.Spans, telemetry.Span{
					TraceID: trace, SpanID: client, Kind: telemetry.KindClient, Resource: resource(source), Start: b.Received, Duration: took, Protocol: telemetry.ProtocolHTTP,
					Outcome: o, Code: code, Peer: b.InternString(target[len("shop/"):]), PeerNamespace: b.InternString("shop"), PeerKind: telemetry.NodeService,
				})
			})
		}
		if missing != 1 {
			l.put(at[1], func(b *telemetry.Batch, resource func(string) uint32) {
				b.Spans = append(b.Spans, telemetry.Span{
					TraceID: trace, SpanID: server, ParentID: client, Kind: telemetry.KindServer, Resource: resource(target), Start: b.Received, Duration: took, Protocol: telemetry.ProtocolHTTP,
					Outcome: o, Code: code,
				})
			})
		}
		if missing == 0 {
			source = "client:unknown" // nothing says who it was
		}
		k := onEdge{source, target, 0}
		l.want[k] = l.want[k].plus(failed)
	}
}

func (l *lossy) put(at time.Duration, e event) {
	s := int(at / time.Second)
	l.due[s] = append(l.due[s], e)
}

// totalsOf reads the totals of a graph's edges.
func totalsOf(g *telemetry.Graph) map[onEdge]counted {
	out := map[onEdge]counted{}
	for _, e := range g.Edges {
		out[onEdge{e.Source, e.Target, 0}] = counted{e.Totals.Requests, e.Totals.Errors}
	}
	return out
}

// Half of the pairs apart by up to 5 s, one in fifty by a minute, and one request in a hundred of which one side's span is lost: every edge has its requests and errors exactly, and
// the unknown client has those of which nobody says whose they were. At every moment each node shows the sum of its edges.
func TestLossyMesh(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			l := &lossy{r: rand.New(rand.NewPCG(seed, 9)), counts: [2]int{10_000, 12}, split: 5 * time.Second, late: time.Minute, lone: 100} //nolint:gosec // a test's
			l.draw()
			top := New(DefaultConfig())
			l.run(t, top)
			top.Tick(top.now + int64(2*time.Minute))
			checkInbound(t, top)
			if diff := cmp.Diff(l.want, totalsOf(fresh(top)), cmp.AllowUnexported(onEdge{}, counted{})); diff != "" {
				t.Errorf("edges (-made +shown):\n%s", diff)
			}
		})
	}
}

// run gives the graph all that is due, second by second.
func (l *lossy) run(t *testing.T, top *Topology) {
	t.Helper()
	for s, events := range l.due {
		b, resources := telemetry.NewBatch(), map[string]uint32{}
		b.Received = storyStart + int64(s)*int64(time.Second)
		for _, i := range l.r.Perm(len(events)) {
			events[i](b, func(service string) uint32 { return addResource(b, resources, service) })
		}
		top.Consume(telemetry.Entry{Position: telemetry.Position(s + 1), Batch: b}) //nolint:gosec // not negative
		top.Tick(b.Received)
		checkInbound(t, top)
	}
	check(t, top)
}
