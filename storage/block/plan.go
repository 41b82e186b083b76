package block

import (
	"cmp"
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/filter"
)

// How a filter is answered.
//
// The problem: a filter is a tree over thirty fields and any attributes, and a store holds a million spans in columns, most
// of them compressed. To read a column costs from nothing (its dictionary has no such word) to most of what
// the whole block costs to read (events, as JSON).
//
// The form: a plan is the tree with its negations pushed down to the conditions, so that only truth counts and unknown
// is as good as false (see filter.Simplify). It is bound to one table after another: the metadata of a block, its file, a
// head. Binding gives each condition its sources there (a condition on an attribute has up to five: a column of its own, the resource, the
// fallback column, events, links) and learns from each which verdicts it can give at all, by statistics, by its
// dictionary, by the bloom filter. What is decided by that falls out of the tree before a page is read; what
// is left is put in order, the cheapest and most telling part first. Then runs of rows go through the tree, a page or a chunk of a head at a
// time: And hands on to its next part the rows that are still in, Or those that are still out, and a part that no row reaches is
// not read.
//
// The algorithm: rows in question are a list of numbers. To keep some of them is to move them to the list's front
// and say how many they are; so And narrows the front, Or goes on behind it, and nothing is allocated.
//
// Not chosen: bit masks, which cost the length of the page at each node, however few rows are left. Compiling the tree to one
// closure a row: then every column is read for every page.

// maxLimit bounds how many traces a search may ask for.
const (
	defaultLimit = 20
	maxLimit     = 1500
)

// A plan is a search made ready.
type plan struct {
	root  planNode // what a span alone can tell; what is asked of its trace counts as true
	judge *judge   // the rest of the filter, asked of the traces found; nil where there is none
	limit int
}

// planNode is a part of the tree: And, Or, True, False, or Test with a leaf.
type planNode struct {
	form  filter.Form
	parts []planNode
	leaf  *leaf
}

// A leaf is a condition or its opposite.
type leaf struct {
	*filter.Matcher
	not bool
	// least and most are the whole numbers of which the condition holds, where ranged.
	least, most int64
	ranged      bool
	// exact is the only text of which it holds, where isExact.
	exact   string
	isExact bool
	// note, where it is set, is told of each value that is looked at, in place of a verdict: whoever
	// lists the values of a field goes the same ways as a search (tags.go).
	note func(t filter.Type, text []byte, bits uint64)
}

func newPlan(q telemetry.SpanQuery) (*plan, error) {
	if err := q.Filter.Validate(); err != nil {
		return nil, err
	}
	p := &plan{limit: min(q.Limit, maxLimit)}
	if p.limit <= 0 {
		p.limit = defaultLimit
	}
	f := q.Filter
	if q.From != 0 {
		f = filter.All(f, filter.Compare(filter.Start.Field(), filter.GreaterEqual, filter.Moment(q.From)))
	}
	if q.To != 0 {
		f = filter.All(f, filter.Compare(filter.Start.Field(), filter.Less, filter.Moment(q.To)))
	}
	f = f.Simplify()
	var err error
	if p.judge, err = newJudge(f); err != nil {
		return nil, err
	}
	if p.judge != nil {
		f = spanPart(f).Simplify()
	}
	p.root, err = newPlanNode(f)
	return p, err
}

func newPlanNode(f filter.Filter) (planNode, error) {
	n := planNode{form: f.Form()}
	switch n.form {
	case filter.Test, filter.Not: // Not stands over tests alone
		c, not := f.Condition(), n.form == filter.Not
		if not {
			c = f.Parts()[0].Condition()
		}
		m, err := filter.NewMatcher(c)
		if err != nil {
			return n, err
		}
		n.form, n.leaf = filter.Test, &leaf{Matcher: m, not: not}
		n.leaf.least, n.leaf.most, n.leaf.ranged = c.Range()
		n.leaf.exact, n.leaf.isExact = c.Exact()
		return n, nil
	}
	for _, p := range f.Parts() {
		part, err := newPlanNode(p)
		if err != nil {
			return n, err
		}
		n.parts = append(n.parts, part)
	}
	return n, nil
}

// within is what a leaf with a range can say of whole numbers between two bounds.
func (l *leaf) within(least, most int64) filter.Verdict {
	var can filter.Verdict
	if l.ranged && (most < l.least || least > l.most) {
		return filter.Misses
	}
	if !l.ranged || least < l.least || most > l.most {
		can = filter.Misses
	}
	return can | filter.Holds
}

// number is the verdict on a whole number of the type.
func (l *leaf) number(t filter.Type, v int64) filter.Verdict {
	if !l.ranged {
		return l.Value(t, nil, uint64(v))
	}
	if v >= l.least && v <= l.most {
		return filter.Holds
	}
	return filter.Misses
}

// Value is the verdict on a value.
func (l *leaf) Value(t filter.Type, text []byte, bits uint64) filter.Verdict {
	if l.note != nil {
		l.note(t, text, bits)
		return filter.Misses
	}
	return l.Matcher.Value(t, text, bits)
}

// text is the verdict on a text.
func (l *leaf) text(s []byte) filter.Verdict {
	if !l.isExact {
		return l.Value(filter.TypeText, s, 0)
	}
	if string(s) == l.exact {
		return filter.Holds
	}
	return filter.Misses
}

// anyVerdict is what a source can say of which nothing is known.
const anyVerdict = filter.NoValue | filter.Misses | filter.Holds

// A table is rows that a plan is bound to.
type table interface {
	// sources is where the values of a leaf's field are, none where no row has one.
	sources(l *leaf) ([]source, error)
}

// A source is a place where rows have values of a field. A row may have several there; its verdict is Holds if
// the condition holds of one, else Misses if there is one to compare.
type source interface {
	// keep moves those rows of sel whose verdict is in want to its front, and says how many they are.
	keep(want filter.Verdict, sel []uint16) (int, error)
	// can is the verdicts that may occur.
	can() filter.Verdict
	// price says what a look costs, and share about which part of the rows holds.
	price() (cost int, share float64)
}

// What a look at a column costs, roughly: relative to one another.
const (
	priceArray    = iota // in memory
	priceCoded           // a page of indexes into a dictionary
	priceNumber          // a page of numbers, or of ids
	priceText            // a page of texts
	priceDecoding        // a page of JSON, or the pairs of a head's rows
)

// A step is a part of a plan that is bound to a table.
type step struct {
	form    filter.Form
	parts   []step
	leaf    *leaf
	sources []source
	cost    int
	share   float64
}

var (
	always = step{form: filter.True, share: 1} //nolint:gochecknoglobals // immutable
	never  = step{form: filter.False}          //nolint:gochecknoglobals // immutable
)

// bind binds a part of a plan to a table, leaves out what is decided there, and puts the rest in order.
func (n *planNode) bind(t table) (step, error) {
	switch n.form {
	case filter.True:
		return always, nil
	case filter.False:
		return never, nil
	case filter.Test:
		src, err := t.sources(n.leaf)
		if err != nil {
			return never, err
		}
		return n.leaf.bind(src), nil
	}
	// In an And, what never holds decides all and what always does says nothing; in an Or it is the other way round.
	decides, idle := never, always
	if n.form == filter.Or {
		decides, idle = always, never
	}
	s := step{form: n.form}
	for i := range n.parts {
		p, err := n.parts[i].bind(t)
		if err != nil {
			return never, err
		}
		switch p.form {
		case decides.form:
			return decides, nil
		case idle.form:
			continue
		}
		s.parts = append(s.parts, p)
	}
	switch len(s.parts) {
	case 0:
		return idle, nil
	case 1:
		return s.parts[0], nil
	}
	slices.SortStableFunc(s.parts, func(a, b step) int {
		// What an Or has already let in is not asked again, so that there the part with most goes first.
		share := cmp.Compare(a.share, b.share)
		if n.form == filter.Or {
			share = -share
		}
		return cmp.Or(cmp.Compare(a.cost, b.cost), share)
	})
	s.cost, s.share = s.parts[len(s.parts)-1].cost, s.parts[0].share
	if n.form == filter.And {
		s.cost = s.parts[0].cost // the others are read where rows are left
	}
	return s, nil
}

// bind is a leaf with its sources, unless what they can say decides it.
func (l *leaf) bind(all []source) step {
	s := step{form: filter.Test, leaf: l}
	var can filter.Verdict
	sure := false // a source that every row has a value in decides alone
	for _, src := range all {
		c := src.can()
		can |= c
		sure = sure || c == filter.Holds || l.not && c == filter.Misses
		if c&^filter.NoValue != 0 {
			s.sources = append(s.sources, src)
		}
	}
	switch {
	case !l.not && can&filter.Holds == 0:
		return never
	case !l.not && sure:
		return always
	case l.not && l.Op == filter.Present && can&filter.Holds == 0:
		return always
	case l.not && l.Op != filter.Present && can&filter.Misses == 0:
		return never
	case l.not && sure && can&filter.Holds == 0:
		return always
	}
	for _, src := range s.sources {
		if l.not && src.can() == filter.Holds {
			return never
		}
	}
	slices.SortStableFunc(s.sources, func(a, b source) int {
		p, _ := a.price()
		q, _ := b.price()
		return cmp.Compare(p, q)
	})
	for _, src := range s.sources {
		cost, share := src.price()
		s.cost, s.share = max(s.cost, cost), min(1, s.share+share)
	}
	if l.not {
		s.share = 1 - s.share
	}
	return s
}

// keep moves the rows of sel of which the step is true to its front and says how many they are.
func (s *step) keep(sel []uint16) (int, error) {
	switch s.form {
	case filter.True:
		return len(sel), nil
	case filter.And:
		k := len(sel)
		for i := 0; i < len(s.parts) && k > 0; i++ {
			var err error
			if k, err = s.parts[i].keep(sel[:k]); err != nil {
				return 0, err
			}
		}
		return k, nil
	case filter.Or:
		k := 0
		for i := 0; i < len(s.parts) && k < len(sel); i++ {
			n, err := s.parts[i].keep(sel[k:])
			if err != nil {
				return 0, err
			}
			k += n
		}
		return k, nil
	case filter.Test:
		return s.test(sel)
	default:
		return 0, nil
	}
}

func (s *step) test(sel []uint16) (int, error) {
	if !s.leaf.not {
		return s.some(filter.Holds, sel)
	}
	k := len(sel)
	for _, src := range s.sources {
		var err error
		if k, err = askSource(src, filter.NoValue|filter.Misses, sel[:k]); err != nil || k == 0 {
			return 0, err
		}
	}
	if s.leaf.Op == filter.Present {
		return k, nil
	}
	return s.some(filter.Misses, sel[:k])
}

// some keeps the rows of which one of the sources at least says what is wanted.
func (s *step) some(want filter.Verdict, sel []uint16) (int, error) {
	k := 0
	for i := 0; i < len(s.sources) && k < len(sel); i++ {
		n, err := askSource(s.sources[i], want, sel[k:])
		if err != nil {
			return 0, err
		}
		k += n
	}
	return k, nil
}

// askSource asks a source, unless what it can say is answer enough.
func askSource(s source, want filter.Verdict, sel []uint16) (int, error) {
	switch can := s.can(); {
	case can&want == 0:
		return 0, nil
	case can&^want == 0:
		return len(sel), nil
	}
	return s.keep(want, sel)
}
