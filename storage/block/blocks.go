package block

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/disk"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// blockRef is a block on disk: what is kept of it in memory all the time. All
// fields but the last five are fixed; those are guarded by the store's mu.
type blockRef struct {
	meta    meta
	dir     string
	bytes   int64
	filters filters

	readers  int
	deleted  bool              // to be removed when the last reader has gone
	damage   *telemetry.Damage // what could not be read of it, the first time; logged by then
	unopened bool              // damage is that it could not be opened
	listed   bool              // its operations are in the table of services
}

// load finds the blocks in the store's directory.
func (s *Store) load() error {
	if err := s.fs.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(s.dir, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), tempPrefix):
			if err := os.RemoveAll(path); err != nil {
				// It is in nobody's way, but for its bytes: on a disk that cannot be written the server can still answer.
				s.log.Warn("what a crash left half written cannot be removed", "dir", path, "err", err)
			}
		case e.IsDir() && strings.HasPrefix(e.Name(), damagedPrefix):
			s.loadLost(e.Name())
		case e.IsDir() && isBlockName(e.Name()):
			if err := s.loadBlock(path); err != nil {
				return err
			}
		}
	}
	slices.SortFunc(s.blocks, func(a, b *blockRef) int { return cmp.Compare(a.meta.first, b.meta.first) })
	for _, b := range s.blocks {
		s.applied = max(s.applied, b.meta.last)
	}
	s.trimFilters()
	// A process that died before it had synced the directory may have left a block whose name a crash of the machine would take; the log
	// is about to be cut behind it.
	if err := s.fs.SyncDir(s.dir); err != nil && !errors.Is(err, syscall.EROFS) { // nothing is cut where nothing can be written
		return err
	}
	return nil
}

func isBlockName(name string) bool {
	var first, last uint64
	n, err := fmt.Sscanf(name, "%016x-%016x", &first, &last)
	return err == nil && n == 2 && blockName(meta{first: telemetry.Position(first), last: telemetry.Position(last)}) == name
}

// loadBlock reads a block's metadata, or sets the block aside where it is surely damaged. What the machine does not let be read may be
// sound, and some of it may still be in the log, which would be stored a second time: the store is then not opened.
func (s *Store) loadBlock(dir string) error {
	ref, err := readBlock(s.fs, dir)
	var newer newerError
	switch {
	case err == nil:
		s.blocks = append(s.blocks, ref)
		return nil
	case errors.As(err, &newer):
		return fmt.Errorf("block %s: %w", filepath.Base(dir), err)
	case disk.Failed(err):
		return fmt.Errorf("block %s cannot be read, and may be sound: %w; mend that and start again, or, if the disk has lost it, rename it to %s%[1]s",
			filepath.Base(dir), err, damagedPrefix)
	}
	aside, ferr := freeName(filepath.Join(s.dir, damagedPrefix+filepath.Base(dir)))
	if ferr != nil {
		return ferr
	}
	s.metrics.damaged.WithLabelValues("open").Inc()
	s.log.Error("block is damaged and set aside; its spans are not served, and answers say so", "block", dir, "moved_to", aside, "err", err)
	if err := s.fs.Rename(dir, aside); err != nil {
		return err
	}
	s.lose(aside, err.Error())
	return nil
}

// readBlock opens each file of a block once, so that damage of a footer shows
// at the start.
func readBlock(fsys disk.FS, dir string) (*blockRef, error) {
	ref := &blockRef{dir: dir}
	found := map[string]bool{}
	for _, part := range [...]struct {
		name string
		defs []columnDef
	}{{spansFile, spanColumns()}, {requestsFile, requestColumns()}} {
		f, err := openFile(fsys, filepath.Join(dir, part.name), part.defs)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, &fileError{part.name, err}
		}
		filter, ferr := f.readFilter()
		size, err := f.f.Size()
		if err := errors.Join(err, ferr, f.close()); err != nil {
			return nil, &fileError{part.name, err}
		}
		ref.filters.of(part.name).Store(filter)
		found[part.name] = true
		ref.meta, ref.bytes = f.meta, ref.bytes+size
	}
	if len(found) == 0 {
		return nil, errors.New("it has no files")
	}
	if blockName(ref.meta) != filepath.Base(dir) {
		return nil, fmt.Errorf("its files belong to block %s", blockName(ref.meta))
	}
	for _, part := range [...]struct {
		name string
		rows int
	}{{spansFile, ref.meta.spans}, {requestsFile, ref.meta.requests}} {
		if part.rows > 0 && !found[part.name] {
			return nil, &fileError{part.name, errors.New("it is missing")}
		}
	}
	return ref, nil
}

// Retain deletes whole blocks: those whose newest entry came longer than
// RetentionAge before now, and the oldest while all take more than RetentionBytes. The
// caller calls it on a tick, with the same clock that stamps Batch.Received.
func (s *Store) Retain(now time.Time) error {
	s.mu.Lock()
	age, limit := s.cfg.RetentionAge, s.cfg.RetentionBytes
	var gone []*blockRef
	var total int64
	for _, b := range s.blocks {
		total += b.bytes
	}
	kept := s.blocks[:0:0]
	for _, b := range s.blocks {
		var reason string
		switch {
		case age > 0 && now.UnixNano()-b.meta.receivedMax > int64(age):
			reason = "age"
		case limit > 0 && total > limit:
			reason = "size"
		default:
			kept = append(kept, b)
			continue
		}
		s.metrics.deleted.WithLabelValues(reason).Inc()
		total -= b.bytes
		b.deleted = true
		if b.readers == 0 {
			gone = append(gone, b)
		}
	}
	s.blocks = kept
	s.forgetLost(now, age)
	s.mu.Unlock()
	s.ops.forget(now, age)
	var errs []error
	for _, b := range gone {
		errs = append(errs, s.remove(b))
	}
	return errors.Join(errs...)
}

// SetRetention changes Config.RetentionAge and Config.RetentionBytes, for the
// next call of Retain.
func (s *Store) SetRetention(age time.Duration, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.RetentionAge, s.cfg.RetentionBytes = age, bytes
}

// SealIdle seals a head that is older than HeadMaxAge, which Consume does not
// see while nothing comes. The caller calls it on a tick, with the same clock that
// stamps Batch.Received.
func (s *Store) SealIdle(now time.Time) {
	if !s.ingest.TryLock() {
		return // Consume is at work, and looks itself
	}
	defer s.ingest.Unlock()
	s.mu.Lock()
	h, busy := s.head, s.leaving != nil
	s.mu.Unlock()
	if !busy && h.bytes() < s.cfg.MaxHeadBytes/8 {
		s.pools.trim()
	}
	if !busy && h.rows() > 0 && s.old(h, now.UnixNano()) {
		// The head's turn comes with the next tick where this one fails, which it does
		// only when the store closes.
		_ = s.rotate(context.Background())
	}
}

// remove takes a block off the disk: its name first, so that a crash leaves no
// half of it under a block's name.
func (s *Store) remove(b *blockRef) error {
	s.files.drop(b.dir)
	return s.erase(b.dir)
}

// erase removes a directory that has a block's name.
func (s *Store) erase(dir string) error {
	temp := filepath.Join(s.dir, tempPrefix+"gone-"+filepath.Base(dir))
	err := os.RemoveAll(temp) // left by one that failed
	if err == nil {
		err = s.fs.Rename(dir, temp)
	}
	if err == nil {
		err = os.RemoveAll(temp)
	}
	if err != nil {
		return fmt.Errorf("delete block %s: %w", dir, err)
	}
	return nil
}

// snapshot is the heads and blocks of one moment. done must be called.
type snapshot struct {
	store  *Store
	heads  []*head
	blocks []*blockRef
	lost   []lostBlock
}

func (s *Store) snapshot() *snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	sn := &snapshot{store: s, blocks: slices.Clone(s.blocks), lost: slices.Clone(s.lost)}
	for _, h := range [...]*head{s.head, s.leaving} {
		if h != nil {
			h.refs.Add(1)
			sn.heads = append(sn.heads, h)
		}
	}
	for _, b := range sn.blocks {
		b.readers++
	}
	return sn
}

func (sn *snapshot) done() {
	for _, h := range sn.heads {
		h.release()
	}
	s := sn.store
	s.mu.Lock()
	var gone []*blockRef
	for _, b := range sn.blocks {
		if b.readers--; b.readers == 0 && b.deleted {
			gone = append(gone, b)
		}
	}
	s.mu.Unlock()
	for _, b := range gone {
		if err := s.remove(b); err != nil {
			s.log.Error("cannot delete a block; the next start tries again", "err", err)
		}
	}
}

// fileCache keeps the files that were read last open, with their parsed footers:
// thousands of blocks must not mean thousands of either.
type fileCache struct {
	fs    disk.FS
	mu    sync.Mutex
	limit int
	byKey map[string]*list.Element
	order *list.List // of *cachedFile, last used first
}

type cachedFile struct {
	path    string
	f       *file
	readers int
	dropped bool
}

func newFileCache(fsys disk.FS, limit int) *fileCache {
	return &fileCache{fs: fsys, limit: limit, byKey: map[string]*list.Element{}, order: list.New()}
}

// open lends a file; release must be called.
func (c *fileCache) open(path string, defs []columnDef) (*cachedFile, error) {
	c.mu.Lock()
	if e, ok := c.byKey[path]; ok {
		c.order.MoveToFront(e)
		cf := e.Value.(*cachedFile)
		cf.readers++
		c.mu.Unlock()
		return cf, nil
	}
	c.mu.Unlock()
	f, err := openFile(c.fs, path, defs)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byKey[path]; ok { // another was quicker
		cf := e.Value.(*cachedFile)
		cf.readers++
		return cf, f.close()
	}
	cf := &cachedFile{path: path, f: f, readers: 1}
	c.byKey[path] = c.order.PushFront(cf)
	for e := c.order.Back(); e != nil && c.order.Len() > c.limit; {
		prev := e.Prev()
		c.evict(e)
		e = prev
	}
	return cf, nil
}

// evict forgets a file, and closes it if nobody reads it.
func (c *fileCache) evict(e *list.Element) {
	cf := e.Value.(*cachedFile)
	c.order.Remove(e)
	delete(c.byKey, cf.path)
	cf.dropped = true
	if cf.readers == 0 {
		_ = cf.f.close() // it was only read
	}
}

func (c *fileCache) release(cf *cachedFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cf.readers--; cf.readers == 0 && cf.dropped {
		_ = cf.f.close() // it was only read
	}
}

// drop forgets the files of a block.
func (c *fileCache) drop(dir string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range [...]string{spansFile, requestsFile} {
		if e, ok := c.byKey[filepath.Join(dir, name)]; ok {
			c.evict(e)
		}
	}
}

func (c *fileCache) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.order.Front(); e != nil; {
		next := e.Next()
		c.evict(e)
		e = next
	}
	return nil
}
