package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/internal/query"
	"github.com/binnacle-mesh/binnacle/storage/block"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology"

	"github.com/binnacle-mesh/binnacle/internal/api/apitest"
)

// openBlocks is the real trace store with the shop's traces in it.
func openBlocks(t *testing.T) *block.Store {
	t.Helper()
	s, err := block.Open(t.TempDir(), block.DefaultConfig(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for i, make := range []func() (telemetry.TraceID, *telemetry.Batch){apitest.FailedCart, apitest.Oddities} {
		_, b := make()
		b.Received = noon.UnixNano()
		if err := s.Consume(entry(i+1, b)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func entry(position int, b *telemetry.Batch) telemetry.Entry {
	return telemetry.Entry{Position: telemetry.Position(position), Batch: b, Record: b.AppendRecord(nil)}
}

// TestRealStoreAnswersAlike asks the same of the real trace store, with its newest
// data in memory and then in a block, and of the naive one: the answers are the same.
func TestRealStoreAnswersAlike(t *testing.T) {
	t.Parallel()
	blocks := openBlocks(t)
	naive := shop(newWorld(t))
	realOne := newWorld(t, func(p *plan) {
		p.query = query.New(blocks, newLiveGraph(&telemetry.Graph{}), &pastGraph{}, query.DefaultLimits())
	})
	questions := []string{
		"/api/v1/traces", "/api/v1/traces?service=cart", "/api/v1/traces?service=frontend&namespace=shop&status=unset&kind=client",
		"/api/v1/traces?status=error&min_duration=70ms&max_duration=71ms", "/api/v1/traces?attribute=k8s.pod.name%3Dfrontend-7d9f",
		"/api/v1/traces?attribute=http.response.status_code%3D500&operation=GET%20/cart/%7Bid%7D", "/api/v1/traces?attribute=retry%3Dfalse&limit=1",
		"/api/v1/traces?service=cart&kind=client", "/api/v1/traces?from=1795262339500", "/api/v1/traces?to=1795262339500",
		"/api/v1/traces/6f000000000000000000000000000001", "/api/v1/traces/ff", "/api/v1/traces/ee",
		"/api/services", "/api/services/frontend/operations", "/api/operations?service=cart&spanKind=server", "/api/traces?service=cart",
		"/api/traces?traceID=ff&traceID=ee", "/api/v3/traces/ff", "/api/v3/operations?service=frontend",
		"/api/v3/trace-summaries?query.startTimeMin=2026-11-21T11:00:00Z&query.startTimeMax=2026-11-21T12:00:00Z",
	}
	for _, where := range []string{"in memory", "in a block"} {
		for _, q := range questions {
			want, got := naive.ask("GET", q), realOne.ask("GET", q)
			if diff := cmp.Diff(answerOf(t, want.Body.Bytes()), answerOf(t, got.Body.Bytes())); diff != "" || got.Code != want.Code {
				t.Errorf("%s, with the data %s: %d, want %d (-naive +real):\n%s", q, where, got.Code, want.Code, diff)
			}
		}
		if err := blocks.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// answerOf is an answer without what the search cost.
func answerOf(t *testing.T, b []byte) any {
	t.Helper()
	v := parse(t, b)
	if m, ok := v.(map[string]any); ok {
		delete(m, "searched")
	}
	return v
}

// TestRealGraphIsStreamed follows the real live graph: a trace that the topology
// consumes is an edge on the stream, and its rate's decay is told as well.
func TestRealGraphIsStreamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		graph := topology.New(topology.DefaultConfig())
		w := newWorld(t, func(p *plan) {
			p.query = query.New(&memoryStore{}, graph, &pastGraph{}, query.DefaultLimits())
		})
		graph.Tick(noon.UnixNano())
		l, p := w.follow(nil), page{}
		synctest.Wait()
		_, b := apitest.FailedCart()
		b.Received = noon.UnixNano()
		for i := range b.Spans { // as if it had just been
			b.Spans[i].Start += int64(time.Minute)
		}
		for i := range b.Requests {
			b.Requests[i].Start += int64(time.Minute)
		}
		graph.Consume(entry(1, b))
		for now := noon; now.Before(noon.Add(20 * time.Second)); now = now.Add(100 * time.Millisecond) {
			graph.Tick(now.UnixNano())
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		p.read(t, l.take())
		p.is(t, w)
		if p.graph["shop/frontend>shop/cart|http"] == nil || p.snapshots != 1 || p.deltas < 2 {
			t.Errorf("of frontend's call of cart the page shows, after %d snapshots and %d deltas: %v", p.snapshots, p.deltas, p.graph)
		}
		rec := w.ask("GET", "/api/v1/graph")
		var g struct{ Edges []any }
		if err := json.Unmarshal(bytes.TrimSpace(rec.Body.Bytes()), &g); err != nil || rec.Code != http.StatusOK || len(g.Edges) == 0 {
			t.Errorf("the live graph: %d %v %s", rec.Code, errors.Join(err), strings.TrimSpace(rec.Body.String()))
		}
		w.ours.Close()
		<-l.done
	})
}
