package api

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A jsonWriter appends JSON to b. Commas are its own affair: a caller opens,
// names and closes, and what comes out is well-formed as long as it closes what it
// opened. Not chosen: encoding/json over structs. A trace of 10,000 spans is
// written in three tongues, each with attributes of any type under any key, and the
// mirror of structs that this takes is longer than the writer.
type jsonWriter struct {
	b     []byte
	comma bool // a value stands before, on this level
}

func (j *jsonWriter) sep() {
	if j.comma {
		j.b = append(j.b, ',')
	}
	j.comma = true
}

func (j *jsonWriter) open(c byte) {
	j.sep()
	j.b = append(j.b, c)
	j.comma = false
}

func (j *jsonWriter) close(c byte) {
	j.b = append(j.b, c)
	j.comma = true
}

// key names the next value of an object. Names are ours and need no escape.
func (j *jsonWriter) key(k string) {
	j.sep()
	j.b = append(j.b, '"')
	j.b = append(j.b, k...)
	j.b = append(j.b, '"', ':')
	j.comma = false
}

// textKey is key for a name that was sent to us.
func (j *jsonWriter) textKey(k string) {
	j.sep()
	j.b = appendText(j.b, k)
	j.b = append(j.b, ':')
	j.comma = false
}

func (j *jsonWriter) text(s string)   { j.sep(); j.b = appendText(j.b, s) }
func (j *jsonWriter) int(n int64)     { j.sep(); j.b = strconv.AppendInt(j.b, n, 10) }
func (j *jsonWriter) uint(n uint64)   { j.sep(); j.b = strconv.AppendUint(j.b, n, 10) }
func (j *jsonWriter) bool(v bool)     { j.sep(); j.b = strconv.AppendBool(j.b, v) }
func (j *jsonWriter) raw(s string)    { j.sep(); j.b = append(j.b, s...) }
func (j *jsonWriter) hex(id []byte)   { j.sep(); j.b = appendHex(j.b, id) }
func (j *jsonWriter) base64(p []byte) { j.sep(); j.b = appendBase64(j.b, p) }
func (j *jsonWriter) float(f float64) { j.sep(); j.b = appendFloat(j.b, f) }
func (j *jsonWriter) quoted(n int64) {
	j.sep()
	j.b = append(strconv.AppendInt(append(j.b, '"'), n, 10), '"')
}
func (j *jsonWriter) signal(f float64) { j.sep(); j.b = appendSignal(j.b, f) }

// millis is nanoseconds as milliseconds, exact to the nanosecond.
func (j *jsonWriter) millis(ns int64) {
	j.sep()
	j.b = appendMillis(j.b, ns)
}

// millisecond is a moment in Unix nanoseconds as the Unix millisecond that it lies in.
func (j *jsonWriter) millisecond(ns int64) { j.int(ns / 1e6) }

// spanID is an id, or "" for none.
func (j *jsonWriter) spanID(id telemetry.SpanID) {
	if id.IsZero() {
		j.text("")
		return
	}
	j.hex(id[:])
}

func (j *jsonWriter) field(k, v string) { j.key(k); j.text(v) }

// appendMillis writes ns/1e6 without the rounding of a float64.
func appendMillis(b []byte, ns int64) []byte {
	if ns < 0 {
		b = append(b, '-')
		ns = -ns
	}
	b = strconv.AppendUint(b, uint64(ns)/1e6, 10)
	rest := uint64(ns) % 1e6
	if rest == 0 {
		return b
	}
	b = append(b, '.')
	for unit := uint64(1e5); rest > 0; unit /= 10 {
		b = append(b, byte('0'+rest/unit))
		rest %= unit
	}
	return b
}

// appendFloat writes any number that JSON has as ECMAScript would, and what JSON
// has not as the text that protobuf's JSON mapping gives it.
func appendFloat(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(b, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(b, `"-Infinity"`...)
	}
	if m := math.Abs(f); m == 0 || m >= 1e-6 && m < 1e21 {
		return strconv.AppendFloat(b, f, 'f', -1, 64)
	}
	b = strconv.AppendFloat(b, f, 'e', -1, 64)
	if n := len(b); b[n-2] == '0' && b[n-4] == 'e' { // e-09 is e-9
		b = append(b[:n-2], b[n-1])
	}
	return b
}

// appendSignal writes a rate or a latency to six digits: what lies below is
// noise of the sketch, and would be two thirds of a graph's bytes.
func appendSignal(b []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(b, '0')
	}
	return strconv.AppendFloat(b, f, 'g', 6, 64)
}

func appendHex(b, id []byte) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	for _, c := range id {
		b = append(b, digits[c>>4], digits[c&15])
	}
	return append(b, '"')
}

func appendBase64(b, p []byte) []byte {
	b = append(b, '"')
	b = base64.StdEncoding.AppendEncode(b, p)
	return append(b, '"')
}

// appendText writes s as a JSON string (RFC 8259). Bytes that are no UTF-8
// become U+FFFD; the line separators that JavaScript once stumbled over are escaped.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	done := 0
	for i := 0; i < len(s); {
		c, n := s[i], 1
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			b = appendEscaped(append(b, s[done:i]...), c)
		} else {
			var r rune
			r, n = utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && n == 1:
				b = append(append(b, s[done:i]...), "\uFFFD"...)
			case r == '\u2028':
				b = append(append(b, s[done:i]...), `\u2028`...)
			case r == '\u2029':
				b = append(append(b, s[done:i]...), `\u2029`...)
			default:
				i += n
				continue
			}
		}
		i += n
		done = i
	}
	b = append(b, s[done:]...)
	return append(b, '"')
}

// appendEscaped writes an ASCII character that cannot stand in a string as it is.
func appendEscaped(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	const digits = "0123456789abcdef"
	return append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
}

// attribute writes an attribute's value with its own type. An array or a map is
// kept as JSON text and is written as it is.
func (j *jsonWriter) attribute(b *telemetry.Batch, a telemetry.Attr) {
	switch a.Type {
	case telemetry.AttrInt:
		j.int(int64(a.Value))
	case telemetry.AttrFloat:
		j.float(math.Float64frombits(a.Value))
	case telemetry.AttrBool:
		j.bool(a.Value != 0)
	case telemetry.AttrBytes:
		j.base64(b.Bytes(a.String()))
	case telemetry.AttrJSON:
		if s := b.Bytes(a.String()); json.Valid(s) {
			j.raw(b.Str(a.String()))
			return
		}
		j.text(b.Str(a.String()))
	default:
		j.text(b.Str(a.String()))
	}
}

// attributes writes a run of attributes as an object.
func (j *jsonWriter) attributes(b *telemetry.Batch, r telemetry.Range) {
	j.open('{')
	for _, a := range b.AttrsOf(r) {
		j.textKey(b.Str(a.Key))
		j.attribute(b, a)
	}
	j.close('}')
}
