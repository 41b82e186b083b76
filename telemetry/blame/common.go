package blame

import (
	"fmt"
	"math"
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/health"
)

// The problem: what slows a machine, or a network, slows all who live there at once. Each then takes longer of its own, no call explains it, and each would be
// named by itself: a list of innocents, in which who is to blame cannot be found.
//
// The rule: before one is named, its own part (what is beyond its usual, a request, less what its calls explain) is held against those of the others, of whom a sample is
// asked in the same window.
//
//	affected    one that takes half as long again of its own as usual, and by a millisecond; or of whose own requests one in fifty fails beyond the usual
//	shared      at least three others are affected, and at least one in five of those asked: that so many fall ill by themselves at once is no chance
//	stands out  its own part is more than three times that of all but a fifth of the affected others, both beside its usual (what slows all by a factor) and by
//	            itself (what delays all by as much)
//
// Who is ill by itself while it is shared, and does not stand out, is nobody's victim and no culprit: it is ill of what all share. Who was found so stays
// so until he takes three times as long as usual, be it that the others are well again before him.
//
// Where one callee is to blame its callers are not affected, however many wait for it: their own part is less what its calls take.
//
// Not chosen: the mean or the median of all (where a machine of three is slow the median service is well); as many as fall ill in the same seconds (they do not, for who is called seldom is found
// ill later); a correlation over time (it needs minutes, and a culprit must be named in seconds).

const (
	longer        = 1.5  // by how many times its own time exceeds the usual of who is affected
	leastMore     = 1.0  // and by how many milliseconds
	leastErrors   = 0.02 // what share of its requests fails beyond the usual
	leastLate     = 0.01 // or takes much longer than usual
	some          = 2.0  // and how many do
	fewestOthers  = 3
	affectedShare = 0.2
	outstanding   = 3.0
	// asked is how many requests one must have in a window for its figures to say anything.
	asked = 10
)

// own is what of a node's time, or errors, is its own, a request: how much more than usual, and what is usual.
type own struct{ more, usual float64 }

// ratio is by how many times it exceeds the usual, of which little counts as a little more.
func (o own) ratio(little float64) float64 { return 1 + o.more/(o.usual+little) }

// The usual that is taken for little: in milliseconds, and a share.
const (
	littleTime   = 1.0
	littleErrors = 0.01
)

// ownTime is a node's own time by its figures and those of its calls in the same window; ok is false where it is not known. How often it calls whom may have changed: that is not its own.
func ownTime(f *health.Figures, calls []health.Figures) (o own, ok bool) {
	if f.Rate <= 0 || f.Usual.Rate <= 0 || f.Usual.Mean <= 0 {
		return o, false
	}
	now, usual := f.Rate*f.Mean, f.Usual.Rate*f.Usual.Mean
	for i := range calls {
		e := &calls[i]
		now -= exact(e.Rate * e.Mean)
		usual -= exact(e.Usual.Rate * e.Usual.Mean)
	}
	now, usual = now/f.Rate, usual/f.Usual.Rate // of calls in parallel both may be below 0
	return own{max(0, now-usual), max(0, usual)}, true
}

// ownErrors is the same of its errors, ownLate of those that take much longer than usual, as shares of its requests.
func ownErrors(f *health.Figures, calls []health.Figures) (o own, ok bool) {
	more := f.Rate * (f.Errors - f.Usual.Errors)
	for i := range calls {
		e := &calls[i]
		more -= exact(e.Rate * (e.Errors - e.Usual.Errors + e.Throttled - e.Usual.Refused))
	}
	return own{max(0, more) / f.Rate, f.Usual.Errors}, f.Rate > 0
}

func ownLate(f *health.Figures, calls []health.Figures) (o own, ok bool) {
	more := f.Rate * (f.Late - f.Usual.Late)
	for i := range calls {
		e := &calls[i]
		more -= exact(e.Rate * (e.Late - e.Usual.Late))
	}
	return own{max(0, more) / f.Rate, f.Usual.Late}, f.Rate > 0 && f.Beyond > 0
}

// waited is how much longer than usual is waited for a call, in milliseconds a second.
func waited(f *health.Figures) float64 {
	if f.Mean < (1+noise)*f.Usual.Mean {
		return 0
	}
	return exact(late(&Patient{Figures: *f}))
}

// exact rounds, so that a sum is the same in any order.
func exact(f float64) float64 { return math.Round(f*(1<<20)) / (1 << 20) }

// Common is what those who were asked have of their own, in one window. The zero Common asked nobody, and excuses nobody.
type Common struct{ times, errors, late parts }

// parts are of one kind; affected is how many of them are.
type parts struct {
	all      []part
	affected int
}

func (p *parts) add(x part) {
	if p.all = append(p.all, x); x.affected {
		p.affected++
	}
}

type part struct {
	own
	id       string
	affected bool
}

// Ask takes in a node that had so many requests in the window, with its figures and those of its calls.
func (c *Common) Ask(id string, requests float64, f *health.Figures, calls []health.Figures) {
	if requests < asked {
		return
	}
	if o, ok := ownTime(f, calls); ok {
		c.times.add(part{own: o, id: id, affected: o.ratio(littleTime) >= longer && o.more >= leastMore})
	}
	if o, ok := ownErrors(f, calls); ok {
		c.errors.add(part{own: o, id: id, affected: o.more >= leastErrors && o.more*requests >= some})
	}
	if o, ok := ownLate(f, calls); ok {
		c.late.add(part{own: o, id: id, affected: o.more >= leastLate && o.more*requests >= some})
	}
}

// others are the parts, of what a patient is ill of, of those who were asked, and what usual is little.
func (c *Common) others(p *Patient) (of *parts, little float64) {
	switch {
	case p.Kind == telemetry.AilmentSlow && p.Tail:
		return &c.late, littleErrors
	case p.Kind == telemetry.AilmentSlow:
		return &c.times, littleTime
	case p.Kind == telemetry.AilmentFailing:
		return &c.errors, littleErrors
	default:
		return &parts{}, littleErrors
	}
}

// excuses says that what one has of its own is what many have. before says that it was so before; those whom it harms itself, as harmed says of each, are none of
// the many.
func (c *Common) excuses(id string, patient *Patient, o own, before bool, harmed func(id string) bool) bool {
	if c == nil {
		return false
	}
	of, little := c.others(patient)
	if of != &c.times { // a share of few requests: as much as it is beyond chance
		n := max(1, 10*patient.Figures.Rate)
		o.more = max(0, o.more*n-1.5*math.Sqrt(o.more*n)) / n
	}
	if before && o.ratio(little) < outstanding {
		return true
	}
	if of.affected < fewestOthers {
		return false
	}
	ratios, mores := make([]float64, 0, of.affected), make([]float64, 0, of.affected)
	others := 0
	for i := range of.all {
		p := &of.all[i]
		if p.id == id || harmed(p.id) {
			continue
		}
		others++
		if p.affected {
			ratios, mores = append(ratios, p.ratio(little)), append(mores, p.more)
		}
	}
	if len(ratios) < fewestOthers || float64(len(ratios)) < affectedShare*float64(others) {
		return false
	}
	most := func(of []float64) float64 {
		slices.Sort(of)
		return of[(len(of)-1)*4/5]
	}
	return o.ratio(little) <= outstanding*most(ratios) || o.more <= outstanding*most(mores)
}

// says is what is shared, in words.
func (c *Common) says(patient *Patient) string {
	if c == nil {
		c = &Common{}
	}
	of, little := c.others(patient)
	var ratios, mores []float64
	for i := range of.all {
		if p := &of.all[i]; p.affected {
			ratios, mores = append(ratios, p.ratio(little)), append(mores, p.more)
		}
	}
	if len(ratios) == 0 {
		return "the others are well again"
	}
	slices.Sort(ratios)
	slices.Sort(mores)
	at := len(ratios) / 2
	switch {
	case patient.Kind == telemetry.AilmentFailing:
		return fmt.Sprintf("of %d of %d services more requests fail at once that no call of theirs explains, of the middle one %s", of.affected, len(of.all), percent(mores[at]))
	case patient.Tail:
		return fmt.Sprintf("of %d of %d services some requests take much longer at once, of the middle one %s", of.affected, len(of.all), percent(mores[at]))
	default:
		return fmt.Sprintf("%d of %d services take longer of their own at once, the middle one %s times as long as usual", of.affected, len(of.all), number(ratios[at]))
	}
}

// everybody is the culprit of those that are ill of what all share.
const everybody = -2

// blameless says that a node that nothing below explains has no more of its own than many have.
func (c *court) blameless(n int) bool {
	p := &c.nodes[n]
	if p.All == nil {
		return false
	}
	o, ok := c.ownPart(n)
	if c.late[n] && p.Kind == telemetry.AilmentSlow && !p.Tail {
		o.more += c.unread(n)
	}
	return ok && p.All.excuses(p.ID, &p.Patient, o, p.Before == telemetry.SharedCause, func(id string) bool { return c.misreads(n, id) })
}

// ownPart is what a node has of its own of what it is ill of.
func (c *court) ownPart(n int) (o own, ok bool) {
	p := &c.nodes[n]
	of, _ := p.All.others(&p.Patient)
	for i := range of.all {
		if of.all[i].id == p.ID {
			return of.all[i].own, true
		}
	}
	part := 1.0 // of its calls
	if c.rate[n] > 0 {
		part = p.Figures.Rate / c.rate[n]
	}
	var calls []health.Figures
	for _, e := range c.out[n] {
		if c.edges[e].Target != n {
			of := c.edges[e].Below
			of.Rate *= part
			of.Usual.Rate *= part
			calls = append(calls, of)
		}
	}
	switch {
	case p.Kind == telemetry.AilmentSlow && p.Tail:
		return ownLate(&p.Figures, calls)
	case p.Kind == telemetry.AilmentSlow:
		return ownTime(&p.Figures, calls)
	case p.Kind == telemetry.AilmentFailing:
		return ownErrors(&p.Figures, calls)
	default:
		return o, false
	}
}

// A Shared is what several are ill of at once, and none by itself.
type Shared struct {
	Nodes    []string // who is, by ID
	Since    int64    // Unix nanoseconds: the first of them
	Says     string
	Evidence []string // a sentence each
}

// shared describes who is ill of what all share; nil where nobody is.
func (c *court) shared(culprits []int) *Shared {
	var s *Shared
	for n := range c.nodes {
		p := &c.nodes[n]
		if c.root[n] != everybody {
			continue
		}
		if s == nil {
			s = &Shared{Since: p.Since, Says: p.All.says(&p.Patient)}
		}
		if p.Kind == telemetry.AilmentSlow && c.nodes[n].All != nil && c.nodes[n].All.times.affected > 0 {
			s.Says = p.All.says(&p.Patient) // of what is slow and what fails at once the one explains the other
		}
		s.Since = min(s.Since, p.Since)
		s.Nodes = append(s.Nodes, p.ID)
		if len(s.Evidence) < 4 {
			s.Evidence = append(s.Evidence, p.Name+" is "+words(p.Kind)+": "+figures(&p.Patient))
		}
	}
	if s == nil {
		return nil
	}
	if len(culprits) == 0 {
		s.Says += ", and none stands out"
	} else {
		s.Says += "; beside that " + c.nodes[culprits[0]].Name + " stands out"
	}
	return s
}
