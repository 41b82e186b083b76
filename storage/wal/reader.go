package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"

	"github.com/prometheus/prometheus/tsdb/wlog"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A reader reads records from disk, in order. The zero reader is ready.
//
// It only ever looks for what is known to be durable, so that the end of a file means the next file, or damage. wlog's
// LiveReader is used, which can read on in a file that still grows.
type reader struct {
	src   *wlog.Segment
	live  *wlog.LiveReader
	seg   segment
	batch *telemetry.Batch // to decode into
}

// errGone says that what was looked for was cut, and all that came after it, down to what is in memory.
var errGone = errors.New("no segment holds it, nor any record after it")

// seek reads up to the record at pos, or, where that was cut, the oldest after it: base is then
// the extent of the log before that record.
func (r *reader) seek(l *Log, pos telemetry.Position) (found telemetry.Position, base Extent, err error) {
	for missing := -1; ; {
		if r.src == nil {
			err := r.open(l, pos)
			if errors.Is(err, fs.ErrNotExist) && r.seg.index != missing {
				missing = r.seg.index // cut since it was looked up
				continue
			}
			if err != nil {
				return 0, Extent{}, err
			}
		}
		for r.live.Next() {
			rec := r.live.Record()
			if len(rec) < headerBytes {
				return 0, Extent{}, r.fault(fmt.Errorf("a record of %d bytes", len(rec)))
			}
			if found = telemetry.Position(binary.LittleEndian.Uint64(rec)); found >= pos {
				return found, r.seg.base, nil
			}
		}
		err, read := r.live.Err(), r.seg.index
		r.close()
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, Extent{}, r.fault(err)
		}
		if s, ok := l.holding(pos); !ok || s.index == read {
			return 0, Extent{}, r.fault(errors.New("it ends before the record"))
		}
	}
}

func (r *reader) fault(err error) error {
	return fmt.Errorf("segment %d is damaged: %w; restore it from a copy, or remove it and all before it to go on without what they hold", r.seg.index, err)
}

func (r *reader) open(l *Log, pos telemetry.Position) error {
	s, ok := l.holding(pos)
	if !ok {
		return errGone
	}
	r.seg = s
	f, err := wlog.OpenReadSegment(wlog.SegmentName(l.dir, s.index))
	if err != nil {
		return err
	}
	r.src = f
	r.live = wlog.NewLiveReader(slog.New(slog.DiscardHandler), wlog.NewLiveReaderMetrics(nil), f)
	if r.batch == nil {
		r.batch = telemetry.NewBatch()
	}
	return nil
}

// record is the record that seek found, without its position, until the next seek.
func (r *reader) record() []byte { return r.live.Record()[headerBytes:] }

func (r *reader) close() {
	if r.src != nil {
		_ = r.src.Close() // it was only read
		r.src, r.live = nil, nil
	}
}
