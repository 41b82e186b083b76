package block

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"strconv"

	"github.com/parquet-go/parquet-go/bloom"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// parquetFile is what a file is made of: one row group, its columns one after
// the other, then the bloom filter over trace ids, the page indexes and the
// footer.
type parquetFile struct {
	columns []*columnWriter // in the file's order, trace_id first
	rows    int64
	bloom   bloom.SplitBlockFilter
	meta    meta
}

// offsetWriter counts what passes.
type offsetWriter struct {
	w   io.Writer
	at  int64
	sum *uint32 // takes the checksum of what passes, where it is set
}

func (w *offsetWriter) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	w.at += int64(n)
	if w.sum != nil {
		*w.sum = crc32.Update(*w.sum, castagnoli, p[:n])
	}
	return n, err
}

// create writes the file and makes it durable. The directory is the caller's
// to sync. It returns the file's size.
func (f *parquetFile) create(path string, pw *pageWriter) (size int64, err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return 0, err
	}
	defer func() {
		if e := file.Close(); err == nil {
			err = e
		}
	}()
	buf := bufio.NewWriterSize(file, 64<<10)
	w := &offsetWriter{w: buf}
	if err := f.write(w, pw); err != nil {
		return 0, err
	}
	if err := buf.Flush(); err != nil {
		return 0, err
	}
	return w.at, file.Sync()
}

const magic = "PAR1"

// version is that of the least format in which the file can be read. Readers of the first take for granted that all pages but the
// last have pageRows rows, and that no page goes without a dictionary of at most maxDict entries.
func (f *parquetFile) version() int {
	for i, p := range f.columns[0].pages {
		if p.FirstRowIndex != int64(i)*pageRows {
			return formatVersion
		}
	}
	for _, c := range f.columns {
		if c.leftEarly && c.dataPages[1] > 0 {
			return formatVersion
		}
	}
	return 1
}

func (f *parquetFile) write(w *offsetWriter, pw *pageWriter) error {
	if _, err := io.WriteString(w, magic); err != nil {
		return err
	}
	var sums checks
	group := format.RowGroup{NumRows: f.rows, FileOffset: w.at, SortingColumns: []format.SortingColumn{{ColumnIdx: 0}, {ColumnIdx: f.startColumn()}}}
	for _, c := range f.columns {
		chunk, err := c.write(w, pw)
		if err != nil {
			return err
		}
		sums.headers = append(sums.headers, c.sums)
		group.Columns = append(group.Columns, chunk)
		group.TotalByteSize += chunk.MetaData.TotalUncompressedSize
		group.TotalCompressedSize += chunk.MetaData.TotalCompressedSize
	}
	w.sum = &sums.bloom
	if err := f.writeBloom(w, &group.Columns[0].MetaData); err != nil {
		return err
	}
	if err := f.writeIndexes(w, &group, &sums); err != nil {
		return err
	}
	w.sum = nil
	return f.writeFooter(w, group, sums.append(nil))
}

func (f *parquetFile) startColumn() int32 {
	for i, c := range f.columns {
		if c.id == colStart {
			return int32(i)
		}
	}
	return 0
}

// write writes the column's pages and describes them.
func (c *columnWriter) write(w *offsetWriter, pw *pageWriter) (format.ColumnChunk, error) {
	m := format.ColumnMetaData{
		Type: c.physical(), PathInSchema: []string{c.name}, Codec: c.codec,
		NumValues: c.rowsTotal, Encoding: c.encodings(), Statistics: format.Statistics{NullCount: c.nulls},
	}
	begin := w.at
	if len(c.dict.keys) > 0 {
		m.DictionaryPageOffset = w.at
		page := pw.dictionaryPage(c)
		c.sums[0] = checksum(pw.header)
		if _, err := w.Write(page); err != nil {
			return format.ColumnChunk{}, err
		}
	}
	m.DataPageOffset = w.at
	for i := range c.pages {
		c.pages[i].Offset += w.at
	}
	if _, err := w.Write(c.out); err != nil {
		return format.ColumnChunk{}, err
	}
	m.TotalCompressedSize, m.TotalUncompressedSize = w.at-begin, c.rawSize
	switch {
	case c.kind == kindTraceID && len(c.bounds) > 0:
		m.Statistics.MinValue, m.Statistics.MaxValue = c.bounds[0][0], c.bounds[len(c.bounds)-1][1]
	case c.hasMinMax:
		m.Statistics.MinValue, m.Statistics.MaxValue = c.plainInt(c.min), c.plainInt(c.max)
	}
	return format.ColumnChunk{MetaData: m}, nil
}

func (c *columnWriter) plainInt(v int64) []byte {
	if c.kind == kindInt32 {
		return binary.LittleEndian.AppendUint32(nil, uint32(v))
	}
	return binary.LittleEndian.AppendUint64(nil, uint64(v))
}

func (c *columnWriter) encodings() []format.Encoding {
	var e []format.Encoding
	if !c.required {
		e = append(e, format.RLE)
	}
	if len(c.dict.keys) > 0 {
		e = append(e, format.Plain, format.RLEDictionary)
	}
	if c.dataPages[1] > 0 && (c.plainEnc != format.Plain || len(c.dict.keys) == 0) {
		e = append(e, c.plainEnc)
	}
	return e
}

func (c *columnWriter) physical() format.Type {
	switch c.kind {
	case kindInt32:
		return format.Int32
	case kindInt64, kindDuration, kindTime:
		return format.Int64
	case kindDouble:
		return format.Double
	case kindBool:
		return format.Boolean
	case kindID8, kindTraceID, kindUUID:
		return format.FixedLenByteArray
	default:
		return format.ByteArray
	}
}

func (f *parquetFile) writeBloom(w *offsetWriter, m *format.ColumnMetaData) error {
	h := format.BloomFilterHeader{NumBytes: int32(len(f.bloom.Bytes()))}
	h.Algorithm.Value = &format.SplitBlockAlgorithm{}
	h.Hash.Value = &format.XxHash{}
	h.Compression.Value = &format.BloomFilterUncompressed{}
	m.BloomFilterOffset = w.at
	if err := writeThrift(w, &h); err != nil {
		return err
	}
	if _, err := w.Write(f.bloom.Bytes()); err != nil {
		return err
	}
	m.BloomFilterLength = int32(w.at - m.BloomFilterOffset)
	return nil
}

// writeIndexes writes the column index of trace_id, by whose bounds a reader finds a
// trace's page, and the offset index of all columns. The rows being sorted by
// trace id, bounds of any other column would tell nothing.
func (f *parquetFile) writeIndexes(w *offsetWriter, g *format.RowGroup, sums *checks) error {
	w.sum = &sums.bounds
	ci := format.ColumnIndex{BoundaryOrder: format.Ascending}
	for _, b := range f.columns[0].bounds {
		ci.NullPages = append(ci.NullPages, false)
		ci.MinValues = append(ci.MinValues, b[0])
		ci.MaxValues = append(ci.MaxValues, b[1])
		ci.NullCounts = append(ci.NullCounts, 0)
	}
	g.Columns[0].ColumnIndexOffset = w.at
	if err := writeThrift(w, &ci); err != nil {
		return err
	}
	g.Columns[0].ColumnIndexLength = int32(w.at - g.Columns[0].ColumnIndexOffset)
	w.sum = &sums.locations
	for i, c := range f.columns {
		g.Columns[i].OffsetIndexOffset = w.at
		if err := writeThrift(w, &format.OffsetIndex{PageLocations: c.pages}); err != nil {
			return err
		}
		g.Columns[i].OffsetIndexLength = int32(w.at - g.Columns[i].OffsetIndexOffset)
	}
	return nil
}

// writeFooter writes the checks, then what ends the file.
func (f *parquetFile) writeFooter(w *offsetWriter, g format.RowGroup, sums []byte) error {
	root := format.SchemaElement{Name: "binnacle"}
	root.NumChildren.Set(int32(len(f.columns)))
	fm := format.FileMetaData{
		Version: 2, NumRows: f.rows, RowGroups: []format.RowGroup{g}, CreatedBy: "binnacle",
		Schema:           []format.SchemaElement{root},
		KeyValueMetadata: []format.KeyValue{{Key: "binnacle.format", Value: strconv.Itoa(f.version())}, {Key: checksKey, Value: "1"}},
	}
	for _, c := range f.columns {
		fm.Schema = append(fm.Schema, c.element())
		fm.ColumnOrders = append(fm.ColumnOrders, format.ColumnOrder{Value: &format.TypeDefinedOrder{}})
	}
	for _, m := range f.meta.fields() {
		fm.KeyValueMetadata = append(fm.KeyValueMetadata, format.KeyValue{Key: m.name, Value: m.value.String()})
	}
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &fm)
	if err != nil {
		return fmt.Errorf("encode parquet metadata: %w", err)
	}
	end := slices.Concat(sums, trailer(sums, footer), footer)
	end = binary.LittleEndian.AppendUint32(end, uint32(len(footer)))
	_, err = w.Write(append(end, magic...))
	return err
}

// element describes the column in the file's schema.
func (c *columnWriter) element() format.SchemaElement {
	e := format.SchemaElement{Name: c.name}
	e.Type.Set(c.physical())
	e.RepetitionType.Set(format.Optional)
	if c.required {
		e.RepetitionType.Set(format.Required)
	}
	switch c.kind {
	case kindText, kindEnum:
		e.LogicalType.Value = &format.StringType{}
		e.ConvertedType.Set(deprecated.UTF8)
	case kindJSON:
		e.LogicalType.Value = &format.JsonType{}
		e.ConvertedType.Set(deprecated.Json)
	case kindTime:
		e.LogicalType.Value = &format.TimestampType{IsAdjustedToUTC: true, Unit: format.TimeUnit{Value: &format.NanoSeconds{}}}
	case kindTraceID:
		e.TypeLength.Set(16)
	case kindUUID:
		e.TypeLength.Set(16)
		e.LogicalType.Value = &format.UUIDType{}
	case kindID8:
		e.TypeLength.Set(8)
	default:
	}
	return e
}

func writeThrift(w io.Writer, v any) error {
	b, err := thrift.Marshal(new(thrift.CompactProtocol), v)
	if err != nil {
		return fmt.Errorf("encode parquet metadata: %w", err)
	}
	_, err = w.Write(b)
	return err
}
