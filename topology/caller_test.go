package topology

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A fan is a frontend, called by a gateway, that calls three services one after the other, as spans of all tell. Late is by how much longer the frontend waits
// for each answer than it takes, in nanoseconds.
type fan struct {
	shop
	late map[string]int64
}

var fanned = [...]string{"catalog", "cart", "users"}

func (f *fan) second() *telemetry.Graph {
	b := telemetry.NewBatch()
	b.Received = f.now
	resources := map[string]uint32{}
	for i := range int(f.rate) {
		trace := traceID(fmt.Sprint(f.n, "/", i))
		add := func(who string, kind telemetry.SpanKind, id, parent uint64, took int64) {
			s := telemetry.Span{
				TraceID: trace, SpanID: id64(id), Kind: kind, Resource: addResource(b, resources, "shop/"+who), Protocol: telemetry.ProtocolHTTP,
				Start: f.now, Duration: took, Outcome: telemetry.OutcomeOK,
			}
			if parent != 0 {
				s.ParentID = id64(parent)
			}
			b.Spans = append(b.Spans, s)
		}
		own := func() int64 { return int64(4e6 * (0.5 + f.rnd.ExpFloat64()/2)) }
		all := own()
		for k, who := range fanned {
			took := own()
			waits := took + 3e5 + f.late[who]
			all += waits
			add(who, telemetry.KindServer, uint64(10+k), uint64(20+k), took) //nolint:gosec // small
			add("frontend", telemetry.KindClient, uint64(20+k), 2, waits)    //nolint:gosec // small
		}
		add("frontend", telemetry.KindServer, 2, 3, all)
		add("gateway", telemetry.KindClient, 3, 4, all+3e5)
		add("gateway", telemetry.KindServer, 4, 0, all+own())
	}
	f.n++
	f.t.Consume(telemetry.Entry{Position: f.n, Batch: b})
	for range 5 {
		f.now += 200e6
		f.t.Tick(f.now)
	}
	return f.t.Snapshot()
}

// Who is late to read all its answers is the culprit, and not those that it calls; where it is late on one call alone, as if that had to queue, its callee is.
func TestWhoReadsLate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, culprit string
		late          map[string]int64
	}{
		{"all", "shop/frontend", map[string]int64{"catalog": 90e6, "cart": 110e6, "users": 100e6}},
		{"one", "shop/cart", map[string]int64{"cart": 110e6}},
		{"none", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := &fan{shop: shop{t: New(DefaultConfig()), rnd: rand.New(rand.NewPCG(5, 6)), now: storyStart, rate: 15}}
			for range 180 {
				if g := f.second(); len(g.Culprits) > 0 {
					t.Fatalf("%v named while all was well", g.Culprits)
				}
			}
			f.late = c.late
			for i := range 120 {
				g := f.second()
				if i < 15 {
					continue
				}
				want := []string{c.culprit}
				if c.culprit == "" {
					want = []string{}
				}
				if !slices.Equal(g.Culprits, want) {
					t.Fatalf("after %d s the culprits are %v, want %s: %+v", i, g.Culprits, c.culprit, judgements(g))
				}
				for k := range g.Nodes {
					if n := &g.Nodes[k]; n.Judgement.Kind != telemetry.AilmentNone && n.ID != c.culprit && n.Judgement.Because != c.culprit {
						t.Fatalf("after %d s %s: %+v", i, n.ID, n.Judgement)
					}
				}
			}
		})
	}
}

func judgements(g *telemetry.Graph) (out []string) {
	for i := range g.Nodes {
		if j := &g.Nodes[i].Judgement; j.Kind != telemetry.AilmentNone {
			out = append(out, j.Says)
		}
	}
	return out
}
