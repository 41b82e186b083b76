package filter

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math"
	"regexp"
	"strconv"
)

// A Verdict is what a condition says of a value, or of all values of a field. Verdicts are bits, so that a set of them, such as
// those that occur in a column, is their sum.
type Verdict uint8

// The verdicts.
const (
	NoValue Verdict = 1 << iota // there is no value to compare
	Misses                      // there is, and the condition does not hold of it
	Holds                       // it does
)

// A Matcher is a condition made ready to be asked often. It is safe for concurrent use.
type Matcher struct {
	Condition
	re   *regexp.Regexp
	want []byte
}

// expression is the regular expression as it is compiled: the whole of the text, and dots match all.
func (c *Condition) expression() string { return `\A(?s:` + c.Value.text + `)\z` }

// NewMatcher makes a condition ready. An error says that its regular expression is none.
func NewMatcher(c Condition) (*Matcher, error) {
	m := &Matcher{Condition: c, want: []byte(c.Value.text)}
	if c.Op == Match {
		re, err := regexp.Compile(c.expression())
		if err != nil {
			return nil, fmt.Errorf("filter: %s: %w", c.Field, err)
		}
		m.re = re
	}
	return m, nil
}

// Value is the verdict on one value: bits of the types that are kept as numbers, text of the others.
func (m *Matcher) Value(t Type, text []byte, bits uint64) Verdict {
	if m.Op == Present {
		return Holds
	}
	var order int
	ok := t == m.Condition.Value.typ
	switch m.Condition.Value.typ {
	case typeWritten:
		return m.written(t, text, bits)
	case TypeText:
		if !ok {
			return NoValue
		}
		if m.re != nil {
			return verdict(m.re.Match(text))
		}
		order = bytes.Compare(text, m.want)
	case TypeInt, TypeFloat:
		if t != TypeInt && t != TypeFloat {
			return NoValue
		}
		order, ok = compareNumbers(t, bits, m.Condition.Value.typ, m.Condition.Value.bits)
	default:
		order = compareOrdered(int64(bits), int64(m.Condition.Value.bits))
	}
	if !ok {
		return NoValue
	}
	switch m.Op {
	case Less:
		return verdict(order < 0)
	case LessEqual:
		return verdict(order <= 0)
	case Greater:
		return verdict(order > 0)
	case GreaterEqual:
		return verdict(order >= 0)
	default:
		return verdict(order == 0)
	}
}

func verdict(holds bool) Verdict {
	if holds {
		return Holds
	}
	return Misses
}

// written is the verdict on a value as it is written.
func (m *Matcher) written(t Type, text []byte, bits uint64) Verdict {
	var room [32]byte
	switch t {
	case TypeInt, TypeDuration, TypeTime:
		text = strconv.AppendInt(room[:0], int64(bits), 10)
	case TypeFloat:
		text = strconv.AppendFloat(room[:0], math.Float64frombits(bits), 'g', -1, 64)
	case TypeBool:
		text = strconv.AppendBool(room[:0], bits != 0)
	case TypeBytes:
		text = base64.StdEncoding.AppendEncode(nil, text)
	default:
	}
	if m.re != nil {
		return verdict(m.re.Match(text))
	}
	return verdict(bytes.Equal(text, m.want))
}
