package query

import (
	"cmp"
	"slices"
	"strings"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Critical path.
//
// The problem: of a trace of a thousand spans, which ones made it take so long? The critical path is the chain of work that the end had to wait for:
// where any step of it takes less, the whole ends earlier; what goes on beside it costs no time. At each moment exactly one span is on it.
//
// Invariants: steps follow each other without gap or overlap from the root's start to its end, so that the time that spans have on the path adds up to the root's
// duration, to the nanosecond. Each step lies within its span, as its clock is corrected (calltree.go), and goes to nobody else.
//
// The way, from the end backwards: a span's last moments are its own, back to the end of the child that ended last; then they are that child's, back to its start; from
// there on, the child that had ended last by then, and so on to the span's start. What a child has is divided among its children likewise. Children that
// were still under way when another began that was waited for are beside the path: it cannot have waited for them.
//
//   - A child that outlives its parent was not waited for: it is asynchronous, and no part of the path, unless the parent's side of a call gave up waiting
//     (calltree.go), in which case it counts until then.
//   - The trace's root is its span without parent, of several the longest; without any, the longest span whose parent is not there.
//     Spans that do not hang from it are not on the path.
//
// Linear but for sorting each span's children; with a stack of its own, for chains are as deep as they are sent.

// A PathStep is a stretch of the path that is one span's own.
type PathStep struct {
	Span     int   // index into Batch.Spans
	From, To int64 // Unix nanoseconds, by the clock of the path's root
}

// A Path is a critical path.
type Path struct {
	Root  int        // index into Batch.Spans; -1 where the trace has no spans
	Steps []PathStep // by time
}

// Duration is the path's, in nanoseconds: that of its root.
func (p *Path) Duration() int64 {
	if len(p.Steps) == 0 {
		return 0
	}
	return p.Steps[len(p.Steps)-1].To - p.Steps[0].From
}

// CriticalPath is the path of the whole trace.
func (t *Trace) CriticalPath() Path {
	c := newCallTree(t, nil)
	return c.path(c.root())
}

// CriticalPaths are the paths of those spans for which match holds and does not hold of any span above them, each as if it were a trace of
// its own: whether anybody waited for it does not matter.
func (t *Trace) CriticalPaths(match func(*telemetry.Span) bool) []Path {
	c := newCallTree(t, match)
	var out []Path
	for _, i := range c.tops {
		if c.matched[i] {
			out = append(out, c.path(i))
		}
	}
	return out
}

// root is the span that the trace's path begins at.
func (c *callTree) root() int32 {
	best := int32(-1)
	for _, i := range c.tops {
		s := &c.t.Batch.Spans[i]
		if best < 0 {
			best = i
			continue
		}
		b := &c.t.Batch.Spans[best]
		if whole, than := s.ParentID.IsZero(), b.ParentID.IsZero(); whole != than {
			if whole {
				best = i
			}
		} else if s.Duration > b.Duration {
			best = i
		}
	}
	return best
}

// path is the critical path of a span.
func (c *callTree) path(root int32) Path {
	p := Path{Root: int(root)}
	if root < 0 {
		return p
	}
	type frame struct {
		span int32
		at   int64 // the path is known from here on
		next int32 // child
	}
	own := func(span int32, from, to int64) {
		if from == to {
			return
		}
		if n := len(p.Steps) - 1; n >= 0 && p.Steps[n].Span == int(span) {
			p.Steps[n].From = from // nothing that took time came between
			return
		}
		p.Steps = append(p.Steps, PathStep{int(span), from, to})
	}
	stack := []frame{{root, c.end[root], c.first[root]}}
	for len(stack) > 0 {
		f := &stack[len(stack)-1]
		child := int32(-1)
		for ; f.next < c.first[f.span+1] && child < 0; f.next++ {
			if k := c.children[f.next]; !c.async[k] && c.end[k] <= f.at {
				child = k
			}
		}
		if child < 0 {
			own(f.span, c.start[f.span], f.at)
			stack = stack[:len(stack)-1]
			continue
		}
		own(f.span, c.end[child], f.at)
		f.at = c.start[child]
		stack = append(stack, frame{child, c.end[child], c.first[child]})
	}
	slices.Reverse(p.Steps)
	return p
}

// A PathSums adds up critical paths by service and operation. Its zero value has none.
type PathSums struct {
	Paths      int
	Duration   int64 // nanoseconds, of all paths
	operations map[[2]string]*PathShare
}

// A PathShare is what a service's operation has of the paths that were added up.
type PathShare struct {
	Service, Operation string
	Self               int64 // nanoseconds on the paths; those of all shares are the paths' duration
	Paths              int   // on which it is
	last               int   // the path that it was last found on
}

// Add takes in a path of t.
func (s *PathSums) Add(t *Trace, p *Path) {
	if p.Root < 0 {
		return
	}
	if s.operations == nil {
		s.operations = map[[2]string]*PathShare{}
	}
	s.Paths++
	s.Duration += p.Duration()
	for _, step := range p.Steps {
		span := &t.Batch.Spans[step.Span]
		key := [2]string{t.Service(span), t.Batch.Str(span.Name)}
		o := s.operations[key]
		if o == nil {
			key = [2]string{strings.Clone(key[0]), strings.Clone(key[1])} // they outlive the batch
			o = &PathShare{Service: key[0], Operation: key[1]}
			s.operations[key] = o
		}
		o.Self += step.To - step.From
		if o.last != s.Paths {
			o.last = s.Paths
			o.Paths++
		}
	}
}

// Shares are those of all operations, the greatest first.
func (s *PathSums) Shares() []PathShare {
	out := make([]PathShare, 0, len(s.operations))
	for _, o := range s.operations {
		out = append(out, *o)
	}
	slices.SortFunc(out, func(a, b PathShare) int {
		return cmp.Or(cmp.Compare(b.Self, a.Self), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Operation, b.Operation))
	})
	return out
}
