// Package faulty is a file system in memory that a test breaks: it fills up, fails, hangs, and a crash takes from
// it what was not synced.
//
// What it knows of a crash: bytes written since a file's last sync may be there, in blocks, or not; a file's length is that of
// the last sync or of the last write; a name that was made, moved or removed since its directory's last sync may be the old one or the new.
// A sync that fails may drop what was to be written and call it clean, as kernels do: a later sync then succeeds without it, and
// reading still shows it until the crash.
package faulty

import (
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/binnacle-mesh/binnacle/internal/disk"
)

// Faults is what is wrong at present. The zero value is a sound disk.
type Faults struct {
	Full      bool          // no more than Room bytes can be written; each write goes as far as it can
	Room      int64         // counted down by writes that make a file longer
	ReadOnly  bool          // nothing can be changed
	FailWrite bool          // half of it is written, and an error told
	FailSync  bool          // nothing is made durable
	Drop      bool          // a failed sync calls clean what it did not write
	FailRead  bool          // nothing can be read
	Hang      chan struct{} // while it is open, writes and syncs do not return
}

// An FS is such a file system. It is safe for concurrent use.
type FS struct {
	mu      sync.Mutex
	faults  Faults
	names   map[string]*node
	durable map[string]*node // the names that a crash leaves for certain
	dirs    map[string]bool
	rnd     *rand.Rand
	gen     int // of crashes: files opened before are of no use
}

// A byte of a file is one of these.
const (
	clean   = iota
	dirty   // written since the last sync
	dropped // written before a sync that failed
)

type node struct {
	data   []byte // as it is read
	state  []byte // of each byte of it
	synced []byte // as a crash leaves it at the least
}

// New is an empty file system; the seed decides what crashes leave.
func New(seed uint64) *FS {
	return &FS{names: map[string]*node{}, durable: map[string]*node{}, dirs: map[string]bool{}, rnd: rand.New(rand.NewPCG(seed, seed))} //nolint:gosec // a test's chance
}

var _ disk.FS = (*FS)(nil)

// Set changes what is wrong.
func (s *FS) Set(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f
}

// Corrupt changes a byte of a file.
func (s *FS) Corrupt(name string, at int, to byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names[name].data[at] = to
}

// wait waits while the disk hangs. mu is held, but for the wait.
func (s *FS) wait() {
	for s.faults.Hang != nil {
		hang := s.faults.Hang
		s.mu.Unlock()
		<-hang
		s.mu.Lock()
		if s.faults.Hang == hang {
			s.faults.Hang = nil
		}
	}
}

const block = 4 << 10

// Crash is the machine's end: what was not synced is there or not. The faults end with it.
func (s *FS) Crash() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gen++
	s.faults = Faults{}
	all := map[string]*node{}
	for name, n := range s.durable {
		if s.names[name] == n || s.rnd.IntN(2) == 0 {
			all[name] = n
		}
	}
	for _, name := range sorted(s.names) {
		if n := s.names[name]; s.durable[name] != n && s.rnd.IntN(2) == 0 {
			all[name] = n
		}
	}
	for _, name := range sorted(all) {
		all[name].crash(s.rnd)
	}
	s.names, s.durable = all, map[string]*node{}
	for name, n := range all {
		s.durable[name] = n
	}
}

func sorted(m map[string]*node) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (n *node) crash(rnd *rand.Rand) {
	left := slices.Clone(n.synced)
	size := len(n.synced)
	if rnd.IntN(2) == 0 {
		size = len(n.data)
	}
	left = append(left, make([]byte, max(0, size-len(left)))...)[:size]
	for at := 0; at < min(size, len(n.data)); at += block {
		if rnd.IntN(2) == 0 {
			continue
		}
		for i := at; i < min(at+block, size, len(n.data)); i++ {
			if n.state[i] == dirty {
				left[i] = n.data[i]
			}
		}
	}
	n.data, n.synced, n.state = left, slices.Clone(left), make([]byte, len(left))
}

type file struct {
	fs    *FS
	name  string
	n     *node
	gen   int
	write bool
}

func (s *FS) fault(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// OpenFile implements disk.FS.
func (s *FS) OpenFile(name string, flag int, _ fs.FileMode) (disk.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.names[name]
	write := flag&(os.O_WRONLY|os.O_RDWR) != 0
	switch {
	case write && s.faults.ReadOnly:
		return nil, s.fault("open", name, syscall.EROFS)
	case n == nil && flag&os.O_CREATE == 0, !s.dirs[filepath.Dir(name)]:
		return nil, s.fault("open", name, fs.ErrNotExist)
	case n != nil && flag&os.O_EXCL != 0:
		return nil, s.fault("open", name, fs.ErrExist)
	case n == nil:
		n = &node{}
		s.names[name] = n
	case flag&os.O_TRUNC != 0:
		n.data, n.state = nil, nil
	}
	return &file{s, name, n, s.gen, write}, nil
}

// MkdirAll implements disk.FS. Directories are durable at once.
func (s *FS) MkdirAll(dir string, _ fs.FileMode) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; !s.dirs[dir]; dir = filepath.Dir(dir) {
		s.dirs[dir] = true
	}
	return nil
}

// Names implements disk.FS.
func (s *FS) Names(dir string) (names []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dirs[dir] {
		return nil, s.fault("read", dir, fs.ErrNotExist)
	}
	for _, name := range sorted(s.names) {
		if rest, ok := strings.CutPrefix(name, dir+"/"); ok && !strings.Contains(rest, "/") {
			names = append(names, rest)
		}
	}
	return names, nil
}

// Rename implements disk.FS.
func (s *FS) Rename(from, to string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.names[from]
	switch {
	case s.faults.ReadOnly:
		return s.fault("rename", from, syscall.EROFS)
	case n == nil:
		return s.fault("rename", from, fs.ErrNotExist)
	}
	delete(s.names, from)
	s.names[to] = n
	return nil
}

// Remove implements disk.FS.
func (s *FS) Remove(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.faults.ReadOnly:
		return s.fault("remove", name, syscall.EROFS)
	case s.names[name] == nil:
		return s.fault("remove", name, fs.ErrNotExist)
	}
	delete(s.names, name)
	return nil
}

// SyncDir implements disk.FS.
func (s *FS) SyncDir(dir string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wait()
	if s.faults.FailSync {
		return s.fault("sync", dir, syscall.EIO)
	}
	for name := range s.durable {
		if filepath.Dir(name) == dir && s.names[name] == nil {
			delete(s.durable, name)
		}
	}
	for name, n := range s.names {
		if filepath.Dir(name) == dir {
			s.durable[name] = n
		}
	}
	return nil
}

func (f *file) lost() bool { return f.gen != f.fs.gen }

// ReadAt implements disk.File.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	switch {
	case f.fs.faults.FailRead:
		return 0, f.fs.fault("read", f.name, syscall.EIO)
	case off >= int64(len(f.n.data)):
		return 0, io.EOF
	}
	n := copy(p, f.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt implements disk.File.
func (f *file) WriteAt(p []byte, off int64) (n int, err error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.fs.wait()
	s := f.fs
	switch {
	case f.lost() || !f.write:
		return 0, s.fault("write", f.name, fs.ErrClosed)
	case s.faults.ReadOnly:
		return 0, s.fault("write", f.name, syscall.EROFS)
	case s.faults.FailWrite:
		p, err = p[:len(p)/2], s.fault("write", f.name, syscall.EIO)
	}
	if longer := off + int64(len(p)) - int64(len(f.n.data)); s.faults.Full && longer > 0 {
		if longer > s.faults.Room {
			p, err = p[:max(0, int64(len(p))-(longer-s.faults.Room))], s.fault("write", f.name, syscall.ENOSPC)
			longer = s.faults.Room
		}
		s.faults.Room -= longer
	}
	if grow := int(off) + len(p) - len(f.n.data); grow > 0 {
		f.n.data = append(f.n.data, make([]byte, grow)...)
		f.n.state = append(f.n.state, make([]byte, grow)...)
	}
	copy(f.n.data[off:], p)
	for i := range p {
		f.n.state[int(off)+i] = dirty
	}
	return len(p), err
}

// Sync implements disk.File.
func (f *file) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.fs.wait()
	switch {
	case f.lost():
		return f.fs.fault("sync", f.name, fs.ErrClosed)
	case f.fs.faults.FailSync:
		if f.fs.faults.Drop {
			for i, st := range f.n.state {
				if st == dirty {
					f.n.state[i] = dropped
				}
			}
		}
		return f.fs.fault("sync", f.name, syscall.EIO)
	}
	was := f.n.synced
	f.n.synced = make([]byte, len(f.n.data))
	copy(f.n.synced, was)
	for i, st := range f.n.state {
		if st == dirty {
			f.n.synced[i], f.n.state[i] = f.n.data[i], clean
		}
	}
	return nil
}

// Truncate implements disk.File.
func (f *file) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.fs.wait()
	switch {
	case f.lost() || !f.write:
		return f.fs.fault("truncate", f.name, fs.ErrClosed)
	case f.fs.faults.ReadOnly:
		return f.fs.fault("truncate", f.name, syscall.EROFS)
	case size > int64(len(f.n.data)):
		return fmt.Errorf("truncate %s to more than it holds", f.name)
	}
	f.n.data, f.n.state = f.n.data[:size], f.n.state[:size]
	return nil
}

// Size implements disk.File.
func (f *file) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return int64(len(f.n.data)), nil
}

// Removed implements disk.File.
func (f *file) Removed() bool {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return f.fs.names[f.name] != f.n
}

// Close implements disk.File.
func (f *file) Close() error { return nil }
