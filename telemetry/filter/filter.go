package filter

import "strings"

// A Filter is a tree of conditions. It never changes, so parts of it may be shared. The zero Filter holds of every span.
type Filter struct{ n *node }

type node struct {
	form  Form
	parts []Filter
	cond  Condition
	size  int // conditions in it; a constant counts as one
	depth int
	text  int // bytes of keys and literals in it
}

// Form says what a filter is made of.
type Form uint8

// The forms.
const (
	True  Form = iota // holds of every span
	False             // holds of none
	And               // of several parts
	Or                // of several parts
	Not               // of one part
	Test              // a condition
)

// Op is how a condition compares.
type Op uint8

// The operators. Their opposites are made by [Negate].
const (
	Present      Op = iota // the field has a value
	Equal                  // =
	Less                   // <
	LessEqual              // <=
	Greater                // >
	GreaterEqual           // >=
	Match                  // =~, the whole of the text
)

var opNames = [...]string{"exists", "=", "<", "<=", ">", ">=", "=~"} //nolint:gochecknoglobals // immutable

// A Condition is what a [Test] asks.
type Condition struct {
	Field Field
	Op    Op
	Value Value // of all operators but Present
}

// Everything holds of every span.
func Everything() Filter { return Filter{} }

// Nothing holds of no span.
func Nothing() Filter { return Filter{&node{form: False, depth: 1}} }

// All holds where each part does; of no parts it holds of every span.
func All(parts ...Filter) Filter { return branch(And, parts) }

// Any holds where one of its parts does; of no parts it holds of no span.
func Any(parts ...Filter) Filter { return branch(Or, parts) }

// Negate is true where f is false, and false where f is true.
func Negate(f Filter) Filter { return branch(Not, []Filter{f}) }

// Compare holds where a value of the field, compared with v, is what op says.
func Compare(f Field, op Op, v Value) Filter {
	if f.class() == classID && v.typ == TypeText {
		v.text = fullID(v.text, facts[f.Fact.known()].digits)
	}
	return Filter{&node{form: Test, cond: Condition{f, op, v}, size: 1, depth: 1, text: len(f.Key) + len(v.text)}}
}

// Is is short for Compare with [Equal].
func Is(f Field, v Value) Filter { return Compare(f, Equal, v) }

// Exists holds where the field has a value of any type.
func Exists(f Field) Filter { return Compare(f, Present, Value{}) }

// Matches holds where the regular expression matches the whole of a text of the field.
func Matches(f Field, expression string) Filter { return Compare(f, Match, Text(expression)) }

func branch(form Form, parts []Filter) Filter {
	n := &node{form: form, parts: append([]Filter(nil), parts...)}
	for _, p := range parts {
		if p.n != nil {
			n.size += p.n.size
			n.depth = max(n.depth, p.n.depth)
			n.text += p.n.text
		}
		n.size += p.weight()
	}
	n.depth++
	return Filter{n}
}

// weight counts what holds no condition as one, so that a tree of nothing but constants is bounded as well.
func (f Filter) weight() int {
	if f.n == nil || f.n.size == 0 {
		return 1
	}
	return 0
}

// Form is what the filter is made of.
func (f Filter) Form() Form {
	if f.n == nil {
		return True
	}
	return f.n.form
}

// Parts is what an And, Or or Not is made of. The caller does not change it.
func (f Filter) Parts() []Filter {
	if f.n == nil {
		return nil
	}
	return f.n.parts
}

// Condition is what a Test asks.
func (f Filter) Condition() Condition {
	if f.n == nil {
		return Condition{}
	}
	return f.n.cond
}

// Equal says that two filters are the same tree.
func (f Filter) Equal(g Filter) bool { return f.n == g.n || f.String() == g.String() }

// fullID writes an id of hex digits as it is stored: in lower case, short ones with zeros before them. What is no id
// stays as it is, for Validate to refuse.
func fullID(s string, digits int) string {
	if len(s) == 0 || len(s) > digits || strings.Trim(s, "0123456789abcdefABCDEF") != "" {
		return s
	}
	return strings.Repeat("0", digits-len(s)) + strings.ToLower(s)
}
