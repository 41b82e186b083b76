package collector

import (
	"fmt"
	"unicode/utf8"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A Fill is what a decoder fills: the batch that a message is decoded into, the limits
// that hold for it, and the counts of what had to be dropped or repaired. Decoders use
// its methods, so that every protocol treats the same fault alike. It belongs to one
// goroutine.
type Fill struct {
	Batch  *telemetry.Batch
	Limits *Limits

	// Serial is another number for each batch, never 0. A decoder that serves one sender for
	// long remembers by it that the current batch has the sender's resource already.
	Serial uint64

	in       *Intake
	offset   int // where the requests of the message begin in the batch, which may hold those of others before
	messages int // how many messages the batch holds
	dropped  [numDrops]uint32
	omitted  [numOmissions]uint32
	repaired [numRepairs]uint32
	first    string // what was wrong with the first span or entry that was dropped
}

// Text interns a text off the wire: invalid UTF-8 is replaced, what exceeds
// the limit is cut, and either is counted.
func (f *Fill) Text(s []byte) telemetry.StrID { return f.text(s, f.Limits.ValueBytes) }

// Key interns an attribute's key.
func (f *Fill) Key(s []byte) telemetry.StrID { return f.text(s, f.Limits.KeyBytes) }

func (f *Fill) text(s []byte, limit int) telemetry.StrID {
	id, changed := f.Batch.InternText(s, limit)
	if changed {
		f.repairedText(s, limit)
	}
	return id
}

func (f *Fill) repairedText(s []byte, limit int) {
	if len(s) > limit {
		f.Repair(RepairLength)
	}
	if !utf8.Valid(s) {
		f.Repair(RepairUTF8)
	}
}

// Raw interns bytes, which need not be text, cut at the limit.
func (f *Fill) Raw(s []byte) telemetry.StrID {
	if len(s) > f.Limits.ValueBytes {
		f.Repair(RepairLength)
		s = s[:f.Limits.ValueBytes]
	}
	return f.Batch.InternRaw(s)
}

// Repair counts one repair.
func (f *Fill) Repair(r Repair) { f.repaired[r]++ }

// Requests is how many log entries of the message the batch holds.
func (f *Fill) Requests() int { return len(f.Batch.Requests) - f.offset }

// Drop counts one span or log entry that is left out, and keeps the name of
// the first, so that its sender can be told.
func (f *Fill) Drop(d Drop, name telemetry.StrID) {
	f.dropped[d]++
	if f.first == "" {
		f.first = fmt.Sprintf("%.100q %s", f.Batch.Bytes(name), dropTexts[d])
	}
}

// Omit counts an access log entry that is not kept by design.
func (f *Fill) Omit(o Omission) { f.omitted[o]++ }

// Omitted is how many entries were omitted.
func (f *Fill) Omitted() (n int) {
	for _, k := range f.omitted {
		n += int(k)
	}
	return n
}

// Rejected is how many spans or log entries were dropped, and what was wrong with
// the first.
func (f *Fill) Rejected() (n int, first string) {
	for _, k := range f.dropped {
		n += int(k)
	}
	return n, f.first
}

// Interval turns a span's start and end, Unix nanoseconds, into a start and
// duration that the cores can trust: the start is neither zero nor far in the
// future, the duration is not negative, and neither overflows. ok is false for
// what is older than the limit.
func (f *Fill) Interval(start, end uint64) (at, duration int64, ok bool) {
	received := f.Batch.Received
	latest := uint64(received) + uint64(f.Limits.MaxFuture)
	switch {
	case start == 0:
		f.Repair(RepairTimeZero)
		if end == 0 || end > latest {
			return received, 0, true
		}
		start = end
	case start > latest:
		f.Repair(RepairTimeFuture)
		if end > start && end-start < uint64(f.Limits.MaxFuture) {
			duration = int64(end - start)
		}
		return received - duration, duration, true
	case end < start:
		f.Repair(RepairTimeReversed)
		end = start
	case end > latest:
		f.Repair(RepairTimeFuture)
		end = max(start, uint64(received))
	}
	at = int64(start)
	if f.Limits.MaxAge > 0 && received-at > int64(f.Limits.MaxAge) {
		return 0, 0, false
	}
	return at, int64(end - start), true
}

// Moment returns t, the time of an event within a span in Unix nanoseconds, or the span's
// start where t is zero or beyond limits.max_future.
func (f *Fill) Moment(t uint64, start int64) int64 {
	switch {
	case t == 0:
		f.Repair(RepairTimeZero)
		return start
	case t > uint64(f.Batch.Received)+uint64(f.Limits.MaxFuture):
		f.Repair(RepairTimeFuture)
		return start
	default:
		return int64(t)
	}
}
