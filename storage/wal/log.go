package wal

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/internal/disk"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Config says how the log is kept.
type Config struct {
	// MaxBytes bounds the log on disk. When it is reached, Append refuses with
	// ErrOverloaded until Truncate has made room: back-pressure, not loss.
	MaxBytes int64 `yaml:"max_bytes"`
	// SegmentBytes is the size of one file; the log is cut in whole files. A
	// multiple of 32 KiB.
	SegmentBytes int `yaml:"segment_bytes"`
	// NoSync leaves out fsync: an acknowledgement then survives a killed process but not
	// a lost machine. For throwaway set-ups only.
	NoSync bool `yaml:"no_sync"`
}

// DefaultConfig is a log of at most 4 GiB in files of 32 MiB, synced.
func DefaultConfig() Config {
	return Config{MaxBytes: 4 << 30, SegmentBytes: 32 << 20}
}

// Validate says what is wrong with the configuration, naming the field.
func (c Config) Validate() error {
	if c.SegmentBytes < 1<<20 || c.SegmentBytes%pageBytes != 0 {
		return fmt.Errorf("segment_bytes: %d is not a multiple of %d of at least 1 MiB", c.SegmentBytes, pageBytes)
	}
	if c.MaxBytes < 2*int64(c.SegmentBytes) {
		return fmt.Errorf("max_bytes: %d is less than two segments of %d", c.MaxBytes, c.SegmentBytes)
	}
	return nil
}

// A Log is an open log. All methods but Close are safe for concurrent use.
//
// Its parts, each in a file of its own: commit.go makes records durable in groups; frame.go is how they lie in a file; fault.go
// gets over a disk that fails, fills up or hangs; segments.go knows which file holds which records, and cuts the oldest; open.go finds the end after a crash;
// scanner.go reads a file, whatever its state, and damage.go tells what is lost; follow.go gives the records to those who follow, the
// newest from memory (tail.go) and older ones from disk (reader.go).
//
// Invariants: positions rise in the order of the bytes, by one but for holes, which are told; a position is never given twice where the first may have been
// acknowledged; what followers get is durable, and each gets every record once, in order; after a failed write or sync nothing is
// acknowledged until what that file holds beyond its last sync is cut off, and another file was written and synced.
//
// Lock order: cutting, then mu. mu and tail.mu are leaves; neither is held while the other is taken.
type Log struct {
	cfg     Config
	dir     string
	fs      disk.FS
	timing  timing
	log     *slog.Logger
	metrics *metrics
	release func(*telemetry.Batch)
	now     func() time.Time // by which ages are told
	buffers sync.Pool        // *[]byte, to encode records into
	cutting sync.Mutex       // held while segments are removed

	mu struct {
		sync.Mutex
		queue    queue
		closed   bool
		fault    *Fault    // nothing is taken while it lasts
		writing  time.Time // since when the committer has been at the disk; zero while it is not
		segments []segment
		bytes    int64 // sum over segments
	}
	tail   tail
	wake   chan struct{} // capacity 1: there is something in the queue, or closed is set
	done   chan struct{} // closed when the committer has returned
	failed chan error    // capacity 1: the fault that is final
	watch  sync.WaitGroup

	// The committer's own, and Open's before it.
	opened  telemetry.Position // the position after which numbering went on when the log was opened
	skipped uint64             // how many just before that were never given
	repairs int                // torn tails cut by Open

	file    disk.File          // of the newest segment
	size    int64              // of it, durable
	cut     bool               // file may hold more than that, and is not written to any more
	looked  time.Time          // when it was looked for under its name
	out     []byte             // frames to be written
	last    telemetry.Position // of the record written last
	sum     Extent             // of all records up to last
	retries retries
}

// SetClock has the metrics tell ages by now, the clock that batches are stamped by, and not by the wall's. To be called before anybody
// gathers them.
func (l *Log) SetClock(now func() time.Time) { l.now = now }

// Open opens the log in dir, made if absent, and finds its end.
//
// A record that was being written when the process or the machine died is torn:
// it was never acknowledged, and is cut off the end, with one line in the log. What is damaged is another thing: it stays where it is, is
// copied aside, and is passed; Damage says what is lost by it. It is no error.
//
// after is the highest position that any state derived from the log has applied, so that
// numbering goes on even where the whole log was cut. release gets each batch back that Append took over,
// once, when nobody reads it any more; it may be called from any goroutine.
func Open(dir string, cfg Config, after telemetry.Position, release func(*telemetry.Batch), logger *slog.Logger, reg prometheus.Registerer) (*Log, error) {
	return openOn(disk.OS{}, defaultTiming(), dir, cfg, after, release, logger, reg)
}

func openOn(fsys disk.FS, timing timing, dir string, cfg Config, after telemetry.Position, release func(*telemetry.Batch), logger *slog.Logger, reg prometheus.Registerer) (*Log, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("open log %s: %w", dir, err)
	}
	if err := fsys.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	l := &Log{
		now: time.Now, cfg: cfg, dir: dir, fs: fsys, timing: timing, log: logger, release: release,
		wake: make(chan struct{}, 1), done: make(chan struct{}), failed: make(chan error, 1),
	}
	l.buffers.New = func() any { b := make([]byte, 0, 64<<10); return &b }
	if err := l.scan(after); err != nil {
		return nil, fmt.Errorf("open log %s: %w", dir, err)
	}
	l.metrics = newMetrics(reg, l)
	if err := l.nextSegment(); err != nil {
		// The server can still answer, and says that it is not ready.
		_ = l.fail(err)
	}
	go l.commit()
	l.watch.Go(l.watchDisk)
	return l, nil
}

// Last is the position of the newest durable record.
func (l *Log) Last() telemetry.Position {
	l.tail.mu.Lock()
	defer l.tail.mu.Unlock()
	return l.tail.last
}

// Bytes is how much the log holds on disk.
func (l *Log) Bytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.bytes
}

// Close writes what is queued, then closes the files for writing. Appends after it get ErrClosed;
// followers read on to the end, where they get io.EOF. It waits for no follower, and not for ever for a disk that hangs.
func (l *Log) Close() error {
	l.mu.Lock()
	l.mu.closed = true
	l.mu.Unlock()
	l.tail.close() // a follower that holds the committer back holds it no longer
	l.signal()
	l.watch.Wait() // ends when the committer has, or when that stands still
	l.tail.end()
	select {
	case <-l.done:
		return nil
	default:
		return fmt.Errorf("close log: %w", l.Err())
	}
}
