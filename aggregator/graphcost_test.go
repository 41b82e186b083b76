package aggregator

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/internal/ask"
	"github.com/binnacle-mesh/binnacle/internal/ledger"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
)

// A past graph counts for the question that it is for: it is refused where the question, or all of them, would hold too much; what was held is
// given back; and where there is room it is the graph that nobody counts.
func TestPastGraphIsCounted(t *testing.T) {
	t.Parallel()
	const edges = 200
	db := openStore(t, t.TempDir())
	a := New(DefaultConfig(), prometheus.NewRegistry())
	at := time.Unix(0, epoch)
	for round := range 3 {
		at = at.Add(5 * time.Second)
		for k := range edges {
			e := &telemetry.Edge{Source: endpoint("shop", fmt.Sprintf("from-%d", k), ""), Target: endpoint("shop", fmt.Sprintf("to-%d", k), ""), Protocol: telemetry.ProtocolHTTP}
			a.Observe(observed(a, telemetry.Observation{Edge: e, At: at.UnixNano(), Duration: int64(1+round) * 900e6, Code: 200}))
		}
		if err := a.Flush(context.Background(), at, db); err != nil {
			t.Fatal(err)
		}
	}
	r := NewGraphReader(db, health.DefaultConfig(), nil)
	from, to := time.Unix(0, epoch).Add(8*time.Second), at.Add(time.Second)
	want, err := r.Graph(context.Background(), from, to)
	if err != nil || len(want.Edges) != edges {
		t.Fatalf("%d edges, %v", len(want.Edges), err)
	}
	const wide = 1 << 30
	var tooMuch *ask.LimitError
	var full *ask.BusyError
	for name, c := range map[string]struct {
		limits ask.Limits
		memory int64
		says   any
	}{
		"room enough":             {ask.Limits{Bytes: wide, Series: wide}, wide, nil},
		"too much for a question": {ask.Limits{Bytes: edges * edgeBytes, Series: wide}, wide, &tooMuch},
		"too many series":         {ask.Limits{Bytes: wide, Series: edges / 2}, wide, &tooMuch},
		"others hold the memory":  {ask.Limits{Bytes: wide, Series: wide}, edges * edgeBytes, &full},
	} {
		account := ledger.New(c.memory, nil).Account("queries", 0)
		desk, err := ask.New(c.limits, ask.Places{UnderWay: 1, Heavy: 1}, account, 1, prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		ctx, question := desk.Open(context.Background())
		if err := question.Begin(ctx); err != nil {
			t.Fatal(err)
		}
		got, err := r.Graph(ctx, from, to)
		switch {
		case c.says != nil && (err == nil || !errors.As(err, c.says)):
			t.Errorf("%s: answered %v", name, err)
		case c.says == nil && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.says == nil:
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: another graph (-want +got):\n%s", name, diff)
			}
			if least := int64(edges*edgeBytes + 2*edges*nodeBytes); question.Held() < least {
				t.Errorf("%s: %d bytes are counted, want %d at least", name, question.Held(), least)
			}
		}
		question.Close()
		if n := account.Used(); n != 0 {
			t.Errorf("%s: %d bytes are held by nobody", name, n)
		}
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Graph(gone, from, to); !errors.Is(err, context.Canceled) {
		t.Errorf("who has gone is told %v", err)
	}
}
