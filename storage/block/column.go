package block

import (
	"encoding/binary"
	"hash/crc32"
	"math"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// A column writer turns one column's values into Parquet pages.
//
// The problem: parquet-go's own column writers take boxed values and hash each into
// the dictionary again, which costs more than all the rest of a block; the head has
// numbered its strings already.
//
// The form: values come as 64-bit numbers, a page at a time. At the end of the
// first page that has values, the column becomes a dictionary or not, by how often
// they repeat; the dictionary is a small table from the head's number to the column's. If the
// dictionary grows too long, later pages go without. All columns end their pages at
// the same rows, so a trace lies in one page, or two, of each.
//
// The encodings and the thrift structures are parquet-go's; the layout is that of
// parquet.thrift: data pages v1, so that the levels are compressed too.

const (
	pageRows = 4096
	// maxDict is how many entries a dictionary may have: past it a page's index
	// costs as much as the value.
	maxDict = 1 << 15
)

type mode uint8

const (
	modeUnknown mode = iota
	modeDict
	modePlain
)

// columnWriter is one column of one file while it is written.
type columnWriter struct {
	columnDef
	id       int
	attr     string // of a column of one attribute key: the key
	strings  stringsView
	mode     mode
	codec    format.CompressionCodec
	codecSet bool

	// The page that is being filled.
	levels []byte   // of an optional column: a byte a row, 1 where there is a value
	values []uint64 // those that are not null
	data   []byte   // of kindJSON, kindTraceID and kindUUID: the values end to end
	ends   []uint32 // of kindJSON

	// The pages so far.
	dict      dictionary
	out       []byte // headers and bodies
	pages     []format.PageLocation
	bounds    [][2][]byte // kindTraceID: least and greatest of each page
	min, max  int64       // of numbers
	nulls     int64
	pageNulls int64
	rowsTotal int64
	rawSize   int64
	dataPages [2]int32 // by mode: dictionary, plain
	plainEnc  format.Encoding
	hasMinMax bool
}

func (c *columnWriter) reset(def columnDef, id int, attr string, strings stringsView) {
	*c = columnWriter{
		columnDef: def, id: id, attr: attr, strings: strings,
		levels: c.levels[:0], values: c.values[:0], data: c.data[:0], ends: c.ends[:0],
		dict: c.dict, out: c.out[:0], pages: c.pages[:0],
		min: math.MaxInt64, max: math.MinInt64,
		codec: format.Zstd,
	}
	c.dict.reset()
	switch def.kind {
	case kindTraceID, kindUUID, kindID8, kindJSON, kindBool, kindTime, kindDuration:
		c.mode = modePlain
	default:
	}
	if def.kind == kindID8 || def.kind == kindUUID {
		c.codec, c.codecSet = format.Uncompressed, true // random bits
	}
}

// push gives row i of the page, which is beyond all before, a value. It says
// false where the row has one already. Rows passed over are null, or the first
// name of a required enum.
func (c *columnWriter) push(i int, v uint64) bool {
	if !c.required {
		if i < len(c.levels) {
			return false
		}
		for len(c.levels) < i {
			c.levels = append(c.levels, 0)
		}
		c.levels = append(c.levels, 1)
	} else if c.kind == kindEnum {
		c.fill(i)
	}
	c.values = append(c.values, v)
	return true
}

func (c *columnWriter) fill(n int) {
	for len(c.values) < n {
		c.values = append(c.values, 0)
	}
}

// pushBytes is push for kindJSON.
func (c *columnWriter) pushBytes(i int, v []byte) {
	c.levels = appendZeros(c.levels, i)
	c.levels = append(c.levels, 1)
	c.data = append(c.data, v...)
	c.ends = append(c.ends, uint32(len(c.data)))
}

// pushID is push for kindUUID.
func (c *columnWriter) pushID(i int, v []byte) {
	c.levels = append(appendZeros(c.levels, i), 1)
	c.data = append(c.data, v...)
}

func appendZeros(s []byte, n int) []byte {
	for len(s) < n {
		s = append(s, 0)
	}
	return s
}

// count is how many values the page has.
func (c *columnWriter) count() int {
	switch c.kind {
	case kindTraceID, kindUUID:
		return len(c.data) / 16
	case kindJSON:
		return len(c.ends)
	default:
		return len(c.values)
	}
}

// pageWriter is what all columns of a file share: the compressor and buffers.
type pageWriter struct {
	zstd    *zstd.Encoder
	body    []byte // of a page, not compressed
	packed  []byte
	header  []byte
	indexes []int32
	ints    []int64
	ends    []uint32
	text    []byte
	enc     headerEncoder
	touched byte // a sum that keeps the compiler from leaving out the touching
}

func newPageWriter() (*pageWriter, error) {
	// The fastest level costs 2 % in size and saves a third of what a log entry costs:
	// what encoding leaves over for the compressor are mostly digits of ids.
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(1<<20), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	return &pageWriter{zstd: z}, nil
}

// flush ends the page of rows rows.
func (w *pageWriter) flush(c *columnWriter, rows int) error {
	if c.required && c.kind == kindEnum {
		c.fill(rows)
	}
	n := c.count()
	if c.mode == modeUnknown && n > 0 {
		c.choose()
	}
	w.body = w.body[:0]
	if !c.required {
		c.levels = appendZeros(c.levels, rows)
		w.body = append(w.body, 0, 0, 0, 0)
		var err error
		if w.body, err = appendLevels(w.body, c.levels); err != nil {
			return err
		}
		binary.LittleEndian.PutUint32(w.body, uint32(len(w.body)-4))
	}
	m := c.mode
	if m == modeUnknown {
		m = modePlain // no values, nothing to encode
	}
	enc := format.RLEDictionary
	var err error
	if m == modeDict {
		w.indexes = c.dict.indexes(w.indexes[:0], c.values)
		if w.body, err = appendEncoded(w.body, w.indexes, (&rle.DictionaryEncoding{}).EncodeInt32); err != nil {
			return err
		}
		if len(c.dict.keys) > maxDict {
			c.mode = modePlain
		}
		c.dataPages[0]++
	} else {
		if enc, err = w.plain(c); err != nil {
			return err
		}
		c.plainEnc = enc
		c.dataPages[1]++
	}
	c.note(rows, n)
	if err := w.page(c, enc, rows); err != nil {
		return err
	}
	c.levels, c.values, c.data, c.ends = c.levels[:0], c.values[:0], c.data[:0], c.ends[:0]
	c.rowsTotal += int64(rows)
	return nil
}

// choose decides, by the first page's values, whether a dictionary pays.
func (c *columnWriter) choose() {
	c.mode = modeDict
	if c.kind == kindEnum {
		return
	}
	for _, v := range c.values {
		c.dict.index(v)
	}
	if distinct := len(c.dict.keys); distinct > 64 && 2*distinct > len(c.values) {
		c.mode = modePlain
		c.dict.reset()
	}
}

// note takes the page into the column's statistics.
func (c *columnWriter) note(rows, n int) {
	c.pageNulls = int64(rows - n)
	c.nulls += c.pageNulls
	switch c.kind {
	case kindTime, kindDuration, kindInt64, kindInt32:
		for _, v := range c.values {
			c.min, c.max = min(c.min, int64(v)), max(c.max, int64(v))
		}
		c.hasMinMax = c.hasMinMax || n > 0
	case kindTraceID:
		c.bounds = append(c.bounds, [2][]byte{append([]byte(nil), c.data[:16]...), append([]byte(nil), c.data[len(c.data)-16:]...)})
	default:
	}
}

// plain appends the page's values without a dictionary to body.
func (w *pageWriter) plain(c *columnWriter) (format.Encoding, error) {
	var err error
	switch c.kind {
	case kindTraceID, kindUUID:
		w.body = append(w.body, c.data...)
	case kindID8:
		for _, v := range c.values {
			w.body = binary.BigEndian.AppendUint64(w.body, v)
		}
	case kindDouble:
		for _, v := range c.values {
			w.body = binary.LittleEndian.AppendUint64(w.body, v)
		}
	case kindBool:
		for i, v := range c.values {
			if i%8 == 0 {
				w.body = append(w.body, 0)
			}
			w.body[len(w.body)-1] |= byte(v) << (i % 8)
		}
	case kindTime, kindDuration, kindInt64:
		w.ints = w.ints[:0]
		for _, v := range c.values {
			w.ints = append(w.ints, int64(v))
		}
		w.body, err = appendEncoded(w.body, w.ints, (&delta.BinaryPackedEncoding{}).EncodeInt64)
		return format.DeltaBinaryPacked, err
	case kindInt32:
		w.indexes = w.indexes[:0]
		for _, v := range c.values {
			w.indexes = append(w.indexes, int32(v))
		}
		w.body, err = appendEncoded(w.body, w.indexes, (&delta.BinaryPackedEncoding{}).EncodeInt32)
		return format.DeltaBinaryPacked, err
	case kindJSON:
		w.body, err = w.byteArrays(c.data, append(append(w.ends[:0], 0), c.ends...))
		return format.DeltaLengthByteArray, err
	default:
		w.texts(c)
		w.body, err = w.byteArrays(w.text, w.ends)
		return format.DeltaLengthByteArray, err
	}
	return format.Plain, nil
}

// texts gathers the page's strings. They lie anywhere in the head, and are touched
// together before they are copied (see sealing.page).
func (w *pageWriter) texts(c *columnWriter) {
	w.text, w.ends = w.text[:0], append(w.ends[:0], 0)
	var refs [touchAhead]strRef
	var sum byte
	for at := 0; at < len(c.values); at += touchAhead {
		some := c.values[at:min(at+touchAhead, len(c.values))]
		for i, v := range some {
			refs[i] = c.strings.refs[v/refRows][v%refRows]
		}
		for _, r := range refs[:len(some)] {
			if r.size > 0 {
				sum += c.strings.arena.at(r.ref)[0]
			}
		}
		for _, r := range refs[:len(some)] {
			if r.size > 0 {
				w.text = append(w.text, c.strings.arena.at(r.ref)[:r.size]...)
			}
			w.ends = append(w.ends, uint32(len(w.text)))
		}
	}
	w.touched = sum
}

func (w *pageWriter) byteArrays(data []byte, offsets []uint32) ([]byte, error) {
	w.ends = offsets
	// The encoder empties the buffer that it is given.
	enc, err := (&delta.LengthByteArrayEncoding{}).EncodeByteArray(w.packed[:0], data, offsets)
	w.packed = enc
	return append(w.body, enc...), err
}

// appendEncoded appends what encode, which empties its buffer, makes of src.
func appendEncoded[T any](dst []byte, src []T, encode func([]byte, []T) ([]byte, error)) ([]byte, error) {
	enc, err := encode(dst[len(dst):], src)
	if err != nil {
		return dst, err
	}
	return append(dst, enc...), nil
}

// page compresses body and appends it, with its header, to the column.
func (w *pageWriter) page(c *columnWriter, enc format.Encoding, rows int) error {
	raw := w.body
	body := raw
	if c.codec == format.Zstd {
		w.packed = w.zstd.EncodeAll(raw, w.packed[:0])
		if !c.codecSet && c.count() > 0 {
			c.codecSet = true
			// A dictionary of strings compresses even where the indexes do not, and the
			// pages that came before have been compressed.
			strings := c.mode == modeDict && c.kind == kindText
			if !strings && len(c.pages) == 0 && len(w.packed) > len(raw)-len(raw)/32 {
				c.codec = format.Uncompressed
			}
		}
		if c.codec == format.Zstd {
			body = w.packed
		}
	}
	w.header = w.enc.dataPage(w.header[:0], pageSizes{len(raw), len(body), crc32.ChecksumIEEE(body)}, rows, c.pageNulls, enc)
	c.pages = append(c.pages, format.PageLocation{
		Offset: int64(len(c.out)), CompressedPageSize: int32(len(w.header) + len(body)), FirstRowIndex: c.rowsTotal,
	})
	c.out = append(append(c.out, w.header...), body...)
	c.rawSize += int64(len(w.header) + len(raw))
	return nil
}

// dictionaryPage makes the column's dictionary page, header and body.
func (w *pageWriter) dictionaryPage(c *columnWriter) []byte {
	w.body = w.body[:0]
	for _, k := range c.dict.keys {
		switch c.kind {
		case kindText, kindEnum:
			var s []byte
			if c.kind == kindEnum {
				s = []byte(c.names[k])
			} else {
				s = c.strings.bytes(uint32(k))
			}
			w.body = binary.LittleEndian.AppendUint32(w.body, uint32(len(s)))
			w.body = append(w.body, s...)
		case kindInt32:
			w.body = binary.LittleEndian.AppendUint32(w.body, uint32(k))
		default:
			w.body = binary.LittleEndian.AppendUint64(w.body, k)
		}
	}
	body := w.body
	if c.codec == format.Zstd {
		w.packed = w.zstd.EncodeAll(w.body, w.packed[:0])
		body = w.packed
	}
	w.header = w.enc.dictionaryPage(w.header[:0], pageSizes{len(w.body), len(body), crc32.ChecksumIEEE(body)}, len(c.dict.keys))
	c.rawSize += int64(len(w.header) + len(w.body))
	return append(w.header, body...)
}

// dictionary numbers the distinct values of a column in the order in which they
// come.
type dictionary struct {
	keys  []uint64
	slots []uint32 // index+1, 0 is free; a power of two
}

func (d *dictionary) reset() {
	d.keys = d.keys[:0]
	clear(d.slots)
}

func (d *dictionary) indexes(dst []int32, values []uint64) []int32 {
	for i, v := range values {
		if i > 0 && v == values[i-1] {
			dst = append(dst, dst[i-1])
			continue
		}
		dst = append(dst, int32(d.index(v)))
	}
	return dst
}

func (d *dictionary) index(v uint64) uint32 {
	if 2*len(d.keys) >= len(d.slots) {
		d.grow()
	}
	mask := uint64(len(d.slots) - 1)
	for i := v * 0x9e3779b97f4a7c15 >> 32 & mask; ; i = (i + 1) & mask {
		s := d.slots[i]
		if s == 0 {
			d.keys = append(d.keys, v)
			d.slots[i] = uint32(len(d.keys))
			return uint32(len(d.keys) - 1)
		}
		if d.keys[s-1] == v {
			return s - 1
		}
	}
}

func (d *dictionary) grow() {
	d.slots = make([]uint32, max(64, 2*len(d.slots)))
	mask := uint64(len(d.slots) - 1)
	for k, v := range d.keys {
		i := v * 0x9e3779b97f4a7c15 >> 32 & mask
		for d.slots[i] != 0 {
			i = (i + 1) & mask
		}
		d.slots[i] = uint32(k + 1)
	}
}

// appendLevels appends definition levels of one bit in Parquet's hybrid of runs
// and bit packing.
func appendLevels(dst, levels []byte) ([]byte, error) {
	return appendEncoded(dst, levels, (&rle.Encoding{BitWidth: 1}).EncodeLevels)
}

type pageSizes struct {
	raw, stored int
	crc         uint32
}

// headerEncoder writes page headers.
type headerEncoder struct {
	protocol thrift.CompactProtocol
}

func (e *headerEncoder) encode(dst []byte, h *format.PageHeader) []byte {
	w := sliceWriter{dst}
	// Writing to memory does not fail.
	_ = thrift.NewEncoder(e.protocol.NewWriter(&w)).Encode(h)
	return w.b
}

func (e *headerEncoder) dataPage(dst []byte, s pageSizes, rows int, nulls int64, enc format.Encoding) []byte {
	h := format.PageHeader{Type: format.DataPage, UncompressedPageSize: int32(s.raw), CompressedPageSize: int32(s.stored), CRC: int32(s.crc)}
	h.DataPageHeader.Set(format.DataPageHeader{
		NumValues: int32(rows), Encoding: enc, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE,
		Statistics: format.Statistics{NullCount: nulls},
	})
	return e.encode(dst, &h)
}

func (e *headerEncoder) dictionaryPage(dst []byte, s pageSizes, n int) []byte {
	h := format.PageHeader{Type: format.DictionaryPage, UncompressedPageSize: int32(s.raw), CompressedPageSize: int32(s.stored), CRC: int32(s.crc)}
	h.DictionaryPageHeader.Set(format.DictionaryPageHeader{NumValues: int32(n), Encoding: format.Plain})
	return e.encode(dst, &h)
}

type sliceWriter struct{ b []byte }

func (w *sliceWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}
