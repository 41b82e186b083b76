package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/prometheus/prometheus/tsdb/wlog"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// scan reads the whole log: it finds where each segment begins and where the log ends, and cuts a torn record off.
// It decodes nothing; followers read again what they need.
func (l *Log) scan() error {
	err := l.scanSegments()
	if torn, ok := errors.AsType[*tornError](err); ok {
		err = l.repair(torn)
	}
	l.opened = l.last
	return err
}

// A tornError says where a segment stops making sense.
type tornError struct {
	segment int
	good    int64 // bytes of the segment that are whole records
	cause   error
}

func (e *tornError) Error() string {
	return fmt.Sprintf("segment %d is damaged after byte %d: %v", e.segment, e.good, e.cause)
}

func (l *Log) scanSegments() error {
	first, last, err := wlog.Segments(l.dir)
	if err != nil || last < 0 {
		return err
	}
	for i := first; i <= last; i++ {
		if err := l.scanSegment(i); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) scanSegment(index int) (err error) {
	s, err := wlog.OpenReadSegment(wlog.SegmentName(l.dir, index))
	if err != nil {
		return err
	}
	st, err := s.Stat()
	if err != nil {
		return errors.Join(err, s.Close())
	}
	src := wlog.NewSegmentBufReader(s)
	defer func() { err = errors.Join(err, src.Close()) }()
	seg := segment{index: index, base: l.sum}
	r := wlog.NewReader(src)
	for r.Next() {
		rec := r.Record()
		if len(rec) < headerBytes || r.Offset() > st.Size() {
			// The page is read with zeros behind the file's end. A frame header cut short can then
			// pass for an empty record, of which we write none, and a record that ends in zeros for a whole one.
			l.note(seg)
			return &tornError{segment: index, good: seg.bytes, cause: fmt.Errorf("a record of %d bytes ends after the file, at %d", len(rec), r.Offset())}
		}
		seg.bytes = r.Offset()
		pos := telemetry.Position(binary.LittleEndian.Uint64(rec))
		if seg.first == 0 {
			seg.first = pos
		}
		l.last, l.found = max(l.last, pos), pos
		l.sum.Records++
		l.sum.Bytes += framed(len(rec))
	}
	l.note(seg)
	if err := r.Err(); err != nil {
		if _, io := errors.AsType[*fs.PathError](err); io {
			return err // the disk's fault says nothing about the bytes
		}
		return &tornError{segment: index, good: seg.bytes, cause: err}
	}
	return nil
}

func (l *Log) note(seg segment) {
	if seg.first == 0 {
		seg.first = l.found + 1 // empty: cut with the one before
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.segments = append(l.mu.segments, seg)
	l.mu.bytes += seg.bytes
}

// repair cuts a torn record off the end of the log. wlog's own Repair is not
// used: it rewrites the segment under another name, and a process killed in the
// middle of that would lose it; cutting the file is one step.
func (l *Log) repair(torn *tornError) error {
	_, last, err := wlog.Segments(l.dir)
	if err != nil {
		return err
	}
	for i := torn.segment + 1; i <= last; i++ {
		st, err := os.Stat(wlog.SegmentName(l.dir, i))
		if err != nil {
			return err
		}
		if st.Size() > 0 {
			return fmt.Errorf("%w; segment %d after it holds records that were acknowledged, so nothing was changed: "+
				"restore segment %d, or remove it and all after it to go on without what they hold", torn, i, torn.segment)
		}
	}
	f, err := os.OpenFile(wlog.SegmentName(l.dir, torn.segment), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	err = f.Truncate(torn.good)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("cut torn record: %w", err)
	}
	l.repairs++
	l.log.Warn("cut a torn record off the end of the log; it was being written when the process died and was not acknowledged",
		"segment", torn.segment, "kept_bytes", torn.good, "cause", torn.cause, "last", l.last)
	return nil
}
