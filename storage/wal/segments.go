package wal

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/binnacle-mesh/binnacle/internal/failpoint"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A segment is one file of the log.
type segment struct {
	index int
	first telemetry.Position // of its first record, or, while it has none, of the one to come
	empty bool
	bytes int64  // of the file that are durable
	base  Extent // of all records before it
}

// grow notes that the newest segment took records from position first on, and is now so long.
func (l *Log) grow(first telemetry.Position, size int64, base Extent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.mu.segments[len(l.mu.segments)-1]
	if s.empty {
		s.first, s.base, s.empty = first, base, false
	}
	l.mu.bytes += size - s.bytes
	s.bytes = size
}

// holding is the segment that has position pos, or, where that was cut, the oldest that has
// any record; those up to index past do not count. ok is false where no record is at or after pos.
func (l *Log) holding(pos telemetry.Position, past int) (s segment, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.mu.segments {
		if c.empty || c.index <= past {
			continue
		}
		if ok && c.first > pos {
			break
		}
		s, ok = c, true
	}
	return s, ok
}

// Truncate removes the segments that hold no record after applied.
//
// A segment leaves the list before its file goes, so that who looks for a file that is listed and not there has found a damage.
func (l *Log) Truncate(applied telemetry.Position) error {
	l.cutting.Lock()
	defer l.cutting.Unlock()
	for {
		l.mu.Lock()
		segs := l.mu.segments
		if len(segs) < 2 || segs[1].first > applied+1 {
			l.mu.Unlock()
			return nil
		}
		oldest := segs[0]
		l.mu.segments = append([]segment(nil), segs[1:]...)
		l.mu.bytes -= oldest.bytes
		l.mu.Unlock()
		if err := l.fs.Remove(segmentName(l.dir, oldest.index)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			// The committer may have added some meanwhile; nobody else takes any away.
			l.mu.Lock()
			l.mu.segments = append([]segment{oldest}, l.mu.segments...)
			l.mu.bytes += oldest.bytes
			l.mu.Unlock()
			return fmt.Errorf("truncate log: %w", err)
		}
		failpoint.Here(failpoint.LogCut)
	}
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
