package otlp

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/binnacle-mesh/binnacle/internal/pb"
)

// A jsonReader walks a JSON text in place, as protobuf's JSON mapping reads
// it: null is a field that is not there, 64-bit numbers may be text.
//
//	for more := r.begin('{'); more; more = r.more('}') {
//		switch string(r.key()) {
//		case "name":
//			name = r.text()
//		default:
//			r.skip()
//		}
//	}
//
// After an error every method answers that there is nothing more, and err says
// where the text went wrong. A text returned is valid until the next is read.
type jsonReader struct {
	in      []byte
	at      int
	unquote []byte // texts with escapes, resolved
	err     error
}

func (r *jsonReader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("byte %d: %s", r.at, what)
	}
	r.at = len(r.in)
}

// peek is the next byte that is not white space, 0 at the end.
func (r *jsonReader) peek() byte {
	for r.at < len(r.in) {
		switch c := r.in[r.at]; c {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return c
		}
	}
	return 0
}

// null consumes a null, if that is what comes.
func (r *jsonReader) null() bool {
	if r.peek() != 'n' {
		return false
	}
	r.word("null")
	return true
}

func (r *jsonReader) word(w string) {
	if !bytes.HasPrefix(r.in[r.at:], []byte(w)) {
		r.fail("want " + w)
		return
	}
	r.at += len(w)
}

// begin enters an object or array; false says that it is empty or null.
func (r *jsonReader) begin(bracket byte) bool {
	if r.null() {
		return false
	}
	if r.peek() != bracket {
		r.fail("want " + string(bracket))
		return false
	}
	r.at++
	if r.peek() == bracket+2 { // } and ] come two after { and [
		r.at++
		return false
	}
	return r.err == nil
}

// more goes on to the next member; false says that bracket has closed.
func (r *jsonReader) more(bracket byte) bool {
	switch r.peek() {
	case ',':
		r.at++
		return true
	case bracket:
		r.at++
	default:
		r.fail("want , or " + string(bracket))
	}
	return false
}

// key reads a member's name and the colon behind it.
func (r *jsonReader) key() []byte {
	k := r.quoted()
	if r.peek() != ':' {
		r.fail("want :")
		return nil
	}
	r.at++
	return k
}

// text reads a string; null is empty.
func (r *jsonReader) text() []byte {
	if r.null() {
		return nil
	}
	return r.quoted()
}

func (r *jsonReader) quoted() []byte {
	if r.peek() != '"' {
		r.fail("want a string")
		return nil
	}
	r.at++
	rest := r.in[r.at:]
	n := bytes.IndexByte(rest, '"')
	if n < 0 {
		r.fail("a string does not end")
		return nil
	}
	s := rest[:n]
	if bytes.IndexByte(s, '\\') < 0 {
		r.at += n + 1
		return s
	}
	return r.escaped()
}

// escaped reads the rest of a string that has escapes.
func (r *jsonReader) escaped() []byte {
	out := r.unquote[:0]
	defer func() { r.unquote = out }()
	for r.at < len(r.in) {
		c := r.in[r.at]
		r.at++
		switch c {
		case '"':
			return out
		case '\\':
			if r.at == len(r.in) {
				break
			}
			e := r.in[r.at]
			r.at++
			switch e {
			case '"', '\\', '/':
				out = append(out, e)
			case 'b':
				out = append(out, '\b')
			case 'f':
				out = append(out, '\f')
			case 'n':
				out = append(out, '\n')
			case 'r':
				out = append(out, '\r')
			case 't':
				out = append(out, '\t')
			case 'u':
				out = utf8.AppendRune(out, r.unicode())
			default:
				r.fail("a string has an unknown escape")
				return nil
			}
		default:
			out = append(out, c)
		}
	}
	r.fail("a string does not end")
	return nil
}

// unicode reads the four digits of a \u escape, and those of its second half
// where it is one of a surrogate pair; half a pair is U+FFFD.
func (r *jsonReader) unicode() rune {
	c := r.hex4()
	if !utf16.IsSurrogate(c) {
		return c
	}
	if bytes.HasPrefix(r.in[r.at:], []byte(`\u`)) {
		before := r.at
		r.at += 2
		if pair := utf16.DecodeRune(c, r.hex4()); pair != utf8.RuneError {
			return pair
		}
		r.at = before
	}
	return utf8.RuneError
}

func (r *jsonReader) hex4() rune {
	if len(r.in)-r.at < 4 {
		r.fail("a \\u escape has not four digits")
		return 0
	}
	var v rune
	for _, c := range r.in[r.at : r.at+4] {
		d := hexDigit(c)
		if d > 15 {
			r.fail("a \\u escape has not four digits")
			return 0
		}
		v = v<<4 | rune(d)
	}
	r.at += 4
	return v
}

// hexDigit is the value of a hexadecimal digit, and 255 of what is none.
func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	default:
		return 255
	}
}

// literal reads a number, or the text of a string that stands for one; null
// is "0".
func (r *jsonReader) literal() []byte {
	switch c := r.peek(); c {
	case '"':
		return r.quoted()
	case 'n':
		r.word("null")
		return []byte("0")
	}
	start := r.at
	for r.at < len(r.in) {
		switch c := r.in[r.at]; {
		case c >= '0' && c <= '9', c == '-', c == '+', c == '.', c == 'e', c == 'E':
			r.at++
			continue
		}
		break
	}
	if r.at == start {
		r.fail("want a number")
	}
	return r.in[start:r.at]
}

// unsigned reads a uint64, fixed64 or fixed32.
func (r *jsonReader) unsigned() uint64 {
	s := r.literal()
	if v, ok := digits(s); ok {
		return v
	}
	if v, err := strconv.ParseUint(pb.View(s), 10, 64); err == nil {
		return v
	}
	if f, err := strconv.ParseFloat(pb.View(s), 64); err == nil && f >= 0 && f < 1<<64 && f == float64(uint64(f)) {
		return uint64(f)
	}
	r.fail("want a number that is whole and not negative")
	return 0
}

// signed reads an int64.
func (r *jsonReader) signed() int64 {
	s := r.literal()
	if v, ok := digits(s); ok && v < 1<<63 {
		return int64(v)
	}
	if v, err := strconv.ParseInt(pb.View(s), 10, 64); err == nil {
		return v
	}
	if f, err := strconv.ParseFloat(pb.View(s), 64); err == nil && f >= -(1<<63) && f < 1<<63 && f == float64(int64(f)) {
		return int64(f)
	}
	r.fail("want a whole number of 64 bits")
	return 0
}

// digits reads what nearly all numbers are.
func digits(s []byte) (v uint64, ok bool) {
	if len(s) == 0 || len(s) > 19 {
		return 0, false
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = 10*v + uint64(c-'0')
	}
	return v, true
}

// float reads a double; "NaN", "Infinity" and "-Infinity" are text. What is
// out of range is infinite.
func (r *jsonReader) float() float64 {
	v, err := strconv.ParseFloat(pb.View(r.literal()), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		r.fail("want a number")
	}
	return v
}

func (r *jsonReader) bool() bool {
	switch r.peek() {
	case 't':
		r.word("true")
		return r.err == nil
	case 'f':
		r.word("false")
	case 'n':
		r.word("null")
	default:
		r.fail("want true or false")
	}
	return false
}

// skip passes over a value of any kind.
func (r *jsonReader) skip() {
	for depth := 0; r.err == nil; {
		switch c := r.peek(); c {
		case '{', '[':
			depth++
			r.at++
		case '}', ']':
			depth--
			r.at++
		case ',', ':':
			r.at++
			if depth == 0 {
				r.fail("want a value")
			}
			continue
		case '"':
			r.quoted()
		case 't', 'f', 'n':
			r.bool()
		default:
			r.literal()
		}
		if depth == 0 {
			return
		}
		if depth < 0 {
			r.fail("a bracket closes that was not open")
		}
	}
}

// end checks that nothing follows.
func (r *jsonReader) end() error {
	if r.peek() != 0 {
		r.fail("there is more after the message")
	}
	return r.err
}
