package wal

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/failpoint"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The commit, in six lines:
//
//	Append encodes the batch on its caller's goroutine, queues it and waits.
//	One goroutine takes a group of what waits (queue.go), as much of it as
//	fits the newest segment at a time, opening another where nothing does,
//	writes it and syncs once,
//	puts it in the tail, where the followers find what is durable, and nothing else,
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
// ctx's error (the record may then still be written and followed), or a *Fault while the log cannot be written. For all
// but ctx's, the record is not and will not be in the log, unless the disk that fails does not even let it be taken back.
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
	switch held := l.mu.bytes + l.mu.queue.bytes; {
	case l.mu.fault != nil:
		return l.mu.fault
	case l.mu.closed:
		return telemetry.ErrClosed
	case l.mu.queue.bytes > 0 && l.mu.queue.bytes+n > maxQueued:
		l.metrics.refused.Inc()
		return fmt.Errorf("%d bytes wait for the log's disk: %w", l.mu.queue.bytes, telemetry.ErrOverloaded)
	case held+n > l.cfg.MaxBytes:
		l.metrics.refused.Inc()
		return fmt.Errorf("log holds %d of %d bytes: %w", held, l.cfg.MaxBytes, telemetry.ErrOverloaded)
	}
	l.mu.queue.put(e)
	return nil
}

// maxQueued is how many bytes of records may wait for the committer: some seconds of full load, all of it in memory.
const maxQueued = 256 << 20

func (l *Log) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// commit is the committer's goroutine.
func (l *Log) commit() {
	defer close(l.done)
	var group []*entry
	for {
		select {
		case <-l.wake:
		case <-l.retries.due():
			l.recover()
		}
		var closed bool
		for {
			var held bool
			if group, held, closed = l.gather(group[:0]); held && len(group) == 0 {
				select {
				case <-l.tail.moved:
				case <-l.wake: // what came may be tiny
				}
				continue
			}
			if len(group) == 0 {
				break
			}
			for left := group; len(left) > 0; {
				n, err := l.write(left)
				l.finish(left[:n], err)
				left = left[n:]
			}
			clear(group)
		}
		if closed {
			l.closeFile()
			return
		}
	}
}

// gather takes the next group of what waits. held says that an essential follower is too far behind for all but what is tiny.
func (l *Log) gather(into []*entry) (group []*entry, held, closed bool) {
	room, held := l.tail.room()
	l.mu.Lock()
	defer l.mu.Unlock()
	q := &l.mu.queue
	if held {
		group = q.takeTiny(into, room+tinyAhead)
		held = len(q.entries) > 0
	} else {
		group = q.take(into, room)
	}
	return group, held, l.mu.closed
}

// write puts as many of the entries on disk as fit the newest segment, of which it makes another where the first does not. n is how many
// it is about, be there an error or not; then all of them are in the log, or none.
func (l *Log) write(all []*entry) (n int, err error) {
	if err := l.Err(); err != nil {
		return len(all), err
	}
	l.began()
	defer l.ended()
	room := int64(l.cfg.SegmentBytes) - l.size
	if framed(len(all[0].rec)) > room {
		if err := l.nextSegment(); err != nil {
			return len(all), l.fail(err)
		}
		room = int64(l.cfg.SegmentBytes) - l.size
	}
	pos, sum := l.last, l.sum
	for _, e := range all {
		took := framed(len(e.rec))
		if room -= took; room < 0 && n > 0 {
			break
		}
		pos++
		e.pos = pos
		binary.LittleEndian.PutUint64(e.rec, uint64(pos))
		sum.add(took, e.batch)
		e.end = sum
		n++
	}
	size, err := l.flush(all[:n])
	if err != nil {
		return n, l.fail(err)
	}
	l.grow(l.last+1, size, l.sum)
	l.metrics.records.Add(float64(n))
	l.metrics.bytes.Add(float64(size - l.size))
	l.size, l.last, l.sum = size, pos, sum
	return n, nil
}

// flushAt is how many bytes of frames are written at once.
const flushAt = 1 << 20

// flush writes and syncs a group behind what is durable, and returns where it ends.
func (l *Log) flush(group []*entry) (size int64, err error) {
	at := l.size
	l.out = l.out[:0]
	for i, e := range group {
		l.out = appendRecord(l.out, at+int64(len(l.out)), e.rec)
		if len(l.out) < flushAt && i < len(group)-1 {
			continue
		}
		if _, err := l.file.WriteAt(l.out, at); err != nil {
			return 0, fmt.Errorf("write log: %w", err)
		}
		at += int64(len(l.out))
		l.out = l.out[:0]
	}
	if cap(l.out) > keepBuffer {
		l.out = nil
	}
	t := time.Now()
	failpoint.Here(failpoint.LogWritten)
	if !l.cfg.NoSync {
		if err := l.file.Sync(); err != nil {
			return 0, fmt.Errorf("sync log: %w", err)
		}
		l.metrics.sync.Observe(time.Since(t).Seconds())
	}
	failpoint.Here(failpoint.LogSynced)
	if t.Sub(l.looked) > l.timing.look {
		l.looked = t
		if l.file.Removed() {
			return 0, fmt.Errorf("sync log: %w", errRemoved)
		}
	}
	return at, nil
}

// finish hands a group to the followers and wakes its senders.
func (l *Log) finish(group []*entry, err error) {
	unused := group
	if err == nil {
		unused = l.tail.put(group)
	}
	for _, e := range group {
		e.err = err
		e.ready <- struct{}{}
	}
	if err == nil {
		l.tail.wakeAll() // the senders first: they have waited for the disk already
	}
	for _, e := range unused {
		l.recycle(e)
	}
}
