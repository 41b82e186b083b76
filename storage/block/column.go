package block

import (
	"math"

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
// the same rows, so a trace lies in one page, or two, of each. Rows whose texts are long
// make shorter pages (pagebytes.go).
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
	sums      []uint32    // of headers: the dictionary's, then each page's
	bounds    [][2][]byte // kindTraceID: least and greatest of each page
	min, max  int64       // of numbers
	nulls     int64
	pageNulls int64
	rowsTotal int64
	weighed   int  // of the page: values, or bytes of kindJSON, that weigh has seen
	dictSized int  // entries of the dictionary that dictBytes counts
	dictBytes int  // of texts
	leftEarly bool // the dictionary was left before it had more than maxDict entries
	rawSize   int64
	dataPages [2]int32 // by mode: dictionary, plain
	plainEnc  format.Encoding
	hasMinMax bool
}

func (c *columnWriter) reset(def columnDef, id int, attr string, strings stringsView) {
	*c = columnWriter{
		columnDef: def, id: id, attr: attr, strings: strings,
		levels: c.levels[:0], values: c.values[:0], data: c.data[:0], ends: c.ends[:0],
		dict: c.dict, out: c.out[:0], pages: c.pages[:0], sums: append(c.sums[:0], 0),
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

// choose decides, by the first page's values, whether a dictionary pays.
func (c *columnWriter) choose() {
	c.mode = modeDict
	if c.kind == kindEnum {
		return
	}
	for _, v := range c.values {
		c.dict.index(v)
	}
	if distinct := len(c.dict.keys); distinct > fewKeys && 2*distinct > len(c.values) || c.longKeys() {
		c.mode = modePlain
		c.dict.reset()
		c.dictSized, c.dictBytes = 0, 0
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
