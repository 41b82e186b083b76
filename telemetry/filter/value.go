package filter

import (
	"math"
	"strconv"
	"time"
)

// Type says what a value is. The first six are the types of attributes.
type Type uint8

// The types.
const (
	TypeText     Type = iota
	TypeInt           // bits are an int64
	TypeFloat         // bits are math.Float64bits
	TypeBool          // bits are 0 or 1
	TypeBytes         // text is the bytes
	TypeJSON          // text is the JSON of an array or a map
	TypeDuration      // bits are an int64, nanoseconds
	TypeTime          // bits are an int64, Unix nanoseconds
	typeWritten       // of literals alone: compares with any value, written as text
)

// A Value is what a condition compares with. Two values that are == are the same.
type Value struct {
	typ  Type
	text string
	bits uint64
}

// Text compares with texts.
func Text(s string) Value { return Value{typ: TypeText, text: s} }

// Int compares with numbers.
func Int(i int64) Value { return Value{typ: TypeInt, bits: uint64(i)} }

// Float compares with numbers.
func Float(f float64) Value { return Value{typ: TypeFloat, bits: math.Float64bits(f)} }

// Bool compares with truth values.
func Bool(b bool) Value {
	v := Value{typ: TypeBool}
	if b {
		v.bits = 1
	}
	return v
}

// Elapsed compares with durations.
func Elapsed(d time.Duration) Value { return Value{typ: TypeDuration, bits: uint64(d)} }

// Moment compares with times; ns is in Unix nanoseconds.
func Moment(ns int64) Value { return Value{typ: TypeTime, bits: uint64(ns)} }

// Written compares with a value of any type, written as text.
func Written(s string) Value { return Value{typ: typeWritten, text: s} }

// Range is the whole numbers for which a condition that compares with this value holds, both ends in it, in the unit of the value's type; ok is false
// where they are not one run, or the value is no duration, time or integer. It is empty where least is above most.
func (c Condition) Range() (least, most int64, ok bool) {
	switch c.Value.typ {
	case TypeInt, TypeDuration, TypeTime:
	default:
		return 0, 0, false
	}
	v := int64(c.Value.bits)
	least, most = math.MinInt64, math.MaxInt64
	switch c.Op {
	case Equal:
		return v, v, true
	case LessEqual:
		return least, v, true
	case GreaterEqual:
		return v, most, true
	case Less:
		if v == math.MinInt64 {
			return 0, -1, true
		}
		return least, v - 1, true
	case Greater:
		if v == math.MaxInt64 {
			return 0, -1, true
		}
		return v + 1, most, true
	default:
		return 0, 0, false
	}
}

// Exact is the text that a condition asks for, where it holds of that alone.
func (c Condition) Exact() (text string, ok bool) {
	return c.Value.text, c.Op == Equal && (c.Value.typ == TypeText || c.Value.typ == typeWritten)
}

// String writes the value so that no two values look alike; of one made by [Written] it is the text alone.
func (v Value) String() string {
	switch v.typ {
	case TypeInt:
		return strconv.FormatInt(int64(v.bits), 10)
	case TypeFloat:
		s := strconv.FormatFloat(math.Float64frombits(v.bits), 'g', -1, 64)
		for i := range len(s) {
			if c := s[i]; c == '.' || c == 'e' || c == 'N' || c == 'I' {
				return s
			}
		}
		return s + ".0"
	case TypeBool:
		return strconv.FormatBool(v.bits != 0)
	case TypeDuration:
		return time.Duration(v.bits).String()
	case TypeTime:
		return time.Unix(0, int64(v.bits)).UTC().Format(time.RFC3339Nano)
	default:
		return strconv.Quote(v.text)
	}
}

// compareNumbers orders two numbers, each an int64 or a float64, by what they are, without rounding. ok is
// false where one is not a number.
func compareNumbers(t Type, a uint64, u Type, b uint64) (order int, ok bool) {
	switch {
	case t == TypeInt && u == TypeInt:
		return compareOrdered(int64(a), int64(b)), true
	case t == TypeInt:
		return compareIntFloat(int64(a), math.Float64frombits(b))
	case u == TypeInt:
		order, ok = compareIntFloat(int64(b), math.Float64frombits(a))
		return -order, ok
	default:
		x, y := math.Float64frombits(a), math.Float64frombits(b)
		return compareOrdered(x, y), x == x && y == y
	}
}

func compareOrdered[T int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

func compareIntFloat(i int64, f float64) (int, bool) {
	switch {
	case math.IsNaN(f):
		return 0, false
	case f >= 1<<63:
		return -1, true
	case f < -1<<63:
		return 1, true
	}
	whole := math.Trunc(f)
	if c := compareOrdered(i, int64(whole)); c != 0 {
		return c, true
	}
	return compareOrdered(whole, f), true
}
