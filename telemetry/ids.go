package telemetry

import (
	"encoding/hex"
	"fmt"
)

// TraceID names a trace: 16 bytes, all zero is invalid (W3C Trace Context).
// Shorter ids of older systems (64-bit Zipkin and Jaeger) are right-aligned.
type TraceID [16]byte

// SpanID names a span within its trace: 8 bytes, all zero is "none".
type SpanID [8]byte

// IsZero reports whether the id is the invalid all-zero id.
func (t TraceID) IsZero() bool { return t == TraceID{} }

// IsZero reports whether the id is the all-zero id: no span.
func (s SpanID) IsZero() bool { return s == SpanID{} }

// String is the id as 32 lower-case hex digits.
func (t TraceID) String() string { return hex.EncodeToString(t[:]) }

// String is the id as 16 lower-case hex digits.
func (s SpanID) String() string { return hex.EncodeToString(s[:]) }

// ParseTraceID reads 1 to 32 hex digits of either case. Fewer than 32 are the
// id's low end, as Zipkin and Jaeger write 64-bit ids.
func ParseTraceID(s string) (TraceID, error) {
	var t TraceID
	if err := parseHex(t[:], s); err != nil {
		return TraceID{}, fmt.Errorf("trace id %q: %w", s, err)
	}
	return t, nil
}

// ParseSpanID reads 1 to 16 hex digits of either case.
func ParseSpanID(s string) (SpanID, error) {
	var id SpanID
	if err := parseHex(id[:], s); err != nil {
		return SpanID{}, fmt.Errorf("span id %q: %w", s, err)
	}
	return id, nil
}

func parseHex(dst []byte, s string) error {
	if s == "" || len(s) > 2*len(dst) {
		return fmt.Errorf("want 1 to %d hex digits, got %d characters", 2*len(dst), len(s))
	}
	clear(dst)
	at := 2*len(dst) - len(s) // position of the first digit, in half bytes
	if at == 0 {
		var bad byte
		for i := range dst {
			hi, lo := digits[s[2*i]], digits[s[2*i+1]]
			bad |= hi | lo
			dst[i] = hi<<4 | lo
		}
		if bad < noDigit {
			return nil
		}
		clear(dst)
	}
	for i := 0; i < len(s); i++ {
		d := digits[s[i]]
		if d == noDigit {
			return fmt.Errorf("character %d is %q, not a hex digit", i+1, s[i])
		}
		if (at+i)%2 == 0 {
			d <<= 4
		}
		dst[(at+i)/2] |= d
	}
	return nil
}

// noDigit is in digits what no digit is; it has a bit that they have not.
const noDigit = 0x80

// digits is the value of a hex digit, by character.
var digits = func() (t [256]byte) { //nolint:gochecknoglobals // immutable
	for i := range t {
		t[i] = noDigit
	}
	for i, c := range "0123456789abcdef" {
		t[c] = byte(i)
	}
	for i, c := range "ABCDEF" {
		t[c] = byte(10 + i)
	}
	return t
}()
