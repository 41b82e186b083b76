package filter

import (
	"fmt"
	"math"
	"regexp/syntax"
	"slices"
	"strings"
	"time"
)

// Bounds of a tree that comes from outside.
const (
	// MaxConditions is how many conditions a tree may have. A constant counts as one.
	MaxConditions = 64
	// MaxDepth is how deep a tree may be nested.
	MaxDepth = 16
	// MaxText is how many bytes a key or a literal may have. No text that is stored is longer.
	MaxText = 16 << 10
	// MaxAllText is how many bytes all keys and literals of a tree may have together.
	MaxAllText = 128 << 10
	// MaxExpression is how many bytes a regular expression may have.
	MaxExpression = 1 << 10
	// MaxProgram is how many instructions a regular expression may be compiled to.
	MaxProgram = 2000
)

// An Error says what is wrong with a filter.
type Error struct {
	Field  string // the field of the condition that is at fault, or "filter" for the tree as a whole
	Reason string // what is wrong and what to do
}

// Error is the field and the reason.
func (e *Error) Error() string { return e.Field + ": " + e.Reason }

// Validate says what is wrong with the tree, as an *Error; nil where nothing is.
func (f Filter) Validate() error {
	if f.n == nil {
		return nil
	}
	switch n := f.n; {
	case n.depth > MaxDepth: // first: parts may be shared, and a deep tree have more conditions than an int counts
		return &Error{"filter", fmt.Sprintf("it is nested %d deep, at most %d may be; write it flatter", n.depth, MaxDepth)}
	case n.size > MaxConditions:
		return &Error{"filter", fmt.Sprintf("it has %d conditions, at most %d may be; ask for less at a time", n.size, MaxConditions)}
	case n.text > MaxAllText:
		return &Error{"filter", fmt.Sprintf("its keys and values have %d bytes, at most %d may be; ask for less at a time", n.text, MaxAllText)}
	}
	return f.validate()
}

func (f Filter) validate() error {
	for _, p := range f.Parts() {
		if err := p.validate(); err != nil {
			return err
		}
	}
	if f.Form() != Test {
		return nil
	}
	c := &f.n.cond
	if reason := c.fault(); reason != "" {
		return &Error{c.Field.short(), reason}
	}
	return nil
}

// short is the field's name, cut where its key is very long.
func (f Field) short() string {
	const most = 100
	if len(f.Key) > most {
		f.Key = strings.ToValidUTF8(f.Key[:most], "") + "…"
	}
	if s := f.String(); s != "" {
		return s
	}
	return "filter"
}

// fault is what is wrong with the condition, "" for nothing.
func (c *Condition) fault() string {
	f := c.Field
	switch {
	case f.Fact >= numFacts:
		return fmt.Sprintf("there is no fact %d", f.Fact)
	case f.Fact == 0 && (f.Scopes == 0 || f.Scopes > allScopes):
		return "an attribute needs the scope that it stands in: span, resource, event or link"
	case f.Fact == 0 && f.Key == "":
		return "an attribute needs a key"
	case f.Fact != 0 && (f.Key != "" || f.Scopes != 0):
		return "a fact has no key and no scope; it is not an attribute"
	case len(f.Key) > MaxText:
		return fmt.Sprintf("the key has %d bytes, at most %d may be", len(f.Key), MaxText)
	case len(c.Value.text) > MaxText:
		return fmt.Sprintf("the value has %d bytes, at most %d may be", len(c.Value.text), MaxText)
	}
	switch c.Op {
	case Present:
		if c.Value != (Value{}) {
			return "exists takes no value"
		}
		return ""
	case Match:
		return c.matchFault()
	case Equal, Less, LessEqual, Greater, GreaterEqual:
		return c.valueFault()
	default:
		return fmt.Sprintf("there is no operator %d", c.Op)
	}
}

// valueFault is what is wrong with the literal of a comparison.
func (c *Condition) valueFault() string {
	v, ordered := c.Value, c.Op != Equal
	switch {
	case v.typ == TypeBytes || v.typ == TypeJSON || v.typ > typeWritten:
		return "bytes, arrays and maps cannot be compared; compare how they are written as text"
	case v.typ == TypeFloat && math.IsNaN(math.Float64frombits(v.bits)):
		return "nothing compares with NaN; compare how the value is written as text"
	case ordered && (v.typ == TypeBool || v.typ == typeWritten):
		return opNames[c.Op] + " goes with texts, numbers, durations and times; truth values, and values written as text, can only be equal"
	}
	isText := v.typ == TypeText || v.typ == typeWritten
	switch c.Field.class() {
	case classText:
		if !isText {
			return v.String() + ` is no text; put it in quotes`
		}
	case classWord:
		words := c.Field.Fact.Words()
		if ordered {
			return fmt.Sprintf("it is one of %s, which have no order; use =", strings.Join(words, ", "))
		}
		if !isText || !slices.Contains(words, v.text) {
			return fmt.Sprintf("%s is none of %s", short(v), strings.Join(words, ", "))
		}
	case classNumber:
		if v.typ != TypeInt && v.typ != TypeFloat {
			return short(v) + " is no number"
		}
	case classDuration:
		if v.typ != TypeDuration {
			return short(v) + " is no duration, such as " + (5 * time.Millisecond).String()
		}
	case classTime:
		if v.typ != TypeTime {
			return short(v) + " is no time"
		}
	case classID:
		return c.idFault()
	default:
		if v.typ == TypeDuration || v.typ == TypeTime {
			return "an attribute has no unit; compare it with a number in the unit that its sender uses"
		}
	}
	return ""
}

func (c *Condition) idFault() string {
	digits := facts[c.Field.Fact].digits
	switch {
	case c.Op != Equal:
		return "ids have no order; use ="
	case c.Value.typ != TypeText || len(c.Value.text) != digits || strings.Trim(c.Value.text, "0123456789abcdef") != "":
		return fmt.Sprintf("%s is no id of 1 to %d hex digits", short(c.Value), digits)
	}
	return ""
}

// short is the value, cut where it is long.
func short(v Value) string {
	const most = 60
	if len(v.text) > most {
		v.text = strings.ToValidUTF8(v.text[:most], "") + "…"
	}
	return v.String()
}

func (c *Condition) matchFault() string {
	switch c.Field.class() {
	case classText, classWord, classAttribute:
		if c.Value.typ != TypeText && c.Value.typ != typeWritten {
			return short(c.Value) + " is no regular expression"
		}
	default:
		return "a regular expression goes with texts; compare numbers, durations, times and ids by =, < and their like"
	}
	if len(c.Value.text) > MaxExpression {
		return fmt.Sprintf("the regular expression has %d bytes, at most %d may be", len(c.Value.text), MaxExpression)
	}
	// The parser bounds what it makes by itself; what it has made bounds what the compiler makes.
	tree, err := syntax.Parse(c.expression(), syntax.Perl)
	if err != nil {
		return "regular expression " + short(c.Value) + ": " + strings.TrimPrefix(err.Error(), "error parsing regexp: ")
	}
	prog, err := syntax.Compile(tree.Simplify())
	switch {
	case err != nil:
		return "regular expression " + short(c.Value) + ": " + err.Error()
	case len(prog.Inst) > MaxProgram:
		return fmt.Sprintf("regular expression %s is too costly: %d instructions, at most %d may be; repeat less", short(c.Value), len(prog.Inst), MaxProgram)
	}
	return ""
}
