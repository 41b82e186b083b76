package views

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/aggregator"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// What PromQL's own engine says while series leave for others, and after one has come back (ADR 027): what lives is told as if nobody
// left; what came back is told of both its lives; and of what ended not less than was sent, nor more than the engine makes of any counter
// that ends, as it supposes that half an interval was not seen.
func TestLeavingInQueries(t *testing.T) {
	t.Parallel()
	m := newMesh(t, t.TempDir())
	defer m.close()
	cfg := aggregator.DefaultConfig()
	cfg.MaxSeries = 16
	m.agg = aggregator.New(cfg, prometheus.NewRegistry())
	m.consume(telemetry.NewBatch())
	m.now = m.now.Add(time.Second)
	m.flush()

	sent := map[string]float64{}
	call := func(target string, n int) {
		e := m.edge(telemetry.Edge{Source: node("shop", "front"), Target: node("shop", target), Protocol: telemetry.ProtocolHTTP})
		o := telemetry.Observation{Edge: e, At: m.now.UnixNano(), Duration: 5e6, Code: 200}
		for range n {
			m.agg.Observe(telemetry.Observed{Requests: []telemetry.Observation{o}})
		}
		sent[target] += float64(n)
	}
	of := func(target, window string) string {
		return fmt.Sprintf(`sum(increase(istio_requests_total{reporter="source",destination_service_name=~"%s"}[%s])) or vector(0)`, target, window)
	}
	tick := 0
	run := func(seconds int, each func()) {
		for range seconds / 5 {
			tick++
			m.now = m.now.Add(5 * time.Second)
			m.consume(telemetry.NewBatch())
			call("alive", 5)
			each()
			m.flush()
			if tick < 14 {
				continue
			}
			if got := m.value(of("alive", "1m")); math.Abs(got-60) > 1e-9 {
				t.Errorf("at %v, while others leave, what lives is told to have had %v requests in a minute of 60", m.now, got)
			}
		}
	}
	run(10, func() {
		for i := range 15 { // they fill the table
			if tick == 1 {
				call(fmt.Sprint("once-", i), 3)
			}
		}
	})
	run(60, func() {
		for i := range 4 { // these knock until others leave
			call(fmt.Sprint("new-", i), 1)
		}
	})
	left := 0
	for i := range 15 {
		if m.value(fmt.Sprintf(`count(istio_requests_total{destination_service_name="once-%d"}) or vector(0)`, i)) == 0 {
			left++
		}
	}
	if left < 4 {
		t.Fatalf("%d have left", left)
	}
	run(60, func() {
		for i := range 15 { // and those come back, as there is room for them
			call(fmt.Sprint("once-", i), 2)
		}
	})
	for i := range 4 {
		name := fmt.Sprint("new-", i)
		if got := m.value(of(name, "10m")); got <= 0 || got > sent[name]*7/6 {
			t.Errorf("%s sent %v, and is told to have sent %v in series of its own", name, sent[name], got)
		}
	}
	var all float64
	for _, n := range sent {
		all += n
	}
	overflow := m.value(`sum(histogram_count(increase(binnacle_edge_duration_seconds{overflow="true"}[10m])))`)
	got := m.value(`sum(increase(istio_requests_total[10m]))`) // which leaves overflow out
	if got < all-overflow-1e-6 || got > (all-overflow)*1.02 {
		t.Errorf("%v were sent, %v of them counted at overflow, and the increases of the others are told as %v", all, overflow, got)
	}
}
