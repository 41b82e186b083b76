package block

import (
	"context"
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A condition is what a query asks, of one column; but an attribute may be in a
// column of its own, in the fallback column, or in the resource.
type condition struct {
	any []test
}

// test is a condition on one column: by its number, or by an attribute's key. One of
// text and number is set.
type test struct {
	col    int
	attr   string
	want   string // the attribute's value as text
	text   func([]byte) bool
	number func(int64) bool
}

// conditions is what the query asks of a block's columns, cheapest and most
// selective first. The start comes last, since the block's bounds have been asked.
func (q *query) conditions() []condition {
	var cs []condition
	text := func(col int, want ...string) {
		cs = append(cs, condition{[]test{{col: col, text: func(s []byte) bool { return slices.Contains(want, string(s)) }}}})
	}
	if q.Service != "" {
		text(colService, q.Service)
	}
	if q.statuses != nil {
		text(colStatus, q.statuses...)
	}
	if q.Operation != "" {
		text(colName, q.Operation)
	}
	if q.Namespace != "" {
		text(colNamespace, q.Namespace)
	}
	if q.kinds != nil {
		text(colKind, q.kinds...)
	}
	if q.MinDuration > 0 || q.MaxDuration != 0 {
		cs = append(cs, condition{[]test{{col: colDuration, number: func(d int64) bool { return d >= q.min && d <= q.max }}}})
	}
	for _, m := range q.Attributes {
		cs = append(cs, attributeCondition(m))
	}
	if q.From != 0 || q.To != 0 {
		cs = append(cs, condition{[]test{{col: colStart, number: func(t int64) bool { return t >= q.from && t < q.to }}}})
	}
	return cs
}

func attributeCondition(m telemetry.AttributeMatch) condition {
	object := func(s []byte) bool { return jsonMatches(s, m) }
	return condition{[]test{
		{attr: m.Key, want: m.Value, text: func(s []byte) bool { return string(s) == m.Value }},
		{col: colResource, text: object},
		{col: colAttributes, text: object},
	}}
}

// blockScan is the scan of one block.
type blockScan struct {
	r     *reader
	conds []blockCondition
	mask  []byte // of the page's rows: still in question
	any   []byte
}

type blockCondition struct {
	tests []blockTest
}

type blockTest struct {
	test
	column int // index in the file
	hits   []bool
	dead   bool // the dictionary holds all values, and none fits
}

// scanBlock adds the block's matching spans to the best.
func (r *search) scanBlock(ctx context.Context, b *blockRef) (err error) {
	defer guard(&err)
	rd, err := r.store.read(b, spansFile, spanColumns())
	if err != nil {
		return err
	}
	defer rd.close()
	s := &blockScan{r: rd}
	possible, err := s.prepare(r.q.conditions())
	r.mu.Lock()
	r.stats.Blocks++
	r.mu.Unlock()
	if err != nil || !possible {
		return err
	}
	for p := range rd.f.bounds {
		if err := ctx.Err(); err != nil {
			return err
		}
		hits, err := s.page(p)
		if err != nil {
			return err
		}
		r.mu.Lock()
		r.stats.Spans += rd.f.pageLen(p)
		for _, h := range hits {
			r.best.add(h.id, h.start)
		}
		r.mu.Unlock()
	}
	return nil
}

// prepare binds the conditions to the file's columns and asks the dictionaries. It says
// false where no row can fit.
func (s *blockScan) prepare(conds []condition) (bool, error) {
	for _, c := range conds {
		var bc blockCondition
		for _, t := range c.any {
			bt, ok, err := s.bind(t)
			if err != nil {
				return false, err
			}
			if ok && !bt.dead {
				bc.tests = append(bc.tests, bt)
			}
		}
		if len(bc.tests) == 0 {
			return false, nil
		}
		s.conds = append(s.conds, bc)
	}
	return true, nil
}

func (s *blockScan) bind(t test) (blockTest, bool, error) {
	f := s.r.f
	bt := blockTest{test: t}
	if t.attr != "" {
		i, ok := f.byAttr[t.attr]
		if !ok {
			return bt, false, nil
		}
		bt.column = i
		if k := f.columns[i].kind; k != kindText {
			bt.text, bt.number = nil, func(v int64) bool { return valueMatches(k.attrType(), nil, uint64(v), t.want) }
		}
	} else if bt.column = f.byID[t.col]; bt.column < 0 {
		return bt, false, nil
	}
	d, err := s.r.dictionary(bt.column)
	if err != nil {
		return bt, false, err
	}
	if n := d.count(); n > 0 {
		bt.hits = make([]bool, n)
		bt.dead = n <= maxDict // a fuller one is followed by pages without
		for i := range n {
			if bt.hits[i] = bt.fits(d, i); bt.hits[i] {
				bt.dead = false
			}
		}
	}
	return bt, true, nil
}

// attrType is the type of the attributes in a column of one key.
func (k kind) attrType() telemetry.AttrType {
	switch k {
	case kindInt64:
		return telemetry.AttrInt
	case kindDouble:
		return telemetry.AttrFloat
	case kindBool:
		return telemetry.AttrBool
	default:
		return telemetry.AttrString
	}
}

func (t *blockTest) fits(v *values, i int) bool {
	if t.number != nil {
		return t.number(v.ints[i])
	}
	return t.text(v.text(i))
}

// page is the matching rows of page p.
func (s *blockScan) page(p int) ([]found, error) {
	n := s.r.f.pageLen(p)
	s.mask = append(s.mask[:0], make([]byte, n)...)
	for i := range s.mask {
		s.mask[i] = 1
	}
	left := n
	for i := range s.conds {
		var err error
		if left, err = s.filter(&s.conds[i], p); err != nil || left == 0 {
			return nil, err
		}
	}
	ids, err := s.r.load(0, p)
	if err != nil {
		return nil, err
	}
	starts, err := s.r.load(s.r.f.byID[colStart], p)
	if err != nil {
		return nil, err
	}
	out := make([]found, 0, left)
	for i, m := range s.mask {
		if m != 0 {
			out = append(out, found{telemetry.TraceID(ids.bytesAt(i)), starts.intAt(i)})
		}
	}
	return out, nil
}

// filter leaves those rows in the mask that fit the condition.
func (s *blockScan) filter(c *blockCondition, p int) (left int, err error) {
	if len(c.tests) == 1 {
		return s.test(&c.tests[0], p, s.mask, s.mask)
	}
	s.any = append(s.any[:0], make([]byte, len(s.mask))...)
	for i := range c.tests {
		if _, err := s.test(&c.tests[i], p, s.mask, s.any); err != nil {
			return 0, err
		}
	}
	for i, a := range s.any {
		s.mask[i] &= a
		left += int(s.mask[i])
	}
	return left, nil
}

// test looks at the rows of mask. Where mask is out, rows that do not fit are taken
// out of it; otherwise rows that fit are added to out.
func (s *blockScan) test(t *blockTest, p int, mask, out []byte) (left int, err error) {
	v, err := s.r.load(t.column, p)
	if err != nil {
		return 0, err
	}
	narrow := &mask[0] == &out[0]
	for i, m := range mask {
		if m == 0 {
			continue
		}
		hit := byte(0)
		if pos := v.pos(i); pos >= 0 {
			if v.indexes != nil {
				if t.hits[v.indexes[pos]] {
					hit = 1
				}
			} else if t.fits(&v.values, pos) {
				hit = 1
			}
		}
		if narrow {
			out[i] = hit
		} else {
			out[i] |= hit
		}
		left += int(hit)
	}
	return left, nil
}

// scanHead adds a head's matching spans to the best. It reads what is in arrays first,
// and a row's other values only if an attribute is asked for.
func (r *search) scanHead(v *headView) {
	if r.q.outside(&v.meta) {
		return
	}
	hs := headScan{v: v, q: r.q, resources: make([]resourceFit, len(v.resources)), names: map[uint32]bool{}, defs: spanColumns()}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Spans += v.spans.n
	for row := range v.spans.n {
		c, i := v.spans.chunks[row/chunkRows], row%chunkRows
		if hs.fits(c, i) {
			r.best.add(c.trace[i], c.start[i])
		}
	}
}

// headScan is the scan of one head.
type headScan struct {
	v         *headView
	q         *query
	resources []resourceFit
	names     map[uint32]bool
	defs      []columnDef
}

// resourceFit is what a resource answers, once it was asked.
type resourceFit struct {
	known, fits bool
	attrs       []bool // by the query's attributes: the resource has it
}

func (s *headScan) fits(c *rowChunk, i int) bool {
	q := s.q
	if c.start[i] < q.from || c.start[i] >= q.to || c.duration[i] < q.min || c.duration[i] > q.max {
		return false
	}
	if q.statuses != nil && !slices.Contains(q.statuses, telemetry.Status(c.bits[i]>>4).String()) {
		return false
	}
	if q.kinds != nil && telemetry.SpanKind(c.bits[i]&15).String() != q.Kind {
		return false
	}
	f := s.resource(c.resource[i])
	if !f.fits || q.Operation != "" && !s.name(c.name[i]) {
		return false
	}
	return len(q.Attributes) == 0 || s.attributes(f, s.v.rest.at(c.rest[i]))
}

func (s *headScan) name(id uint32) bool {
	fits, ok := s.names[id]
	if !ok {
		fits = string(s.v.strings.bytes(id)) == s.q.Operation
		s.names[id] = fits
	}
	return fits
}

func (s *headScan) resource(i uint32) *resourceFit {
	f := &s.resources[i]
	if f.known {
		return f
	}
	f.known = true
	r := &s.v.resources[i]
	is := func(col int, want string) bool {
		return want == "" || string(s.v.strings.bytes(r.identity[col-colCluster])) == want
	}
	f.fits = is(colService, s.q.Service) && is(colNamespace, s.q.Namespace)
	f.attrs = make([]bool, len(s.q.Attributes))
	s.pairs(s.v.rest.at(r.attrs), f.attrs)
	return f
}

// attributes says that a row or its resource has all attributes that are asked for.
func (s *headScan) attributes(f *resourceFit, p []byte) bool {
	has := slices.Clone(f.attrs)
	s.pairs(p, has)
	return !slices.Contains(has, false)
}

// pairs notes which attributes a run of pairs has.
func (s *headScan) pairs(p []byte, has []bool) {
	for {
		x, rest, ok := s.v.next(p, s.defs)
		p = rest
		if !ok {
			return
		}
		if x.col < colDynamic {
			continue
		}
		k := s.v.keys[x.col-colDynamic]
		for i, m := range s.q.Attributes {
			if string(s.v.strings.bytes(k.name)) == m.Key && valueMatches(k.typ, headText(s.v, k.typ, x.bits), x.bits, m.Value) {
				has[i] = true
			}
		}
	}
}
