package block

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/format"
)

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
		c.leave(rows, n)
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
	c.levels, c.values, c.data, c.ends, c.weighed = c.levels[:0], c.values[:0], c.data[:0], c.ends[:0], 0
	c.rowsTotal += int64(rows)
	return nil
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
// together before they are copied (see fileMaker.page).
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
	c.sums = append(c.sums, checksum(w.header))
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

// appendLevels appends definition levels of one bit in Parquet's hybrid of runs
// and bit packing.
func appendLevels(dst, levels []byte) ([]byte, error) {
	return appendEncoded(dst, levels, (&rle.Encoding{BitWidth: 1}).EncodeLevels)
}
