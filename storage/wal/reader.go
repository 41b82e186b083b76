package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/disk"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A reader reads records from disk, in order. The zero reader is ready.
//
// It only ever looks for what is known to be durable, so that the end of a file means the next file, or damage. What is damaged is
// told, and passed.
type reader struct {
	file    disk.File
	scan    *scanner
	seg     segment
	past    int              // no segment with an index below is looked at any more
	damaged bool             // what was passed before the record found last was damaged, or is gone
	tries   int              // to read what the disk did not give
	batch   *telemetry.Batch // to decode into
}

// maxTries is how often the disk is asked again for what it did not give.
const maxTries = 3

// errGone says that what was looked for was cut, and all that came after it, down to what is in memory.
var errGone = errors.New("no segment holds it, nor any record after it")

// seek reads up to the record at pos, or, where that was cut or is damaged, the oldest after it: base is then
// the extent of the log before that record, as far as segments tell.
func (r *reader) seek(l *Log, pos telemetry.Position) (at telemetry.Position, base Extent, err error) {
	r.damaged = false
	for {
		if r.file == nil {
			if err := r.open(l, pos); err != nil {
				return 0, Extent{}, err
			}
			if r.file == nil {
				continue // it was cut, or is gone: the next one
			}
		}
		switch r.scan.next() {
		case foundRecord:
			if at = r.scan.last; at >= pos {
				r.tries = 0
				return at, r.seg.base, nil
			}
		case foundDamage:
			d := r.scan.dmg
			d.segment = r.seg.index
			if d.unread != nil && r.tries < maxTries {
				// A disk that does not answer once may do so the next time; what it holds is not lost yet.
				r.tries++
				r.close()
				time.Sleep(l.timing.retry)
				continue
			}
			if d.unread != nil && !errors.Is(d.unread, syscall.EIO) {
				r.close()
				return 0, Extent{}, fmt.Errorf("segment %d: %w", d.segment, d.unread) // the machine's fault, and not what the disk lost
			}
			l.cameUpon(d)
			r.damaged = true
		case foundEnd:
			if s, ok := l.segment(r.seg.index); ok && s.bytes > r.scan.size {
				r.scan.size = s.bytes
				continue
			}
			// Records are looked for that are durable, so that this is the end of it only where others came later, or where its end is damaged.
			r.past = r.seg.index + 1
			r.close()
		}
	}
}

// open opens the segment that has pos, or the oldest after it. Without an error and without a file it is to be called again.
func (r *reader) open(l *Log, pos telemetry.Position) error {
	s, ok := l.holding(pos, r.past-1)
	if !ok {
		r.past = 0 // others may come
		return errGone
	}
	f, err := l.fs.OpenFile(segmentName(l.dir, s.index), os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		if _, kept := l.segment(s.index); kept {
			l.cameUpon(damage{segment: s.index, from: 0, to: s.bytes, cause: errRemoved})
			r.damaged, r.past = true, s.index+1
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("open segment: %w", err)
	}
	r.file, r.seg, r.scan = f, s, newScanner(f, s.bytes)
	if r.batch == nil {
		r.batch = telemetry.NewBatch()
	}
	return nil
}

// undecodable notes that the record found last is whole, and makes no sense: it passed for one of an older version, or was written wrongly.
func (r *reader) undecodable(l *Log, err error) {
	r.damaged = true
	l.cameUpon(damage{segment: r.seg.index, from: r.scan.begin, to: r.scan.end, cause: err})
}

// segment is the segment of an index, if it was not cut.
func (l *Log) segment(index int) (segment, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.mu.segments {
		if s.index == index {
			return s, true
		}
	}
	return segment{}, false
}

// record is the record that seek found, without its position, until the next seek.
func (r *reader) record() []byte { return r.scan.rec[headerBytes:] }

func (r *reader) close() {
	if r.file != nil {
		_ = r.file.Close() // it was only read
		r.file, r.scan = nil, nil
	}
}
