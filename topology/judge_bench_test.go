package topology

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// wide makes a graph of so many services and edges. feed gives each edge some requests, of which those to one service in a hundred are slow
// where it is ill.
func wide(b *testing.B, services, edges int) (t *Topology, feed func(now int64, ill bool)) {
	b.Helper()
	cfg := DefaultConfig()
	cfg.MaxNodes, cfg.MaxEdges, cfg.MaxPending = 2*services, 2*edges, 1<<20
	t = New(cfg)
	fan := edges / services
	var position telemetry.Position
	trace := 0
	return t, func(now int64, ill bool) {
		for from := 0; from < services; from += 100 {
			batch := telemetry.NewBatch()
			batch.Received = now
			resources := map[string]uint32{}
			for s := from; s < min(from+100, services); s++ {
				of := addResource(batch, resources, fmt.Sprintf("mesh/s%d", s))
				for k := range fan {
					callee := (s*7 + k*131 + 1) % services
					peer, times := batch.InternString(fmt.Sprintf("s%d", callee)), int64(1e6)
					if ill && callee%100 == 1 {
						times *= 50
					}
					for i := range 15 {
						trace++
						batch.Spans = append(batch.Spans, telemetry.Span{
							TraceID: traceID(strconv.Itoa(trace)), SpanID: id64(1), Kind: telemetry.KindClient, Resource: of, Peer: peer, PeerKind: telemetry.NodeService,
							Protocol: telemetry.ProtocolHTTP, Start: now, Duration: int64(5+i) * times,
						})
					}
				}
			}
			position++
			t.Consume(telemetry.Entry{Position: position, Batch: batch})
		}
	}
}

// BenchmarkJudge is for how long the lock is held in a second to look at all that has traffic and to find out who is to blame, where all is well and
// where one in a hundred services is slow; and what part that is of what a tick does in all.
func BenchmarkJudge(b *testing.B) {
	for _, c := range []struct{ services, edges int }{{1_000, 5_000}, {10_000, 50_000}} {
		for _, ill := range []bool{false, true} {
			b.Run(fmt.Sprintf("services=%d/edges=%d/ill=%v", c.services, c.edges, ill), func(b *testing.B) {
				t, feed := wide(b, c.services, c.edges)
				now := int64(storyStart)
				for range 4 { // what is usual is learned
					feed(now, false)
					for range 100 {
						now += 100e6
						t.Tick(now)
					}
				}
				for range 10 { // and what is ill is found to be so
					feed(now, ill)
					for range 20 {
						now += 100e6
						t.Tick(now)
					}
				}
				start := now
				var judging, longest, ticking time.Duration
				b.ResetTimer()
				for range b.N {
					if now-start > 5e9 {
						b.StopTimer()
						feed(now, ill)
						start = now
						b.StartTimer()
					}
					for range 10 { // a second
						now += 100e6
						began := time.Now()
						before := t.looked
						t.advance(now)
						t.looked = now
						between := time.Now()
						t.look(before)
						t.judge(before)
						t.freeze(before)
						took := time.Since(between)
						judging += took
						longest = max(longest, took)
						t.publish() // as if somebody watched
						ticking += time.Since(began)
					}
				}
				b.ReportMetric(float64(judging.Microseconds())/float64(b.N)/1000, "ms-held/s")
				b.ReportMetric(float64(longest.Microseconds())/1000, "ms-longest")
				b.ReportMetric(float64(judging)/float64(ticking), "of-tick")
				b.ReportMetric(float64(len(t.observant.verdict.edges)), "ill-edges")
			})
		}
	}
}
