package block

import (
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

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
