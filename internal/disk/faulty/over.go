package faulty

import (
	"io/fs"

	"github.com/binnacle-mesh/binnacle/internal/disk"
)

// Over is a file system of which a test has single calls fail: one that lists its directories, or on which something else is at
// work, can be a real one.
type Over struct {
	disk.FS
	// Fail is asked before each call, by what os calls it (open, read, write, sync, truncate, rename, remove, mkdir, list, syncdir) and
	// the name of the file. What it returns is the call's error; nil lets it pass. It is called by several goroutines at once.
	Fail func(op, name string) error
}

var _ disk.FS = Over{}

func (o Over) fails(op, name string) error {
	if err := o.Fail(op, name); err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	return nil
}

// OpenFile implements disk.FS.
func (o Over) OpenFile(name string, flag int, perm fs.FileMode) (disk.File, error) {
	if err := o.fails("open", name); err != nil {
		return nil, err
	}
	f, err := o.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return overFile{f, o, name}, nil
}

// MkdirAll implements disk.FS.
func (o Over) MkdirAll(dir string, perm fs.FileMode) error {
	if err := o.fails("mkdir", dir); err != nil {
		return err
	}
	return o.FS.MkdirAll(dir, perm)
}

// Names implements disk.FS.
func (o Over) Names(dir string) ([]string, error) {
	if err := o.fails("list", dir); err != nil {
		return nil, err
	}
	return o.FS.Names(dir)
}

// Rename implements disk.FS.
func (o Over) Rename(from, to string) error {
	if err := o.fails("rename", from); err != nil {
		return err
	}
	return o.FS.Rename(from, to)
}

// Remove implements disk.FS.
func (o Over) Remove(name string) error {
	if err := o.fails("remove", name); err != nil {
		return err
	}
	return o.FS.Remove(name)
}

// SyncDir implements disk.FS.
func (o Over) SyncDir(dir string) error {
	if err := o.fails("syncdir", dir); err != nil {
		return err
	}
	return o.FS.SyncDir(dir)
}

type overFile struct {
	disk.File
	fs   Over
	name string
}

// ReadAt implements disk.File.
func (f overFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.fs.fails("read", f.name); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

// WriteAt implements disk.File.
func (f overFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fs.fails("write", f.name); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

// Sync implements disk.File.
func (f overFile) Sync() error {
	if err := f.fs.fails("sync", f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

// Truncate implements disk.File.
func (f overFile) Truncate(size int64) error {
	if err := f.fs.fails("truncate", f.name); err != nil {
		return err
	}
	return f.File.Truncate(size)
}
