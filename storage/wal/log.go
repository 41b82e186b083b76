package wal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

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
	// HeaderBytes is the room that Append needs before a record's bytes.
	HeaderBytes = headerBytes
)

// A Log is an open log. Append may be called from any goroutine; Replay once,
// before the first Append; Truncate from one goroutine at a time.
//
// The commit, in six lines:
//
//	Append queues (record, deliver) and waits.
//	One goroutine takes the whole queue at once,
//	opens a new segment if the records might not fit, syncing the old one,
//	writes all, syncs once,
//	calls deliver for each in order: the readers get what is durable, and nothing else,
//	and wakes the waiters.
//
// While one group is being synced the next one gathers, so that the number of
// syncs is bounded by the disk and not by the senders, and a lone sender waits for
// one sync and no timer. A pool of writers, or a sync on a timer, was not chosen:
// the first needs an order to be restored, the second makes a lone sender wait.
//
// Invariants: positions are dense and in the order of the bytes; deliver is called
// exactly once for each record for which Append does not return an error, in order of
// positions; after a failed write or sync nothing is acknowledged ever again (what the page cache
// holds is then unknown), Err says why, and the owner is expected to end the process.
type Log struct {
	cfg     Config
	dir     string
	log     *slog.Logger
	wl      *wlog.WL
	metrics *metrics

	mu struct {
		sync.Mutex
		queue    []*pending
		spare    []*pending // the queue's other array
		queued   int64      // bytes in queue
		closed   bool
		err      error // sticky
		segments []segment
		bytes    int64 // sum over segments
	}
	wake chan struct{} // capacity 1: there is something in the queue, or closed is set
	done chan struct{} // closed when the committer has returned

	// The committer's own.
	last telemetry.Position // of the record written last
	recs [][]byte
}

// A segment is one file of the log.
type segment struct {
	index int
	first telemetry.Position // of its first record; 0 while it has none
	bytes int64
}

// A pending is one Append waiting.
type pending struct {
	rec     []byte // with its header
	deliver func(telemetry.Position)
	pos     telemetry.Position
	err     error
	ready   chan struct{} // capacity 1
}

// Open opens the log in dir, made if absent. after is the highest position that
// any state derived from the log has applied, so that numbering goes on even where the
// whole log was cut. Call Replay next.
func Open(dir string, cfg Config, after telemetry.Position, logger *slog.Logger, reg prometheus.Registerer) (*Log, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("open log %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	l := &Log{
		cfg: cfg, dir: dir, log: logger, metrics: newMetrics(reg), last: after,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	return l, nil
}

// start opens the files for writing and begins to commit. Replay calls it.
func (l *Log) start() error {
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
	l.mu.Lock()
	l.mu.segments = append(l.mu.segments, segment{index: idx})
	l.mu.Unlock()
	go l.commit()
	return nil
}

// Append makes a record durable and returns its position. rec begins with
// HeaderBytes of room, in which Append writes the position; the log keeps rec until
// it is written, and deliver may keep it for good.
//
// deliver is called once, on the log's goroutine, when the record is durable
// and before Append returns; all calls are in order of positions. It may block,
// which holds back all appends: that is how slow readers slow the senders down.
//
// Errors: telemetry.ErrOverloaded when the log is full, telemetry.ErrClosed,
// ctx's error (the record may then still be written and delivered), or the log's own fault, which is
// final. For all but ctx's, deliver was not and will not be called.
func (l *Log) Append(ctx context.Context, rec []byte, deliver func(telemetry.Position)) (telemetry.Position, error) {
	if n := len(rec); n < headerBytes || n > l.cfg.SegmentBytes/2 {
		return 0, fmt.Errorf("append to log: a record of %d bytes does not fit a segment of %d; send smaller batches or raise storage.wal.segment_bytes", n, l.cfg.SegmentBytes)
	}
	p := &pending{rec: rec, deliver: deliver, ready: make(chan struct{}, 1)}
	l.mu.Lock()
	err := l.mu.err
	switch {
	case err != nil:
	case l.mu.closed:
		err = telemetry.ErrClosed
	case l.mu.bytes+l.mu.queued+int64(len(rec)) > l.cfg.MaxBytes:
		l.metrics.refused.Inc()
		err = fmt.Errorf("log holds %d of %d bytes: %w", l.mu.bytes+l.mu.queued, l.cfg.MaxBytes, telemetry.ErrOverloaded)
	default:
		l.mu.queue = append(l.mu.queue, p)
		l.mu.queued += int64(len(rec))
	}
	l.mu.Unlock()
	if err != nil {
		return 0, err
	}
	l.signal()
	select {
	case <-p.ready:
		return p.pos, p.err
	case <-ctx.Done():
		return 0, fmt.Errorf("append to log: %w", ctx.Err())
	}
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
func (l *Log) write(group []*pending) error {
	l.recs = l.recs[:0]
	size, pos := int64(0), l.last
	for _, p := range group {
		pos++
		p.pos = pos
		putPosition(p.rec, pos)
		n := int64(len(p.rec))
		// A record takes a header in each page that it touches, two at the least.
		n += frameBytes * (n/(pageBytes-frameBytes) + 2)
		if err := l.room(n); err != nil {
			return err
		}
		if l.current().first == 0 { // the group's first record in this segment
			l.begin(p.pos)
		}
		l.recs = append(l.recs, p.rec)
		size += n
		l.grow(n)
	}
	if err := l.flush(); err != nil {
		return err
	}
	l.last = pos
	l.metrics.records.Add(float64(len(group)))
	l.metrics.bytes.Add(float64(size))
	return nil
}

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

func (l *Log) current() segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.segments[len(l.mu.segments)-1]
}

func (l *Log) begin(pos telemetry.Position) {
	l.mu.Lock()
	l.mu.segments[len(l.mu.segments)-1].first = pos
	l.mu.Unlock()
}

func (l *Log) grow(n int64) {
	l.mu.Lock()
	l.mu.segments[len(l.mu.segments)-1].bytes += n
	l.mu.bytes += n
	l.mu.Unlock()
}

// finish delivers a group and wakes its senders.
func (l *Log) finish(group []*pending, err error) {
	if err != nil {
		l.log.Error("the log can not be written; nothing is acknowledged any more", "dir", l.dir, "err", err)
		l.mu.Lock()
		l.mu.err = err
		l.mu.Unlock()
	}
	for _, p := range group {
		if p.err = err; err == nil {
			p.deliver(p.pos)
		}
		p.ready <- struct{}{}
	}
	clear(group)
	l.mu.Lock()
	l.mu.spare = group[:0]
	l.mu.Unlock()
}

// Truncate removes the segments that hold no record after applied.
func (l *Log) Truncate(applied telemetry.Position) error {
	l.mu.Lock()
	var drop []segment
	segs := l.mu.segments
	for len(segs) > 1 && segs[1].first != 0 && segs[1].first <= applied+1 {
		drop = append(drop, segs[0])
		l.mu.bytes -= segs[0].bytes
		segs = segs[1:]
	}
	l.mu.segments = append([]segment(nil), segs...)
	l.mu.Unlock()
	if len(drop) == 0 {
		return nil
	}
	if err := l.wl.Truncate(drop[len(drop)-1].index + 1); err != nil {
		return fmt.Errorf("truncate log: %w", err)
	}
	return nil
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

// Close writes what is queued, then closes the files. Appends after it get ErrClosed.
func (l *Log) Close() error {
	l.mu.Lock()
	l.mu.closed = true
	l.mu.Unlock()
	if l.wl == nil {
		return nil
	}
	l.signal()
	<-l.done
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
