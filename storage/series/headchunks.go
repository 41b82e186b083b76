package series

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/prometheus/prometheus/tsdb/chunks"
)

// Files of chunks of the newest block.
//
// The problem: what they hold is in the write-ahead log too, so that damage here costs nothing; but the database takes from the log only what is newer than
// a series' newest chunk. It ends a file at the first chunk of zeros, and reads the next file all the same: what is behind the zeros
// is then neither in chunks nor taken from the log. And some lengths make it panic.
//
// The rule: of the first file that is damaged, and all after it, none is used. They are set aside, and the log has what they held. A file
// that ends in zeros and is not the newest may have been made so, with room that it did not need, or may have lost chunks: it is not used either, and
// removed, as it tells nothing. So that this is rare, the newest file's zeros are cut off when the database is opened.

const (
	headChunkHead = 8                  // of a file: magic, version, padding
	headChunkMeta = 8 * 3              // of a chunk: series, first and last time
	headChunkRest = 1 + 1 + crc32.Size // of a chunk, at the least: encoding, length, checksum
)

// errZeros says that a file of chunks ends in zeros.
var errZeros = errors.New("it ends in zeros")

// headChunkFiles are the files of chunks in order of their numbers.
func headChunkFiles(dir string) (paths []string, numbers []int, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	names := map[int]string{}
	for _, e := range entries {
		if n, err := strconv.ParseUint(e.Name(), 10, 32); err == nil && !e.IsDir() {
			numbers = append(numbers, int(n))
			names[int(n)] = filepath.Join(dir, e.Name())
		}
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		paths = append(paths, names[n])
	}
	return paths, numbers, nil
}

// eachHeadChunk tells of the chunks that can be read.
func eachHeadChunk(dir string, tell func(ref uint64, from, to int64)) error {
	paths, _, err := headChunkFiles(dir)
	if err != nil {
		return err
	}
	for _, path := range paths {
		if _, err := readHeadChunks(path, tell); err != nil && environmental(err) {
			return err
		}
	}
	return nil
}

// readHeadChunks reads a file of chunks, and says where the last that is whole ends and why it is not the file's end. That may be
// errZeros, or io.ErrUnexpectedEOF of a file that ends within a chunk.
func readHeadChunks(path string, tell func(ref uint64, from, to int64)) (end int64, err error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return readChunks(f, tell)
}

func readChunks(f io.Reader, tell func(ref uint64, from, to int64)) (end int64, err error) {
	r := bufio.NewReaderSize(f, 128<<10)
	var head [headChunkHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, cut(err)
	}
	if binary.BigEndian.Uint32(head[:]) != chunks.MagicHeadChunks || head[4] != 1 || !zero(head[5:]) {
		return 0, errors.New("its head is not one of head chunks")
	}
	end = headChunkHead
	var b []byte
	for {
		switch _, err := r.Peek(1); {
		case errors.Is(err, io.EOF):
			return end, nil
		case err != nil:
			return end, err
		}
		if b, err = readHeadChunk(r, b[:0]); err != nil {
			if zero(b) && (errors.Is(err, errNoChunk) || errors.Is(err, io.ErrUnexpectedEOF)) {
				rest, err := onlyZeros(r)
				if err != nil {
					return end, err
				}
				if rest {
					return end, errZeros
				}
			}
			if errors.Is(err, io.ErrUnexpectedEOF) {
				return end, err
			}
			return end, fmt.Errorf("the chunk at byte %d: %w", end, err)
		}
		if tell != nil {
			tell(binary.BigEndian.Uint64(b), int64(binary.BigEndian.Uint64(b[8:])), int64(binary.BigEndian.Uint64(b[16:])))
		}
		end += int64(len(b))
	}
}

var errNoChunk = errors.New("it does not match its checksum")

// readHeadChunk appends a chunk to b.
func readHeadChunk(r *bufio.Reader, b []byte) ([]byte, error) {
	b = slices.Grow(b, headChunkMeta+headChunkRest)
	n, err := io.ReadFull(r, b[:headChunkMeta+1])
	b = b[:n]
	if err != nil {
		return b, cut(err)
	}
	for shift := 0; ; shift++ {
		c, err := r.ReadByte()
		if err != nil {
			return b, cut(err)
		}
		b = append(b, c)
		if c < 0x80 {
			break
		}
		if shift == chunks.MaxChunkLengthFieldSize {
			return b, errNoChunk
		}
	}
	size, _ := binary.Uvarint(b[headChunkMeta+1:])
	if size > chunks.MaxHeadChunkFileSize {
		return b, errNoChunk
	}
	body := len(b) + int(size)
	for len(b) < body+crc32.Size { // by parts: the length may be nonsense
		part := min(64<<10, body+crc32.Size-len(b))
		b = slices.Grow(b, part)
		n, err := io.ReadFull(r, b[len(b):len(b)+part])
		b = b[:len(b)+n]
		if err != nil {
			return b, cut(err)
		}
	}
	if crc32.Checksum(b[:body], castagnoli()) != binary.BigEndian.Uint32(b[body:]) || binary.BigEndian.Uint64(b) == 0 {
		return b, errNoChunk
	}
	return b, nil
}

func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

func onlyZeros(r *bufio.Reader) (bool, error) {
	for {
		c, err := r.ReadByte()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil || c != 0 {
			return false, err
		}
	}
}

// chunks looks at the files of chunks. Where the log has lost records they may hold what it lacks.
func (o *opener) chunks(lost bool) error {
	paths, numbers, err := headChunkFiles(filepath.Join(o.dir, "chunks_head"))
	if err != nil {
		return err
	}
	for i, path := range paths {
		end, err := readHeadChunks(path, nil)
		newest := i == len(paths)-1
		switch {
		case err == nil && i > 0 && numbers[i] != numbers[i-1]+1:
			err = fmt.Errorf("%d files before it are gone", numbers[i]-numbers[i-1]-1)
		case err == nil:
			continue
		case environmental(err):
			return err
		case newest && (errors.Is(err, errZeros) || errors.Is(err, io.ErrUnexpectedEOF)):
			// What comes behind is in the log, and is put into a file of its own.
			if end == 0 {
				return os.Remove(path)
			}
			return os.Truncate(path, end)
		}
		return o.withoutChunks(paths[i:], err, lost)
	}
	return nil
}

// withoutChunks takes files away, the first for a reason.
func (o *opener) withoutChunks(paths []string, cause error, lost bool) error {
	for i, path := range slices.Backward(paths) { // so that none is ever missing between others
		reason := cause
		switch {
		case errors.Is(cause, errZeros) && !lost:
			o.log.Info("chunks of the newest hours are made again from the write-ahead log: a file of theirs ends in zeros, and may lack some", "file", path)
			if err := os.Remove(path); err != nil {
				return err
			}
			continue
		case i > 0:
			reason = fmt.Errorf("%s, before it, is damaged", filepath.Base(paths[0]))
		}
		n := note{Reason: reason.Error(), From: math.MinInt64, To: o.now().UnixMilli(), Whole: !lost}
		if err := o.setNoted(path, "chunks_head-"+filepath.Base(path), &n, reason); err != nil {
			return err
		}
	}
	return nil
}
