package app

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology/signal"
)

// A past range of a minute has the answers that the live graph had at its end: the same nodes and edges, who they are, their rates, errors, latencies, and
// what is known of their security; however long ago, and while much changes.
func TestPastRangeIsWhatTheLiveGraphShowed(t *testing.T) {
	t.Parallel()
	s := newSurfaces(t)
	r := rand.New(rand.NewPCG(5, 6)) //nolint:gosec // a test's
	type moment struct {
		at   time.Time
		live *telemetry.Graph
	}
	var moments []moment
	for second := range 240 {
		for k := range 4 {
			to := fmt.Sprint("s", k)
			c := call{from: "front", to: to, name: "GET /", attrs: "http.request.method=GET http.response.status_code:=200", cluster: "east"}
			if second > 120 && k == 3 {
				c.from = "s0" // another edge, and the one before falls silent
			}
			for range r.IntN(6) {
				c.took = time.Duration(float64(k+1) * 5e6 * math.Exp(r.NormFloat64()/2))
				x := c
				switch r.IntN(20) {
				case 0, 1:
					x.attrs = "http.request.method=GET http.response.status_code:=503"
				case 2:
					x.attrs = "http.request.method=GET http.response.status_code:=429"
				}
				s.send(1, x)
			}
		}
		s.now = s.now.Add(time.Second)
		s.pass(0)
		if second > 70 && second%13 == 0 {
			moments = append(moments, moment{s.now, s.graph.Snapshot()})
		}
	}
	s.pass(30 * time.Second)
	compared := 0
	for _, m := range moments {
		// A live window is as long as its oldest column reaches, a minute at least.
		length := time.Duration(signal.Seconds(signal.Minute, m.at.UnixNano()) * 1e9)
		past := s.between(m.at.Add(-length+time.Millisecond), m.at.Add(time.Millisecond))
		name := m.at.UTC().Format(time.TimeOnly)
		var idle []string
		live := map[string]telemetry.Signals{}
		for _, e := range m.live.Edges {
			if live[e.ID] = e.Windows["1m"]; e.Windows["1m"].Rate == 0 {
				idle = append(idle, e.ID)
			}
		}
		other := map[string]bool{} // nodes with an edge that shows otherwise
		began, fades := map[string]int64{}, map[string]bool{}
		for _, e := range m.live.Edges {
			began[e.ID], fades[e.ID] = e.FirstSeen, m.at.UnixNano()-e.LastSeen > 2e9
			other[e.Target] = other[e.Target] || fades[e.ID] || m.at.UnixNano()-e.FirstSeen < int64(length)
		}
		for _, e := range past.Edges {
			l := live[e.ID]
			delete(live, e.ID)
			if fades[e.ID] {
				continue // it is drawn every five seconds
			}
			// The live graph gives the rate of a young edge over the time since it began.
			if age := float64(m.at.UnixNano()-began[e.ID]) / 1e9; age < length.Seconds() {
				share := max(10, age) / length.Seconds()
				l.Rate, l.ErrorRate, l.ThrottledRate = l.Rate*share, l.ErrorRate*share, l.ThrottledRate*share
			}
			same(t, name+" "+e.ID, l, e.Windows["range"])
			compared++
		}
		for id := range live {
			if !slices.Contains(idle, id) {
				t.Errorf("%s: %s is not in the past", name, id)
			}
		}
		nodes := map[string]telemetry.GraphNode{}
		for _, n := range m.live.Nodes {
			nodes[n.ID] = n
		}
		for _, n := range past.Nodes {
			l := nodes[n.ID]
			if !other[n.ID] {
				same(t, name+" "+n.ID, l.Windows["1m"], n.Windows["range"])
			}
			if l.Name != n.Name || l.Namespace != n.Namespace || l.Kind != n.Kind || l.System != n.System || l.Cluster != n.Cluster || l.Health != n.Health || !slices.Equal(l.Versions, n.Versions) {
				t.Errorf("%s: live is %+v, past is %+v", name, l, n)
			}
		}
	}
	if compared < 40 {
		t.Errorf("only %d edges were compared", compared)
	}
}

// same asks that the signals of a live window and of a past range are the same, to the digits that are shown and the width of a bucket.
func same(t *testing.T, name string, live, past telemetry.Signals) {
	t.Helper()
	rate := func(what string, a, b float64) {
		if math.Abs(a-b) > 0.006*max(a, b) {
			t.Errorf("%s: %s is live %g, past %g", name, what, a, b)
		}
	}
	rate("rate", live.Rate, past.Rate)
	rate("error rate", live.ErrorRate, past.ErrorRate)
	rate("throttled rate", live.ThrottledRate, past.ThrottledRate)
	quantile := func(what string, a, b *float64) {
		if (a == nil) != (b == nil) {
			t.Errorf("%s: %s is live %v, past %v", name, what, a, b)
			return
		}
		if a != nil && math.Abs(math.Log(*a / *b)) > 0.01 {
			t.Errorf("%s: %s is live %g, past %g", name, what, *a, *b)
		}
	}
	quantile("p50", live.P50, past.P50)
	quantile("p90", live.P90, past.P90)
	quantile("p99", live.P99, past.P99)
}
