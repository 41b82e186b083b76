package block

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// requestEntries are messages of thirty log entries each, of hops that both sides report:
// what the callee's proxy says of a request follows what the caller's says of it.
func requestEntries(n int) []telemetry.Entry {
	r := rand.New(rand.NewPCG(5, 6))
	out := make([]telemetry.Entry, n)
	last := make([]telemetry.Request, 30)
	texts := make([][2]string, 30) // request id and path
	for i := range out {
		b := telemetry.NewBatch()
		b.Received = int64(i+1) * 1e6
		b.Resources = append(b.Resources, telemetry.Resource{Identity: telemetry.Identity{Service: b.InternString(fmt.Sprintf("svc%d", i%40)), Namespace: b.InternString("shop")}})
		for j := range 30 {
			q := &last[j]
			if i%2 == 0 {
				*q = telemetry.Request{Start: b.Received, Duration: int64(r.IntN(5e7)), Side: telemetry.SideClient, Code: 200, Attempts: 1, BytesOut: r.Uint64N(10000)}
				for k := range q.TraceID {
					q.TraceID[k] = byte(r.Uint32())
				}
				for k := range q.SpanID {
					q.SpanID[k] = byte(r.Uint32())
				}
				texts[j] = [2]string{
					fmt.Sprintf("%08x-%d", r.Uint32(), r.Uint32()),
					fmt.Sprintf("/api/v1/items/%d", r.IntN(1e6)),
				}
			} else {
				q.Side = telemetry.SideServer
			}
			q.Method, q.Path = b.InternString("GET"), b.InternString(texts[j][1])
			if q.RequestID = (telemetry.RequestID{}); j%2 == 0 {
				q.RequestID.Text = b.InternString(texts[j][0])
			} else {
				copy(q.RequestID.UUID[:], texts[j][0])
			}
			q.Authority, q.Route = b.InternString("svc.shop:8080"), b.InternString("default")
			q.Cluster = b.InternString(fmt.Sprintf("outbound|8080||svc%d.shop.svc.cluster.local", r.IntN(40)))
			q.Peer.Service = b.InternString(fmt.Sprintf("svc%d", r.IntN(40)))
			q.Upstream = telemetry.Address{Host: b.InternString("10.0.3.4"), Port: uint16(30000 + r.IntN(20000))}
			q.Remote = telemetry.Address{Host: b.InternString(fmt.Sprintf("10.%d.%d.7", i%250, j)), Port: uint16(30000 + r.IntN(20000))}
			b.Requests = append(b.Requests, *q)
		}
		out[i] = telemetry.Entry{Position: telemetry.Position(i + 1), Batch: b}
	}
	return out
}

// BenchmarkRequests is all that a log entry costs in the store.
func BenchmarkRequests(b *testing.B) {
	entries := requestEntries(2 * 131072 / 30)
	requests := 30 * len(entries)
	begin := cpuTime()
	for b.Loop() {
		s := openTest(b, b.TempDir(), DefaultConfig())
		for _, e := range entries {
			consume(b, s, e)
		}
		seal(b, s)
		b.ReportMetric(float64(s.Stats().Bytes)/float64(requests), "B/request")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpuTime()-begin).Nanoseconds())/float64(b.N*requests), "cpu-ns/request")
}

// TestUniqueTexts reads requests back of a head that has stopped looking for some
// columns' strings, before and after it is a block.
func TestUniqueTexts(t *testing.T) {
	t.Parallel()
	entries := requestEntries(400)
	s := openTest(t, t.TempDir(), DefaultConfig())
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, e := range entries {
		consume(t, s, e)
	}
	for _, col := range []int{colPath, colRequestID} {
		if !s.head.texts[col].unique {
			t.Errorf("%s: the head looks for each", requestColumns()[col].name)
		}
	}
	check := func() {
		for _, at := range []int{1, len(entries) - 1} { // before the head decided, and after
			b := entries[at].Batch
			r := &b.Requests[7]
			got, _, err := s.Trace(t.Context(), r.TraceID)
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for i := range got.Requests {
				g := &got.Requests[i]
				found = found || g.Side == r.Side && got.Str(g.Path) == b.Str(r.Path) && got.Str(g.RequestID.Text) == b.Str(r.RequestID.Text) && g.RequestID.UUID == r.RequestID.UUID &&
					got.Str(g.Upstream.Host) == b.Str(r.Upstream.Host) && g.Upstream.Port == r.Upstream.Port &&
					got.Str(g.Remote.Host) == b.Str(r.Remote.Host) && g.Remote.Port == r.Remote.Port
			}
			if !found {
				t.Errorf("entry %d: its request is not in its trace of %d", at, len(got.Requests))
			}
		}
	}
	check()
	seal(t, s)
	check()
}
