package health_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
)

// A patient is called so many times a second, and takes 10 ms; of its requests one in 500 fails, one in 50 takes 100 ms.
type patient struct {
	health.Watch
	cfg     health.Config
	rnd     *rand.Rand
	rate    float64
	now     int64
	seconds []counts
}

type counts struct{ n, errors, slow float64 }

func (c counts) Count() float64 { return c.n }
func (c counts) Mean() float64  { return (10*(c.n-c.slow) + 100*c.slow) / max(1, c.n) }
func (c counts) Above(ms float64) float64 {
	if ms < 100 {
		return c.slow
	}
	return 0
}

func (c counts) Quantile(q float64) float64 {
	if q*c.n > c.n-c.slow {
		return 100
	}
	return 10
}

// second lives one, in which shares of its requests fail and are slow by a fault.
func (p *patient) second(fails, slow float64) {
	var c counts
	n := int(p.rate)
	if p.rnd.Float64() < p.rate-float64(n) {
		n++
	}
	for range n {
		c.n++
		if p.rnd.Float64() < max(fails, 0.002) {
			c.errors++
		}
		if p.rnd.Float64() < max(slow, 0.02) {
			c.slow++
		}
	}
	if p.seconds = append(p.seconds, c); len(p.seconds) > 300 {
		p.seconds = p.seconds[1:]
	}
	p.now += 1e9
	step := health.Step{Requests: c.n, Errors: c.errors}
	if bound := p.Bound(&p.cfg, p.now); bound > 0 && bound < 100 {
		step.Slow = c.slow
	}
	p.Look(&p.cfg, p.now-1e9, p.now, step)
	if due := p.Due(&p.cfg, p.now); due >= 0 {
		var ws [health.Windows]health.Window
		for i, n := range [...]int{10, 60, 300} {
			var all counts
			for _, s := range p.seconds[max(0, len(p.seconds)-n):] {
				all.n, all.errors, all.slow = all.n+s.n, all.errors+s.errors, all.slow+s.slow
			}
			ws[i] = health.Window{Requests: all.n, Errors: all.errors, Rate: all.n / float64(n), Times: all}
		}
		p.Learn(&p.cfg, p.now, &ws, due)
	}
}

// live has some patients healthy, faulty for half an hour, and healthy again, and says how many seconds pass until 95 of a
// hundred are named, and until as many are so no longer after the end; -1: not in a quarter of an hour.
func live(t *testing.T, kind telemetry.Ailment, share, rate float64) (named, over int) {
	t.Helper()
	const lives, half = 40, 1800
	var found, ended []int
	gone := 0
	for seed := range uint64(lives) {
		p := &patient{cfg: health.DefaultConfig(), rnd: rand.New(rand.NewPCG(seed, 3)), rate: rate, now: 1_795_222_800e9}
		fails, slow := 0.0, 0.0
		if kind == telemetry.AilmentFailing {
			fails = share
		} else {
			slow = share
		}
		for s := range 600 {
			if p.second(0, 0); p.Kind != telemetry.AilmentNone {
				t.Errorf("%v a second, seed %d: %s after %d healthy seconds", rate, seed, p.Kind, s)
			}
		}
		at := half
		for s := range half {
			p.second(fails, slow)
			switch {
			case p.Kind == kind && at == half:
				at = s + 1
			case p.Kind != kind && at < half:
				gone++
			}
		}
		found = append(found, at)
		end := 0
		for ; end < half && p.Kind != telemetry.AilmentNone; end++ {
			p.second(0, 0)
		}
		ended = append(ended, end)
	}
	if gone > 0 {
		t.Errorf("%s, %v of %v a second: not named for %d s of %d lives of half an hour", kind, share, rate, gone, lives)
	}
	slices.Sort(found)
	slices.Sort(ended)
	named, over = found[lives*95/100], ended[lives*95/100]
	if named > 900 {
		return -1, -1
	}
	return named, over
}

// TestFaintFaultsAreNamed: a fault of any share is named as soon as docs/operations/health.md says, stays named for as long as it lasts, and is over as soon as
// that says.
func TestFaintFaultsAreNamed(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/operations/health.md")
	if err != nil {
		t.Fatal(err)
	}
	cell := regexp.MustCompile(`^(\d+) s, (\d+) s$`)
	kind, rates, rows := telemetry.AilmentNone, []float64(nil), 0
	for line := range strings.Lines(string(doc)) {
		cols := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cols {
			cols[i] = strings.TrimSpace(cols[i])
		}
		switch { // the header of a table, a line between two, a row
		case strings.HasPrefix(cols[0], "of which fail"):
			kind = telemetry.AilmentFailing
		case strings.HasPrefix(cols[0], "of which are slow"):
			kind = telemetry.AilmentSlow
		case !strings.HasSuffix(cols[0], " %") || kind == telemetry.AilmentNone:
			if len(cols) == 1 {
				kind = telemetry.AilmentNone
			}
			continue
		default:
			rows++
			percent := number(t, strings.TrimSuffix(cols[0], " %"))
			for i, rate := range rates {
				kind := kind
				want := cols[i+1]
				t.Run(fmt.Sprint(kind, " ", percent, " % of ", rate, " a second"), func(t *testing.T) {
					t.Parallel()
					named, over := live(t, kind, percent/100, rate)
					have := "–"
					if named >= 0 {
						have = fmt.Sprintf("%d s, %d s", named, over)
					}
					said, does := cell.FindStringSubmatch(want), cell.FindStringSubmatch(have)
					if (said == nil) != (does == nil) {
						t.Fatalf("is %q, and docs say %q", have, want)
					}
					for i := 1; i < len(said); i++ {
						if s, d := atoi(t, said[i]), atoi(t, does[i]); d > s || s > d+2+d/10 {
							t.Errorf("is %q, and docs say %q", have, want)
						}
					}
				})
			}
			continue
		}
		rates = nil
		for _, c := range cols[1:] {
			rates = append(rates, number(t, strings.TrimSuffix(c, "/s")))
		}
	}
	if rows < 8 {
		t.Errorf("the docs have %d rows of it", rows)
	}
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
