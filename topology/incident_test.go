package topology

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A shop is a line of services that spans tell of: gateway > checkout > inventory > db. Own times are spread by chance.
type shop struct {
	t    *Topology
	rnd  *rand.Rand
	now  int64
	n    telemetry.Position
	rate float64
	// slowShare is the share of requests that take longer, where not all do.
	slowShare float64
}

func newShop(seed uint64, rate float64) *shop {
	return &shop{t: New(DefaultConfig()), rnd: rand.New(rand.NewPCG(seed, 7)), now: storyStart, rate: rate}
}

var line = [...]string{"gateway", "checkout", "inventory", "db"}

// second lives a second, in which a service may take longer by so much, or fail by so much.
func (s *shop) second(who string, longer time.Duration, fails float64) *telemetry.Graph {
	n := int(s.rate)
	if s.rnd.Float64() < s.rate-float64(n) {
		n++
	}
	b := telemetry.NewBatch()
	b.Received = s.now
	resources := map[string]uint32{}
	for i := range n {
		s.call(b, resources, fmt.Sprint(s.n, "/", i), 0, 0, who, longer, fails)
	}
	s.n++
	s.t.Consume(telemetry.Entry{Position: s.n, Batch: b})
	for range 5 {
		s.now += 200e6
		s.t.Tick(s.now)
	}
	return s.t.Snapshot()
}

// call adds the spans of one service and of those that it calls.
func (s *shop) call(b *telemetry.Batch, resources map[string]uint32, trace string, at int, parent uint64, who string, longer time.Duration, fails float64) (took int64, failed bool) {
	took = int64(5e6 * (0.5 + s.rnd.ExpFloat64()/2))
	failed = s.rnd.Float64() < 0.002
	if line[at] == who {
		if s.slowShare == 0 || s.rnd.Float64() < s.slowShare {
			took += int64(longer)
		}
		failed = failed || s.rnd.Float64() < fails
	}
	server, client := uint64(2*at+1), uint64(2*at+2) //nolint:gosec // small
	of := addResource(b, resources, "shop/"+line[at])
	if at+1 < len(line) {
		below, bad := s.call(b, resources, trace, at+1, client, who, longer, fails)
		took, failed = took+below, failed || bad
		out := telemetry.OutcomeOK
		if bad {
			out = telemetry.OutcomeError
		}
		b.Spans = append(b.Spans, telemetry.Span{
			TraceID: traceID(trace), SpanID: id64(client), ParentID: id64(server), Kind: telemetry.KindClient, Resource: of, Protocol: telemetry.ProtocolHTTP,
			Start: s.now, Duration: below, Outcome: out,
		})
	}
	out := telemetry.OutcomeOK
	if failed {
		out = telemetry.OutcomeError
	}
	span := telemetry.Span{TraceID: traceID(trace), SpanID: id64(server), Kind: telemetry.KindServer, Resource: of, Protocol: telemetry.ProtocolHTTP, Start: s.now, Duration: took, Outcome: out}
	if parent != 0 {
		span.ParentID = id64(parent)
	}
	b.Spans = append(b.Spans, span)
	return took, failed
}

// restart saves the graph, and goes on with a new one that has loaded it.
func (s *shop) restart(t *testing.T) {
	t.Helper()
	s.t = loaded(t, s.t, saved(t, s.t))
}

// TestHourOfIncident: a culprit is named first within 15 s, stays named for as long as an hour, through two restarts, and those that call
// it are its victims; a minute after it is over nobody is ill.
func TestHourOfIncident(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		kind   telemetry.Ailment
		longer time.Duration
		fails  float64
	}{
		{"slow", telemetry.AilmentSlow, 400 * time.Millisecond, 0},
		{"failing", telemetry.AilmentFailing, 0, 0.4},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(11, 6)
			for range 300 {
				if g := s.second("", 0, 0); len(g.Culprits) > 0 {
					t.Fatalf("%v named while all was well", g.Culprits)
				}
			}
			const long = 3600
			for i := range long {
				if i == long/3 || i == 2*long/3 {
					s.restart(t)
				}
				g := s.second("inventory", c.longer, c.fails)
				if i < 15 {
					continue
				}
				if len(g.Culprits) == 0 || g.Culprits[0] != "shop/inventory" {
					t.Fatalf("after %d s the culprits are %v", i, g.Culprits)
				}
				for k := range g.Nodes {
					n := &g.Nodes[k]
					switch j := &n.Judgement; {
					case n.ID == "shop/inventory":
						if j.Kind != c.kind || j.Because != "" || n.Health != telemetry.HealthFailing {
							t.Fatalf("after %d s: %s %+v", i, n.Health, j)
						}
					case j.Kind != telemetry.AilmentNone && j.Because != "shop/inventory":
						t.Fatalf("after %d s %s: %+v", i, n.ID, j)
					}
				}
			}
			for range 60 {
				s.second("", 0, 0)
			}
			if g := s.second("", 0, 0); len(g.Culprits) > 0 || slices.ContainsFunc(g.Edges, func(e telemetry.GraphEdge) bool { return e.Judgement.Kind != telemetry.AilmentNone }) {
				t.Errorf("%v named a minute after it was over", g.Culprits)
			}
		})
	}
}

// seeds is how many lives a test of chance lives; all of them with BINNACLE_EVERY_SEED=1.
func seeds(few, all uint64) uint64 {
	if os.Getenv("BINNACLE_EVERY_SEED") != "" {
		return all
	}
	return few
}

// TestHealthyMinutes: nobody is named in twenty healthy minutes of four requests a second, nor at any other rate.
func TestHealthyMinutes(t *testing.T) {
	t.Parallel()
	for seed := range seeds(15, 200) {
		s := newShop(seed, [...]float64{4, 4, 1, 0.3, 25}[seed%5])
		for i := range 1200 {
			if g := s.second("", 0, 0); len(g.Culprits) > 0 {
				t.Errorf("seed %d: %v named after %d healthy seconds", seed, g.Culprits, i)
				break
			}
		}
	}
}

// TestChapters: faults of any kind, place, length and order are named first within 15 s and as long as they last, in 95 of a hundred cases.
func TestChapters(t *testing.T) {
	t.Parallel()
	var faults, named int
	for seed := range seeds(10, 200) {
		s := newShop(seed, 4+float64(seed%8)*3)
		for range 150 {
			s.second("", 0, 0)
		}
		for range 3 {
			who := line[s.rnd.IntN(len(line))]
			longer, fails := time.Duration(0), 0.0
			if s.rnd.IntN(2) == 0 {
				longer = time.Duration(100+s.rnd.IntN(600)) * time.Millisecond
			} else {
				fails = 0.3 + 0.6*s.rnd.Float64()
			}
			length := 20 + s.rnd.IntN(340)
			held := true
			for i := range length {
				g := s.second(who, longer, fails)
				if i >= 15 && (len(g.Culprits) == 0 || g.Culprits[0] != "shop/"+who) {
					held = false
				}
			}
			faults++
			if held {
				named++
			} else {
				t.Logf("seed %d: %s, %v longer, %.2f fail, for %d s at %v/s was not held", seed, who, longer, fails, length, s.rate)
			}
			for range 90 {
				s.second("", 0, 0)
			}
			if g := s.second("", 0, 0); len(g.Culprits) > 0 {
				t.Errorf("seed %d: %v named 90 s after it was over", seed, g.Culprits)
			}
		}
	}
	if named*100 < faults*95 {
		t.Errorf("%d of %d faults were named first within 15 s and held", named, faults)
	}
}

// TestFaintFault: what fails, or is slow, a little more than it may is named first when there is enough of it, through the whole of it, and no longer
// soon after.
func TestFaintFault(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rate, share float64
		longer      time.Duration
		within      int
	}{{10, 0.09, 0, 60}, {20, 0.08, 0, 45}, {20, 0.2, 300 * time.Millisecond, 40}} {
		t.Run(fmt.Sprint(c.rate, c.share, c.longer), func(t *testing.T) {
			t.Parallel()
			for seed := range seeds(1, 20) {
				s := newShop(seed, c.rate)
				s.slowShare = c.share
				fails := c.share
				if c.longer > 0 {
					fails = 0
				}
				for range 250 {
					s.second("", 0, 0)
				}
				since, gone := -1, 0
				for i := range 600 {
					g := s.second("inventory", c.longer, fails)
					first := len(g.Culprits) > 0 && g.Culprits[0] == "shop/inventory"
					switch {
					case first && since < 0:
						since = i
					case !first && since >= 0:
						gone++
					}
				}
				if since < 0 || since > c.within || gone > 0 {
					t.Errorf("seed %d: named after %d s, and not for %d s after that", seed, since, gone)
				}
				for range 45 {
					s.second("", 0, 0)
				}
				if g := s.second("", 0, 0); len(g.Culprits) > 0 {
					t.Errorf("seed %d: %v named 45 s after it was over", seed, g.Culprits)
				}
			}
		})
	}
}
