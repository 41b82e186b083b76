package series

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
)

// A store that is damaged opens all the same: what cannot be read is set aside, under a name that
// begins with damaged-, and never touched again. In this order, each only where the one before was not enough:
//
//  1. The database repairs its write-ahead log itself: it cuts it at the first damage. Counters are
//     cumulative: their next samples make up for what is cut, but for the curve in between.
//  2. Blocks that cannot be opened, or are not as they were sealed (blockseal.go): their two hours or days of samples are missing.
//  3. The write-ahead log and the chunks of the newest block: the samples of the newest hours are missing.
//
// What is not damage (no right to read, a full or failing disk, another process that holds the
// directory) is an error, since nothing would be gained.

// damagedPrefix begins the names of what was set aside.
const damagedPrefix = "damaged-"

// Parts of the database's directory that hold the newest block.
func headParts() []string { return []string{"wal", "wbl", "chunks_head", "chunk_snapshot"} }

type opener struct {
	dir      string
	log      *slog.Logger
	aside    prometheus.Counter
	restored prometheus.Counter
	open     func() (*tsdb.DB, error)
}

// run opens the database, as much of it as can be.
func (o *opener) run() (*tsdb.DB, error) {
	if err := o.blocks(); err != nil {
		return nil, err
	}
	db, cause := o.try()
	if cause == nil || environmental(cause) {
		return db, cause
	}
	for _, part := range headParts() {
		found, err := filepath.Glob(filepath.Join(o.dir, part+"*"))
		if err != nil {
			return nil, err
		}
		for _, path := range found {
			if err := o.set(path, cause); err != nil {
				return nil, errors.Join(cause, err)
			}
		}
	}
	return o.try()
}

// try opens the database; a file that makes it panic is one that cannot be read.
func (o *opener) try() (db *tsdb.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return o.open()
}

// blockDirs are the directories that have the name of a block.
func (o *opener) blockDirs() (paths []string, err error) {
	entries, err := os.ReadDir(o.dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.IsDir() && len(e.Name()) == 26 && strings.Trim(e.Name(), "0123456789ABCDEFGHJKMNPQRSTVWXYZ") == "" {
			paths = append(paths, filepath.Join(o.dir, e.Name()))
		}
	}
	return paths, nil
}

// blocks sets aside those that cannot be opened. The database would refuse to open for some, and pass over
// others without a word. It holds the directory meanwhile: another process may be at work there.
func (o *opener) blocks() (err error) {
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return err
	}
	lock, err := tsdbutil.NewDirLocker(o.dir, "tsdb", o.log, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	if err := lock.Lock(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	paths, err := o.blockDirs()
	if err != nil {
		return err
	}
	for _, path := range paths {
		err := o.block(path)
		if err == nil {
			continue
		}
		if environmental(err) {
			return err
		}
		if err := o.set(path, err); err != nil {
			return err
		}
	}
	return nil
}

func (o *opener) block(path string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	if err := version(path); err != nil {
		return err
	}
	sealed, err := o.restore(path)
	if err == nil && !sealed {
		err = o.proveByIndex(path)
	}
	if err != nil {
		return err
	}
	b, err := tsdb.OpenBlock(o.log, path, nil, nil)
	if err != nil {
		return err
	}
	return b.Close()
}

func (o *opener) set(path string, cause error) error {
	aside := filepath.Join(o.dir, damagedPrefix+filepath.Base(path))
	for n := 2; ; n++ {
		if _, err := os.Lstat(aside); errors.Is(err, fs.ErrNotExist) {
			break
		}
		aside = filepath.Join(o.dir, fmt.Sprintf("%s%s-%d", damagedPrefix, filepath.Base(path), n))
	}
	if err := os.Rename(path, aside); err != nil {
		return fmt.Errorf("set %s aside: %w", path, err)
	}
	o.aside.Inc()
	lost := "the samples of the time that it covers"
	if slices.ContainsFunc(headParts(), func(part string) bool { return strings.HasPrefix(filepath.Base(path), part) }) {
		lost = "the samples of the newest hours"
	}
	o.log.Error("a part of the series store is damaged and set aside", "part", path, "moved_to", aside, "lost", lost, "err", cause)
	return nil
}

// environmental says that an error is not one of the files' content.
func environmental(err error) bool {
	for _, e := range [...]error{
		fs.ErrPermission, syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EIO, syscall.EMFILE, syscall.ENFILE, syscall.EAGAIN, syscall.ENOMEM,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return strings.Contains(err.Error(), "lock DB directory")
}
