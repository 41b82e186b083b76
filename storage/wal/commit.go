package wal

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The commit, in six lines:
//
//	Append encodes the batch on its caller's goroutine, queues it and waits.
//	One goroutine takes the whole queue at once,
//	opens a new segment if the records might not fit, syncing the old one,
//	writes all, syncs once,
//	puts all in the tail, where the followers find what is durable, and nothing else,
//	and wakes the waiters.
//
// While one group is being synced the next one gathers, so that the number of
// syncs is bounded by the disk and not by the senders, and a lone sender waits for
// one sync and no timer. A pool of writers, or a sync on a timer, was not chosen:
// the first needs an order to be restored, the second makes a lone sender wait.

// An entry is a record on its way: queued, then in the tail.
type entry struct {
	pos   telemetry.Position
	batch *telemetry.Batch
	buf   *[]byte // of the log's buffers; holds rec
	rec   []byte  // with its header
	end   Extent  // of the log up to and with this record
	err   error
	ready chan struct{} // capacity 1

	users int // guarded by tail.mu: the tail, and the followers that were lent it
}

// memory is roughly how many bytes of memory the entry holds.
func (e *entry) memory() int64 { return int64(e.batch.Size() + cap(*e.buf)) }

// Append makes a batch durable and returns its position, which followers get it under. It takes the batch
// over in every case and gives it to release when nobody reads it any more.
//
// Errors: telemetry.ErrOverloaded when the log is full, telemetry.ErrClosed,
// ctx's error (the record may then still be written and followed), or the log's own fault, which is
// final. For all but ctx's, the record is not and will not be in the log.
func (l *Log) Append(ctx context.Context, b *telemetry.Batch) (telemetry.Position, error) {
	e := l.encode(b)
	if err := l.enqueue(e); err != nil {
		l.recycle(e)
		return 0, err
	}
	l.signal()
	select {
	case <-e.ready:
		return e.pos, e.err
	case <-ctx.Done():
		return 0, fmt.Errorf("append to log: %w", ctx.Err())
	}
}

func (l *Log) encode(b *telemetry.Batch) *entry {
	buf := l.buffers.Get().(*[]byte) //nolint:forcetypeassert // New makes nothing else
	*buf = b.AppendRecord(append((*buf)[:0], make([]byte, headerBytes)...))
	return &entry{batch: b, buf: buf, rec: *buf, ready: make(chan struct{}, 1), users: 1}
}

// keepBuffer is how large a buffer may be and still be used again: beyond it one
// extraordinary record would hold its memory for ever.
const keepBuffer = 4 << 20

// recycle gives back what an entry holds. Nobody may refer to it any more.
func (l *Log) recycle(e *entry) {
	if cap(*e.buf) <= keepBuffer {
		l.buffers.Put(e.buf)
	}
	l.release(e.batch)
	e.buf, e.rec, e.batch = nil, nil, nil
}

func (l *Log) enqueue(e *entry) error {
	n := int64(len(e.rec))
	if n > int64(l.cfg.SegmentBytes)/2 {
		return fmt.Errorf("append to log: a record of %d bytes does not fit a segment of %d; send smaller batches or raise storage.wal.segment_bytes", n, l.cfg.SegmentBytes)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch held := l.mu.bytes + l.mu.queued; {
	case l.mu.err != nil:
		return l.mu.err
	case l.mu.closed:
		return telemetry.ErrClosed
	case held+n > l.cfg.MaxBytes:
		l.metrics.refused.Inc()
		return fmt.Errorf("log holds %d of %d bytes: %w", held, l.cfg.MaxBytes, telemetry.ErrOverloaded)
	}
	l.mu.queue = append(l.mu.queue, e)
	l.mu.queued += n
	return nil
}

func (l *Log) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// commit is the committer's goroutine.
func (l *Log) commit() {
	defer close(l.done)
	for range l.wake {
		l.tail.waitForEssential()
		l.mu.Lock()
		group, err, closed := l.mu.queue, l.mu.err, l.mu.closed
		l.mu.queue, l.mu.spare = l.mu.spare[:0], nil
		l.mu.queued = 0
		l.mu.Unlock()
		if len(group) > 0 {
			if err == nil {
				err = l.write(group)
			}
			l.finish(group, err)
		}
		if closed {
			return
		}
	}
}

// write puts a group on disk.
func (l *Log) write(group []*entry) error {
	l.recs = l.recs[:0]
	pos, sum := l.last, l.sum
	for _, e := range group {
		pos++
		e.pos = pos
		binary.LittleEndian.PutUint64(e.rec, uint64(pos))
		n := framed(len(e.rec))
		if err := l.room(n); err != nil {
			return err
		}
		l.grow(e.pos, n, sum)
		sum.add(n, e.batch)
		e.end = sum
		l.recs = append(l.recs, e.rec)
	}
	if err := l.flush(); err != nil {
		return err
	}
	l.metrics.records.Add(float64(len(group)))
	l.metrics.bytes.Add(float64(sum.Bytes - l.sum.Bytes))
	l.last, l.sum = pos, sum
	return nil
}

// framed is how many bytes a record of n takes on disk at the most: it has a header in each
// page that it touches, two at the least.
func framed(n int) int64 { return int64(n + frameBytes*(n/(pageBytes-frameBytes)+2)) }

// room opens a new segment if n more bytes might not fit this one. wlog would do
// so itself, but syncs the old one in the background, after which the group's
// acknowledgement could overtake it.
func (l *Log) room(n int64) error {
	if l.current().bytes+n <= int64(l.cfg.SegmentBytes)-pageBytes {
		return nil
	}
	if err := l.flush(); err != nil {
		return err
	}
	idx, err := l.wl.NextSegmentSync()
	if err != nil {
		return fmt.Errorf("open next log segment: %w", err)
	}
	if err := syncDir(l.dir); err != nil {
		return err
	}
	l.mu.Lock()
	l.mu.segments = append(l.mu.segments, segment{index: idx})
	l.mu.Unlock()
	return nil
}

func (l *Log) flush() error {
	if len(l.recs) == 0 {
		return nil
	}
	if err := l.wl.Log(l.recs...); err != nil {
		return fmt.Errorf("write log: %w", err)
	}
	clear(l.recs)
	l.recs = l.recs[:0]
	if l.cfg.NoSync {
		return nil
	}
	t := time.Now()
	if err := l.wl.Sync(); err != nil {
		return fmt.Errorf("sync log: %w", err)
	}
	l.metrics.sync.Observe(time.Since(t).Seconds())
	return nil
}

// finish hands a group to the followers and wakes its senders.
func (l *Log) finish(group []*entry, err error) {
	if err != nil {
		l.log.Error("the log can not be written; nothing is acknowledged any more", "dir", l.dir, "err", err)
		l.mu.Lock()
		l.mu.err = err
		l.mu.Unlock()
	}
	unused := group
	if err == nil {
		unused = l.tail.put(group)
	}
	for _, e := range group {
		e.err = err
		e.ready <- struct{}{}
	}
	l.tail.wakeAll() // the senders first: they have waited for the disk already
	for _, e := range unused {
		l.recycle(e)
	}
	clear(group)
	l.mu.Lock()
	l.mu.spare = group[:0]
	l.mu.Unlock()
}
