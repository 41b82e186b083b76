package block

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/binnacle-mesh/binnacle/internal/disk"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A Report is what [Verify] found.
type Report struct {
	Blocks, Files int
	Rows          int   // that were read: spans and request log entries
	Bytes         int64 // of the files
	// Unchecked is how many files were written before files had checksums of all their parts; of those
	// the pages' bodies alone could be held against one.
	Unchecked int
	Problems  []Problem
}

// A Problem is something that is not as it was written.
type Problem struct {
	File   string // or the folder of a block, below the store's directory
	Reason string
}

// Verify reads all blocks in a store's directory, every byte of them, and reports what is damaged. It changes nothing, and a
// store may be at work in the directory: a block that is deleted meanwhile is passed over. The error says that the
// directory itself cannot be read; a directory that is not there holds no blocks.
func Verify(dir string) (Report, error) {
	var r Report
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("verify blocks: %w", err)
	}
	z, err := zstdReader()
	if err != nil {
		return r, fmt.Errorf("verify blocks: %w", err)
	}
	defer z.Close()
	for _, e := range entries {
		switch {
		case !e.IsDir():
		case isBlockName(e.Name()):
			r.Blocks++
			r.block(dir, e.Name(), &scratch{zstd: z})
		case strings.HasPrefix(e.Name(), damagedPrefix):
			r.problem(e.Name(), errors.New("it was set aside as damaged when the store was opened"))
		}
	}
	return r, nil
}

func (r *Report) problem(file string, err error) {
	r.Problems = append(r.Problems, Problem{File: file, Reason: err.Error()})
}

// block verifies one block.
func (r *Report) block(dir, name string, s *scratch) {
	var known *meta
	for _, part := range [...]struct {
		name string
		defs []columnDef
	}{{spansFile, spanColumns()}, {requestsFile, requestColumns()}} {
		path, file := filepath.Join(dir, name, part.name), filepath.Join(name, part.name)
		f, err := r.file(path, part.defs, s)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // said below, where it should be there
		case err != nil:
			if _, gone := os.Stat(path); gone == nil {
				r.problem(file, err)
			}
			continue
		}
		want := f.meta.spans
		if part.name == requestsFile {
			want = f.meta.requests
		}
		switch {
		case blockName(f.meta) != name:
			r.problem(file, fmt.Errorf("it belongs to block %s", blockName(f.meta)))
		case known != nil && *known != f.meta:
			r.problem(file, errors.New("it does not say the same of the block as the other file"))
		case f.rows != int64(want):
			r.problem(file, fmt.Errorf("it has %d rows, the block says %d", f.rows, want))
		}
		known = &f.meta
	}
	if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
		return // deleted meanwhile
	}
	if known == nil {
		if len(r.Problems) == 0 || !strings.HasPrefix(r.Problems[len(r.Problems)-1].File, name) {
			r.problem(name, errors.New("it has no files"))
		}
		return
	}
	for file, rows := range map[string]int{spansFile: known.spans, requestsFile: known.requests} {
		if _, err := os.Stat(filepath.Join(dir, name, file)); rows > 0 && errors.Is(err, fs.ErrNotExist) {
			r.problem(filepath.Join(name, file), errors.New("it is missing"))
		}
	}
}

// file reads all of a file, and returns what its footer says. The file is closed.
func (r *Report) file(path string, defs []columnDef, s *scratch) (_ *file, err error) {
	defer guard(&err)
	f, err := openFile(disk.OS{}, path, defs)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	size, err := f.f.Size()
	if err != nil {
		return nil, err
	}
	r.Files++
	r.Bytes += size
	r.Rows += int(f.rows)
	if f.sums == nil {
		r.Unchecked++
	}
	begin := make([]byte, len(magic))
	if _, err := f.f.ReadAt(begin, 0); err != nil {
		return nil, err
	}
	if string(begin) != magic {
		return nil, errors.New("file does not begin like a Parquet file")
	}
	rd := &reader{f: f, scratch: *s, columns: make([]columnState, len(f.columns))}
	defer func() { *s = rd.scratch }()
	for i := range f.columns {
		for p := range f.bounds {
			v, err := rd.load(i, p)
			if err != nil {
				return nil, err
			}
			if i == 0 {
				if err := rd.verifyTraces(v, p); err != nil {
					return nil, err
				}
			}
		}
		rd.columns[i] = columnState{}
	}
	return f, nil
}

// verifyTraces holds the trace ids of a page against the index and the filter by which they are found.
func (rd *reader) verifyTraces(v *pageView, p int) error {
	var last telemetry.TraceID
	bounds := rd.f.bounds[p]
	for i := range v.n {
		id := telemetry.TraceID(v.bytesAt(i))
		if i > 0 && id == last {
			continue
		}
		ok, err := rd.mayHold(&id)
		switch {
		case err != nil:
			return err
		case bytes.Compare(id[:], last[:]) < 0:
			return fmt.Errorf("page %d of trace_id: its rows are not in order", p)
		case bytes.Compare(id[:], bounds[0][:]) < 0 || bytes.Compare(id[:], bounds[1][:]) > 0:
			return fmt.Errorf("page %d of trace_id: the index says that trace %s is elsewhere", p, id)
		case !ok:
			return fmt.Errorf("bloom filter: it does not know trace %s", id)
		}
		last = id
	}
	return nil
}
