package topology

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// mesh is a made-up load in the shape of a real one: 40 services in layers, 120
// edges, some databases, about nine spans a trace.
type mesh struct {
	r     *rand.Rand
	calls [][]int
	dbs   []bool
	trace uint64
}

func newMesh() *mesh {
	m := &mesh{r: rand.New(rand.NewPCG(1, 2)), calls: make([][]int, 40), dbs: make([]bool, 40)}
	for edges := 0; edges < 120; {
		a := m.r.IntN(32)
		b := min(39, (a/8+1)*8+m.r.IntN(8))
		known := false
		for _, c := range m.calls[a] {
			known = known || c == b
		}
		if !known {
			m.calls[a] = append(m.calls[a], b)
			edges++
		}
	}
	for i := 16; i < 40; i++ {
		m.dbs[i] = m.r.IntN(2) == 0
	}
	return m
}

// batch makes a batch of some n spans, whole traces of all services.
func (m *mesh) batch(n int) *telemetry.Batch {
	b := telemetry.NewBatch()
	names := make([]telemetry.StrID, 40)
	ns := b.InternString("shop")
	for i := range 40 {
		names[i] = b.InternString(fmt.Sprintf("service-%d", i))
		b.Resources = append(b.Resources, telemetry.Resource{Identity: telemetry.Identity{
			Namespace: ns, Service: names[i], Version: b.InternString("1.14.2"), Workload: names[i],
		}})
	}
	db := b.InternString("postgresql")
	for len(b.Spans) < n {
		m.trace++
		var id telemetry.TraceID
		copy(id[:], fmt.Sprintf("%016x", m.r.Uint64()))
		m.server(b, id, telemetry.SpanID{}, m.r.IntN(8), names, ns, db)
	}
	return b
}

func (m *mesh) server(b *telemetry.Batch, trace telemetry.TraceID, parent telemetry.SpanID, service int, names []telemetry.StrID, ns, db telemetry.StrID) {
	s := telemetry.Span{
		TraceID: trace, SpanID: id64(m.r.Uint64()), ParentID: parent, Kind: telemetry.KindServer, Resource: uint32(service),
		Duration: m.r.Int64N(1 << 24), Protocol: telemetry.ProtocolHTTP, Code: 200,
	}
	if m.r.IntN(50) == 0 {
		s.Outcome, s.Code = telemetry.OutcomeError, 500
	}
	b.Spans = append(b.Spans, s)
	for range min(len(m.calls[service]), 1+m.r.IntN(2)) {
		to := m.calls[service][m.r.IntN(len(m.calls[service]))]
		c := s
		c.SpanID, c.ParentID, c.Kind = id64(m.r.Uint64()), s.SpanID, telemetry.KindClient
		c.Peer, c.PeerNamespace, c.PeerKind = names[to], ns, telemetry.NodeService
		b.Spans = append(b.Spans, c)
		m.server(b, trace, c.SpanID, to, names, ns, db)
	}
	if m.dbs[service] {
		c := s
		c.SpanID, c.ParentID, c.Kind = id64(m.r.Uint64()), s.SpanID, telemetry.KindClient
		c.Protocol, c.Peer, c.PeerKind, c.PeerSys = telemetry.ProtocolDatabase, db, telemetry.NodeDatabase, db
		b.Spans = append(b.Spans, c)
	}
}

// renew gives a batch new trace ids, so that it can be sent again.
func renew(b *telemetry.Batch, n uint64) {
	for i := range b.Spans {
		id := &b.Spans[i].TraceID
		id[15], id[14], id[13], id[12] = byte(n), byte(n>>8), byte(n>>16), byte(n>>24)
	}
}

// cpuTime is the CPU time of this process in nanoseconds: on a machine that is
// shared, the wall's time says little.
func cpuTime() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// counter counts what was observed.
type counter struct{ n int }

func (c *counter) add(seen telemetry.Observed) { c.n += len(seen.Requests) }

// BenchmarkConsume prints the cost of a span beside that of only renewing and
// walking the batch, at 40,000 spans a second of the log's time: of whole traces, and of such that lack one span of each hundredth request.
func BenchmarkConsume(b *testing.B) {
	b.Run("whole", func(b *testing.B) { benchmarkConsume(b, 0) })
	b.Run("lone", func(b *testing.B) { benchmarkConsume(b, 200) })
}

// benchmarkConsume leaves out one span of so many, none if that is 0.
func benchmarkConsume(b *testing.B, lost int) {
	const rate = 40_000
	m := newMesh()
	var batches []*telemetry.Batch
	spans := 0
	for range 64 {
		batch := m.batch(512)
		if lost > 0 {
			batch.Spans = slices.DeleteFunc(batch.Spans, func(telemetry.Span) bool { return m.r.IntN(lost) == 0 })
		}
		batches = append(batches, batch)
	}
	run := func(n int, consume func(*telemetry.Batch, uint64)) (perSpan float64) {
		spans = 0
		start := cpuTime()
		for i := range n {
			batch := batches[i%len(batches)]
			renew(batch, uint64(i))
			consume(batch, uint64(i))
			spans += len(batch.Spans)
		}
		return float64(cpuTime()-start) / float64(spans)
	}
	var sum int64
	walk := func(batch *telemetry.Batch, _ uint64) {
		for i := range batch.Spans {
			sum += batch.Spans[i].Duration + int64(batch.Spans[i].Kind)
		}
	}
	var observed counter
	t := New(DefaultConfig())
	now := int64(storyStart)
	at := uint64(0)
	consume := func(batch *telemetry.Batch, _ uint64) {
		at++
		now += int64(len(batch.Spans)) * 1e9 / rate
		batch.Received = now
		observed.add(t.Consume(telemetry.Entry{Position: telemetry.Position(at), Batch: batch}))
	}
	// Fill the table: 15 s of the log's time.
	run(15*rate/512, consume)
	b.ReportAllocs()
	b.ResetTimer()
	cost := run(b.N, consume)
	b.StopTimer()
	floor := run(b.N, walk)
	b.ReportMetric(cost, "cpu-ns/span")
	b.ReportMetric(floor, "cpu-ns/span-walked")
	b.ReportMetric(cost/floor, "ratio")
	b.ReportMetric(float64(t.Stats().Pending), "pending")
	if sum == 0 || observed.n == 0 {
		b.Fatal("nothing happened")
	}
}

// BenchmarkCheckpoint prints what it takes to save and load the state of 10 s at
// 20,000 spans a second.
func BenchmarkCheckpoint(b *testing.B) {
	m := newMesh()
	t := New(DefaultConfig())
	now := int64(storyStart)
	for i := range 12 * 20_000 / 512 {
		batch := m.batch(512)
		now += 512 * 1e9 / 20_000
		batch.Received = now
		t.Consume(telemetry.Entry{Position: telemetry.Position(i + 1), Batch: batch})
	}
	var saved bytes.Buffer
	b.Run("save", func(b *testing.B) {
		for b.Loop() {
			saved.Reset()
			if err := t.Save(&saved); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(saved.Len()), "bytes")
		b.ReportMetric(float64(t.Stats().Pending), "pending")
	})
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			if err := New(DefaultConfig()).Load(bytes.NewReader(saved.Bytes())); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkPublish prints what a snapshot costs of a graph of 5,000 edges that all had
// traffic, and when all only decay.
func BenchmarkPublish(b *testing.B) {
	for _, busy := range []bool{true, false} {
		name := "decaying"
		if busy {
			name = "busy"
		}
		b.Run(name, func(b *testing.B) {
			t := New(DefaultConfig())
			batch := telemetry.NewBatch()
			for i := range 500 {
				batch.Resources = append(batch.Resources, telemetry.Resource{Identity: telemetry.Identity{Service: batch.InternString(fmt.Sprintf("s%d", i))}})
			}
			id := uint64(0)
			now := int64(storyStart)
			send := func() {
				batch.Spans = batch.Spans[:0]
				for i := range 5000 {
					id++
					batch.Spans = append(batch.Spans, telemetry.Span{
						TraceID: traceID("t"), SpanID: id64(id), Kind: telemetry.KindClient, Resource: uint32(i % 500), Protocol: telemetry.ProtocolHTTP,
						Peer: batch.Resources[(i%500+1+i/500)%500].Identity.Service, Duration: int64(i+1) * 1e4,
					})
				}
				batch.Received = now
				t.Consume(telemetry.Entry{Position: telemetry.Position(id), Batch: batch})
			}
			send()
			b.ReportAllocs()
			var cost int64
			for b.Loop() {
				now += 250e6
				if busy {
					send()
				}
				start := cpuTime()
				t.Tick(now)
				t.Snapshot()
				cost += cpuTime() - start
			}
			b.ReportMetric(float64(cost)/float64(b.N), "cpu-ns/snapshot")
			b.ReportMetric(float64(len(t.Snapshot().Edges)), "edges")
		})
	}
}
