package series

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"

	"github.com/binnacle-mesh/binnacle/internal/disk"
)

// A store that is damaged opens all the same: what cannot be read is set aside, under a name that
// begins with damaged-, and never touched again. In this order, each only where the one before was not enough:
//
//  1. Blocks that cannot be opened, or are not as they were sealed (blockseal.go): their two hours or days of samples are missing.
//  2. Files of the write-ahead log are written anew without what is damaged of them (repair.go); what was recorded there is missing. Files of the
//     chunks of the newest block are set aside (headchunks.go); nothing is missing.
//  3. What the database still does not open for: all of the write-ahead log and of those chunks. The samples of the newest hours are missing.
//
// What is missing is noted beside what is set aside, and said by all that may lack it (damaged.go).
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
	now      func() time.Time
}

// run opens the database, as much of it as can be.
func (o *opener) run() (*tsdb.DB, error) {
	if err := o.prepare(); err != nil {
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

// prepare takes away all that the database would refuse to open for, would pass over without a word, or would delete more for than
// is damaged. It holds the directory meanwhile: another process may be at work there.
func (o *opener) prepare() (err error) {
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
	if err := o.blocks(); err != nil {
		return err
	}
	lost, err := o.logs()
	if err != nil {
		return err
	}
	return o.chunks(lost)
}

// blocks sets aside those that cannot be opened.
func (o *opener) blocks() error {
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
		if err := o.setNoted(path, filepath.Base(path), o.about(path, err), err); err != nil {
			return err
		}
	}
	return nil
}

// about notes what goes with a block: the time that its seal says, or else any.
func (o *opener) about(path string, cause error) *note {
	if s, err := readSeal(path); err == nil {
		return &note{Reason: cause.Error(), From: s.Meta.MinTime, To: s.Meta.MaxTime - 1}
	}
	return &note{Reason: cause.Error(), From: math.MinInt64, To: o.now().UnixMilli()}
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

// set sets a part aside that cannot be read.
func (o *opener) set(path string, cause error) error {
	return o.setNoted(path, filepath.Base(path), &note{Reason: cause.Error(), From: math.MinInt64, To: o.now().UnixMilli()}, cause)
}

// setNoted sets a part aside under a name.
func (o *opener) setNoted(path, name string, n *note, cause error) error {
	aside, err := o.asideName(name)
	if err != nil {
		return err
	}
	if err := n.write(aside); err != nil { // first: what is set aside without a note counts for more than is lost
		return err
	}
	if err := os.Rename(path, aside); err != nil {
		return fmt.Errorf("set %s aside: %w", path, err)
	}
	o.aside.Inc()
	lost := "the samples of the time that it covers"
	switch {
	case n.Whole:
		lost = "nothing"
	case slices.ContainsFunc(headParts(), func(part string) bool { return strings.HasPrefix(filepath.Base(path), part) }):
		lost = "the samples of the newest hours"
	}
	o.log.Error("a part of the series store is damaged and set aside", "part", path, "moved_to", aside, "lost", lost, "err", cause)
	return nil
}

// environmental says that an error is not one of the files' content.
func environmental(err error) bool {
	return disk.Failed(err) || strings.Contains(err.Error(), "lock DB directory")
}
