package blame

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Who is suspected.
//
// The problem: somebody's phone has rung, and nobody is named: what goes wrong is too little to be called ill, three requests of a hundred. Whoever looks asks
// what has changed most, and whose doing that may be.
//
// The form: the same court at a lower bar. A node that is not ill is suspected of the kind of harm by which it loses most (see rank.go), of which only what is certain counts: what is
// lost beyond what varies anyway and beyond what chance does to so few requests, each taken twice. Its calls explain it as they do an illness.
// What is ill keeps the judgement that the graph shows.
//
// The order: who is ill by itself and new; who is suspected by itself, the one that surely loses most first; who suffers by these; last what is old, and who
// suffers by that. What a suspect loses is in requests a second: unlike an illness, which is as bad as its share says, a suspicion weighs as much as there is to lose, and what is asked
// once a minute has changed by chance more often than what is asked a hundred times a second.
//
// Not chosen: standard deviations alone (who is as steady as a clock is suspected of a millisecond); naming suspects culprits (they are guesses).

// A Doubt is a node that may be suspected. Its Kind is that of an illness, if it is ill; its figures are those of Requests requests.
type Doubt struct {
	Node
	Judged   telemetry.Judgement // as the graph shows it
	Requests float64
	Vary     float64 // see baseline.Baseline.Vary
}

// certainly is how often what varies, and what chance does, is taken.
const certainly = 2

// leastVary is by how many times a mean duration varies at least.
const leastVary = 1.05

// Loses is what a node that is not ill surely loses, from 0 to 1, and by what.
func (d *Doubt) Loses() (part float64, by telemetry.Ailment) {
	f, u, n := &d.Figures, &d.Figures.Usual, d.Requests
	if n <= 0 || u.Requests <= 0 {
		return 0, telemetry.AilmentNone
	}
	least := func(share, usual float64) float64 {
		return share01(share - certainly*math.Sqrt(share/n) - usual)
	}
	found := loss{failed: least(f.Errors, u.Errors), refused: least(f.Throttled, u.Refused)}
	if u.Mean > 0 {
		chance := max(f.Mean, f.P90-f.Mean) / math.Sqrt(n) // durations are spread by about their mean, and more where few are very long
		found.late = belated(f.Mean - certainly*chance - u.Mean*math.Pow(max(d.Vary, leastVary), certainly))
	}
	for _, k := range [...]telemetry.Ailment{telemetry.AilmentFailing, telemetry.AilmentSlow, telemetry.AilmentThrottled} {
		if x := found.by(k); x > part {
			part, by = x, k
		}
	}
	return part, by
}

// Suspects lists who is ill or suspected, in the order in which to look at them.
func Suspects(doubts []Doubt, edges []Edge) []telemetry.Suspect {
	nodes := make([]Node, len(doubts))
	lost := make([]float64, len(doubts))
	place := map[string]int{}
	for i := range doubts {
		d := &doubts[i]
		place[d.ID] = i
		nodes[i] = d.Node
		if d.Kind == telemetry.AilmentNone {
			lost[i], nodes[i].Kind = d.Loses()
		}
	}
	c := newCourt(nodes, edges)
	c.findReaders()
	c.hear()
	type listed struct {
		telemetry.Suspect
		class int
	}
	var all []listed
	for i := range doubts {
		d := &doubts[i]
		s := listed{Suspect: telemetry.Suspect{ID: d.ID, Name: d.Name, Named: d.Judged.Kind != telemetry.AilmentNone, Judgement: d.Judged}}
		root := c.root[i]
		if s.Named {
			if root = i; d.Judged.Because != "" {
				root = -1
				if at, ok := place[d.Judged.Because]; ok {
					root = at
				}
			}
		} else if lost[i]*d.Figures.Rate == 0 {
			continue
		} else {
			s.Judgement = c.suspicion(i, lost[i]*d.Figures.Rate)
		}
		switch {
		case root >= 0 && doubts[root].Judged.Kind != telemetry.AilmentNone && nodes[root].old():
			s.class = 3
		case root != i:
			s.class = 2
		case !s.Named:
			s.class = 1
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b listed) int {
		return cmp.Or(cmp.Compare(a.class, b.class), a.Judgement.Rank(&b.Judgement), cmp.Compare(a.ID, b.ID))
	})
	out := make([]telemetry.Suspect, len(all))
	for i := range all {
		out[i] = all[i].Suspect
	}
	return out
}

// suspicion is what is said of a node that is not ill and surely loses so many requests a second.
func (c *court) suspicion(n int, lost float64) telemetry.Judgement {
	p := &c.nodes[n].Patient
	j := telemetry.Judgement{Kind: p.Kind, Score: threeDigits(lost)}
	whose := " by itself: "
	if r := c.root[n]; r >= 0 && r != n {
		j.Because = c.nodes[r].ID
		whose = " because of " + c.nodes[r].Name + ": "
	}
	f, u := &p.Figures, &p.Figures.Usual
	said := figures(p)
	if p.Kind == telemetry.AilmentSlow {
		said = fmt.Sprintf("%s on the average against its usual %s", millis(f.Mean), millis(u.Mean))
	}
	j.Says = c.nodes[n].Name + " may be " + words(p.Kind) + whose + said
	return j
}
