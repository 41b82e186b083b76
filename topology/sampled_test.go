package topology

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/findings"
)

// A sampledMesh is services that call each other in random trees, each of which keeps its spans of a trace or not, by its own threshold and the
// trace's randomness, and some of which have a proxy, whose log keeps all. It knows how many requests there were.
type sampledMesh struct {
	r          *rand.Rand
	thresholds []uint64
	states     []string
	logs       []bool
	names      bool // clients name whom they call
	truth      map[onEdge]uint64
	batch      *telemetry.Batch
	graph      *Topology
	trace      telemetry.TraceID
	random     uint64
	ids        uint64
	position   telemetry.Position
	now        int64
}

func newSampledMesh(seed uint64) *sampledMesh {
	m := &sampledMesh{r: rand.New(rand.NewPCG(seed, 9)), truth: map[onEdge]uint64{}, batch: telemetry.NewBatch(), graph: New(DefaultConfig()), now: storyStart}
	m.names = m.r.IntN(2) == 0
	for range 3 + m.r.IntN(3) {
		kept := math.Pow(2, -6*m.r.Float64()) // of the traces
		th := uint64((1 - kept) * (1 << 56))
		if m.r.IntN(4) == 0 {
			th = 0
		}
		m.thresholds = append(m.thresholds, th)
		m.states = append(m.states, fmt.Sprintf("ot=th:%014x;rv:0123456789abcd", th))
		m.logs = append(m.logs, m.r.IntN(4) == 0)
	}
	return m
}

func (m *sampledMesh) name(service int) string { return fmt.Sprint("s", service) }

// begin empties the batch, and puts the services into it.
func (m *sampledMesh) begin() {
	m.batch.Reset()
	m.batch.Received = m.now
	for i := range m.thresholds {
		m.batch.Resources = append(m.batch.Resources, telemetry.Resource{Identity: telemetry.Identity{
			Namespace: m.batch.InternString("shop"), Service: m.batch.InternString(m.name(i)),
		}})
	}
}

// span puts a span into the batch if its service keeps it. It goes the way of one that is decoded.
func (m *sampledMesh) span(service int, s telemetry.Span) {
	if m.random < m.thresholds[service] {
		return
	}
	b := m.batch
	s.TraceID, s.Resource, s.Start, s.Duration, s.TraceState = m.trace, uint32(service), m.now, 1e6, b.InternString(m.states[service])
	b.Spans = append(b.Spans, s)
	peer, ns, kind := s.Peer, s.PeerNamespace, s.PeerKind
	b.FinishSpan(len(b.Spans) - 1)
	last := &b.Spans[len(b.Spans)-1]
	last.Protocol, last.Peer, last.PeerNamespace, last.PeerKind = telemetry.ProtocolHTTP, peer, ns, kind
}

func (m *sampledMesh) id() telemetry.SpanID {
	m.ids++
	return id64(m.ids)
}

// tree has a service make calls, and those whom it calls in turn.
func (m *sampledMesh) tree(service int, parent telemetry.SpanID, depth int) {
	for range m.r.IntN(3) {
		to := (service + 1 + m.r.IntN(len(m.thresholds)-1)) % len(m.thresholds)
		client, server := telemetry.Span{SpanID: m.id(), ParentID: parent, Kind: telemetry.KindClient}, telemetry.Span{SpanID: m.id(), Kind: telemetry.KindServer}
		if m.names {
			client.Peer, client.PeerNamespace, client.PeerKind = m.batch.InternString(m.name(to)), m.batch.InternString("shop"), telemetry.NodeService
		}
		server.ParentID = client.SpanID
		m.span(service, client)
		m.span(to, server)
		if m.logs[to] {
			m.batch.Requests = append(m.batch.Requests, telemetry.Request{
				Start: m.now, Duration: 1e6, Resource: uint32(to), Side: telemetry.SideServer, Protocol: telemetry.ProtocolHTTP, Code: 200,
				Peer: m.batch.Resources[service].Identity, PeerKind: telemetry.NodeService,
			})
		}
		m.truth[onEdge{"shop/" + m.name(service), "shop/" + m.name(to), 0}]++
		if depth > 0 {
			m.tree(to, server.SpanID, depth-1)
		}
	}
}

// run makes traces, twenty a second in one batch.
func (m *sampledMesh) run(traces int) {
	for n := range traces {
		if n%20 == 0 {
			m.flush()
		}
		binary.LittleEndian.PutUint64(m.trace[:8], m.r.Uint64())
		binary.LittleEndian.PutUint64(m.trace[8:], m.r.Uint64())
		m.random = binary.BigEndian.Uint64(m.trace[8:]) & (1<<56 - 1)
		m.tree(m.r.IntN(len(m.thresholds)), m.id(), 2)
	}
	m.flush()
	m.graph.Tick(m.now + int64(time.Minute))
}

func (m *sampledMesh) flush() {
	if m.position > 0 {
		m.graph.Consume(telemetry.Entry{Position: m.position, Batch: m.batch})
	}
	m.position++
	m.now += int64(time.Second)
	m.begin()
}

// each hands out the edges between services, with their estimates and how many requests there were.
func (m *sampledMesh) each(f func(id string, e *telemetry.Estimate, totals, truth uint64)) {
	for _, e := range fresh(m.graph).Edges {
		if truth, known := m.truth[onEdge{e.Source, e.Target, 0}]; known {
			f(e.ID, e.Estimate, e.Totals.Requests, truth)
		}
	}
}

// bar is the error bar of z standard errors of an edge's estimate.
func (m *sampledMesh) bar(id string, by telemetry.Witness, z float64) float64 {
	t := m.graph
	for _, e := range t.edges.list {
		if e != nil && t.drawnID(e) == id {
			if s := e.sampledBy()[by]; s != nil {
				return s.Within(z)
			}
		}
	}
	return 0
}

// How many requests there were is inside the stated error bar, made one of six standard errors, so that it is not left by chance in a lifetime of runs; where logs tell it is exact.
// (Of a handful of traces, of which one takes an edge as often as all others together, no bar made of those that were kept can know.)
func TestEstimatesOfSampledSpans(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := newSampledMesh(rapid.Uint64().Draw(rt, "seed"))
		m.run(rapid.IntRange(60, 150).Draw(rt, "traces"))
		check(rt, m.graph)
		m.each(func(id string, e *telemetry.Estimate, totals, truth uint64) {
			switch {
			case e == nil:
				if totals > truth {
					rt.Fatalf("%s: %d requests, there were %d", id, totals, truth)
				}
			case e.By >= telemetry.ClientLog:
				if e.Requests != float64(truth) || e.Within != 0 {
					rt.Fatalf("%s: %+v by logs, there were %d", id, *e, truth)
				}
			case math.Abs(e.Requests-float64(truth)) > m.bar(id, e.By, 6):
				rt.Fatalf("%s: %+v, there were %d", id, *e, truth)
			}
		})
	})
}

// The error bar of 95 % holds in 95 % of cases, and is not wider for it than it need be: traces that take an edge several times are
// kept or left out as one, for which the bar allows.
func TestErrorBarIsAsLongAsItSays(t *testing.T) {
	t.Parallel()
	inside, all, widths, misses := 0, 0, 0.0, 0.0
	for seed := range uint64(40) {
		m := newSampledMesh(seed)
		m.run(1500)
		m.each(func(_ string, e *telemetry.Estimate, _, truth uint64) {
			if e == nil || e.Within == 0 || e.Requests < 7*e.Within/certain {
				return // of too few to speak of 95 %
			}
			off := math.Abs(e.Requests - float64(truth))
			all++
			if off <= e.Within {
				inside++
			}
			widths, misses = widths+e.Within/e.Requests, misses+off/e.Requests
		})
	}
	share := float64(inside) / float64(all)
	t.Logf("%d of %d estimates, %.1f %%, are inside their error bars of %.1f %% on average, off by %.1f %%", inside, all, 100*share, 100*widths/float64(all), 100*misses/float64(all))
	if all < 60 || share < 0.93 {
		t.Errorf("%.1f %% of %d estimates are inside their error bars of 95 %%", 100*share, all)
	}
	if misses < 0.25*widths { // of a normal distribution 0.41
		t.Errorf("estimates are off by %.2f of their error bars on average: these are too wide", misses/widths)
	}
}

// A service that samples more than others, and says so, is found with what it says.
func TestSamplerIsTakenAtItsWord(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, &datadriven.TestData{})
	for range 90 {
		f.second()
	}
	f.fault = [2]string{"stated", "front"}
	for range 20 {
		f.second()
	}
	for _, found := range f.t.Snapshot().Findings {
		if found.Kind != string(findings.SamplingDiffers) || found.Subject != "shop/front" {
			t.Errorf("found is %+v", found)
		} else if evidence := strings.Join(found.Evidence, "\n"); !strings.Contains(evidence, "its spans say that their sampler keeps 1.0 %") {
			t.Errorf("the evidence is %s", evidence)
		}
	}
	if len(f.t.Snapshot().Findings) != 1 {
		t.Errorf("%d findings, want one", len(f.t.Snapshot().Findings))
	}
}
