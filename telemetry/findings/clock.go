package findings

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The problem: spans carry the time of the machine that made them. Where its clock is off its spans lie outside those of its callers and callees, durations between services are nonsense,
// and what happened first cannot be told.
//
// What a pair of spans says: a callee's span lies within its caller's, for a request takes time on the way there and back. If by their own clocks it does not, though it is no longer than the
// caller's, their clocks differ, by what it would have to be moved to lie in its middle; half of what the caller's is longer is the error. (A callee that outlives its caller is another matter: it is longer.)
//
// The rule: two clocks differ if the latest four pairs lie outside, or more than half of the latest sixteen, and the median of what they would be moved is at least 20 ms. It is the service's clock that is off, and not the peer's, if it
// differs from nearly all that it is compared with, all in one direction, and these from each other less often: from more than one, or from one that goes like some other. Of two that
// have only each other it is said of the callee.
const (
	somePairs = 4
	leastOff  = 20 * time.Millisecond
)

func clockOff(s *Service, _ *Mesh) (Opinion, telemetry.Finding) {
	var off []*Peer
	compared, vouched := 0, 0
	var callee *Peer // the last of those off that it calls
	for side, peers := range [...][]Peer{s.Callers, s.Callees} {
		for i := range peers {
			p := &peers[i]
			switch {
			case InStep(&p.Clock):
				compared++
			case differ(&p.Clock):
				compared++
				off = append(off, p)
				if side == 1 {
					callee = p
				}
				if p.InStep > 0 {
					vouched++
				}
			default:
			}
		}
	}
	switch {
	case compared == 0:
		return Unsure, telemetry.Finding{}
	case len(off) == 0:
		return Well, telemetry.Finding{}
	case 5*len(off) < 4*compared:
		return Well, telemetry.Finding{} // it goes like some: the others are off
	case vouched == 0 && (len(off) > 1 || off[0].Compared > 1 || off[0] == callee):
		return Unsure, telemetry.Finding{} // all around it are off, or it is the caller of two alone
	}
	by := make([]time.Duration, len(off))
	for i, p := range off {
		by[i] = p.Clock.Ahead
	}
	slices.Sort(by)
	if by[0] < 0 && by[len(by)-1] > 0 {
		return Unsure, telemetry.Finding{}
	}
	median := by[len(by)/2]
	how := "ahead"
	if median < 0 {
		how = "behind"
	}
	f := telemetry.Finding{Severity: telemetry.SeverityWarning}
	var told []string
	for _, p := range off {
		f.Edges = append(f.Edges, p.Edge)
		if len(told) < 4 {
			told = append(told, fmt.Sprintf("%s against %s (%d of %d pairs of spans)", signed(p.Clock.Ahead), p.Name, p.Clock.Outside, p.Clock.Pairs))
		}
	}
	f.Says = fmt.Sprintf("the clock of %s is %s %s of the others': its spans lie outside those of its callers and callees by so much", s.Name, amount(median.Abs()), how)
	f.Remedy = "set the clock of the machine on which " + s.Name + " runs by NTP (chrony, timesyncd); durations are right all the same, but what its traces show as before and after is not"
	f.Evidence = []string{strings.Join(told, ", ")}
	return Wrong, f
}

// InStep says that two clocks were compared and go alike.
func InStep(c *Clock) bool {
	return c.Pairs >= somePairs && (c.Latest == 0 || c.Latest == 1 && 4*c.Outside <= c.Pairs)
}

// Compared says that two clocks were compared with a result.
func Compared(c *Clock) bool { return InStep(c) || differ(c) }

func differ(c *Clock) bool {
	return c.Pairs >= somePairs && (c.Latest == somePairs || c.Latest > 0 && 2*c.Outside > c.Pairs) && c.Ahead.Abs() >= leastOff
}

func amount(d time.Duration) string {
	if d >= time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}

func signed(d time.Duration) string {
	if d < 0 {
		return "-" + amount(-d)
	}
	return "+" + amount(d)
}
