package telemetry

import "unsafe"

// unsafeString views b as a string. The batch's arena is append-only while
// it is filled and read-only after, so the bytes under a view do not change
// before Reset, which ends every borrow (I3).
func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// unsafeBytes views s as bytes that must not be written.
func unsafeBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
