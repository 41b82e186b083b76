package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

func TestBaselines(t *testing.T) {
	t.Parallel()
	s := scene{
		oddity: map[string]float64{"gateway": 9, "checkout": 8, "inventory": 8.5, "search": 0.2},
		calls:  map[string][]string{"gateway": {"checkout", "search"}, "checkout": {"inventory"}},
	}
	if diff := cmp.Diff([]string{"gateway", "inventory", "checkout", "search"}, s.oddest()); diff != "" {
		t.Errorf("oddest (-want +got):\n%s", diff)
	}
	if walk := s.walk(); walk[0] != "inventory" || len(walk) != 4 {
		t.Errorf("who walks along the calls ends at %v", walk)
	}
	if none := (&scene{oddity: map[string]float64{"b": 0, "a": 0}}).walk(); !slices.Equal(none, []string{"a", "b"}) {
		t.Errorf("where nothing is odd: %v", none)
	}
	var usual spread
	for _, v := range []float64{8, 10, 12} {
		usual.add(v)
	}
	if d := usual.away(14); math.Abs(d-2) > 1e-9 {
		t.Errorf("14 is %v standard deviations above 8, 10, 12; want 2", d)
	}
	if usual.away(9) != 0 || new(spread).away(9) != 0 {
		t.Error("what is below the usual, or not known, is odd")
	}
}

func TestTops(t *testing.T) {
	t.Parallel()
	var got tops
	for _, ranking := range [][]string{{"x"}, {"a", "x"}, {"a", "b", "x"}, {"a", "b", "c", "x"}, nil} {
		got.count(ranking, "x")
	}
	if got != (tops{one: 1, three: 3}) {
		t.Errorf("%+v", got)
	}
}

// chain are the calls of some minutes of gateway > checkout > inventory, in which inventory takes longer by so much from a second on.
func chain(seconds, from int, more time.Duration) (out []call) {
	const begin = int64(1_700_000_000e9)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 20 * seconds {
		at := begin + int64(i)*50e6
		took := int64(5e6 * (0.5 + random.Float64()))
		if i >= 20*from {
			took += int64(more)
		}
		for depth, who := range []string{"inventory", "checkout", "gateway"} {
			id := uint64(10*i + 2*depth + 1)
			server := call{namespace: "shop", service: who, kind: telemetry.KindServer, id: number(id), start: at, took: took}
			copy(server.trace[:], fmt.Sprint("trace", i))
			if who != "gateway" {
				client := server
				client.kind, client.id = telemetry.KindClient, number(id+1)
				client.service = map[string]string{"inventory": "checkout", "checkout": "gateway"}[who]
				server.parent, client.parent = client.id, number(id+2)
				out = append(out, client)
			}
			out = append(out, server)
			took += int64(5e6 * (0.5 + random.Float64()))
		}
	}
	return out
}

// A recording goes through the same judge as live traffic: who is slow in it is named, and who calls it suffers.
func TestJudgeOfCalls(t *testing.T) {
	t.Parallel()
	all := chain(180, 60, 300*time.Millisecond)
	injected := all[0].start + int64(time.Minute)
	at := slices.IndexFunc(all, func(c call) bool { return c.start >= injected })
	in := judgeCalls("slow", "inventory", all[:at], all[at:], injected)
	if got := in.judged(); !slices.Equal(got, []string{"inventory", "checkout", "gateway"}) && !slices.Equal(got, []string{"inventory", "gateway", "checkout"}) {
		t.Errorf("the judge's ranking is %v", got)
	}
	if len(in.before) > 0 {
		t.Errorf("named while all was well: %v", in.before)
	}
	if in.scene.oddity["inventory"] < 10 || !slices.Equal(in.scene.calls["checkout"], []string{"inventory"}) {
		t.Errorf("the scene is %+v", in.scene)
	}
}

// What is made up of figures has those figures.
func TestCallsOfRecord(t *testing.T) {
	t.Parallel()
	of := func(v float64) []*float64 { return []*float64{&v} }
	var r record
	r.Timestamps = []float64{0}
	r.Metrics = map[string]metrics{
		"front": {Latency: map[string][]*float64{"p50": of(0.02), "p90": of(0.03), "p95": of(0.04), "p99": of(0.05)}, Requests: sum{of(500)}, Availability: average{of(98)}},
		"back":  {Latency: map[string][]*float64{"p50": of(0.01), "p90": of(0.02), "p95": of(0.03), "p99": of(1)}, Requests: sum{of(1000)}, Availability: average{of(100)}},
		"idle":  {Requests: sum{of(0)}},
	}
	g := &shopGraph{Edges: [][2]string{{"front", "back"}, {"idle", "back"}}}
	servers, clients, failed, slow := map[string]int{}, map[string]int{}, 0, 0
	for _, c := range r.calls(g, 0, bucket) {
		if c.end() < bucket || c.end() >= 2*bucket {
			t.Fatalf("a request ends at %d, out of its bucket", c.end())
		}
		if c.kind == telemetry.KindClient {
			clients[c.service]++
			continue
		}
		servers[c.service]++
		if c.failed {
			failed++
		}
		if c.service == "back" && c.took > 20e6 {
			slow++
		}
	}
	if diff := cmp.Diff(map[string]int{"front": 500, "back": 1000}, servers); diff != "" {
		t.Errorf("answered (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"front": 1000}, clients); diff != "" {
		t.Errorf("called (-want +got):\n%s", diff)
	}
	if failed != 10 || slow < 99 || slow > 101 {
		t.Errorf("%d failed, want 10; %d above the p90, want 100", failed, slow)
	}
}
