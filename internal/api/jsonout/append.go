package jsonout

import (
	"encoding/base64"
	"math"
	"strconv"
	"unicode/utf8"
)

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
//
// A graph of 50,000 edges has a million of them. Most lie between a thousandth and a million; those are written as whole numbers of their last digit.
func appendSignal(b []byte, f float64) []byte {
	switch {
	case f >= 1e-3 && f < 999_999:
		return appendDigits(b, f)
	case f == 0 || math.IsNaN(f) || math.IsInf(f, 0):
		return append(b, '0')
	default:
		return strconv.AppendFloat(b, f, 'g', 6, 64)
	}
}

// appendDigits writes six digits of a number from 0.001 to 999,999, without zeros at the end.
func appendDigits(b []byte, f float64) []byte {
	decimals := 0
	for ; f < 1e5; f *= 10 {
		decimals++
	}
	n := uint32(f + 0.5) // at most 1e6
	for decimals > 0 && n%10 == 0 {
		n /= 10
		decimals--
	}
	unit := uint32(1)
	for range decimals {
		unit *= 10 // at most 1e8
	}
	b = strconv.AppendUint(b, uint64(n/unit), 10)
	if decimals == 0 {
		return b
	}
	b = append(b, '.')
	for n %= unit; unit > 1; n %= unit {
		unit /= 10
		b = append(b, byte('0'+n/unit)) //nolint:gosec // a digit
	}
	return b
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
