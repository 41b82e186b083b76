// Package jsonout writes JSON by hand, for the dialects of internal/api: an answer of 10,000
// spans costs no allocation a span and no reflection.
package jsonout

import (
	"strconv"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A Writer appends JSON to B. Commas are its own affair: a caller opens,
// names and closes, and what comes out is well-formed as long as it closes what it
// opened. The zero value is ready. Not chosen: encoding/json over structs. A trace of
// 10,000 spans is written in three dialects, each with attributes of any type under any
// key, and the mirror of structs that this takes is longer than the writer.
type Writer struct {
	B     []byte // what is written so far
	comma bool   // a value stands before, on this level
}

func (j *Writer) sep() {
	if j.comma {
		j.B = append(j.B, ',')
	}
	j.comma = true
}

// Open begins an object or an array by its bracket, '{' or '['.
func (j *Writer) Open(bracket byte) {
	j.sep()
	j.B = append(j.B, bracket)
	j.comma = false
}

// Close ends an object or an array by its bracket, '}' or ']'.
func (j *Writer) Close(bracket byte) {
	j.B = append(j.B, bracket)
	j.comma = true
}

// Key names the next value of an object, which follows: j.Key("spans").Int(3). Names are ours and need no escape.
func (j *Writer) Key(k string) *Writer {
	j.sep()
	j.B = append(j.B, '"')
	j.B = append(j.B, k...)
	j.B = append(j.B, '"', ':')
	j.comma = false
	return j
}

// TextKey is Key for a name that was sent to us.
func (j *Writer) TextKey(k string) *Writer {
	j.sep()
	j.B = appendText(j.B, k)
	j.B = append(j.B, ':')
	j.comma = false
	return j
}

// Field is a key with its text.
func (j *Writer) Field(k, v string) { j.Key(k).Text(v) }

// FieldIf is Field, unless the text is empty.
func (j *Writer) FieldIf(k, v string) {
	if v != "" {
		j.Field(k, v)
	}
}

// List writes an array, each item by write.
func List[T any](j *Writer, items []T, write func(*Writer, *T)) {
	j.Open('[')
	for i := range items {
		write(j, &items[i])
	}
	j.Close(']')
}

// Texts writes an array of text.
func (j *Writer) Texts(list []string) {
	j.Open('[')
	for _, s := range list {
		j.Text(s)
	}
	j.Close(']')
}

// Text writes text, of whatever bytes it is.
func (j *Writer) Text(s string) { j.sep(); j.B = appendText(j.B, s) }

// Int writes a whole number.
func (j *Writer) Int(n int64) { j.sep(); j.B = strconv.AppendInt(j.B, n, 10) }

// Uint writes a whole number.
func (j *Writer) Uint(n uint64) { j.sep(); j.B = strconv.AppendUint(j.B, n, 10) }

// Bool writes true or false.
func (j *Writer) Bool(v bool) { j.sep(); j.B = strconv.AppendBool(j.B, v) }

// Raw writes what is JSON already.
func (j *Writer) Raw(s string) { j.sep(); j.B = append(j.B, s...) }

// Hex writes an id as text of hex digits.
func (j *Writer) Hex(id []byte) { j.sep(); j.B = appendHex(j.B, id) }

// Base64 writes bytes as text.
func (j *Writer) Base64(p []byte) { j.sep(); j.B = appendBase64(j.B, p) }

// Float writes a number as ECMAScript would, and what JSON has no number for as
// "NaN", "Infinity" or "-Infinity".
func (j *Writer) Float(f float64) { j.sep(); j.B = appendFloat(j.B, f) }

// Quoted writes a whole number as text, as protobuf's JSON has those of 64 bits.
func (j *Writer) Quoted(n int64) {
	j.sep()
	j.B = append(strconv.AppendInt(append(j.B, '"'), n, 10), '"')
}

// Signal writes a rate or a latency to six digits.
func (j *Writer) Signal(f float64) { j.sep(); j.B = appendSignal(j.B, f) }

// AppendSignal is Signal for a writer of its own, which sees to the commas itself.
func AppendSignal(b []byte, f float64) []byte { return appendSignal(b, f) }

// Millis writes nanoseconds as milliseconds, exact to the nanosecond.
func (j *Writer) Millis(ns int64) { j.sep(); j.B = appendMillis(j.B, ns) }

// Millisecond writes a moment in Unix nanoseconds as the Unix millisecond that it lies in.
func (j *Writer) Millisecond(ns int64) { j.Int(ns / 1e6) }

// SpanID writes an id, or "" for none.
func (j *Writer) SpanID(id telemetry.SpanID) {
	if id.IsZero() {
		j.Text("")
		return
	}
	j.Hex(id[:])
}
