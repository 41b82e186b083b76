package block

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/cespare/xxhash/v2"
	"github.com/parquet-go/parquet-go/bloom"
)

// Names of a block's files.
const (
	spansFile    = "spans.parquet"
	requestsFile = "requests.parquet"
)

const (
	// maxAttrColumns is how many attribute keys get a column of their own.
	maxAttrColumns = 100
	// minAttrShare is how many rows in a thousand must have a key for that; under
	// it a page's header costs more than the fallback column does.
	minAttrShare = 5
	minAttrRows  = 16
	bloomBits    = 12 // a trace: one in 200 blocks is opened in vain
)

// sealer turns heads into the files of blocks. Its buffers serve again.
type sealer struct {
	pw      *pageWriter
	columns []*columnWriter // that serve again
	used    int

	traces []traceRun
	rows   []uint32 // of the head, in the file's order
	parent []int32  // of spans: row of the parent less the row's own + 1, 0 without
	ids    map[telemetry.SpanID]int32
	json   jsonWriter
	extra  []pair // of one row: attributes without a column
}

// A traceRun is the rows of one trace in the file.
type traceRun struct {
	hi, lo   uint64 // the id, as numbers that sort like it
	from, to int
}

func (t *traceRun) id() (id telemetry.TraceID) {
	binary.BigEndian.PutUint64(id[:8], t.hi)
	binary.BigEndian.PutUint64(id[8:], t.lo)
	return id
}

func newSealer() (*sealer, error) {
	pw, err := newPageWriter()
	if err != nil {
		return nil, err
	}
	return &sealer{pw: pw, ids: map[telemetry.SpanID]int32{}}, nil
}

// A fileMaker makes one file of a head.
type fileMaker struct {
	*sealer
	v        *headView
	rv       rowsView
	defs     []columnDef
	fixed    []*columnWriter // by column number; nil for none
	attrs    []*columnWriter // by key; nil for those in the fallback column
	order    []*columnWriter // the file's
	how      []uint8         // by column number, of attributes too
	byColumn []*columnWriter // likewise; nil for attributes in the fallback column
	texts    stringsView     // JSON of the resources' attributes, by number from 1
	spans    bool
	resource []uint32 // of the rows at hand
	batch    int      // how many rows are handed on before they are weighed
	longest  int      // bytes of the longest text
	touched  byte     // a sum that keeps the compiler from leaving out the touching
}

// spansFile makes spans.parquet of a head that no longer changes.
func (s *sealer) spansFile(h *head, v *headView) (*parquetFile, error) {
	s.sort(&h.spans, v.spans)
	s.findParents(v.spans)
	return s.file(h, v, v.spans, spanColumns(), true)
}

// requestsFile makes requests.parquet.
func (s *sealer) requestsFile(h *head, v *headView) (*parquetFile, error) {
	s.sort(&h.requests, v.requests)
	return s.file(h, v, v.requests, requestColumns(), false)
}

// sort puts the rows in order of trace id, then start. The traces are sorted
// and not the rows, of which there are ten times as many.
func (s *sealer) sort(t *rowTable, rv rowsView) {
	s.traces, s.rows = s.traces[:0], s.rows[:0]
	for _, slot := range t.slots {
		if slot != 0 {
			row := uint32(slot) - 1
			id := &rv.chunks[row/chunkRows].trace[row%chunkRows]
			s.traces = append(s.traces, traceRun{hi: binary.BigEndian.Uint64(id[:8]), lo: binary.BigEndian.Uint64(id[8:]), from: int(row)})
		}
	}
	slices.SortFunc(s.traces, func(a, b traceRun) int {
		if a.hi != b.hi {
			return cmp.Compare(a.hi, b.hi)
		}
		return cmp.Compare(a.lo, b.lo)
	})
	for i := range s.traces {
		tr := &s.traces[i]
		at := len(s.rows)
		for r := uint32(tr.from) + 1; r != 0; r = rv.chunks[(r-1)/chunkRows].prev[(r-1)%chunkRows] {
			s.rows = append(s.rows, r-1)
		}
		tr.from, tr.to = at, len(s.rows)
		run := s.rows[at:]
		if len(run) == 1 {
			continue
		}
		slices.Reverse(run)
		slices.SortStableFunc(run, func(a, b uint32) int {
			return cmp.Compare(rv.chunks[a/chunkRows].start[a%chunkRows], rv.chunks[b/chunkRows].start[b%chunkRows])
		})
	}
}

// findParents says for each span where in its trace its parent lies, so that the
// file need not hold the id, which does not compress, twice.
func (s *sealer) findParents(rv rowsView) {
	s.parent = append(s.parent[:0], make([]int32, len(s.rows))...)
	for _, tr := range s.traces {
		clear(s.ids)
		run := s.rows[tr.from:tr.to]
		for i, r := range run {
			s.ids[rv.chunks[r/chunkRows].span[r%chunkRows]] = int32(i)
		}
		for i, r := range run {
			p := rv.chunks[r/chunkRows].parent[r%chunkRows]
			if p.IsZero() {
				continue
			}
			if at, ok := s.ids[p]; ok {
				d := at - int32(i)
				if d >= 0 {
					d++
				}
				s.parent[tr.from+i] = d
			}
		}
	}
}

// column lends a column writer.
func (s *fileMaker) column(def columnDef, id int, attr string, strings stringsView) *columnWriter {
	if s.used == len(s.columns) {
		s.columns = append(s.columns, &columnWriter{})
	}
	c := s.columns[s.used]
	s.used++
	c.reset(def, id, attr, strings)
	s.order = append(s.order, c)
	return c
}

func (s *sealer) file(h *head, v *headView, rv rowsView, defs []columnDef, spans bool) (*parquetFile, error) {
	s.used = 0
	f := &fileMaker{sealer: s, v: v, rv: rv, defs: defs, spans: spans, batch: firstBatch}
	f.makeResources()
	f.longest = max(v.strings.longest(), f.texts.longest())
	f.fixed = make([]*columnWriter, len(defs))
	for id := range defs {
		if defs[id].name == "" {
			continue
		}
		strings := v.strings
		if id == colResource {
			strings = f.texts
		}
		f.fixed[id] = f.column(defs[id], id, "", strings)
		if h.texts[id].unique {
			f.fixed[id].mode = modePlain
		}
	}
	f.chooseAttrs(h.counts)
	f.plan()
	for from := 0; from < len(s.rows); {
		to := f.fill(from)
		for _, c := range f.order {
			if err := s.pw.flush(c, to-from); err != nil {
				return nil, err
			}
		}
		f.limitDicts()
		from = to
	}
	return &parquetFile{columns: f.order, rows: int64(len(s.rows)), bloom: s.makeBloom(), meta: v.meta}, nil
}

func (s *sealer) makeBloom() bloom.SplitBlockFilter {
	b := make(bloom.SplitBlockFilter, bloom.NumSplitBlocksOf(int64(len(s.traces)), bloomBits))
	for i := range s.traces {
		id := s.traces[i].id()
		b.Insert(xxhash.Sum64(id[:]))
	}
	return b
}

// makeResources writes each resource's attributes as JSON, in a string table
// of its own, numbered like the resources and from 1.
func (s *fileMaker) makeResources() {
	s.texts = stringsView{}
	var text []byte
	refs := make([]strRef, 1, len(s.v.resources)+1)
	for _, r := range s.v.resources {
		at := len(text)
		s.json.b = text
		s.json.attrs(s.v, s.v.rest.at(r.attrs))
		text = s.json.b
		s.json.b = nil
		if len(text)-at == len("{}") {
			text = text[:at]
		}
		refs = append(refs, strRef{uint32(at), uint32(len(text) - at)})
	}
	for len(refs) > 0 {
		c := new(refChunk)
		refs = refs[copy(c[:], refs):]
		s.texts.refs = append(s.texts.refs, c)
	}
	for at := 0; at < len(text); at += arenaChunk {
		s.texts.arena = append(s.texts.arena, text[at:])
	}
}

// chooseAttrs gives the most frequent attribute keys a column each. A key has at
// most one: of the type that it has most often.
func (s *fileMaker) chooseAttrs(counts []keyCount) {
	s.attrs = make([]*columnWriter, len(s.v.keys))
	count := func(k int) int {
		if s.spans {
			return counts[k].spans
		}
		return counts[k].requests
	}
	var order []int
	for i := range s.v.keys {
		n := count(i)
		if s.v.keys[i].typ <= telemetry.AttrBool && n >= minAttrRows && 1000*n >= minAttrShare*len(s.rows) {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(count(b), count(a)), cmp.Compare(a, b))
	})
	taken := map[uint32]bool{}
	for _, i := range order {
		k := s.v.keys[i]
		if taken[k.name] || len(taken) == maxAttrColumns {
			continue
		}
		taken[k.name] = true
		name := string(s.v.strings.bytes(k.name))
		s.attrs[i] = s.column(columnDef{name: attrPrefix + name, kind: attrKind(k.typ)}, colDynamic+i, name, s.v.strings)
	}
}

func attrKind(t telemetry.AttrType) kind {
	switch t {
	case telemetry.AttrInt:
		return kindInt64
	case telemetry.AttrFloat:
		return kindDouble
	case telemetry.AttrBool:
		return kindBool
	default:
		return kindText
	}
}

// page hands rows of the head, at and below end of the file, to the columns; from is the first of the page.
//
// In the file's order rows lie anywhere in the head, which is larger than the
// processor's caches. Column by column, and rest by rest after they were touched
// together, many of them are on their way at once; row by row each would be waited for.
func (s *fileMaker) page(from, at, end int) {
	rows, base := s.rows[at:end], at-from
	f, chunks := s.fixed, s.rv.chunks
	s.resource = s.resource[:0]
	for i, r := range rows {
		c, j := chunks[r/chunkRows], r%chunkRows
		f[colTraceID].data = append(f[colTraceID].data, c.trace[j][:]...)
		if id := binary.BigEndian.Uint64(c.span[j][:]); s.spans || id != 0 {
			f[colSpanID].push(base+i, id)
		}
	}
	for i, r := range rows {
		c, j := chunks[r/chunkRows], r%chunkRows
		f[colStart].push(base+i, uint64(c.start[j]))
		f[colDuration].push(base+i, uint64(c.duration[j]))
		s.resource = append(s.resource, c.resource[j])
	}
	s.identities(base)
	if s.spans {
		s.spanFields(from, at, end)
	}
	var sum byte
	for at := 0; at < len(rows); at += touchAhead {
		some := rows[at:min(at+touchAhead, len(rows))]
		for _, r := range some {
			sum += s.v.rest.at(chunks[r/chunkRows].rest[r%chunkRows])[0]
		}
		for i, r := range some {
			s.rest(base+at+i, s.v.rest.at(chunks[r/chunkRows].rest[r%chunkRows]))
		}
	}
	s.touched = sum
}

// touchAhead is how many rows' values are fetched at a time.
const touchAhead = 64

// identities fills the columns that a row has from its resource.
func (s *fileMaker) identities(base int) {
	for k := range len(s.v.resources[0].identity) {
		c := s.fixed[colCluster+k]
		for i, res := range s.resource {
			if id := s.v.resources[res].identity[k]; id != 0 {
				c.push(base+i, uint64(id))
			}
		}
	}
	for i, res := range s.resource {
		if s.texts.refs[(res+1)/refRows][(res+1)%refRows].size > 0 {
			s.fixed[colResource].push(base+i, uint64(res)+1)
		}
	}
}

// spanFields fills the columns that spans alone have, and all of them.
func (s *fileMaker) spanFields(from, at, end int) {
	f := s.fixed
	for k, r := range s.rows[at:end] {
		c, j, i := s.rv.chunks[r/chunkRows], r%chunkRows, at-from+k
		f[colName].push(i, uint64(c.name[j]))
		f[colKind].push(i, uint64(c.bits[j]&15))
		f[colStatus].push(i, uint64(c.bits[j]>>4))
		if d := s.parent[from+i]; d > 0 {
			f[colParentRow].push(i, uint64(d-1))
		} else if d < 0 {
			f[colParentRow].push(i, uint64(int64(d)))
		} else if !c.parent[j].IsZero() {
			f[colParentSpanID].push(i, binary.BigEndian.Uint64(c.parent[j][:]))
		}
	}
}

// How a pair's value is written in the head; see headView.next, which the loop in rest
// repeats because it runs a dozen times a span.
const (
	asNumber uint8 = iota // uvarint
	asInt                 // zigzag
	asCode                // zigzag, one higher
	asBits                // 8 bytes
	asByte
	asNested
	asUUID // 16 bytes
)

// plan notes for each column number how its values are written, and where they go.
func (s *fileMaker) plan() {
	s.how = make([]uint8, colDynamic+len(s.v.keys))
	s.byColumn = make([]*columnWriter, len(s.how))
	copy(s.byColumn, s.fixed)
	copy(s.byColumn[colDynamic:], s.attrs)
	for c, d := range s.defs {
		switch {
		case c == colCode:
			s.how[c] = asCode
		case d.kind == kindInt32 || d.kind == kindInt64:
			s.how[c] = asInt
		case d.kind == kindJSON:
			s.how[c] = asNested
		case d.kind == kindUUID:
			s.how[c] = asUUID
		}
	}
	for k := range s.v.keys {
		switch s.v.keys[k].typ {
		case telemetry.AttrInt:
			s.how[colDynamic+k] = asInt
		case telemetry.AttrFloat:
			s.how[colDynamic+k] = asBits
		case telemetry.AttrBool:
			s.how[colDynamic+k] = asByte
		default:
		}
	}
}

// rest hands on the pairs of a row.
func (s *fileMaker) rest(i int, p []byte) {
	s.extra = s.extra[:0]
	for {
		var col, bits uint64
		if col, p = uvarint(p); col == colEnd {
			break
		}
		switch s.how[col] {
		case asNumber:
			bits, p = uvarint(p)
		case asInt:
			bits, p = uvarint(p)
			bits = uint64(unzigzag(bits))
		case asCode:
			bits, p = uvarint(p)
			bits = uint64(unzigzag(bits) - 1)
		case asBits:
			bits, p = binary.LittleEndian.Uint64(p), p[8:]
		case asByte:
			bits, p = uint64(p[0]), p[1:]
		case asNested:
			bits, p = uvarint(p)
			p = s.nested(i, pair{int(col), bits, p})
			continue
		case asUUID:
			s.byColumn[col].pushID(i, p[:16])
			p = p[16:]
			continue
		}
		if c := s.byColumn[col]; c == nil || !c.push(i, bits) {
			s.extra = append(s.extra, pair{col: int(col), bits: bits})
		}
	}
	if len(s.extra) > 0 {
		s.json.b = s.json.b[:0]
		s.json.pairs(s.v, s.extra)
		s.fixed[colAttributes].pushBytes(i, s.json.b)
	}
}

// nested writes events or links as JSON and returns what follows them.
func (s *fileMaker) nested(i int, x pair) []byte {
	s.json.b = s.json.b[:0]
	var rest []byte
	if x.col == colEvents {
		rest = s.json.events(s.v, x)
	} else {
		rest = s.json.links(s.v, x)
	}
	s.fixed[x.col].pushBytes(i, s.json.b)
	return rest
}
