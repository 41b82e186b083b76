package wal

import (
	"fmt"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A segment is one file of the log.
type segment struct {
	index int
	first telemetry.Position // of its first record; 0 while it has none
	bytes int64
	base  Extent // of all records before it
}

func (l *Log) current() segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.segments[len(l.mu.segments)-1]
}

// grow notes that the newest segment takes a record of n bytes; base is the extent of all before.
func (l *Log) grow(pos telemetry.Position, n int64, base Extent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.mu.segments[len(l.mu.segments)-1]
	if s.first == 0 {
		s.first, s.base = pos, base
	}
	s.bytes += n
	l.mu.bytes += n
}

// holding is the segment that has position pos, or, where that was cut, the oldest that has
// any record. ok is false where no record is at or after pos.
func (l *Log) holding(pos telemetry.Position) (s segment, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.mu.segments {
		if c.bytes == 0 {
			continue // it holds nothing, or nothing yet
		}
		if ok && c.first > pos {
			break
		}
		s, ok = c, true
	}
	return s, ok
}

// Truncate removes the segments that hold no record after applied.
func (l *Log) Truncate(applied telemetry.Position) error {
	l.mu.Lock()
	var drop []segment
	segs := l.mu.segments
	for len(segs) > 1 && segs[1].first != 0 && segs[1].first <= applied+1 {
		drop = append(drop, segs[0])
		l.mu.bytes -= segs[0].bytes
		segs = segs[1:]
	}
	l.mu.segments = append([]segment(nil), segs...)
	l.mu.Unlock()
	if len(drop) == 0 {
		return nil
	}
	if err := l.wl.Truncate(drop[len(drop)-1].index + 1); err != nil {
		return fmt.Errorf("truncate log: %w", err)
	}
	return nil
}

// An Extent is how much a run of the log holds.
//
// Of records that were there when the log was opened only number and bytes are known: their spans and requests
// count as 0.
type Extent struct {
	Records         uint64
	Bytes           int64
	Spans, Requests uint64
}

func (x *Extent) add(bytes int64, b *telemetry.Batch) {
	x.Records++
	x.Bytes += bytes
	x.Spans += uint64(len(b.Spans))
	x.Requests += uint64(len(b.Requests))
}

// less is what lies between o and x, o being the earlier; no field is below 0.
func (x Extent) less(o Extent) Extent {
	return Extent{
		Records: x.Records - min(o.Records, x.Records), Bytes: max(0, x.Bytes-o.Bytes),
		Spans: x.Spans - min(o.Spans, x.Spans), Requests: x.Requests - min(o.Requests, x.Requests),
	}
}

func (x Extent) plus(o Extent) Extent {
	return Extent{x.Records + o.Records, x.Bytes + o.Bytes, x.Spans + o.Spans, x.Requests + o.Requests}
}
