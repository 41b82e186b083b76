package blame_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/blame"
)

// doubt is a node that is not ill, of 600 requests of which so many fail, and which take so long on the average.
func doubt(name string, errors, mean float64) blame.Doubt {
	return blame.Doubt{Node: called(name, ill(telemetry.AilmentNone, errors, 0, mean)), Requests: 600, Vary: 1.05}
}

func named(name string, k telemetry.Ailment, because string, score float64, age time.Duration) blame.Doubt {
	d := blame.Doubt{Node: called(name, ill(k, 0.5, 0.5, 400)), Requests: 600, Vary: 1.05, Judged: telemetry.Judgement{Kind: k, Because: because, Score: score}}
	d.Age = age
	return d
}

func ids(of []telemetry.Suspect) (ids []string) {
	for i := range of {
		ids = append(ids, of[i].ID)
	}
	return ids
}

func TestSuspects(t *testing.T) {
	t.Parallel()
	const failing = telemetry.AilmentFailing
	doubts := []blame.Doubt{
		doubt("calm", 0.003, 21),    // as ever
		doubt("frontend", 0.02, 26), // passes errors on
		doubt("search", 0.03, 26),
		doubt("stock", 0, 60),
		named("old", failing, "", 0.001, 25*time.Hour),
		named("oldest-caller", failing, "old", 0.5, 25*time.Hour),
		named("payment", failing, "", 0.75, time.Minute),
		named("checkout", failing, "payment", 0.5, time.Minute),
	}
	e := blame.Edge{Source: 1, Target: 2, Below: doubts[2].Figures}
	got := blame.Suspects(doubts, []blame.Edge{e})
	if want := []string{"payment", "stock", "search", "checkout", "frontend", "oldest-caller", "old"}; !slices.Equal(ids(got), want) {
		t.Fatalf("%v, want %v: %+v", ids(got), want, got)
	}
	for i, want := range map[int]string{
		1: "stock may be slow by itself: 60 ms on the average against its usual 20 ms",
		2: "search may be failing by itself: 3.0 % of 20 requests a second fail against its usual 0.1 %",
		4: "frontend may be failing because of search: 2.0 % of 20 requests a second fail against its usual 0.1 %",
	} {
		if got[i].Named || got[i].Judgement.Says != want {
			t.Errorf("%+v, want %q", got[i], want)
		}
	}
	if !got[0].Named || got[0].Judgement.Score != 0.75 {
		t.Errorf("what is ill keeps its judgement: %+v", got[0])
	}
}

// Chance suspects nobody: what few requests do, and what varies anyway.
func TestChanceIsNotSuspected(t *testing.T) {
	t.Parallel()
	few := doubt("few", 0.2, 60)
	few.Requests = 5
	vague := doubt("vague", 0, 44)
	vague.Vary = 1.5
	unknown := doubt("unknown", 0.5, 500)
	unknown.Figures.Usual.Requests = 0
	idle := doubt("idle", 0, 0)
	idle.Requests = 0
	for _, d := range []blame.Doubt{few, vague, unknown, idle, doubt("better", 0, 3)} {
		if part, by := d.Loses(); part != 0 || by != telemetry.AilmentNone {
			t.Errorf("%s surely loses %v by being %v", d.ID, part, by)
		}
	}
}

// More harm makes nobody less suspect, and more requests that show the same make nobody less suspect.
func TestMoreHarmIsMoreSuspect(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := doubt("x", rapid.Float64Range(0, 1).Draw(t, "errors"), rapid.Float64Range(1, 2000).Draw(t, "mean"))
		d.Vary = rapid.Float64Range(1, 3).Draw(t, "vary")
		d.Requests = float64(rapid.IntRange(1, 5000).Draw(t, "requests"))
		before, _ := d.Loses()
		w := d
		switch rapid.IntRange(0, 2).Draw(t, "what") {
		case 0:
			w.Figures.Mean *= rapid.Float64Range(1, 5).Draw(t, "more")
			w.Figures.P90 *= w.Figures.Mean / d.Figures.Mean
			if w.Requests < 9 {
				t.Skip("durations of so few say nothing")
			}
		case 1:
			w.Requests *= 2
		default:
			if w.Figures.Errors += (1 - w.Figures.Errors) * rapid.Float64Range(0, 1).Draw(t, "more"); w.Requests < 9 {
				t.Skip("so few say nothing")
			}
		}
		after, _ := w.Loses()
		if after < before-1e-12 {
			t.Fatalf("%v was %v: %+v became %+v", after, before, d, w)
		}
	})
}
