package block

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
	"sync/atomic"

	"github.com/binnacle-mesh/binnacle/internal/disk"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// A file reader reads pages of the files that the column writers wrote, straight into
// arrays. Bytes on disk may have rotted: each page has a checksum, every number is
// checked before it is used, and a panic out of a decoder that we have not written
// is an error at the boundary (guard).

const (
	maxFooter = 64 << 20
	maxPage   = 256 << 20 // a page ends soon after maxPageBytes; before 2026-11-28 with pageRows rows
)

// guard turns a panic of a decoder into an error.
func guard(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("decoder panicked: %v", r)
	}
}

// pageLocation is where a page lies.
type pageLocation struct {
	offset int64
	size   int32
	first  int64 // its first row
}

// fileColumn is a column of an open file.
type fileColumn struct {
	columnDef
	id    int // column number, or colDynamic
	attr  string
	codec format.CompressionCodec
	dict  pageLocation // size 0: none
	pages []pageLocation
	sums  []uint32 // of headers: the dictionary's, then each page's; nil in files that have none
	mixed bool     // pages without the dictionary may follow, however small it is
	nulls int64    // rows without a value; what the footer says, as the two below
	// least and most are the bounds of a number's column, where bounded.
	least, most int64
	bounded     bool
}

// file is an open file with its footer. It is read by many goroutines at once.
type file struct {
	f       disk.File
	rows    int64
	columns []fileColumn
	byID    []int          // index into columns by column number; -1 for none
	byAttr  map[string]int // by attribute key
	bounds  [][2][16]byte  // of trace ids by page
	meta    meta
	version string // of its format
	bloom   bloomLocation
	sums    *checks // nil in files of before 2026-11-28
	dicts   dicts
}

// bloomLocation is where the bits of a file's bloom filter lie; size 0 is none.
type bloomLocation struct {
	offset int64
	size   int64
	header int64 // how much lies before the bits
}

// zstdReader makes the decoder that all files share.
func zstdReader() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxPage), zstd.WithDecoderLowmem(true))
}

// openFile reads the footer and the page indexes.
func openFile(fsys disk.FS, path string, defs []columnDef) (_ *file, err error) {
	defer guard(&err)
	f, err := fsys.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	fm, saved, err := readFooter(f)
	if err != nil {
		return nil, fmt.Errorf("footer: %w", err)
	}
	kv := map[string]string{}
	for _, e := range fm.KeyValueMetadata {
		kv[e.Key] = e.Value
	}
	out := &file{f: f, rows: fm.NumRows, byAttr: map[string]int{}, byID: make([]int, len(defs)), version: kv["binnacle.format"]}
	if out.meta, err = parseMeta(kv); err != nil {
		return nil, err
	}
	if out.sums, err = readChecks(f, fm, saved); err != nil {
		return nil, fmt.Errorf("footer: %w", err)
	}
	if err := out.describe(fm, defs); err != nil {
		return nil, fmt.Errorf("footer: %w", err)
	}
	return out, nil
}

// readFooter reads the footer and what comes before it.
func readFooter(f disk.File) (_ *format.FileMetaData, saved savedTrailer, _ error) {
	length, err := f.Size()
	if err != nil {
		return nil, saved, err
	}
	var end [8]byte
	if length < int64(len(magic)+trailerSize+len(end)) {
		return nil, saved, fmt.Errorf("file has %d bytes, which is too short", length)
	}
	if _, err := f.ReadAt(end[:], length-8); err != nil {
		return nil, saved, err
	}
	size := int64(binary.LittleEndian.Uint32(end[:]))
	if string(end[4:]) != magic || size > length-12-trailerSize || size > maxFooter {
		return nil, saved, errors.New("file does not end like a Parquet file")
	}
	at := length - 8 - size - trailerSize
	b := make([]byte, trailerSize+size)
	if _, err := f.ReadAt(b, at); err != nil {
		return nil, saved, err
	}
	saved, b = readTrailer(b[:trailerSize]), b[trailerSize:]
	saved.at = at
	if saved.there && checksum(b) != saved.footer {
		return nil, saved, errChecksum
	}
	fm := &format.FileMetaData{}
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), b, fm); err != nil {
		return nil, saved, err
	}
	if len(fm.RowGroups) != 1 || len(fm.Schema) != len(fm.RowGroups[0].Columns)+1 || fm.NumRows <= 0 || fm.NumRows != fm.RowGroups[0].NumRows {
		return nil, saved, errors.New("file is not laid out as this store lays files out")
	}
	return fm, saved, nil
}

// readChecks reads the checks, where the file has them.
func readChecks(f disk.File, fm *format.FileMetaData, saved savedTrailer) (*checks, error) {
	says := slices.ContainsFunc(fm.KeyValueMetadata, func(kv format.KeyValue) bool { return kv.Key == checksKey })
	switch {
	case says != saved.there:
		return nil, errors.New("what it says of its checksums does not fit what is there")
	case !says:
		return nil, nil //nolint:nilnil // it has none
	case saved.size > saved.at:
		return nil, errors.New("checks are out of place")
	}
	b := make([]byte, saved.size)
	if _, err := f.ReadAt(b, saved.at-saved.size); err != nil {
		return nil, err
	}
	return parseChecks(b, saved.checks, len(fm.RowGroups[0].Columns))
}

// describe notes where each column's pages are.
func (f *file) describe(fm *format.FileMetaData, defs []columnDef) error {
	names := map[string]int{}
	for id := range defs {
		if defs[id].name != "" {
			names[defs[id].name] = id
		}
	}
	for i := range f.byID {
		f.byID[i] = -1
	}
	chunks := fm.RowGroups[0].Columns
	from, to := int64(0), int64(0)
	for i := range chunks {
		c := &chunks[i]
		if i == 0 {
			from = c.OffsetIndexOffset
		}
		to = c.OffsetIndexOffset + int64(c.OffsetIndexLength)
		e := &fm.Schema[i+1]
		col := fileColumn{codec: c.MetaData.Codec}
		if id, ok := names[e.Name]; ok {
			col.columnDef, col.id = defs[id], id
			f.byID[id] = i
		} else if key, ok := strings.CutPrefix(e.Name, attrPrefix); ok {
			col.attr, col.id = key, colDynamic
			col.name, col.kind = e.Name, attrKindOf(e.Type.V)
			f.byAttr[key] = i
		} else {
			return fmt.Errorf("column %q is not known", e.Name)
		}
		if d := c.MetaData.DictionaryPageOffset; d > 0 {
			col.dict = pageLocation{offset: d, size: int32(c.MetaData.DataPageOffset - d)}
		}
		if f.sums != nil {
			col.sums = f.sums.headers[i]
		}
		col.mixed = f.version != "1" && (slices.Contains(c.MetaData.Encoding, format.DeltaLengthByteArray) || slices.Contains(c.MetaData.Encoding, format.DeltaBinaryPacked))
		col.readStatistics(&c.MetaData.Statistics)
		f.columns = append(f.columns, col)
	}
	f.dicts.byColumn = make([]atomic.Pointer[values], len(f.columns))
	if f.byID[colTraceID] != 0 {
		return errors.New("its first column is not trace_id")
	}
	if err := f.readOffsets(chunks, from, to); err != nil {
		return err
	}
	return f.readTraceIndex(&chunks[0])
}

// readStatistics takes what the footer says of all values of a column.
func (c *fileColumn) readStatistics(s *format.Statistics) {
	c.nulls = s.NullCount
	switch {
	case len(s.MinValue) == 4 && len(s.MaxValue) == 4 && c.kind == kindInt32:
		c.least, c.most = int64(int32(binary.LittleEndian.Uint32(s.MinValue))), int64(int32(binary.LittleEndian.Uint32(s.MaxValue)))
	case len(s.MinValue) == 8 && len(s.MaxValue) == 8 && (c.kind == kindInt64 || c.kind == kindTime || c.kind == kindDuration):
		c.least, c.most = int64(binary.LittleEndian.Uint64(s.MinValue)), int64(binary.LittleEndian.Uint64(s.MaxValue))
	default:
		return
	}
	c.bounded = c.least <= c.most
}

func attrKindOf(t format.Type) kind {
	switch t {
	case format.Int64:
		return kindInt64
	case format.Double:
		return kindDouble
	case format.Boolean:
		return kindBool
	default:
		return kindText
	}
}

// readOffsets reads the offset indexes, which lie side by side.
func (f *file) readOffsets(chunks []format.ColumnChunk, from, to int64) error {
	if from <= 0 || to < from || to-from > maxFooter {
		return errors.New("page index is out of place")
	}
	b := make([]byte, to-from)
	if _, err := f.f.ReadAt(b, from); err != nil {
		return err
	}
	if f.sums != nil && checksum(b) != f.sums.locations {
		return fmt.Errorf("page index: %w", errChecksum)
	}
	for i := range chunks {
		at, n := chunks[i].OffsetIndexOffset-from, int64(chunks[i].OffsetIndexLength)
		if at < 0 || n < 0 || at+n > int64(len(b)) {
			return errors.New("page index is out of place")
		}
		var oi format.OffsetIndex
		if err := thrift.Unmarshal(new(thrift.CompactProtocol), b[at:at+n], &oi); err != nil {
			return fmt.Errorf("page index: %w", err)
		}
		pages := make([]pageLocation, len(oi.PageLocations))
		for j, l := range oi.PageLocations {
			pages[j] = pageLocation{l.Offset, l.CompressedPageSize, l.FirstRowIndex}
		}
		f.columns[i].pages = pages
		if err := f.checkPages(i); err != nil {
			return err
		}
	}
	return nil
}

// checkPages says whether the pages of column i can be those of the file: each of at least one row and at most
// pageRows, beginning at the same rows as those of the first column.
func (f *file) checkPages(i int) error {
	pages, first := f.columns[i].pages, f.columns[0].pages
	if len(pages) == 0 || len(pages) != len(first) || f.sums != nil && len(pages) != len(f.sums.headers[i])-1 {
		return errors.New("page index does not have a page for each run of rows")
	}
	for j := range pages {
		if pages[j].first != first[j].first {
			return errors.New("pages do not begin at the same rows")
		}
		if n := f.pageLen(j); i == 0 && (pages[0].first != 0 || n < 1 || n > pageRows) {
			return fmt.Errorf("page index gives page %d %d rows", j, n)
		}
	}
	return nil
}

func (f *file) readTraceIndex(c *format.ColumnChunk) error {
	if c.ColumnIndexLength < 0 || c.ColumnIndexLength > maxFooter || c.MetaData.BloomFilterLength < 0 || c.MetaData.BloomFilterLength > maxFooter {
		return errors.New("index of trace ids is out of place")
	}
	b := make([]byte, c.ColumnIndexLength)
	if _, err := f.f.ReadAt(b, c.ColumnIndexOffset); err != nil {
		return err
	}
	if f.sums != nil && checksum(b) != f.sums.bounds {
		return fmt.Errorf("index of trace ids: %w", errChecksum)
	}
	var ci format.ColumnIndex
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), b, &ci); err != nil {
		return fmt.Errorf("index of trace ids: %w", err)
	}
	if len(ci.MinValues) != len(f.columns[0].pages) || len(ci.MaxValues) != len(ci.MinValues) {
		return errors.New("index of trace ids does not have an entry for each page")
	}
	f.bounds = make([][2][16]byte, len(ci.MinValues))
	for i := range f.bounds {
		if copy(f.bounds[i][0][:], ci.MinValues[i]) != 16 || copy(f.bounds[i][1][:], ci.MaxValues[i]) != 16 {
			return errors.New("index of trace ids has an entry that is no trace id")
		}
	}
	if c.MetaData.BloomFilterLength == 0 {
		return nil
	}
	b = make([]byte, c.MetaData.BloomFilterLength)
	if _, err := f.f.ReadAt(b, c.MetaData.BloomFilterOffset); err != nil {
		return err
	}
	if f.sums != nil && checksum(b) != f.sums.bloom {
		return fmt.Errorf("bloom filter: %w", errChecksum)
	}
	var h format.BloomFilterHeader
	r := new(thrift.CompactProtocol).NewReaderFromBytes(b)
	if err := thrift.NewDecoder(r).Decode(&h); err != nil {
		return fmt.Errorf("bloom filter: %w", err)
	}
	if h.NumBytes <= 0 || h.NumBytes%32 != 0 || int(h.NumBytes)+r.BytesRead() != len(b) {
		return errors.New("bloom filter does not have the size that it says")
	}
	f.bloom = bloomLocation{c.MetaData.BloomFilterOffset + int64(r.BytesRead()), int64(h.NumBytes), int64(r.BytesRead())}
	return nil
}

func (f *file) close() error { return f.f.Close() }

// pageFirst is the first row of page i, or where the file ends.
func (f *file) pageFirst(i int) int {
	if pages := f.columns[0].pages; i < len(pages) {
		return int(pages[i].first)
	}
	return int(f.rows)
}

// pageLen is how many rows page i has.
func (f *file) pageLen(i int) int { return f.pageFirst(i+1) - f.pageFirst(i) }

// pageOf is the page that a row of the file is in.
func (f *file) pageOf(row int) int {
	return sort.Search(len(f.columns[0].pages), func(i int) bool { return f.pageFirst(i+1) > row })
}
