package app

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/binnacle-mesh/binnacle/internal/disk"
)

// A directory is the data directory while this process has it: no other Binnacle opens it, and nobody but the user who runs this one
// may look into it.
type directory struct {
	lock *os.File
}

const (
	lockName    = "lock" // held by whoever has the directory open; the process' number is in it
	privateDir  = 0o700
	privateFile = 0o600
)

// openDirectory makes the directory where it is not there, and takes it. What is in it was perhaps written by an older server for all
// to read: that is put right. From here on all that this process makes is its own (umask), be it made by us or by a library.
func openDirectory(path string, log *slog.Logger) (*directory, error) {
	makePrivate()
	if err := (disk.OS{}).MkdirAll(path, privateDir); err != nil {
		return nil, fmt.Errorf("open data directory: %w; set data to a directory that may be written to", err)
	}
	d := &directory{}
	var err error
	if d.lock, err = os.OpenFile(filepath.Join(path, lockName), os.O_RDWR|os.O_CREATE, privateFile); err != nil {
		return nil, fmt.Errorf("open data directory: %w; set data to a directory that may be written to", err)
	}
	if err := tryLock(d.lock); err != nil {
		holder, _ := os.ReadFile(d.lock.Name()) // nothing to read is said as well
		_ = d.lock.Close()
		if !errors.Is(err, errLocked) {
			return nil, fmt.Errorf("lock data directory %s: %w; put it on a file system that has locks", path, err)
		}
		return nil, fmt.Errorf("data: %s is in use by another Binnacle, process %s; stop it, or set data to another directory",
			path, orUnknown(strings.TrimSpace(string(holder))))
	}
	if err := d.sign(); err != nil {
		_ = d.lock.Close()
		return nil, fmt.Errorf("lock data directory %s: %w", path, err)
	}
	tighten(path, log)
	return d, nil
}

// sign writes down who has the directory.
func (d *directory) sign() error {
	if err := d.lock.Truncate(0); err != nil {
		return err
	}
	_, err := d.lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// close lets another have the directory. The lock file stays: who removed it might remove that of whoever came next.
func (d *directory) close() error {
	if d == nil {
		return nil
	}
	return d.lock.Close()
}

// tighten takes from others what they may do in the directory. What belongs to somebody else, as the root of a volume that Kubernetes
// mounts, cannot be changed, and is told.
func tighten(path string, log *slog.Logger) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	kept := 0
	_ = filepath.WalkDir(path, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what we may not read is not ours; what is ours and cannot be read, its room finds out and tells
		}
		info, err := e.Info()
		if err != nil || info.Mode()&fs.ModeSymlink != 0 || info.Mode().Perm()&0o077 == 0 {
			return nil //nolint:nilerr // it has gone meanwhile
		}
		if os.Chmod(name, info.Mode().Perm()&^0o077) != nil {
			kept++
		}
		return nil
	})
	if kept > 0 {
		log.Warn("others on this machine may be able to read the data directory: its modes cannot be changed; give it to the user who runs the server",
			"directory", path, "entries", kept)
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
