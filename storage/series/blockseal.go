package series

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/tsdb"
)

// The problem. The database holds a block's index, chunks and tombstones against checksums, most of them when they are read. What says which block that is has none: a digit
// changed in meta.json makes questions leave the block out, makes a start drop what the write-ahead log has of newer samples, or has the database remove other blocks as too old
// or as replaced. And a file of chunks that is short is noticed only when somebody asks for what is cut off.
//
// The seal is a file of ours in the block's directory, drawn in docs/format/series.md. It says again what meta.json says and what files there are, under a checksum.
//
//  1. Whoever makes a block seals it at once, before the blocks that it replaces go (blockmade.go).
//  2. A start compares (blockproof.go). Where the seal is whole, meta.json is put right by it: nothing is lost. A file that is not as long as it was sets the block aside.
//  3. Where there is no seal, or a damaged one, the block is proven by its index, and sealed again.
//
// The database itself writes meta.json anew: that a compaction failed, that the block may go, how many tombstones it has. Those are not sealed; no byte that changes makes a
// block go by them. A checksum of meta.json's bytes would set sound blocks aside, which is why the seal is over what it says.

const (
	sealName   = "binnacle.seal"
	indexName  = "index"
	chunksName = "chunks"
	stonesName = "tombstones"
	sumDigits  = 8 // of a CRC-32C, in hexadecimal
)

// A seal is what a block was when it was made.
type seal struct {
	Meta  tsdb.BlockMeta `json:"meta"` // without what the database changes later, see lasting
	Files []sealed       `json:"files"`
}

// sealed is a file of a block. Those that never change are sealed: the index and the chunks.
type sealed struct {
	Name  string `json:"name"` // below the block's directory
	Bytes int64  `json:"bytes"`
	// Sum is the CRC-32C of all bytes, for verify; empty where the block was sealed by a start, which does not read blocks whole.
	Sum string `json:"crc32c,omitempty"`
}

// lasting is what of a description never changes in a block's life.
func lasting(m tsdb.BlockMeta) tsdb.BlockMeta {
	m.Stats.NumTombstones, m.Compaction.Failed, m.Compaction.Deletable = 0, false, false
	return m
}

// equal says that two descriptions say the same.
func equal(a, b tsdb.BlockMeta) bool { return bytes.Equal(encoded(a), encoded(b)) }

// encoded is a description as the database writes it.
func encoded(m tsdb.BlockMeta) []byte {
	b, err := json.MarshalIndent(m, "", "\t")
	if err != nil { // there is nothing in it that has no JSON
		panic(err)
	}
	return b
}

// newSeal describes what is in a block's directory. Sums are taken where whole is set, which reads all of it.
func newSeal(dir string, m tsdb.BlockMeta, whole bool) (seal, error) {
	s := seal{Meta: lasting(m)}
	names, err := filepath.Glob(filepath.Join(dir, chunksName, "[0-9]*"))
	if err != nil {
		return s, err
	}
	for _, path := range append([]string{filepath.Join(dir, indexName)}, names...) {
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return s, err
		}
		f := sealed{Name: filepath.ToSlash(name)}
		if whole {
			f.Bytes, f.Sum, err = sumOf(path)
		} else {
			f.Bytes, err = sizeOf(path)
		}
		if err != nil {
			return s, err
		}
		s.Files = append(s.Files, f)
	}
	return s, nil
}

func sizeOf(path string) (int64, error) {
	st, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func sumOf(path string) (size int64, sum string, err error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return 0, "", err
	}
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	size, err = io.Copy(h, f)
	return size, hex(h.Sum32()), errors.Join(err, f.Close())
}

func hex(sum uint32) string {
	s := strconv.FormatUint(uint64(sum), 16)
	return strings.Repeat("0", sumDigits-len(s)) + s
}

// write makes the seal durable, all of it or nothing.
func (s seal) write(dir string) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return writeDurably(filepath.Join(dir, sealName), summed(b))
}

// summed is a line of JSON, and its checksum in a line of its own.
func summed(b []byte) []byte {
	b = append(b, '\n')
	return append(b, hex(crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))+"\n"...)
}

// unsummed is what was summed, or nothing where a byte of it is another.
func unsummed(b []byte) (json []byte, whole bool) {
	at := len(b) - sumDigits - 1
	if at <= 0 || string(b[at:]) != hex(crc32.Checksum(b[:at], crc32.MakeTable(crc32.Castagnoli)))+"\n" {
		return nil, false
	}
	return b[:at], true
}

var errSealDamaged = errors.New("its checksum does not match")

// readSeal returns fs.ErrNotExist where there is none, and errSealDamaged where it is not as it was written.
func readSeal(dir string) (seal, error) {
	var s seal
	b, err := os.ReadFile(filepath.Join(filepath.Clean(dir), sealName))
	if err != nil {
		return s, err
	}
	b, whole := unsummed(b)
	if !whole {
		return s, errSealDamaged
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("%w: %w", errSealDamaged, err)
	}
	return s, nil
}

// files compares the files that are there with those that were sealed; the error names the one that differs.
func (s seal) files(dir string, whole bool) error {
	now, err := newSeal(dir, s.Meta, false)
	if err != nil {
		return err
	}
	for i, f := range s.Files {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if i >= len(now.Files) || now.Files[i].Name != f.Name {
			return damage(path, errors.New("it is not there"))
		}
		if is := now.Files[i].Bytes; is != f.Bytes {
			return damage(path, fmt.Errorf("it is of %d bytes and was of %d", is, f.Bytes))
		}
		if !whole || f.Sum == "" {
			continue
		}
		switch _, sum, err := sumOf(path); {
		case err != nil:
			return err
		case sum != f.Sum:
			return damage(path, fmt.Errorf("its checksum is %s and was %s", sum, f.Sum))
		}
	}
	if len(now.Files) > len(s.Files) {
		return damage(filepath.Join(dir, now.Files[len(s.Files)].Name), errors.New("it was not there when the block was made"))
	}
	return nil
}

// writeDurably writes a file under another name and renames it, so that a crash leaves it whole or as it was.
func writeDurably(path string, b []byte) (err error) {
	temp := path + ".tmp"
	f, err := os.OpenFile(filepath.Clean(temp), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// damageError is what is wrong with one file of a block.
type damageError struct {
	file string
	err  error
}

func damage(file string, err error) error { return &damageError{file, err} }

func (e *damageError) Error() string { return e.file + ": " + e.err.Error() }
func (e *damageError) Unwrap() error { return e.err }
