package series

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// recordsOf are the records of a log's file, by their checksums.
func recordsOf(t *testing.T, b []byte, newest bool) (all []uint32, flaws []flaw, torn bool) {
	t.Helper()
	r := newFrames(int64(len(b)), newest, func(rec []byte) error {
		all = append(all, crc32.ChecksumIEEE(rec))
		return nil
	})
	torn, err := r.read(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return all, r.flaws, torn
}

// within says whether some is a part of all, in order.
func within(some, all []uint32) bool {
	for _, r := range some {
		i := slices.Index(all, r)
		if i < 0 {
			return false
		}
		all = all[i+1:]
	}
	return true
}

// Whatever byte of a file of the write-ahead log becomes whatever else, what is given are records that were written, in their order, all but one or two, and what
// is missing is told; and a chunk of the newest block is given as it was or not at all. This is what repair and verify go by.
func TestEveryByteOfFrames(t *testing.T) {
	t.Parallel()
	base, _ := logDirectory(t)
	rnd := rand.New(rand.NewPCG(5, 6)) //nolint:gosec // a test's chance
	stride := 151
	if os.Getenv(everyByte) != "" {
		stride = 1
	}
	var files []string
	for _, of := range []string{"wal/0*", "wal/checkpoint.*/0*"} {
		found, err := filepath.Glob(filepath.Join(base, of))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	tried, told := 0, 0
	for _, path := range files {
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want, flaws, torn := recordsOf(t, whole, false)
		if len(flaws) > 0 || torn || len(whole) > 0 && len(want) == 0 {
			t.Fatalf("%s: %d records, %v", path, len(want), flaws)
		}
		heads := framesOf(whole)
		for at := range whole {
			i, _ := slices.BinarySearch(heads, at+1)
			head := i > 0 && at-heads[i-1] < frameBytes
			telling := head && (i%31 == 0 || i >= len(heads)-1)
			if at%stride != 0 && !telling {
				continue
			}
			flips := []byte{1 << (at % 8), byte(1 + rnd.IntN(255))}
			if head {
				flips = append(flips, 1, 2, 3, 4, 5, 6, 7, 8, 16, 24, 128)
			}
			for _, by := range flips {
				for _, newest := range []bool{false, true} {
					bad := slices.Clone(whole)
					bad[at] ^= by
					got, flaws, torn := recordsOf(t, bad, newest)
					tried++
					lost := slices.ContainsFunc(flaws, func(f flaw) bool { return f.lost })
					switch {
					case !within(got, want) || len(got) < len(want)-2:
						t.Errorf("%s, byte %d of %d ^ %#x: of %d records %d are given: %v", filepath.Base(path), at, len(whole), by, len(want), len(got), flaws)
					case len(got) < len(want) && !lost, torn && len(got) < len(want):
						t.Errorf("%s, byte %d of %d ^ %#x: of %d records %d are given, and nothing is told (torn: %v)", filepath.Base(path), at, len(whole), by, len(want), len(got), torn)
					case len(flaws) == 0:
						t.Errorf("%s, byte %d of %d ^ %#x: it is not noticed", filepath.Base(path), at, len(whole), by)
					}
					if lost {
						told++
					}
				}
			}
		}
	}
	t.Logf("%d changes of %d files, %d of them told as a loss", tried, len(files), told)
	if told < tried/4 {
		t.Error("few are told")
	}
	chunkFiles, _, err := headChunkFiles(filepath.Join(base, "chunks_head"))
	if err != nil || len(chunkFiles) < 2 {
		t.Fatal(chunkFiles, err)
	}
	chunks := 0
	for _, path := range chunkFiles {
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		whole = bytes.TrimRight(whole, "\x00")
		list := func(b []byte) (all []string, err error) {
			_, err = readChunks(bytes.NewReader(b), func(ref uint64, from, to int64) { all = append(all, fmt.Sprint(ref, from, to)) })
			return all, err
		}
		want, err := list(append(whole, make([]byte, 4)...))
		if err != nil && !errors.Is(err, errZeros) {
			t.Fatal(want, err)
		}
		chunks += len(want)
		whole = append(whole, make([]byte, 100)...) // what is left of the room that was made
		for at := range len(whole) - 100 {
			bad := slices.Clone(whole)
			bad[at] ^= byte(1 + rnd.IntN(255))
			if got, err := list(bad); err == nil || errors.Is(err, errZeros) || len(got) > len(want) || !slices.Equal(got, want[:len(got)]) {
				t.Errorf("%s, byte %d of %d: %d of %d chunks, %v", filepath.Base(path), at, len(whole), len(got), len(want), err)
			}
		}
	}
	if chunks < len(chunkFiles) {
		t.Errorf("there are only %d chunks", chunks)
	}
}
