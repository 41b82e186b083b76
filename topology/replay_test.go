package topology

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// got reads all that is counted, drawn or not.
func got(t *Topology) map[onEdge]counted {
	out := map[onEdge]counted{}
	for _, e := range t.edges.list {
		if e == nil {
			continue
		}
		source := t.nodes.list[e.src].key.ID()
		if e.src == nowhere || t.nodes.list[e.src].key == callerNode() {
			source = "?"
		}
		for w, a := range e.acc {
			if a == nil || a.Total().Requests == 0 {
				continue
			}
			if w == aloneSlot {
				w = int(telemetry.ServerSpan)
			}
			k := onEdge{source, t.nodes.list[e.dst].key.ID(), telemetry.Witness(w)} //nolint:gosec // below 4
			c := out[k]
			c.requests += a.Total().Requests
			c.errors += a.Total().Errors
			out[k] = c
		}
	}
	return out
}

// distinct reads how many requests spans have told of.
func distinct(t *Topology) map[onEdge]counted {
	out := map[onEdge]counted{}
	for _, e := range t.edges.list {
		if e == nil {
			continue
		}
		source := t.nodes.list[e.src].key.ID()
		if e.src == nowhere || t.nodes.list[e.src].key == callerNode() {
			source = "?"
		}
		var c counted
		for _, a := range e.bySpans(ever) {
			if a != nil {
				c.requests += a.Total().Requests
				c.errors += a.Total().Errors
			}
		}
		if c.requests > 0 {
			k := onEdge{source, t.nodes.list[e.dst].key.ID(), 0}
			c.requests, c.errors = c.requests+out[k].requests, c.errors+out[k].errors
			out[k] = c
		}
	}
	return out
}

// check asks what must hold of any state.
func check(top interface{ Fatal(args ...any) }, t *Topology) {
	if err := t.Check(); err != nil {
		top.Fatal(err)
	}
}

func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := drawModel(rt)
		var observed counter
		top := New(DefaultConfig())
		for i, b := range m.batches(9 * time.Second) {
			observed.add(top.Consume(telemetry.Entry{Position: telemetry.Position(i + 1), Batch: b}))
			check(rt, top)
		}
		observed.add(top.Tick(storyStart + int64(time.Minute)))
		check(rt, top)
		if diff := cmp.Diff(m.want, got(top), cmp.AllowUnexported(onEdge{}, counted{})); diff != "" {
			rt.Fatalf("edges differ (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(m.hops, distinct(top), cmp.AllowUnexported(onEdge{}, counted{})); diff != "" {
			rt.Fatalf("distinct requests of spans differ (-want +got):\n%s", diff)
		}
		if observed.n != m.halves || top.Stats().Pending != 0 {
			rt.Fatalf("%d observations of %d halves, %d pending", observed.n, m.halves, top.Stats().Pending)
		}
	})
}

// anew renders every edge again, as of now.
func anew(t *Topology) *telemetry.Graph {
	for id, e := range t.edges.list {
		if e != nil {
			t.markEdgeDirty(edgeID(id))
		}
	}
	return fresh(t)
}

// TestReplay: state after (load at P, replay to Q) is the state after a
// straight run to Q, byte for byte, and what was observed is the same.
func TestReplay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := drawModel(rt)
		cfg := DefaultConfig()
		cfg.PairWait, cfg.ForgetAfter = time.Second, 5*time.Second
		cfg.MaxEdges = rapid.SampledFrom([]int{3, 20_000}).Draw(rt, "edges")
		batches := m.batches(rapid.SampledFrom([]time.Duration{time.Second, 5 * time.Second, time.Minute}).Draw(rt, "span"))
		cut := rapid.IntRange(0, len(batches)).Draw(rt, "cut")
		run := func(top *Topology, observed *counter, from, to int) {
			for i := from; i < to; i++ {
				seen := top.Consume(telemetry.Entry{Position: telemetry.Position(i + 1), Batch: batches[i]})
				if seen.To != top.Applied() || seen.To == seen.From && len(seen.Requests) > 0 {
					rt.Fatalf("entry %d taught %d things from %d to %d, applied is %d", i+1, len(seen.Requests), seen.From, seen.To, top.Applied())
				}
				observed.add(seen)
				check(rt, top)
				if i%3 == 0 {
					observed.add(top.Tick(batches[i].Received))
					check(rt, top)
				}
			}
		}
		var before, after, straight counter
		whole := New(cfg)
		run(whole, &straight, 0, len(batches))

		first := New(cfg)
		run(first, &before, 0, cut)
		var saved bytes.Buffer
		if err := first.Save(&saved); err != nil {
			rt.Fatal(err)
		}
		second := New(cfg)
		if err := second.Load(bytes.NewReader(saved.Bytes())); err != nil {
			rt.Fatal(err)
		}
		if second.Applied() != telemetry.Position(cut) {
			rt.Fatalf("applied %d, want %d", second.Applied(), cut)
		}
		run(second, &after, 0, len(batches)) // from the beginning: what is applied is left out
		check(rt, second)

		var want, have bytes.Buffer
		if err := whole.Save(&want); err != nil {
			rt.Fatal(err)
		}
		if err := second.Save(&have); err != nil {
			rt.Fatal(err)
		}
		if !bytes.Equal(want.Bytes(), have.Bytes()) {
			rt.Fatalf("states differ:\n%s", cmp.Diff(fmt.Sprint(got(whole)), fmt.Sprint(got(second))))
		}
		if before.n+after.n != straight.n {
			rt.Fatalf("%d + %d observations, want %d", before.n, after.n, straight.n)
		}
		if diff := cmp.Diff(anew(whole).Edges, anew(second).Edges); diff != "" {
			rt.Fatalf("graphs differ:\n%s", diff)
		}
	})
}
