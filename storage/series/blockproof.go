package series

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/tombstones"
)

const (
	metaName     = "meta.json"
	indexVersion = 2 // that the database writes: its readers take others too, and read the rest accordingly
)

// readMeta reads a block's description. strict says that all of it is known to this version.
func readMeta(dir string) (m tsdb.BlockMeta, strict bool, err error) {
	b, err := os.ReadFile(filepath.Join(filepath.Clean(dir), metaName))
	if err != nil {
		return m, false, err
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, false, damage(filepath.Join(dir, metaName), err)
	}
	all := json.NewDecoder(bytes.NewReader(b))
	all.DisallowUnknownFields()
	return m, all.Decode(new(tsdb.BlockMeta)) == nil, nil
}

// restore holds a block against its seal, and puts its description right by it. It says whether there is a seal that is whole. The error says which file is damaged.
func (o *opener) restore(dir string) (whole bool, err error) {
	s, err := readSeal(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errSealDamaged):
		return false, nil
	case err != nil:
		return false, err
	}
	if err := s.files(dir, false); err != nil {
		return true, err
	}
	was, _, metaErr := readMeta(dir)
	if metaErr != nil && environmental(metaErr) {
		return true, metaErr
	}
	stones, err := stonesIn(dir)
	if err != nil {
		return true, err
	}
	want := s.Meta
	want.Stats.NumTombstones = stones
	if metaErr == nil {
		if was.Stats.NumTombstones > 0 && stones == 0 {
			return true, damage(filepath.Join(dir, stonesName), errors.New("it is gone, or holds nothing: what was deleted would come back"))
		}
		want.Compaction.Failed, want.Compaction.Deletable = was.Compaction.Failed, was.Compaction.Deletable
		if equal(was, want) {
			return true, nil
		}
	}
	if err := writeDurably(filepath.Join(dir, metaName), encoded(want)); err != nil {
		return true, fmt.Errorf("put right what %s says: %w", filepath.Join(dir, metaName), err)
	}
	o.tell(dir, "seal", metaErr)
	return true, nil
}

// stonesIn counts the tombstones of a block.
func stonesIn(dir string) (n uint64, err error) {
	path := filepath.Join(dir, stonesName)
	defer func() {
		if p := recover(); p != nil { // the database's reader panics at some of what is cut short
			n, err = 0, damage(path, fmt.Errorf("panic: %v", p))
		}
	}()
	stones, _, err := tombstones.ReadTombstones(dir)
	if err != nil {
		return 0, damage(path, err)
	}
	return stones.Total(), stones.Close()
}

// version checks the byte of the index that no checksum covers.
func version(dir string) (err error) {
	path := filepath.Join(dir, indexName)
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	head := make([]byte, 5)
	if _, err := f.ReadAt(head, 0); err != nil {
		return damage(path, err)
	}
	if head[4] != indexVersion {
		return damage(path, fmt.Errorf("it is of version %d, and the database writes version %d", head[4], indexVersion))
	}
	return nil
}

// proveByIndex seals a block that has no whole seal. Of what it says only what its index shows is taken: its times are those of the first and the
// last sample, which leaves nothing out. Which blocks it replaces is forgotten: where those are still there, both are read, which gives the same answers, until the database makes
// one of them. A description that cannot be read, or is another block's, is made anew.
func (o *opener) proveByIndex(dir string) (err error) {
	id, err := ulid.ParseStrict(filepath.Base(dir))
	if err != nil {
		return err
	}
	m, strict, err := readMeta(dir)
	if err != nil && environmental(err) {
		return err
	}
	if err == nil && m.ULID != id {
		err = fmt.Errorf("it says that it is of block %s", m.ULID)
	}
	unread := err
	if unread == nil && m.Version != 1 {
		unread = fmt.Errorf("it is of version %d", m.Version)
	}
	if unread != nil {
		m, strict = tsdb.BlockMeta{ULID: id, Version: 1}, false
		m.Compaction.Level, m.Compaction.Sources = 1, []ulid.ULID{id}
		// What is done to the directory if the server dies here is done again: there is no seal.
		if err := writeDurably(filepath.Join(dir, metaName), encoded(m)); err != nil {
			return err
		}
	}
	found, err := extent(dir, unread != nil)
	switch {
	case err != nil && (unread != nil || environmental(err)):
		return errors.Join(unread, err)
	case err != nil:
		// What it says is all there is. Each question that touches what is damaged is refused.
		o.log.Warn("a block of the series store has no seal, and its index is damaged", "block", dir, "err", err)
		return nil
	case found.Stats.NumSeries == 0:
		return damage(filepath.Join(dir, indexName), errors.New("it holds no series"))
	}
	stones, err := stonesIn(dir)
	if err != nil {
		return err
	}
	was := m
	m.MinTime, m.MaxTime, m.Compaction.Parents = found.MinTime, found.MaxTime, nil
	if unread != nil {
		m.Stats = found.Stats
	}
	m.Stats.NumSeries, m.Stats.NumChunks, m.Stats.NumTombstones = found.Stats.NumSeries, found.Stats.NumChunks, stones
	if !strict || slices.ContainsFunc(m.Compaction.Hints, unknownHint) {
		// It may be of a part of the series only: then what the write-ahead log has of its time must be read all the same.
		m.Compaction.SetOutOfOrder()
	}
	if !equal(was, m) {
		if err := writeDurably(filepath.Join(dir, metaName), encoded(m)); err != nil {
			return err
		}
	}
	if unread != nil {
		o.tell(dir, "index", unread)
	} else {
		o.log.Info("a block of the series store had no whole seal; it is proven by its index and sealed", "block", dir)
	}
	s, err := newSeal(dir, m, false)
	if err != nil {
		return err
	}
	return s.write(dir)
}

// tell says that a block's description is put right.
func (o *opener) tell(dir, by string, err error) {
	o.restored.Inc()
	o.log.Warn("the description of a block of the series store was damaged and is put right; nothing is lost", "file", filepath.Join(dir, metaName), "by", by, "err", err)
}

func unknownHint(h string) bool {
	return h != tsdb.CompactionHintFromOutOfOrder && h != tsdb.CompactionHintFromStaleSeries && h != tsdb.CompactionHintFromSelectedSeries
}

// extent is what a block's index shows of it: its time, its series and chunks. Chunks are read only where samples are to be counted; those that cannot be read count for nothing.
func extent(dir string, count bool) (m tsdb.BlockMeta, err error) {
	defer func() {
		if p := recover(); p != nil { // the database's readers panic at some of what is damaged
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	b, err := tsdb.OpenBlock(slog.New(slog.DiscardHandler), dir, nil, nil)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	ir, err := b.Index()
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, ir.Close()) }()
	cr, err := b.Chunks()
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, cr.Close()) }()
	m.MinTime, m.MaxTime = math.MaxInt64, math.MinInt64
	all, err := ir.Postings(context.Background(), postingsName(), "")
	if err != nil {
		return m, err
	}
	var (
		builder labels.ScratchBuilder
		metas   []chunks.Meta
	)
	for all.Next() {
		if err := ir.Series(all.At(), &builder, &metas); err != nil {
			return m, err
		}
		m.Stats.NumSeries++
		m.Stats.NumChunks += uint64(len(metas))
		for _, c := range metas {
			m.MinTime, m.MaxTime = min(m.MinTime, c.MinTime), max(m.MaxTime, c.MaxTime+1)
			if !count {
				continue
			}
			if chunk, _, err := cr.ChunkOrIterable(c); err == nil {
				m.Stats.NumSamples += uint64(chunk.NumSamples()) //nolint:gosec // not negative
			}
		}
	}
	return m, all.Err()
}
