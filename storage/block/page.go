package block

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/plain"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// values is the values of one page or dictionary, in the form that the column's kind
// and encoding have.
type values struct {
	n       int      // rows
	levels  []byte   // 1 where there is a value; nil: everywhere
	indexes []int32  // into the dictionary, where the page uses it
	ints    []int64  // kindInt64, kindInt32, kindTime, kindDuration, kindBool, kindDouble (bits)
	data    []byte   // kindText, kindEnum, kindJSON by ends; kindID8, kindTraceID, kindUUID by their size
	ends    []uint32 // ends[i] to ends[i+1] is value i
	width   int
	spare   arrays
}

// count is how many values there are.
func (v *values) count() int {
	switch {
	case v.indexes != nil:
		return len(v.indexes)
	case v.ints != nil:
		return len(v.ints)
	case v.width > 0:
		return len(v.data) / v.width
	case len(v.ends) > 0:
		return len(v.ends) - 1
	default:
		return 0
	}
}

// reset empties v for n rows and puts its arrays by.
func (v *values) reset(n int) {
	*v = values{n: n, spare: arrays{keep(v.levels, v.spare.levels), keep(v.indexes, v.spare.indexes), keep(v.ints, v.spare.ints), keep(v.data, v.spare.data), keep(v.ends, v.spare.ends)}}
}

// arrays is what a page before has left.
type arrays struct {
	levels  []byte
	indexes []int32
	ints    []int64
	data    []byte
	ends    []uint32
}

// keep is the one of two arrays that was used.
func keep[T any](used, spare []T) []T {
	if used != nil {
		return used[:0]
	}
	return spare[:0]
}

// room is an empty array for n values and what a decoder writes beyond.
func room[T any](spare []T, n int) []T {
	const beyond = 64
	if cap(spare) < n+beyond {
		return make([]T, 0, n+n/4+beyond)
	}
	return spare[:0]
}

func (v *values) text(i int) []byte { return v.data[v.ends[i]:v.ends[i+1]] }

// scratch is the buffers of one who reads pages.
type scratch struct {
	zstd   *zstd.Decoder
	stored []byte
	raw    []byte
}

// dictionary reads a column's dictionary.
func (f *file) dictionary(s *scratch, c *fileColumn) (v *values, err error) {
	defer guard(&err)
	if c.dict.size == 0 {
		return &values{}, nil
	}
	h, body, err := f.readPage(s, c, c.dict, 0)
	if err != nil {
		return nil, fmt.Errorf("dictionary of %s: %w", c.name, err)
	}
	if h.Type != format.DictionaryPage || h.DictionaryPageHeader.V.NumValues < 0 {
		return nil, fmt.Errorf("dictionary of %s: page is of type %v", c.name, h.Type)
	}
	v = &values{n: int(h.DictionaryPageHeader.V.NumValues)}
	if v.n > len(body) { // before there is room made for as many
		return nil, fmt.Errorf("dictionary of %s: %d values in %d bytes", c.name, v.n, len(body))
	}
	if err := v.decode(c, format.Plain, body, v.n); err != nil {
		return nil, fmt.Errorf("dictionary of %s: %w", c.name, err)
	}
	return v, nil
}

// page reads page i of a column into v, whose arrays serve again.
func (f *file) page(s *scratch, c *fileColumn, i int, v *values) (err error) {
	defer guard(&err)
	h, body, err := f.readPage(s, c, c.pages[i], i+1)
	if err != nil {
		return fmt.Errorf("page %d of %s: %w", i, c.name, err)
	}
	if h.Type != format.DataPage || int(h.DataPageHeader.V.NumValues) != f.pageLen(i) {
		return fmt.Errorf("page %d of %s: it is not a data page of %d rows", i, c.name, f.pageLen(i))
	}
	v.reset(f.pageLen(i))
	n := v.n
	if !c.required {
		if body, n, err = v.decodeLevels(body); err != nil {
			return fmt.Errorf("page %d of %s: levels: %w", i, c.name, err)
		}
	}
	if err := v.decode(c, h.DataPageHeader.V.Encoding, body, n); err != nil {
		return fmt.Errorf("page %d of %s: %w", i, c.name, err)
	}
	return nil
}

// readPage reads a page's header and its body, uncompressed. The body is valid until s is
// used again. sum is where the header's checksum stands.
func (f *file) readPage(s *scratch, c *fileColumn, l pageLocation, sum int) (*format.PageHeader, []byte, error) {
	if l.size <= 0 || l.size > maxPage {
		return nil, nil, fmt.Errorf("it has %d bytes", l.size)
	}
	if cap(s.stored) < int(l.size) {
		s.stored = make([]byte, l.size+l.size/4)
	}
	b := s.stored[:l.size]
	if _, err := f.f.ReadAt(b, l.offset); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, nil, err
	}
	var h format.PageHeader
	r := new(thrift.CompactProtocol).NewReaderFromBytes(b)
	if err := thrift.NewDecoder(r).Decode(&h); err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	if c.sums != nil && checksum(b[:r.BytesRead()]) != c.sums[sum] {
		return nil, nil, fmt.Errorf("header: %w", errChecksum)
	}
	body := b[r.BytesRead():]
	if int(h.CompressedPageSize) != len(body) || h.UncompressedPageSize < 0 || h.UncompressedPageSize > maxPage {
		return nil, nil, errors.New("header names another size")
	}
	if crc32.ChecksumIEEE(body) != uint32(h.CRC) {
		return nil, nil, errChecksum
	}
	switch c.codec {
	case format.Uncompressed:
		return &h, body, nil
	case format.Zstd:
		raw, err := s.zstd.DecodeAll(body, s.raw[:0])
		if err != nil {
			return nil, nil, err
		}
		if s.raw = raw; len(raw) != int(h.UncompressedPageSize) {
			return nil, nil, errors.New("header names another size")
		}
		return &h, raw, nil
	default:
		return nil, nil, fmt.Errorf("compression %v is not used by this store", c.codec)
	}
}

// decodeLevels reads the levels that come before the values, and says how many
// values there are.
func (v *values) decodeLevels(body []byte) ([]byte, int, error) {
	if len(body) < 4 {
		return nil, 0, io.ErrUnexpectedEOF
	}
	size := int(binary.LittleEndian.Uint32(body))
	if size > len(body)-4 {
		return nil, 0, io.ErrUnexpectedEOF
	}
	levels, err := (&rle.Encoding{BitWidth: 1}).DecodeLevels(room(v.spare.levels, v.n), body[4:4+size])
	if err != nil {
		return nil, 0, err
	}
	if len(levels) < v.n {
		return nil, 0, io.ErrUnexpectedEOF
	}
	v.levels = levels[:v.n]
	n := 0
	for _, l := range v.levels {
		n += int(l & 1)
	}
	return body[4+size:], n, nil
}

// decode reads n values.
func (v *values) decode(c *fileColumn, enc format.Encoding, b []byte, n int) (err error) {
	if n == 0 {
		return nil
	}
	switch enc {
	case format.RLEDictionary:
		v.indexes, err = (&rle.DictionaryEncoding{}).DecodeInt32(room(v.spare.indexes, n), b)
		if err == nil && len(v.indexes) >= n {
			v.indexes = v.indexes[:n]
		}
	case format.DeltaBinaryPacked:
		err = v.decodeDelta(c, b, n)
	case format.DeltaLengthByteArray:
		v.data, v.ends, err = (&delta.LengthByteArrayEncoding{}).DecodeByteArray(room(v.spare.data, len(b)), b, room(v.spare.ends, n))
	case format.Plain:
		err = v.decodePlain(c, b, n)
	default:
		return fmt.Errorf("encoding %v is not used by this store", enc)
	}
	if err != nil {
		return err
	}
	if v.count() != n {
		return fmt.Errorf("it holds %d values instead of %d", v.count(), n)
	}
	return nil
}

func (v *values) decodeDelta(c *fileColumn, b []byte, n int) error {
	if c.kind != kindInt32 {
		var err error
		v.ints, err = (&delta.BinaryPackedEncoding{}).DecodeInt64(room(v.spare.ints, n), b)
		return err
	}
	ints, err := (&delta.BinaryPackedEncoding{}).DecodeInt32(make([]int32, 0, n+64), b)
	v.ints = room(v.spare.ints, len(ints))
	for _, x := range ints {
		v.ints = append(v.ints, int64(x))
	}
	return err
}

func (v *values) decodePlain(c *fileColumn, b []byte, n int) (err error) {
	switch c.kind {
	case kindTraceID, kindUUID, kindID8:
		if v.width = 16; c.kind == kindID8 {
			v.width = 8
		}
		v.data = v.spare.data[:0]
		v.data = append(v.data, b...)
	case kindBool:
		v.ints = room(v.spare.ints, n)
		if len(b) < (n+7)/8 {
			return io.ErrUnexpectedEOF
		}
		for i := range n {
			v.ints = append(v.ints, int64(b[i/8]>>(i%8)&1))
		}
	case kindInt32:
		v.ints = room(v.spare.ints, n)
		for ; len(b) >= 4; b = b[4:] {
			v.ints = append(v.ints, int64(int32(binary.LittleEndian.Uint32(b))))
		}
	case kindInt64, kindDuration, kindTime, kindDouble:
		v.ints = room(v.spare.ints, n)
		for ; len(b) >= 8; b = b[8:] {
			v.ints = append(v.ints, int64(binary.LittleEndian.Uint64(b)))
		}
	default:
		if n > len(b)/4 {
			return io.ErrUnexpectedEOF
		}
		v.data, v.ends, err = (&plain.Encoding{}).DecodeByteArray(room(v.spare.data, len(b)), b, room(v.spare.ends, n))
	}
	return err
}
