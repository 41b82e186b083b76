package blame_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/baseline"
	"github.com/binnacle-mesh/binnacle/telemetry/blame"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
)

// usual is what all patients of these tests are used to.
var usual = baseline.Usual{Requests: 5000, Rate: 20, Least: 15, Errors: 0.001, P90: 39, Mean: 20, Spread: 1, Samples: 16}

// ill is a patient for a minute, of whose 20 requests a second so many fail and are refused, and which take so long on the average.
func ill(k telemetry.Ailment, errors, refused, mean float64) blame.Patient {
	return blame.Patient{Kind: k, Age: time.Minute, Figures: health.Figures{
		Now: health.Now{Rate: 20, Errors: errors, Throttled: refused, Mean: mean, P90: 1.9 * mean}, Usual: usual,
	}}
}

func called(name string, p blame.Patient) blame.Node {
	return blame.Node{ID: name, Name: name, Patient: p}
}

// call is an edge that shows what its target shows.
func call(nodes []blame.Node, from, to int) blame.Edge {
	return blame.Edge{Patient: nodes[to].Patient, Source: from, Target: to, Below: nodes[to].Figures}
}

// Who is first, where several are ill by themselves in different ways.
func TestFirstIsWhoLosesMost(t *testing.T) {
	t.Parallel()
	const slow, failing, throttled, cutOff = telemetry.AilmentSlow, telemetry.AilmentFailing, telemetry.AilmentThrottled, telemetry.AilmentCutOff
	since := func(age time.Duration, p blame.Patient) blame.Patient {
		p.Age, p.Known = age, 2*age
		return p
	}
	unknown := func(p blame.Patient) blame.Patient {
		p.Figures.Usual = baseline.Usual{}
		return p
	}
	for _, c := range []struct {
		name string
		want []string
		of   []blame.Node
	}{
		{
			"a limit that refuses half, beside services that wait for a processor",
			[]string{"search", "catalog", "pricing"},
			[]blame.Node{called("pricing", ill(slow, 0, 0, 90)), called("search", ill(throttled, 0, 0.49, 21)), called("catalog", ill(slow, 0, 0, 290))},
		},
		{
			"the same when the limited one is slow as well",
			[]string{"search", "catalog"},
			[]blame.Node{called("search", ill(slow, 0, 0.49, 60)), called("catalog", ill(slow, 0, 0, 290))},
		},
		{
			"every other charge fails, beside what is a little slow",
			[]string{"payment", "reviews"},
			[]blame.Node{called("reviews", ill(slow, 0, 0, 200)), called("payment", ill(failing, 0.5, 0, 18))},
		},
		{
			"400 ms more, beside 6 % of errors",
			[]string{"inventory", "mail"},
			[]blame.Node{called("mail", ill(failing, 0.06, 0, 20)), called("inventory", ill(slow, 0, 0, 420))},
		},
		{
			"nobody answers, beside what answers seldom and late",
			[]string{"db", "mail", "tax"},
			[]blame.Node{called("tax", ill(slow, 0, 0, 800)), called("mail", ill(failing, 0.9, 0, 20)), called("db", ill(cutOff, 0, 0, 0))},
		},
		{
			"what is new before what was never well",
			[]string{"new", "old"},
			[]blame.Node{called("old", since(10*time.Minute, unknown(ill(failing, 1, 0, 20)))), called("new", ill(failing, 0.06, 0, 20))},
		},
		{
			"what is new before what has been so for a day",
			[]string{"new", "old"},
			[]blame.Node{called("old", since(25*time.Hour, ill(failing, 1, 0, 20))), called("new", ill(slow, 0, 0, 45))},
		},
		{
			"when Binnacle has just begun all is new",
			[]string{"a", "b"},
			[]blame.Node{called("b", since(5*time.Minute, unknown(ill(failing, 0.5, 0, 20)))), called("a", since(6*time.Minute, unknown(ill(failing, 1, 0, 20))))},
		},
		{
			"what is as bad and began first",
			[]string{"b", "a"},
			[]blame.Node{
				called("a", blame.Patient{Kind: failing, Since: 2, Age: time.Minute, Figures: ill(failing, 1, 0, 20).Figures}),
				called("b", blame.Patient{Kind: failing, Since: 1, Age: time.Minute, Figures: ill(failing, 1, 0, 20).Figures}),
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if v := blame.Judge(c.of, nil); !slices.Equal(v.Culprits, c.want) {
				t.Errorf("%v, want %v: %+v", v.Culprits, c.want, v.Nodes)
			}
		})
	}
}

// Who only passes refusals on does not gain by them, though it is slow by itself.
func TestPassingOnIsNoHarm(t *testing.T) {
	t.Parallel()
	nodes := []blame.Node{called("frontend", ill(telemetry.AilmentSlow, 0, 0.2, 80)), called("search", ill(telemetry.AilmentThrottled, 0, 0.2, 20))}
	v := blame.Judge(nodes, []blame.Edge{call(nodes, 0, 1)})
	if !slices.Equal(v.Culprits, []string{"search", "frontend"}) {
		t.Errorf("%v: %+v", v.Culprits, v.Nodes)
	}
}

// scenery draws a mesh in which some are ill.
func scenery(t *rapid.T) (nodes []blame.Node, edges []blame.Edge) {
	kinds := []telemetry.Ailment{telemetry.AilmentNone, telemetry.AilmentSlow, telemetry.AilmentFailing, telemetry.AilmentThrottled}
	for i := range rapid.IntRange(2, 8).Draw(t, "nodes") {
		p := ill(rapid.SampledFrom(kinds).Draw(t, "kind"), rapid.Float64Range(0, 1).Draw(t, "errors"), 0, rapid.Float64Range(5, 3000).Draw(t, "mean"))
		p.Figures.Throttled = rapid.Float64Range(0, 1-p.Figures.Errors).Draw(t, "refused")
		p.Age = time.Duration(rapid.IntRange(0, 30*3600).Draw(t, "age")) * time.Second
		p.Known = p.Age + time.Duration(rapid.IntRange(0, 3600).Draw(t, "known"))*time.Second
		if rapid.Bool().Draw(t, "unknown") {
			p.Figures.Usual = baseline.Usual{}
		}
		nodes = append(nodes, called(fmt.Sprint("n", i), p))
	}
	for range rapid.IntRange(0, 12).Draw(t, "edges") {
		i, j := rapid.IntRange(0, len(nodes)-1).Draw(t, "from"), rapid.IntRange(0, len(nodes)-1).Draw(t, "to")
		e := call(nodes, i, j)
		e.Below.Rate *= rapid.Float64Range(0, 1).Draw(t, "part")
		edges = append(edges, e)
	}
	return nodes, edges
}

func judge(nodes []blame.Node, edges []blame.Edge) blame.Verdict {
	return blame.Judge(slices.Clone(nodes), slices.Clone(edges))
}

// Whatever is well and does not belong to what is ill changes nothing.
func TestStrangersChangeNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		nodes, edges := scenery(t)
		before := judge(nodes, edges)
		more := append(slices.Clone(nodes), called("a-stranger", ill(telemetry.AilmentNone, 0, 0, 20)), called("z-stranger", ill(telemetry.AilmentNone, 0, 0, 20)))
		after := judge(more, append(slices.Clone(edges), call(more, len(nodes), len(nodes)+1)))
		if !slices.Equal(before.Culprits, after.Culprits) || !slices.Equal(before.Nodes, after.Nodes[:len(nodes)]) {
			t.Fatalf("%v became %v", before.Culprits, after.Culprits)
		}
	})
}

// More harm never ranks lower: a culprit that gets worse, its calls being as they were, stays a culprit and stays before all that it was before.
func TestMoreHarmNeverRanksLower(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		nodes, edges := scenery(t)
		before := judge(nodes, edges)
		if len(before.Culprits) == 0 {
			t.Skip("nobody is ill")
		}
		who := rapid.SampledFrom(before.Culprits).Draw(t, "who")
		at := slices.IndexFunc(nodes, func(n blame.Node) bool { return n.ID == who })
		worse := slices.Clone(nodes)
		f := &worse[at].Figures
		switch worse[at].Kind {
		case telemetry.AilmentFailing:
			f.Errors += (1 - f.Errors - f.Throttled) * rapid.Float64Range(0, 1).Draw(t, "more")
		case telemetry.AilmentThrottled:
			f.Throttled += (1 - f.Errors - f.Throttled) * rapid.Float64Range(0, 1).Draw(t, "more")
		case telemetry.AilmentSlow:
			f.Mean *= rapid.Float64Range(1, 10).Draw(t, "more")
		default:
			t.Skip("it is presumed to be ill by the edges that lead to it")
		}
		after := judge(worse, edges)
		rank := slices.Index(after.Culprits, who)
		if rank < 0 {
			t.Fatalf("%s is no culprit any more: %+v", who, after.Nodes[at])
		}
		for _, other := range after.Culprits[:rank] {
			if was := slices.Index(before.Culprits, other); was > slices.Index(before.Culprits, who) {
				t.Fatalf("%s stands behind %s now: %v became %v", who, other, before.Culprits, after.Culprits)
			}
		}
	})
}

// In the first hour nothing stands behind what is old.
func TestOldIsLast(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		nodes, edges := scenery(t)
		old := func(id string) bool {
			n := &nodes[slices.IndexFunc(nodes, func(n blame.Node) bool { return n.ID == id })]
			return n.Age >= health.Adopted || n.Known >= 15*time.Minute && n.Figures.Usual.Requests == 0
		}
		young := func(id string) bool {
			return nodes[slices.IndexFunc(nodes, func(n blame.Node) bool { return n.ID == id })].Age < time.Hour && !old(id)
		}
		for i := range nodes {
			if nodes[i].Kind == telemetry.AilmentNone {
				t.Skip("it may be presumed to be ill as long as another")
			}
		}
		culprits := judge(nodes, edges).Culprits
		seen := false
		for _, id := range culprits {
			seen = seen || old(id)
			if seen && young(id) {
				t.Fatalf("%s is new, and behind what is old: %v", id, culprits)
			}
		}
	})
}

// What is equal has one order, and the same from the judgements alone, as after a restart and of the past.
func TestOrderIsInTheJudgements(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		nodes, edges := scenery(t)
		for i := range nodes {
			nodes[i].Since = int64(rapid.IntRange(1, 3).Draw(t, "since"))
		}
		v := judge(nodes, edges)
		kept := telemetry.Judgements{Nodes: map[string]telemetry.Judged{}}
		for i := range nodes {
			if v.Nodes[i].Kind != telemetry.AilmentNone {
				kept.Nodes[nodes[i].ID] = v.Nodes[i]
			}
		}
		if got := kept.Culprits(); !slices.Equal(got, v.Culprits) {
			t.Fatalf("%v, want %v", got, v.Culprits)
		}
	})
}
