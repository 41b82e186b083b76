package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/failpoint"
)

// What the log does about a disk that fails, in six lines:
//
//	A write, a sync or a new segment fails: the group is refused, and so is all that comes, with a hint to come again.
//	What the file holds beyond its last good sync is cut off, and the file is never written to again: after a failed
//	sync the kernel may have dropped pages and call them clean, so that a later sync that succeeds proves nothing.
//	Again and again, a file is filled a little, to see whether there is room, and removed; then another segment is made, marked and synced.
//	When all of that succeeds, appends are taken again, with the positions that the refused group did not use.
//	Where the directory is gone there is nothing to wait for: after a while Failed says so, and the process is to end.
//
// A disk that hangs fails no call. A second goroutine sees that the committer is at the disk for too long, and refuses what
// waits and what comes, until it returns. Ready says so much sooner: a balancer may then send elsewhere what would wait here.
//
// Not chosen: to end the process, and start again. The start would meet the same disk, and what still works, queries and quotas, would be down with it.

// A Fault is why the log takes nothing at the moment.
type Fault struct {
	Since time.Time
	Cause error
	hangs bool
	waits bool // for the disk, so far; nothing is refused
}

// Error implements error.
func (f *Fault) Error() string {
	if f.waits {
		return fmt.Sprintf("the log waits for its disk since %s, and senders with it: %v", f.Since.UTC().Format(time.RFC3339), f.Cause)
	}
	return fmt.Sprintf("the log cannot be written since %s, nothing was kept; send it again later: %v", f.Since.UTC().Format(time.RFC3339), f.Cause)
}

// Unwrap is the cause.
func (f *Fault) Unwrap() error { return f.Cause }

// timing is how long the log waits for a disk.
type timing struct {
	retry  time.Duration // between two tries to write again
	slow   time.Duration // how long a write may take before the log counts as not ready
	hang   time.Duration // how long a write may take before the disk counts as hanging
	giveUp time.Duration // how long a directory may be gone
	look   time.Duration // between two looks for the file under its name
}

func defaultTiming() timing {
	return timing{retry: time.Second, slow: time.Second, hang: 5 * time.Second, giveUp: 15 * time.Second, look: 200 * time.Millisecond}
}

var (
	errRemoved = errors.New("the file that is written to was removed, or its directory was")
	errHangs   = errors.New("the disk does not answer")
)

// Err is why the log takes nothing at the moment, nil while it is sound.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.fault == nil {
		return nil
	}
	return l.mu.fault
}

// Ready is why whoever sends now would be refused, or would wait for a disk that has not answered for a second; nil otherwise. It
// may be asked at any time.
func (l *Log) Ready() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch since := l.mu.writing; {
	case l.mu.fault != nil:
		return l.mu.fault
	case !since.IsZero() && time.Since(since) > l.timing.slow:
		return &Fault{Since: since, Cause: errHangs, waits: true}
	}
	return nil
}

// Failed gets the fault that nothing can be done about; the process is to end with it.
func (l *Log) Failed() <-chan error { return l.failed }

// fail refuses appends from now on, and tries again after a while.
func (l *Log) fail(err error) error {
	l.cut = true
	f := &Fault{Since: time.Now(), Cause: err}
	l.mu.Lock()
	if old := l.mu.fault; old != nil && !old.hangs {
		f.Since = old.Since
	}
	l.mu.fault = f
	l.mu.Unlock()
	l.metrics.faults.Inc()
	l.log.Error("the log cannot be written; senders are refused until it can", "dir", l.dir, "last", l.last, "err", err)
	_ = l.takeBack() // tried again later; before the senders hear of it, so that what is refused is not found by the next start
	l.retries.after(l.timing.retry)
	return f
}

// takeBack cuts off what the newest file holds beyond its last good sync.
func (l *Log) takeBack() error {
	if l.file == nil || !l.cut {
		return nil
	}
	if !l.file.Removed() {
		if err := l.file.Truncate(l.size); err != nil {
			return fmt.Errorf("take back what was refused: %w", err)
		}
		if !l.cfg.NoSync {
			if err := l.file.Sync(); err != nil {
				return fmt.Errorf("take back what was refused: %w", err)
			}
		}
	}
	l.closeFile()
	return nil
}

func (l *Log) closeFile() {
	if l.file != nil {
		_ = l.file.Close() // all of it that counts is synced
		l.file = nil
	}
}

// recover tries to write again.
func (l *Log) recover() {
	l.mu.Lock()
	fault := l.mu.fault
	l.mu.Unlock()
	if fault == nil {
		return
	}
	l.began()
	err := l.nextSegment()
	l.ended()
	if err == nil {
		l.mu.Lock()
		l.mu.fault = nil
		l.mu.Unlock()
		l.log.Info("the log can be written again", "after", time.Since(fault.Since).Round(time.Millisecond))
		return
	}
	l.mu.Lock()
	l.mu.fault = &Fault{Since: fault.Since, Cause: err}
	l.mu.Unlock()
	if errors.Is(err, fs.ErrNotExist) && time.Since(fault.Since) > l.timing.giveUp {
		select {
		case l.failed <- fmt.Errorf("the log's directory %s is gone, and does not come back: %w", l.dir, err):
		default:
		}
	}
	l.retries.after(l.timing.retry)
}

// probeName is the file by which it is seen whether there is room: a segment of zeros, left by a process that was killed meanwhile, would pass
// for one whose records were lost.
const probeName = "probe"

// probe writes and syncs probeBytes, and removes them again.
func (l *Log) probe() error {
	name := filepath.Join(l.dir, probeName)
	f, err := l.fs.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(make([]byte, probeBytes), 0); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), l.fs.Remove(name))
}

// probeBytes is how much is written to see whether there is room: so much that a disk that is full, but for what
// somebody just removed, does not seem to have room for each record in turn.
const probeBytes = 256 << 10

// nextSegment makes the next segment the one that is written to. On error nothing has changed, and it may be called again.
func (l *Log) nextSegment() error {
	if err := l.takeBack(); err != nil {
		return err
	}
	index := 0
	l.mu.Lock()
	probe := l.mu.fault != nil
	if n := len(l.mu.segments); n > 0 {
		index = l.mu.segments[n-1].index + 1
	}
	l.mu.Unlock()
	if probe {
		if err := l.probe(); err != nil {
			return fmt.Errorf("make a log segment: %w", err)
		}
	}
	f, err := l.fs.OpenFile(segmentName(l.dir, index), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("make a log segment: %w", err)
	}
	m := mark{next: l.last + 1}
	if l.last == l.opened {
		m.skipped = l.skipped
	}
	if err := l.begin(f, m); err != nil {
		return errors.Join(fmt.Errorf("make a log segment: %w", err), f.Close(), l.fs.Remove(segmentName(l.dir, index)))
	}
	l.closeFile()
	l.file, l.size, l.cut = f, markBytes, false
	l.mu.Lock()
	l.mu.segments = append(l.mu.segments, segment{index: index, first: l.last + 1, empty: true, bytes: markBytes, base: l.sum})
	l.mu.bytes += markBytes
	l.mu.Unlock()
	failpoint.Here(failpoint.LogSegment)
	return nil
}

// begin writes what a segment begins with, durably.
func (l *Log) begin(f interface {
	WriteAt(p []byte, off int64) (int, error)
	Sync() error
}, m mark,
) error {
	if _, err := f.WriteAt(m.frame(), 0); err != nil {
		return err
	}
	if l.cfg.NoSync {
		return nil
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return l.fs.SyncDir(l.dir)
}

// retries is when to try again.
type retries struct{ timer *time.Timer }

func (r *retries) after(d time.Duration) {
	if r.timer == nil {
		r.timer = time.NewTimer(d)
		return
	}
	r.timer.Reset(d)
}

// due gets a value when it is time to; nil, and so never, where nothing is to be tried.
func (r *retries) due() <-chan time.Time {
	if r.timer == nil {
		return nil
	}
	return r.timer.C
}

// began and ended say when the committer is at the disk.
func (l *Log) began() {
	now := time.Now()
	l.mu.Lock()
	l.mu.writing = now
	l.mu.Unlock()
}

func (l *Log) ended() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.writing = time.Time{}
	if f := l.mu.fault; f != nil && f.hangs {
		l.mu.fault = nil
		l.log.Info("the log's disk answers again", "after", time.Since(f.Since).Round(time.Millisecond))
	}
}

// watchDisk refuses what waits and what comes while the committer hangs at the disk. It ends when the committer has, or when the
// log is to close and the committer hangs.
func (l *Log) watchDisk() {
	tick := time.NewTicker(l.timing.hang / 10)
	defer tick.Stop()
	for {
		select {
		case <-l.done:
			return
		case <-tick.C:
		}
		l.mu.Lock()
		since, fault, closed := l.mu.writing, l.mu.fault, l.mu.closed
		hangs := !since.IsZero() && time.Since(since) > l.timing.hang
		var refused []*entry
		news := hangs && fault == nil
		if news {
			fault = &Fault{Since: since, Cause: errHangs, hangs: true}
			l.mu.fault = fault
			refused = l.mu.queue.takeAll()
		}
		l.mu.Unlock()
		if news {
			l.metrics.faults.Inc()
			l.log.Error("the log's disk does not answer; senders are refused until it does", "dir", l.dir, "since", since)
			l.finish(refused, fault)
		}
		if hangs && closed {
			return
		}
	}
}
