package aggregator

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/binnacle-mesh/binnacle/aggregator/canonical"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// flood plays a log of entries, one each tenth of a second, and counts what it sent.
type flood struct {
	a    *Aggregator
	pos  telemetry.Position
	now  int64
	sent uint64
	edge map[string]*telemetry.Edge
}

func newFlood(cfg Config) *flood {
	return &flood{a: New(cfg, prometheus.NewRegistry()), now: epoch, edge: map[string]*telemetry.Edge{}}
}

// step sends a span and a request on an edge for each "service operation version".
func (f *flood) step(t *testing.T, keys ...string) {
	t.Helper()
	f.now += second / 10
	f.pos++
	b := telemetry.NewBatch()
	b.Received = f.now
	resources := map[string]uint32{}
	var seen []telemetry.Observation
	for _, key := range keys {
		p := append(strings.Split(key, " "), "")
		res, ok := resources[p[0]+" "+p[2]]
		if !ok {
			res = uint32(len(b.Resources))
			resources[p[0]+" "+p[2]] = res
			b.Resources = append(b.Resources, telemetry.Resource{Identity: telemetry.Identity{Service: b.InternString(p[0]), Version: b.InternString(p[2])}})
		}
		b.Spans = append(b.Spans, telemetry.Span{Start: f.now, Duration: 1e6, Resource: res, Name: b.InternString(p[1]), Kind: telemetry.KindServer})
		e := f.edge[p[0]]
		if e == nil {
			e = &telemetry.Edge{Protocol: telemetry.ProtocolHTTP}
			e.Source.Node.Name, e.Target.Node.Name = "front", p[0]
			f.edge[p[0]] = e
		}
		seen = append(seen, telemetry.Observation{Edge: e, At: f.now, Duration: 1e6, Code: 200})
	}
	if err := f.a.Consume(telemetry.Entry{Position: f.pos, Batch: b}); err != nil {
		t.Fatal(err)
	}
	f.a.Observe(observed(f.a, seen...))
	f.sent += 2 * uint64(len(keys))
}

// own is how many requests a service has in series of its own, as operations and on its edge.
func (f *flood) own(service string) (spans, requests uint64) {
	f.a.each(func(s *series) {
		if s.labels.Get(canonical.Service) == service {
			spans += s.latency.count
		}
		if s.labels.Get(canonical.Destination) == service {
			requests += s.latency.count
		}
	})
	return spans, requests
}

func crowdConfig() Config {
	c := DefaultConfig()
	c.MaxSeries = 1000
	return c
}

// Two seconds of junk fill the table. Those that lived before lose nothing; one that begins to call
// has series of its own within half a minute of the flood's end, and what it left behind is soon a part of the table again.
func TestNewcomersAfterAFlood(t *testing.T) {
	t.Parallel()
	f := newFlood(crowdConfig())
	f.step(t, "old get")
	for tick := range 20 {
		keys := []string{"old get"}
		for i := range 200 {
			keys = append(keys, fmt.Sprintf("junk-%da%db op", tick, i))
		}
		f.step(t, keys...)
	}
	if f.a.Len() < 900 || f.a.Len() > 1000 {
		t.Fatalf("the flood left %d series", f.a.Len())
	}
	ended := f.now
	for f.now < ended+30*second {
		f.step(t, "old get", "new get")
	}
	if spans, requests := f.own("new"); spans == 0 || requests == 0 {
		t.Errorf("30 s after the flood the newcomer has %d spans and %d requests in series of its own", spans, requests)
	}
	if spans, requests := f.own("old"); spans != uint64(f.pos) || requests != uint64(f.pos) {
		t.Errorf("the one that was there has %d spans and %d requests of %d", spans, requests, f.pos)
	}
}

// While a flood of ever new names goes on, one that keeps calling gets series of its own.
func TestNewcomersDuringAFlood(t *testing.T) {
	t.Parallel()
	f := newFlood(crowdConfig())
	began := int64(0)
	for tick := range 600 {
		keys := make([]string, 0, 51)
		for i := range 50 {
			keys = append(keys, fmt.Sprintf("junk-%da%db op", tick, i))
		}
		if tick > 300 {
			keys = append(keys, "new get")
			if began == 0 {
				began = f.now
			}
		}
		f.step(t, keys...)
		if spans, requests := f.own("new"); spans > 0 && requests > 0 {
			if took := f.now - began; took > 10*second {
				t.Errorf("it took %v", time.Duration(took))
			}
			return
		}
	}
	t.Error("the newcomer has no series of its own after 30 s")
}

// Within one service: names that come once make room for one that comes again, and are told of.
func TestNamesOfAService(t *testing.T) {
	t.Parallel()
	f := newFlood(DefaultConfig())
	for tick := range 50 {
		keys := []string{"cart health"}
		for i := range 40 {
			keys = append(keys, fmt.Sprintf("cart junk-%da%db", tick, i))
		}
		f.step(t, keys...)
	}
	at := time.Unix(0, f.now)
	f.a.find(at)
	if got := f.a.Findings(at); len(got) != 1 || got[0].Subject != "cart" || got[0].Count < 1500 || !strings.Contains(got[0].Says, `"junk-`) || !got[0].Since.Equal(at) {
		t.Errorf("findings: %+v", got)
	}
	f.a.find(at.Add(foundFor + time.Second))
	if got := f.a.Findings(at); got != nil {
		t.Errorf("a minute later: %+v", got)
	}
	if n := f.a.services[serviceKey{"", "cart"}].names(); n != 200 {
		t.Errorf("cart has %d names", n)
	}
	for range 250 {
		f.step(t, "cart health", "cart pay", "other pay")
	}
	var health, pay uint64
	f.a.each(func(s *series) {
		switch {
		case s.labels.Get(canonical.Service) != "cart":
		case s.labels.Get(canonical.Name) == "health":
			health += s.latency.count
		case s.labels.Get(canonical.Name) == "pay":
			pay += s.latency.count
		}
	})
	if health != 300 || pay == 0 {
		t.Errorf("health was called %d times, and pay %d", health, pay)
	}
}

// Versions are senders' text as well: one service has at most half of the table, and its total stays its own.
func TestVersionsOfAService(t *testing.T) {
	t.Parallel()
	f := newFlood(crowdConfig())
	for tick := range 20 {
		var keys []string
		for i := range 100 {
			keys = append(keys, fmt.Sprintf("cart get v%d-%d", tick, i))
		}
		f.step(t, keys...)
	}
	f.step(t, "pay get")
	spans, _ := f.own("cart")
	if n := f.a.services[serviceKey{"", "cart"}].series; n > 501 || spans != 2000 {
		t.Errorf("cart has %d series, which count %d spans of 2000", n, spans)
	}
	if spans, _ := f.own("pay"); spans != 1 {
		t.Errorf("pay has %d spans in series of its own", spans)
	}
}

// What leaves for others ends in the store with all that it counted, and begins anew when it comes back: each request is one increase.
func TestLeavingInTheStore(t *testing.T) {
	t.Parallel()
	cfg := crowdConfig()
	cfg.MaxSeries = 10
	f := newFlood(cfg)
	db := openStore(t, t.TempDir())
	flush := func() {
		if err := f.a.Flush(context.Background(), time.Unix(0, f.now), db); err != nil {
			t.Fatal(err)
		}
	}
	flush()
	for i := range 6 { // five services fill it
		f.step(t, fmt.Sprintf("svc-%c get", 'a'+i))
	}
	flush()
	for range 230 { // while f knocks, the oldest two leave for its span and its edge
		f.step(t, "svc-f get")
		if f.pos%50 == 0 {
			flush()
		}
	}
	for range 300 { // and one of them comes back
		f.step(t, "svc-a get", "svc-f get")
		if f.pos%50 == 0 {
			flush()
		}
	}
	flush()
	total := 0.0
	ended := 0
	for _, metric := range []string{canonical.Operation, canonical.Edge} {
		for ls, s := range samples(t, db, named(metric)) {
			total += increaseOf(t, s)
			if strings.Contains(s, "end") {
				ended++
			}
			if strings.Contains(ls, "svc-a") && strings.Count(s, ":0") != 2 {
				t.Errorf("svc-a has two lives, each from 0 on: %s: %s", ls, s)
			}
		}
	}
	if total != float64(f.sent) || ended < 2 {
		t.Errorf("the increases sum to %v of %d requests; %d series ended", total, f.sent, ended)
	}
	if got := testutil.ToFloat64(f.a.metrics.displaced); got < 2 {
		t.Errorf("%v left", got)
	}
}

// increaseOf adds up the increases in "time:count time:count time:end".
func increaseOf(t *testing.T, s string) (sum float64) {
	t.Helper()
	last := 0.0
	for _, sample := range strings.Fields(s) {
		var v float64
		if _, err := fmt.Sscanf(sample[strings.Index(sample, ":")+1:], "%g", &v); err != nil {
			continue // its end
		}
		if v < last {
			last = 0
		}
		sum, last = sum+v-last, v
	}
	return sum
}

// A state of version 2 is one in which nobody waits.
func TestLoadVersion2(t *testing.T) {
	t.Parallel()
	f := newFlood(DefaultConfig())
	f.step(t, "cart get", "pay get")
	state := saved(t, f.a)
	var end bytes.Buffer
	// Nobody waits, room was never made, no service is crowded, and nobody knocked.
	end.Write([]byte{0, 0, 0, 0x80, 0x80, 0x04, 0})
	body, ok := bytes.CutSuffix(state[:len(state)-4], end.Bytes())
	if !ok {
		t.Fatal("the state does not end as it should")
	}
	old := sealAs(2, body[len(stateMagic)+1:])
	a := New(DefaultConfig(), prometheus.NewRegistry())
	if err := a.Load(bytes.NewReader(old)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(state, saved(t, a)); d != "" {
		t.Error(d)
	}
}

// A flood of names that come again and again fills all of the table. While it lives nobody leaves; a minute
// after its end newcomers have been let in.
func TestNewcomersAfterNamesThatRepeat(t *testing.T) {
	t.Parallel()
	f := newFlood(crowdConfig())
	for tick := range 600 {
		keys := make([]string, 0, 100)
		for i := range 100 {
			keys = append(keys, fmt.Sprintf("junk-%d op", (100*tick+i)%2000))
		}
		f.step(t, keys...)
	}
	if f.a.Len() != 1000 {
		t.Errorf("%d series", f.a.Len())
	}
	ended := f.now
	for f.now < ended+60*second {
		var keys []string
		for i := range 30 {
			keys = append(keys, fmt.Sprintf("new-%d get", i))
		}
		f.step(t, keys...)
	}
	for i := range 30 {
		if spans, requests := f.own(fmt.Sprint("new-", i)); spans == 0 || requests == 0 {
			t.Errorf("newcomer %d has %d spans and %d requests in series of its own", i, spans, requests)
		}
	}
}
