package blame

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// verdict writes down what was found.
func (c *court) verdict() Verdict {
	v := Verdict{Nodes: make([]telemetry.Judged, len(c.nodes)), Edges: make([]telemetry.Judged, len(c.edges)), Culprits: []string{}}
	victims := make([]int, len(c.nodes))
	for n, r := range c.root {
		if r >= 0 && r != n {
			victims[r]++
		}
	}
	var culprits []int
	for n := range c.nodes {
		p := &c.nodes[n].Patient
		if p.Kind == telemetry.AilmentNone {
			continue
		}
		if c.root[n] < 0 {
			c.root[n] = c.follow(n) // it was found guilty by a caller
		}
		j := telemetry.Judgement{Kind: p.Kind, Since: p.Since, Score: score(p, lossOf(p).by(p.Kind), 0)}
		if r := c.root[n]; r == everybody {
			j.Because = telemetry.SharedCause
			j.Says = c.nodes[n].Name + " is " + words(p.Kind) + " as many are at once: " + figures(p)
			if all := c.nodes[n].All; all != nil {
				j.Says += "; " + all.says(p)
			}
		} else if r != n {
			j.Because = c.nodes[r].ID
			j.Says = c.nodes[n].Name + " is " + words(p.Kind) + " because of " + c.nodes[r].Name + ": " + figures(p) + c.read(n)
		} else {
			culprits = append(culprits, n)
			j.Score = score(p, c.harm(n), victims[n])
			j.Says = c.nodes[n].Name + " is " + words(p.Kind) + " by itself: " + figures(p) + c.own(n) + ever(p)
		}
		v.Nodes[n] = telemetry.Judged{Judgement: j, Health: healthOf(p)}
	}
	for i := range c.edges {
		e := &c.edges[i]
		if e.Kind == telemetry.AilmentNone {
			continue
		}
		j := telemetry.Judgement{Kind: e.Kind, Since: e.Since, Score: score(&e.Patient, lossOf(&e.Patient).by(e.Kind), 0), Because: c.nodes[e.Target].ID}
		why := ""
		if r := c.root[e.Target]; r >= 0 {
			j.Because = c.nodes[r].ID
			if r != e.Target {
				why = " because of " + c.nodes[r].Name
			}
		}
		if c.root[e.Target] == everybody {
			j.Because, why = telemetry.SharedCause, " as many are at once"
		}
		if c.root[e.Target] == -1 { // it is called by others, and this one calls it no more
			j.Because = c.nodes[e.Source].ID
		}
		j.Says = "calls of " + c.nodes[e.Source].Name + " to " + c.nodes[e.Target].Name + " are " + words(e.Kind) + why + ": " + figures(&e.Patient)
		v.Edges[i] = telemetry.Judged{Judgement: j, Health: healthOf(&e.Patient)}
	}
	slices.SortFunc(culprits, func(a, b int) int {
		x, y := &v.Nodes[a].Judgement, &v.Nodes[b].Judgement
		return cmp.Or(x.Rank(y), cmp.Compare(c.nodes[a].ID, c.nodes[b].ID))
	})
	for _, n := range culprits {
		v.Culprits = append(v.Culprits, c.nodes[n].ID)
	}
	v.Shared = c.shared(culprits)
	return v
}

func healthOf(p *Patient) telemetry.Health {
	if p.Severe || p.Kind == telemetry.AilmentCutOff {
		return telemetry.HealthFailing
	}
	return telemetry.HealthDegraded
}

func words(k telemetry.Ailment) string {
	if k == telemetry.AilmentCutOff {
		return "cut off"
	}
	return k.String()
}

// figures are what the judgement rests on. Since when, the judgement says beside its sentence, so that who shows both can say it in his reader's own time.
func figures(p *Patient) string {
	f, u := &p.Figures, &p.Figures.Usual
	known := u.Requests > 0
	requests := number(f.Rate) + " requests a second"
	if f.Rate == 0 {
		requests = "the last requests"
	}
	switch p.Kind {
	case telemetry.AilmentSlow:
		if p.Tail {
			return fmt.Sprintf("%s of %s take longer than %s%s", percent(f.Late), requests, millis(f.Beyond), usually(known, u.Late))
		}
		return fmt.Sprintf("p90 %s against its usual %s", millis(f.P90), millis(u.P90))
	case telemetry.AilmentFailing:
		return fmt.Sprintf("%s of %s fail%s", percent(f.Errors), requests, usually(known, u.Errors))
	case telemetry.AilmentThrottled:
		return fmt.Sprintf("a limit refuses %s of %s%s", percent(f.Throttled), requests, usually(known, u.Refused))
	case telemetry.AilmentCutOff:
		return fmt.Sprintf("no request where there were %s a second", number(u.Rate))
	default:
		return ""
	}
}

func usually(known bool, share float64) string {
	if !known {
		return ""
	}
	return " against its usual " + percent(share)
}

// read says of one that is slow by its caller how fast it is by its own telling.
func (c *court) read(n int) string {
	if !c.cause[n].up || c.nodes[n].Kind != telemetry.AilmentSlow {
		return ""
	}
	e := &c.edges[c.cause[n].edge]
	return fmt.Sprintf("; it answers %s within %s on the average, who has that after %s", c.nodes[e.Source].Name, millis(e.Told.Callee), millis(e.Told.Caller))
}

// own says how much of a slow node's time, or of its errors, is its own.
func (c *court) own(n int) string {
	p, why := &c.nodes[n].Patient, &c.cause[n]
	switch {
	case p.Kind == telemetry.AilmentSlow && p.Tail:
		return ""
	case p.Kind == telemetry.AilmentSlow && why.more > 0 && p.Figures.Rate > 0:
		more := why.more / p.Figures.Rate
		mine := max(0, more-why.below/p.Figures.Rate)
		return fmt.Sprintf("; of %s more a request %s are its own time", millis(more), millis(mine))
	case p.Kind == telemetry.AilmentFailing && why.below > 0 && why.more > 0:
		return fmt.Sprintf("; %s of it comes from calls that fail below", percent(min(1, why.below/why.more)))
	default:
		return ""
	}
}

func millis(ms float64) string {
	if ms >= 10_000 {
		return number(ms/1000) + " s"
	}
	return number(ms) + " ms"
}

func percent(share float64) string {
	if share < 5e-5 {
		share = 0
	}
	return number(100*share) + " %"
}

// number has two digits where it is small, and none after the point where it is not.
func number(f float64) string {
	switch {
	case f >= 9.95 || f == 0:
		return fmt.Sprintf("%.0f", f)
	case f >= 0.095:
		return fmt.Sprintf("%.1f", f)
	default:
		return fmt.Sprintf("%.2f", f)
	}
}
