package filter

// Truth is what a filter says of a span, in Kleene's logic.
type Truth int8

// The truths; and is the least of its parts, or the greatest.
const (
	IsFalse Truth = iota - 1
	IsUnknown
	IsTrue
)

// An Evaluator asks a filter of one span after another, by the definition and without any haste: it is what tests hold a store to, and
// what a store falls back on where it has few spans left.
type Evaluator struct {
	form  Form
	parts []*Evaluator
	test  *Matcher
}

// Values hands each value of a field of a span to yield: bits of the types that are kept as numbers, text of the others.
type Values func(f Field, yield func(t Type, text []byte, bits uint64))

// NewEvaluator makes a filter ready. An error says that a regular expression is none.
func NewEvaluator(f Filter) (*Evaluator, error) {
	e := &Evaluator{form: f.Form()}
	for _, p := range f.Parts() {
		part, err := NewEvaluator(p)
		if err != nil {
			return nil, err
		}
		e.parts = append(e.parts, part)
	}
	if e.form == Test {
		var err error
		if e.test, err = NewMatcher(f.Condition()); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// Eval is what the filter says of the span whose values are given.
func (e *Evaluator) Eval(values Values) Truth {
	switch e.form {
	case True:
		return IsTrue
	case False:
		return IsFalse
	case Not:
		return -e.parts[0].Eval(values)
	case And:
		t := IsTrue
		for _, p := range e.parts {
			t = min(t, p.Eval(values))
		}
		return t
	case Or:
		t := IsFalse
		for _, p := range e.parts {
			t = max(t, p.Eval(values))
		}
		return t
	}
	all := NoValue
	values(e.test.Field, func(t Type, text []byte, bits uint64) { all |= e.test.Value(t, text, bits) })
	switch {
	case all&Holds != 0:
		return IsTrue
	case all&Misses != 0 || e.test.Op == Present:
		return IsFalse
	default:
		return IsUnknown
	}
}
