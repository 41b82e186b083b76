package series

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/index"
	"github.com/prometheus/prometheus/tsdb/wlog"
)

// A Report is what Verify found.
type Report struct {
	Blocks   int
	Series   uint64 // in blocks
	Records  int    // of the write-ahead log
	Problems []Problem
}

// A Problem is something that is not as it was written.
type Problem struct {
	File   string
	Reason string
}

func (r *Report) problem(file string, err error) {
	var d *damageError
	if errors.As(err, &d) {
		file, err = d.file, d.err
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // gone: compacted, or cut, since it was listed
		r.Problems = append(r.Problems, Problem{file, err.Error()})
	}
}

// Verify reads all that the database in dir has on disk, with its own readers, and holds it against its checksums. It changes nothing. A server may be at work in the
// directory: what it is just writing is passed over. The error says that the directory itself cannot be read; one that is not
// there holds nothing.
func Verify(ctx context.Context, dir string) (Report, error) {
	var r Report
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("verify series: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch _, notBlock := ulid.ParseStrict(e.Name()); {
		case strings.HasPrefix(e.Name(), damagedPrefix):
			r.problem(path, errors.New("it was set aside as damaged when the database was opened; remove it when it is of no more use"))
		case strings.HasPrefix(e.Name(), notePrefix):
			if b, err := os.ReadFile(filepath.Clean(path)); err != nil {
				r.problem(path, err)
			} else if _, whole := unsummed(b); !whole {
				r.problem(path, errors.New("its checksum does not match"))
			}
		case !e.IsDir():
		case notBlock == nil:
			r.Blocks++
			err := r.block(ctx, path)
			if _, gone := os.Stat(path); gone == nil && errors.Is(err, fs.ErrNotExist) {
				err = errors.New(err.Error()) // a file of it, and not the block
			}
			r.problem(path, err)
		case e.Name() == "wal", e.Name() == wlog.WblDirName:
			r.walk(path)
		case e.Name() == "chunks_head":
			r.headChunks(path)
		}
	}
	return r, nil
}

// block reads each series, chunk and sample of a block.
func (r *Report) block(ctx context.Context, dir string) (err error) {
	defer func() {
		if p := recover(); p != nil { // the database's readers panic at some of what is cut short
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	if err := verifySeal(dir); err != nil {
		return err
	}
	b, err := tsdb.OpenBlock(slog.New(slog.DiscardHandler), dir, nil, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	ir, err := b.Index()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ir.Close()) }()
	cr, err := b.Chunks()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cr.Close()) }()
	all, err := ir.Postings(ctx, postingsName(), "")
	if err != nil {
		return err
	}
	var (
		builder labels.ScratchBuilder
		metas   []chunks.Meta
		it      chunkenc.Iterator
		stats   tsdb.BlockStats
	)
	for all.Next() {
		if err := ir.Series(all.At(), &builder, &metas); err != nil {
			return err
		}
		stats.NumSeries++
		for _, m := range metas {
			c, _, err := cr.ChunkOrIterable(m)
			if err != nil {
				return err
			}
			stats.NumChunks++
			it = c.Iterator(it)
			for it.Next() != chunkenc.ValNone {
				if t := it.AtT(); t < m.MinTime || t > m.MaxTime || t < b.MinTime() || t >= b.MaxTime() {
					return fmt.Errorf("a sample of %d is outside of its chunk's or block's time", t)
				}
				stats.NumSamples++
			}
			if err := it.Err(); err != nil {
				return err
			}
		}
	}
	if err := all.Err(); err != nil {
		return err
	}
	// Each label's list of series has a checksum of its own.
	names, err := ir.LabelNames(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		values, err := ir.LabelValues(ctx, name, nil)
		if err != nil {
			return err
		}
		p, err := ir.Postings(ctx, name, values...)
		if err != nil {
			return err
		}
		for p.Next() {
		}
		if err := p.Err(); err != nil {
			return err
		}
	}
	r.Series += stats.NumSeries
	switch s := b.Meta().Stats; {
	case b.Meta().ULID.String() != filepath.Base(dir):
		return errors.New("its description is another block's")
	case s.NumSeries != stats.NumSeries || s.NumChunks != stats.NumChunks || s.NumSamples != stats.NumSamples:
		return fmt.Errorf("it holds %d series, %d chunks and %d samples, and says %d, %d and %d", stats.NumSeries, stats.NumChunks, stats.NumSamples, s.NumSeries, s.NumChunks, s.NumSamples)
	}
	return nil
}

// verifySeal holds a block against its seal. One that has none is of an older server.
func verifySeal(dir string) error {
	if err := version(dir); err != nil {
		return err
	}
	s, err := readSeal(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, errSealDamaged):
		return damage(filepath.Join(dir, sealName), err)
	case err != nil:
		return err
	}
	if err := s.files(dir, true); err != nil {
		return err
	}
	m, _, err := readMeta(dir)
	if err != nil {
		return err
	}
	stones, err := stonesIn(dir)
	if err != nil {
		return err
	}
	if !equal(lasting(m), s.Meta) || m.Stats.NumTombstones != stones {
		return damage(filepath.Join(dir, metaName), errors.New("it does not say what it said when the block was made"))
	}
	return nil
}

func postingsName() string {
	name, _ := index.AllPostingsKey()
	return name
}

// walk reads the write-ahead log in dir, with its newest checkpoint, which is a log in a folder of its own.
func (r *Report) walk(dir string) {
	files, err := logFiles(dir)
	if err != nil {
		r.problem(dir, err)
		return
	}
	newest := newestFile(files)
	for _, f := range files {
		if f.missing {
			// A server may have removed it, and others, since the first was listed.
			if again, err := logFiles(dir); err == nil && slices.Contains(again, f) {
				r.problem(f.path, errors.New("it is gone, and the log goes on behind it"))
			}
			continue
		}
		flaws, _, err := readFrames(f.path, f.path == newest, func([]byte) error { r.Records++; return nil })
		r.problem(f.path, err)
		if len(flaws) > 0 {
			r.problem(f.path, errors.New(reasons(flaws)))
		}
	}
}

// headChunks reads the files of chunks that are in no block yet.
func (r *Report) headChunks(dir string) {
	paths, numbers, err := headChunkFiles(dir)
	if err != nil {
		r.problem(dir, err)
		return
	}
	for i, path := range paths {
		_, err := readHeadChunks(path, nil)
		// One that ends in zeros has room that was set aside, and the newest is being written.
		if errors.Is(err, errZeros) || errors.Is(err, io.ErrUnexpectedEOF) && i == len(paths)-1 {
			continue
		}
		if err == nil && i > 0 && numbers[i] != numbers[i-1]+1 {
			err = errors.New("files before it are gone")
		}
		r.problem(path, err)
	}
}
