package series

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
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

// walk reads the write-ahead log in dir, and its checkpoints, which are logs in folders of their own.
func (r *Report) walk(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		r.problem(dir, err)
		return
	}
	var last string
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err == nil {
			last = e.Name()
		}
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.IsDir() {
			if filepath.Ext(e.Name()) != ".tmp" {
				r.walk(path)
			}
			continue
		}
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		err := r.segment(path)
		// The newest may end in what is just being written.
		if e.Name() == last && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)) {
			continue
		}
		r.problem(path, err)
	}
}

func (r *Report) segment(path string) (err error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	in := wlog.NewReader(f)
	for in.Next() {
		r.Records++
	}
	return in.Err()
}

const (
	headChunkHead = 8     // of a file: magic, version, padding
	headChunkMeta = 8 * 3 // of a chunk: series, first and last time
)

// headChunks reads the files of chunks that are in no block yet. The database itself holds them against their checksums when it
// starts, and its reader would change them.
func (r *Report) headChunks(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		r.problem(dir, err)
		return
	}
	for i, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		path := filepath.Join(dir, e.Name())
		b, err := os.ReadFile(filepath.Clean(path))
		if err == nil {
			err = headChunkFile(b, i == len(entries)-1)
		}
		r.problem(path, err)
	}
}

func headChunkFile(b []byte, newest bool) error {
	if len(b) < headChunkHead {
		if newest {
			return nil
		}
		return errors.New("it is cut short")
	}
	if binary.BigEndian.Uint32(b) != chunks.MagicHeadChunks || b[4] != 1 {
		return errors.New("its head is not one of head chunks")
	}
	sums := crc32.MakeTable(crc32.Castagnoli)
	for at := headChunkHead; at < len(b); {
		rest := b[at:]
		if len(bytes.TrimLeft(rest, "\x00")) == 0 {
			return nil // room that was set aside
		}
		short := len(rest) < headChunkMeta+1+1
		size, n := uint64(0), 0
		if !short {
			size, n = binary.Uvarint(rest[headChunkMeta+1:])
			short = n == 0 || n > 0 && size+uint64(headChunkMeta+1+n+crc32.Size) > uint64(len(rest))
		}
		if short && newest {
			return nil // it is being written
		}
		if short || n < 0 {
			return fmt.Errorf("the chunk at byte %d is cut short", at)
		}
		body := headChunkMeta + 1 + n + int(size)
		if crc32.Checksum(rest[:body], sums) != binary.BigEndian.Uint32(rest[body:]) {
			return fmt.Errorf("the chunk at byte %d does not match its checksum", at)
		}
		at += body + crc32.Size
	}
	return nil
}
