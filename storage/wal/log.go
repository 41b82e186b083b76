package wal

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"

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

const (
	pageBytes   = 32 << 10 // wlog's page
	frameBytes  = 7        // wlog's header of a record's part in a page
	headerBytes = 8        // our position
)

// A Log is an open log. All methods but Close are safe for concurrent use.
//
// Its parts, each in a file of its own: commit.go makes records durable in groups; segments.go
// knows which file holds which records, and cuts the oldest; open.go finds the end after a crash;
// follow.go gives the records to those who follow, the newest from memory (tail.go) and older ones from disk
// (reader.go).
//
// Invariants: positions are dense and in the order of the bytes; what followers get is durable, and
// each gets every record once, in order; after a failed write or sync nothing is acknowledged ever
// again (what the page cache holds is then unknown), Err says why, and the owner is expected to end the process.
//
// Lock order: mu and tail.mu are leaves; neither is held while the other is taken.
type Log struct {
	cfg     Config
	dir     string
	log     *slog.Logger
	wl      *wlog.WL
	metrics *metrics
	release func(*telemetry.Batch)
	buffers sync.Pool // *[]byte, to encode records into

	mu struct {
		sync.Mutex
		queue    []*entry
		spare    []*entry // the queue's other array
		queued   int64    // bytes in queue
		closed   bool
		err      error // sticky
		segments []segment
		bytes    int64 // sum over segments
	}
	tail tail
	wake chan struct{} // capacity 1: there is something in the queue, or closed is set
	done chan struct{} // closed when the committer has returned

	// The committer's own, and Open's before it.
	// found is the newest record that was there when the log was opened. opened is the position after which
	// numbering went on: greater, where some state had applied records that the log has lost.
	found, opened telemetry.Position
	repairs       int // torn tails cut by Open

	last telemetry.Position // of the record written last
	sum  Extent             // of all records up to last
	recs [][]byte
}

// Open opens the log in dir, made if absent, and finds its end.
//
// A record that was being written when the process or the machine died is torn:
// it was never acknowledged. It, and nothing else, is cut off the end, with one
// line in the log. Damage anywhere else is an error and changes nothing on disk.
//
// after is the highest position that any state derived from the log has applied, so that
// numbering goes on even where the whole log was cut. release gets each batch back that Append took over,
// once, when nobody reads it any more; it may be called from any goroutine.
func Open(dir string, cfg Config, after telemetry.Position, release func(*telemetry.Batch), logger *slog.Logger, reg prometheus.Registerer) (*Log, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("open log %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	l := &Log{
		cfg: cfg, dir: dir, log: logger, release: release, last: after,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	l.buffers.New = func() any { b := make([]byte, 0, 64<<10); return &b }
	if err := l.scan(); err != nil {
		return nil, fmt.Errorf("open log %s: %w", dir, err)
	}
	if err := l.openWriter(); err != nil {
		return nil, err
	}
	l.tail.init(l.last, l.sum)
	l.metrics = newMetrics(reg, l)
	go l.commit()
	return l, nil
}

// openWriter opens a new segment behind those that there are.
func (l *Log) openWriter() error {
	// wlog's own log lines and metrics name Prometheus' TSDB; ours say the same of this log.
	wl, err := wlog.NewSize(slog.New(slog.DiscardHandler), nil, l.dir, l.cfg.SegmentBytes, compression.None)
	if err != nil {
		return fmt.Errorf("open log %s for writing: %w", l.dir, err)
	}
	l.wl = wl
	if err := syncDir(l.dir); err != nil {
		return err
	}
	idx, _, err := wl.LastSegmentAndOffset()
	if err != nil {
		return fmt.Errorf("open log %s for writing: %w", l.dir, err)
	}
	l.mu.segments = append(l.mu.segments, segment{index: idx})
	return nil
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

// Err is the fault after which the log takes nothing more, nil while it is sound.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.err
}

// Close writes what is queued, then closes the files for writing. Appends after it get ErrClosed;
// followers read on to the end, where they get io.EOF. It waits for no follower.
func (l *Log) Close() error {
	l.mu.Lock()
	l.mu.closed = true
	l.mu.Unlock()
	l.tail.close() // a follower that holds the committer back holds it no longer
	l.signal()
	<-l.done
	l.tail.end()
	if err := l.wl.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("close log: %w", err)
	}
	return nil
}

// syncDir makes a file's name in dir durable.
func syncDir(dir string) error {
	f, err := os.Open(filepath.Clean(dir))
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	defer func() { _ = f.Close() }()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}
