package blame_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/blame"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
)

// The mesh: a line gateway > checkout > inventory > db with a side way gateway > search, a second at a time, as the windows of 10 s, 1 min
// and 5 min see it. Own times are spread by a factor of about two either way.

type second struct {
	took            []float64
	errors, refused float64
}

// times are sorted when first asked for an order.
type times struct {
	all    []float64
	sorted bool
}

func (t *times) Count() float64 { return float64(len(t.all)) }
func (t *times) Mean() float64 {
	sum := 0.0
	for _, v := range t.all {
		sum += v
	}
	return sum / max(1, float64(len(t.all)))
}

func (t *times) Above(ms float64) (n float64) {
	for _, v := range t.all {
		if v > ms {
			n++
		}
	}
	return n
}

func (t *times) order() []float64 {
	if !t.sorted {
		slices.Sort(t.all)
		t.sorted = true
	}
	return t.all
}

func (t *times) Quantile(q float64) float64 {
	if len(t.all) == 0 {
		return 0
	}
	return t.order()[min(int(q*float64(len(t.all))), len(t.all)-1)]
}

type watched struct {
	health.Watch
	seconds []second
	quiet   int64 // seconds since there were requests
}

// look takes in the latest second.
func (w *watched) look(c *health.Config, now int64, s second) {
	if w.seconds = append(w.seconds, s); len(w.seconds) > 300 {
		w.seconds = w.seconds[1:]
	}
	step := health.Step{Requests: float64(len(s.took)), Errors: s.errors, Throttled: s.refused}
	if bound := w.Bound(c, now); bound > 0 {
		for _, ms := range s.took {
			if ms > bound {
				step.Slow++
			}
			if ms > health.Tail*bound {
				step.Late++
			}
		}
	}
	if w.quiet++; step.Requests > 0 {
		w.quiet = 0
	}
	w.Look(c, now-1e9, now, step)
	if due := w.Due(c, now); due >= 0 {
		ws := w.windows()
		w.Learn(c, now, &ws, due)
	}
}

func (w *watched) windows() (ws [health.Windows]health.Window) {
	for i, n := range [...]int{10, 60, 300} {
		var all times
		for _, s := range w.seconds[max(0, len(w.seconds)-n):] {
			ws[i].Errors += s.errors
			ws[i].Throttled += s.refused
			all.all = append(all.all, s.took...)
		}
		ws[i].Requests, ws[i].Times = all.Count(), &all
		ws[i].Rate = ws[i].Requests / float64(n)
	}
	return ws
}

const (
	gateway = iota
	checkout
	inventory
	db
	search
	services
)

var names = [...]string{"gateway", "checkout", "inventory", "db", "search"}

type mesh struct {
	rnd   *rand.Rand
	rate  float64
	now   int64
	cfg   health.Config
	nodes [services]watched
	edges [4]watched
	last  blame.Verdict
}

var ways = [4][2]int{{gateway, checkout}, {checkout, inventory}, {inventory, db}, {gateway, search}}

// step lives a second, in which the node numbered of may be ill.
func (m *mesh) step(of int, kind telemetry.Ailment) blame.Verdict {
	m.now += 1e9
	var seen [services]second
	n := int(m.rate)
	if m.rnd.Float64() < m.rate-float64(n) {
		n++
	}
	for range n {
		m.call(gateway, of, kind, &seen)
	}
	ill := false
	for i := range m.nodes {
		m.nodes[i].look(&m.cfg, m.now, seen[i])
		ill = ill || m.nodes[i].Kind != telemetry.AilmentNone
	}
	for i, way := range ways {
		w := &m.edges[i]
		w.look(&m.cfg, m.now, seen[way[1]]) // each has one caller
		if w.Expected(m.now, w.quiet) {
			ws := m.nodes[way[0]].windows()
			if usual := m.nodes[way[0]].Usual(m.now).Rate; usual > 0 {
				w.Silent(m.now, w.quiet, ws[health.Short].Rate/usual)
			}
		}
		ill = ill || w.Kind != telemetry.AilmentNone
	}
	if !ill {
		m.last = blame.Verdict{Nodes: make([]telemetry.Judged, services), Edges: make([]telemetry.Judged, len(ways))}
		return m.last
	}
	m.hold()
	return m.judge()
}

// judge brings all before the court, as the graph does.
func (m *mesh) judge() blame.Verdict {
	var by [services]int
	patient := func(w *watched) (blame.Patient, int) {
		ws := w.windows()
		at := w.Telling(m.now, &ws)
		f := w.Figures(m.now, &ws, at)
		return blame.Patient{Kind: w.Kind, Since: w.Since, Age: time.Duration(m.now - w.Since), Known: time.Duration(m.now - 1_795_222_800e9), Severe: w.Severe(&m.cfg, &f), Figures: f}, at
	}
	var nodes []blame.Node
	for i := range m.nodes {
		n := blame.Node{ID: names[i], Name: names[i]}
		if len(m.last.Nodes) > 0 && m.last.Nodes[i].Kind != telemetry.AilmentNone {
			n.Before = cmp.Or(m.last.Nodes[i].Because, names[i])
		}
		n.Patient, by[i] = patient(&m.nodes[i])
		nodes = append(nodes, n)
	}
	var edges []blame.Edge
	for i, way := range ways {
		e := blame.Edge{Source: way[0], Target: way[1]}
		e.Patient, _ = patient(&m.edges[i])
		ws := m.edges[i].windows()
		e.Below = m.edges[i].Figures(m.now, &ws, by[way[0]])
		edges = append(edges, e)
	}
	m.last = blame.Judge(nodes, edges)
	return m.last
}

// hold has nothing learned by those that call what is ill: the ways are in the order of calls.
func (m *mesh) hold() {
	var held [services]bool
	for i := len(ways) - 1; i >= 0; i-- {
		way := ways[i]
		if held[way[1]] || m.edges[i].Kind != telemetry.AilmentNone || m.nodes[way[1]].Kind != telemetry.AilmentNone {
			held[way[0]] = true
		}
	}
	for i := range held {
		if held[i] {
			m.nodes[i].Hold(m.now)
		}
	}
	for i, way := range ways {
		if held[way[1]] {
			m.edges[i].Hold(m.now)
		}
	}
}

func (m *mesh) call(at, ill int, kind telemetry.Ailment, of *[services]second) (ms float64, failed, refused bool) {
	if at == ill && kind == telemetry.AilmentCutOff {
		return 0, false, false
	}
	ms = 5 * math.Exp(0.5*m.rnd.NormFloat64())
	failed = m.rnd.Float64() < 0.002
	if at == ill {
		switch kind {
		case telemetry.AilmentSlow:
			ms += 400
		case telemetry.AilmentFailing:
			failed = m.rnd.Float64() < 0.5
		case telemetry.AilmentThrottled:
			refused = m.rnd.Float64() < 0.6
		default:
		}
	}
	if !failed && !refused {
		for _, way := range ways {
			if way[0] == at {
				took, bad, no := m.call(way[1], ill, kind, of)
				ms, failed, refused = ms+took, failed || bad, refused || no
			}
		}
	}
	of[at].took = append(of[at].took, ms)
	switch {
	case failed:
		of[at].errors++
	case refused:
		of[at].refused++
	}
	return ms, failed, refused
}

func newMesh(seed uint64, rate float64) *mesh {
	return &mesh{rnd: rand.New(rand.NewPCG(seed, 1)), rate: rate, now: 1_795_222_800e9, cfg: health.DefaultConfig()}
}

// A fault of any kind is named first within 15 s and stays named until it ends; what calls it is ill because of it; it is
// over soon after.
func TestFaultsAreNamed(t *testing.T) {
	t.Parallel()
	for _, kind := range []telemetry.Ailment{telemetry.AilmentSlow, telemetry.AilmentFailing, telemetry.AilmentThrottled, telemetry.AilmentCutOff} {
		for i, length := range []int{20, 360, 7200} {
			rate := []float64{40, 12, 4}[i]
			t.Run(fmt.Sprint(kind, " for ", length, " s"), func(t *testing.T) {
				t.Parallel()
				m := newMesh(uint64(length), rate)
				for s := range 180 {
					if v := m.step(-1, 0); len(v.Culprits) > 0 {
						t.Fatalf("%v named after %d healthy seconds", v.Culprits, s)
					}
				}
				named := false
				for s := range length {
					v := m.step(inventory, kind)
					first := len(v.Culprits) > 0 && v.Culprits[0] == "inventory"
					named = named || first
					if (s >= 15 || named) && !first {
						t.Fatalf("after %d s of fault the culprits are %v: %+v", s, v.Culprits, v.Nodes)
					}
					if s < 18 {
						continue
					}
					if j := v.Nodes[inventory]; j.Kind != kind || j.Because != "" || !strings.HasPrefix(j.Says, "inventory is ") {
						t.Fatalf("after %d s the judgement is %+v", s, j)
					}
					for _, n := range []int{checkout, gateway} {
						if j := v.Nodes[n]; j.Kind != telemetry.AilmentNone && j.Because != "inventory" {
							t.Fatalf("after %d s %s: %+v", s, names[n], j)
						}
					}
				}
				for s := range 120 {
					v := m.step(-1, 0)
					if s > 90 && len(v.Culprits) > 0 {
						t.Fatalf("%v named %d s after the fault ended", v.Culprits, s)
					}
					if kind != telemetry.AilmentCutOff && slices.ContainsFunc(v.Culprits, func(c string) bool { return c != "inventory" }) {
						t.Fatalf("%v named %d s after the fault ended: %+v", v.Culprits, s, v.Nodes)
					}
				}
			})
		}
	}
}

// Nobody is a culprit in twenty healthy minutes, however seldom it is called.
func TestHealthyIsNotNamed(t *testing.T) {
	t.Parallel()
	for seed, rate := range []float64{0.2, 1, 4, 4, 4, 30} {
		m := newMesh(uint64(seed), rate)
		for s := range 1200 {
			if v := m.step(-1, 0); len(v.Culprits) > 0 {
				t.Errorf("%v named after %d healthy seconds at %v requests a second: %+v", v.Culprits, s, rate, v.Nodes)
				break
			}
		}
	}
}
