package topology

import (
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// TestRepeatedBatch: a batch that its sender sends again counts once, minutes later and after the state was saved and loaded; the same requests
// made anew count.
func TestRepeatedBatch(t *testing.T) {
	t.Parallel()
	top := New(DefaultConfig())
	var n telemetry.Position
	send := func(trace string, at, began time.Duration) {
		b := telemetry.NewBatch()
		resources := map[string]uint32{}
		b.Received = storyStart + int64(began)
		addSpan(t, b, resources, map[string]string{"trace": trace, "id": "c", "kind": "client", "of": "shop/frontend", "peer.service": "cart"})
		addSpan(t, b, resources, map[string]string{"trace": trace, "id": "s", "parent": "c", "kind": "server", "of": "shop/cart"})
		b.Received = storyStart + int64(at)
		n++
		top.Consume(telemetry.Entry{Position: n, Batch: b})
		if top.Applied() != n {
			t.Errorf("applied %d, want %d", top.Applied(), n)
		}
	}
	counts := func(want, duplicates uint64) {
		t.Helper()
		g := fresh(top)
		if len(g.Edges) != 1 || g.Edges[0].Totals.Requests != want || top.Stats().LeftOut.Duplicates != duplicates {
			t.Errorf("edges %+v, stats %+v; want %d requests and %d duplicates", g.Edges, top.Stats(), want, duplicates)
		}
		check(t, top)
	}
	send("t", 0, 0)
	send("t", 2*time.Second, 0) // while halves wait
	send("t", 5*time.Minute, 0) // when they do not
	counts(1, 4)
	top = loaded(t, top, saved(t, top))
	send("t", 14*time.Minute, 0) // 9 min after it last came
	counts(1, 2)
	send("t", 15*time.Minute, time.Second) // the same ids, another time: whoever reuses ids
	counts(2, 2)
	send("t", 45*time.Minute, 0) // half an hour later it is forgotten
	counts(3, 2)
}
