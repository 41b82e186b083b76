package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/binnacle-mesh/binnacle/internal/disk"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A Report is what Verify found.
type Report struct {
	Segments int
	Records  uint64
	Bytes    int64
	Problems []Problem
}

// A Problem is something that is not as it was written.
type Problem struct {
	File   string
	Reason string
}

// Verify reads the whole log in dir, every byte and every record, and reports what is damaged. It changes nothing, and a server may be at work in the
// directory: what is cut meanwhile is passed over, and a record that is being written at the end is none yet. The error says
// that the directory itself cannot be read; one that is not there holds no log.
func Verify(dir string) (Report, error) {
	var r Report
	fsys := kept{disk.OS{}}
	v, err := look(fsys, dir, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("verify log: %w", err)
	}
	damages := v.damages
	if _, torn := v.torn(); !torn {
		damages = append(damages, v.tail...)
	}
	name := func(index int) string { return segmentName(dir, index) }
	for _, d := range damages {
		r.problem(name(d.segment), fmt.Sprintf("bytes %d to %d cannot be read: %v", d.from, d.to, d.cause))
	}
	for _, h := range v.holes {
		if h.lost > 0 {
			r.problem(dir, fmt.Sprintf("%d records are missing between positions %d and %d", h.lost, h.after, h.next))
		}
	}
	r.Segments, r.Records = len(v.segments), v.sum.Records
	batch := telemetry.NewBatch()
	for _, s := range v.segments {
		r.Bytes += s.bytes
		if err := r.decode(fsys, name(s.index), s.bytes, batch); err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.problem(name(s.index), err.Error())
		}
	}
	names, err := fsys.Names(dir)
	if err != nil {
		return r, fmt.Errorf("verify log: %w", err)
	}
	for _, n := range names {
		if strings.HasSuffix(n, ".damaged") {
			r.problem(filepath.Join(dir, n), "damaged bytes that were kept aside; remove it when it is of no more use")
		}
	}
	return r, nil
}

func (r *Report) problem(file, reason string) { r.Problems = append(r.Problems, Problem{file, reason}) }

// decode reports the records of a segment that are whole and make no sense.
func (r *Report) decode(fsys disk.FS, name string, size int64, batch *telemetry.Batch) error {
	f, err := fsys.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it is only read
	s := newScanner(f, size)
	for what := s.next(); what != foundEnd; what = s.next() {
		if what != foundRecord {
			continue
		}
		if err := batch.DecodeRecord(s.rec[headerBytes:]); err != nil {
			r.problem(name, fmt.Sprintf("the record at position %d: %v", s.last, err))
		}
	}
	return nil
}

// kept is a file system in which a segment that was cut since it was listed is an empty one.
type kept struct{ disk.FS }

// OpenFile implements disk.FS.
func (k kept) OpenFile(name string, flag int, perm fs.FileMode) (disk.File, error) {
	f, err := k.FS.OpenFile(name, flag, perm)
	if errors.Is(err, fs.ErrNotExist) {
		return k.FS.OpenFile(os.DevNull, flag, perm)
	}
	return f, err
}
