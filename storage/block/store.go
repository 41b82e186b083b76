package block

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/disk"
	"github.com/binnacle-mesh/binnacle/internal/failpoint"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
)

// ErrNotFound says that no span and no request of a trace is stored; it is a telemetry.ErrNotFound.
var ErrNotFound = fmt.Errorf("trace: %w", telemetry.ErrNotFound)

// Store keeps spans and requests. Consume is called by one goroutine; all
// other methods may be called by any number at any time.
type Store struct {
	dir     string
	fs      disk.FS
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	pools   *pools
	files   *fileCache
	zstd    *zstd.Decoder
	buffers chan buffers // of readers that are done
	ops     *operations
	k0, k1  uint64 // secrets of the heads' trace tables

	filterBytes int // limit of the filters in memory

	// ingest is held by who changes which head is filled. Lock order: ingest, mu,
	// then a head's own.
	ingest sync.Mutex
	sealer *sealer // used by the goroutine that writes blocks alone

	mu      sync.Mutex
	head    *head
	leaving *head         // the one before head, being written as a block, or nil
	sealed  chan struct{} // closed when leaving becomes nil
	tried   chan error    // unbuffered: why leaving could not be written, for who waits in Seal
	blocks  []*blockRef   // by position
	lost    []lostBlock   // set aside
	applied telemetry.Position
	closed  bool

	stop chan struct{}
	wg   sync.WaitGroup
}

// Open reads what blocks dir holds, and makes dir if need be. What a crash left half
// written is removed; a block that is damaged is renamed to damaged-…, logged
// and counted. One that the machine does not let be read (no right to, too many open files, a disk that fails) is an error, as it may be
// sound. The caller hands the log's entries after Applied to Consume.
func Open(dir string, cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Store, error) {
	return openOn(disk.OS{}, dir, cfg, log, reg)
}

func openOn(fsys disk.FS, dir string, cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("trace store: %w", err)
	}
	z, err := zstdReader()
	if err != nil {
		return nil, fmt.Errorf("trace store: %w", err)
	}
	sl, err := newSealer()
	if err != nil {
		return nil, fmt.Errorf("trace store: %w", err)
	}
	s := &Store{
		dir: dir, fs: fsys, cfg: cfg, log: log, pools: &pools{}, zstd: z, buffers: make(chan buffers, maxBuffers), sealer: sl, tried: make(chan error), ops: newOperations(),
		k0: rand.Uint64(), k1: rand.Uint64(), stop: make(chan struct{}), filterBytes: maxFilterBytes,
	}
	s.metrics = newMetrics(s)
	s.files = newFileCache(fsys, cfg.MaxOpenFiles)
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("open trace store %s: %w", dir, err)
	}
	if err := s.metrics.register(reg); err != nil {
		return nil, fmt.Errorf("trace store: %w", err)
	}
	s.head = newHead(s.pools, s.k0, s.k1)
	return s, nil
}

// Applied is the highest position up to which everything is in blocks on disk,
// or held nothing to store. The log may be cut there.
func (s *Store) Applied() telemetry.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.applied
}

// Consume implements telemetry.Sink. It waits while the head is full and the one
// before it is still being written. It returns telemetry.ErrClosed after Close, and no
// other error.
func (s *Store) Consume(e telemetry.Entry) error {
	s.ingest.Lock()
	defer s.ingest.Unlock()
	s.mu.Lock()
	h, closed := s.head, s.closed
	seen := e.Position <= s.applied || e.Position <= h.meta.last || s.leaving != nil && e.Position <= s.leaving.meta.last
	s.mu.Unlock()
	if closed {
		return telemetry.ErrClosed
	}
	if seen {
		return nil
	}
	h.insert(e)
	s.metrics.spans.Add(float64(len(e.Batch.Spans)))
	s.metrics.requests.Add(float64(len(e.Batch.Requests)))
	if h.rows() == 0 {
		s.skip(h)
		return nil
	}
	if h.rows() >= s.cfg.MaxHeadSpans || h.bytes() >= s.cfg.MaxHeadBytes || h.written >= maxWritten*s.cfg.MaxHeadBytes || s.old(h, e.Batch.Received) {
		return s.rotate(context.Background())
	}
	return nil
}

// skip takes the entries of a head without rows as applied, if nothing before
// them waits.
func (s *Store) skip(h *head) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leaving == nil {
		s.applied = h.meta.last
	}
}

func (s *Store) old(h *head, now int64) bool {
	return now-h.meta.receivedMin >= int64(s.cfg.HeadMaxAge)
}

// rotate seals the head and puts a fresh one in its place. The caller holds ingest.
func (s *Store) rotate(ctx context.Context) error {
	if err := s.awaitSealed(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return telemetry.ErrClosed
	}
	if s.head.rows() == 0 {
		return nil
	}
	h := s.head
	s.head = newHead(s.pools, s.k0, s.k1)
	s.leaving = h
	s.sealed = make(chan struct{})
	s.wg.Add(1)
	go s.seal(h)
	return nil
}

// awaitSealed waits until no head is being written.
func (s *Store) awaitSealed(ctx context.Context) error {
	return s.awaitTried(ctx, nil)
}

// awaitTried does so too, but not for longer than until it failed.
func (s *Store) awaitTried(ctx context.Context, failed <-chan error) error {
	s.mu.Lock()
	busy, done := s.leaving != nil, s.sealed
	s.mu.Unlock()
	if !busy {
		return nil
	}
	select {
	case <-done:
		return nil
	case err := <-failed:
		return err
	case <-s.stop:
		return telemetry.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Seal writes all that was consumed to disk, and waits for it. Where it cannot be written Seal does not wait until it can be, and
// returns why; it is tried again all the same, until Close.
func (s *Store) Seal(ctx context.Context) error {
	err := s.awaitTried(ctx, s.tried) // before ingest, which Consume may hold for as long as a block cannot be written
	if err == nil {
		s.ingest.Lock()
		err = s.rotate(ctx)
		s.ingest.Unlock()
	}
	if err == nil {
		err = s.awaitTried(ctx, s.tried)
	}
	if err != nil {
		return fmt.Errorf("seal the trace store's head: %w", err)
	}
	return nil
}

// Close stops writing and closes the files. What is in memory alone stays in the log;
// call Seal before to have it in a block.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	close(s.stop)
	s.wg.Wait()
	s.metrics.unregister()
	err := s.files.close()
	s.zstd.Close()
	return err
}

// seal writes a head until it is on disk: a full disk must lose nothing, and the
// log holds back the senders meanwhile.
func (s *Store) seal(h *head) {
	defer s.wg.Done()
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		ref, err := s.writeHead(h)
		if err == nil {
			s.publish(h, ref)
			return
		}
		s.metrics.sealFailures.Inc()
		s.log.Error("cannot write a block; its spans stay in memory and in the log, and it is tried again", "dir", s.dir, "retry_in", wait, "err", err)
		if !s.pause(wait, err) {
			return
		}
	}
}

// pause waits before the next try, and tells who asks why the last one failed. It returns false when there is to be none.
func (s *Store) pause(wait time.Duration, failed error) bool {
	t := time.NewTimer(wait)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return true
		case s.tried <- failed:
		case <-s.stop:
			return false
		}
	}
}

// publish puts a block in the place of its head, in one step.
func (s *Store) publish(h *head, ref *blockRef) {
	s.ops.count(s.ops.addHead(h))
	s.mu.Lock()
	ref.listed = true
	s.blocks = append(s.blocks, ref)
	s.trimFilters()
	s.applied = h.meta.last
	s.leaving = nil
	s.head.mu.RLock()
	if s.head.rows() == 0 && s.head.meta.last > s.applied {
		s.applied = s.head.meta.last
	}
	s.head.mu.RUnlock()
	close(s.sealed)
	s.mu.Unlock()
	s.metrics.sealed.Inc()
	failpoint.Here(failpoint.BlockPublished)
	h.release()
}

// Prefixes of directories that are no blocks.
const (
	tempPrefix    = "tmp-"
	damagedPrefix = "damaged-"
)

func blockName(m meta) string { return fmt.Sprintf("%016x-%016x", uint64(m.first), uint64(m.last)) }

// writeHead makes the block of a head: in a directory that bears another name until
// all is on disk.
func (s *Store) writeHead(h *head) (_ *blockRef, err error) {
	defer guard(&err)
	begin := time.Now()
	v := h.view()
	name := blockName(v.meta)
	temp := filepath.Join(s.dir, tempPrefix+name)
	if err := os.RemoveAll(temp); err != nil {
		return nil, fmt.Errorf("write block %s: %w", name, err)
	}
	if err := os.Mkdir(temp, 0o755); err != nil {
		return nil, fmt.Errorf("write block %s: %w", name, err)
	}
	failpoint.Here(failpoint.BlockBegun)
	ref := &blockRef{meta: v.meta, dir: filepath.Join(s.dir, name)}
	if v.spans.n > 0 {
		f, err := s.sealer.spansFile(h, &v)
		if err == nil {
			ref.filters.spans.Store(&f.bloom)
			ref.bytes, err = f.create(filepath.Join(temp, spansFile), s.sealer.pw)
		}
		if err != nil {
			return nil, fmt.Errorf("write block %s: %s: %w", name, spansFile, err)
		}
	}
	if v.requests.n > 0 {
		f, err := s.sealer.requestsFile(h, &v)
		var n int64
		if err == nil {
			ref.filters.requests.Store(&f.bloom)
			n, err = f.create(filepath.Join(temp, requestsFile), s.sealer.pw)
		}
		if err != nil {
			return nil, fmt.Errorf("write block %s: %s: %w", name, requestsFile, err)
		}
		ref.bytes += n
	}
	if err := s.fs.SyncDir(temp); err != nil {
		return nil, fmt.Errorf("write block %s: %w", name, err)
	}
	failpoint.Here(failpoint.BlockWritten)
	// A try that failed after its rename has left the block there, and nobody has seen it.
	if err := s.erase(ref.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("write block %s: %w", name, err)
	}
	if err := s.fs.Rename(temp, ref.dir); err != nil {
		return nil, fmt.Errorf("write block %s: %w", name, err)
	}
	failpoint.Here(failpoint.BlockRenamed)
	if err := s.fs.SyncDir(s.dir); err != nil {
		return nil, fmt.Errorf("write block %s: %w", name, err)
	}
	s.metrics.sealSeconds.Add(time.Since(begin).Seconds())
	return ref, nil
}

// Stats is what the store holds.
type Stats struct {
	Spans, Requests int   // in memory and on disk
	Bytes           int64 // on disk
	Blocks          int
	HeadSpans       int   // spans and requests that are in no block yet
	HeadBytes       int64 // of memory that they take
	Applied         telemetry.Position
}

// Stats counts what is stored.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{Blocks: len(s.blocks), Applied: s.applied}
	for _, b := range s.blocks {
		st.Spans += b.meta.spans
		st.Requests += b.meta.requests
		st.Bytes += b.bytes
	}
	for _, h := range [...]*head{s.head, s.leaving} {
		if h == nil {
			continue
		}
		h.mu.RLock()
		st.Spans += h.spans.n
		st.Requests += h.requests.n
		st.HeadSpans += h.rows()
		st.HeadBytes += h.bytes()
		h.mu.RUnlock()
	}
	return st
}
