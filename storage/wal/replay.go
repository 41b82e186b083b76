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

func putPosition(rec []byte, pos telemetry.Position) { binary.LittleEndian.PutUint64(rec, uint64(pos)) }

// Replay reads the log from its beginning, calls f for each record after
// position from, and readies the log for Append. rec is f's to keep.
//
// A record that was being written when the process or the machine died is torn:
// it was never acknowledged. It, and nothing else, is cut off the end, with one
// line in the log. Damage anywhere else is an error and changes nothing on disk.
func (l *Log) Replay(from telemetry.Position, f func(pos telemetry.Position, rec []byte) error) error {
	n, err := l.read(from, f)
	if torn, ok := errors.AsType[*tornError](err); ok {
		err = l.repair(torn)
	}
	if err != nil {
		return fmt.Errorf("replay log %s: %w", l.dir, err)
	}
	if n > 0 {
		l.log.Info("log replayed", "records", n, "last", l.last)
	}
	return l.start()
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

// read goes over all segments, noting where each begins.
func (l *Log) read(from telemetry.Position, f func(telemetry.Position, []byte) error) (n int, err error) {
	first, last, err := wlog.Segments(l.dir)
	if err != nil || last < 0 {
		return 0, err
	}
	for i := first; i <= last; i++ {
		k, err := l.readSegment(i, from, f)
		n += k
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (l *Log) readSegment(index int, from telemetry.Position, f func(telemetry.Position, []byte) error) (n int, err error) {
	s, err := wlog.OpenReadSegment(wlog.SegmentName(l.dir, index))
	if err != nil {
		return 0, err
	}
	src := wlog.NewSegmentBufReader(s)
	defer func() { err = errors.Join(err, src.Close()) }()
	seg := segment{index: index}
	r := wlog.NewReader(src)
	for r.Next() {
		rec := r.Record()
		if len(rec) < headerBytes {
			// A frame header cut short and read with the page's zeros behind it can
			// pass for an empty record; we write none so short.
			l.note(seg)
			return n, &tornError{segment: index, good: seg.bytes, cause: fmt.Errorf("record of %d bytes", len(rec))}
		}
		seg.bytes = r.Offset()
		pos := telemetry.Position(binary.LittleEndian.Uint64(rec))
		if seg.first == 0 {
			seg.first = pos
		}
		l.last = max(l.last, pos)
		if pos <= from {
			continue
		}
		n++
		if err := f(pos, append([]byte(nil), rec[headerBytes:]...)); err != nil {
			return n, fmt.Errorf("position %d: %w", pos, err)
		}
	}
	l.note(seg)
	if err := r.Err(); err != nil {
		if _, io := errors.AsType[*fs.PathError](err); io {
			return n, err // the disk's fault says nothing about the bytes
		}
		return n, &tornError{segment: index, good: seg.bytes, cause: err}
	}
	return n, nil
}

func (l *Log) note(seg segment) {
	if seg.first == 0 {
		seg.first = l.last + 1 // empty: cut with the one before
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
	l.metrics.repairs.Inc()
	l.log.Warn("cut a torn record off the end of the log; it was being written when the process died and was not acknowledged",
		"segment", torn.segment, "kept_bytes", torn.good, "cause", torn.cause, "last", l.last)
	return nil
}
