package block

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/filter"
)

// metaTable is a block as far as it is known without opening it.
type metaTable struct {
	m       *meta
	filters *filters // nil for a head
}

// fixedSource is a source of which only is known what it can say.
type fixedSource filter.Verdict

func (s fixedSource) can() filter.Verdict                              { return filter.Verdict(s) }
func (s fixedSource) price() (int, float64)                            { return priceArray, 1 }
func (s fixedSource) keep(_ filter.Verdict, sel []uint16) (int, error) { return len(sel), nil }

func (t metaTable) sources(l *leaf) ([]source, error) {
	can := anyVerdict
	switch l.Field.Fact {
	case filter.Duration:
		can = l.within(t.m.durationMin, t.m.durationMax)
	case filter.Start:
		can = l.within(t.m.startMin, t.m.startMax)
	case filter.TraceID:
		if id, ok := l.traceID(); ok && t.filters != nil && !t.filters.mayHold(spansFile, &id) {
			can = filter.Misses
		}
	}
	return []source{fixedSource(can)}, nil
}

// traceID is the id that the leaf asks for.
func (l *leaf) traceID() (id telemetry.TraceID, ok bool) {
	n, err := hex.Decode(id[:], []byte(l.exact))
	return id, l.isExact && err == nil && n == len(id)
}

// spanID says of ids of spans whether the leaf asks for them.
func (l *leaf) spanID() func(id []byte) filter.Verdict {
	var want telemetry.SpanID
	n, err := hex.Decode(want[:], []byte(l.exact))
	exact := l.isExact && err == nil && n == len(want)
	return func(id []byte) filter.Verdict {
		if l.Op == filter.Present || exact && telemetry.SpanID(id) == want {
			return filter.Holds
		}
		return filter.Misses
	}
}

// outside says that a block or head surely has no span that the plan is for.
func (p *plan) outside(m *meta, f *filters) bool {
	if m.spans == 0 {
		return true
	}
	s, err := p.root.bind(metaTable{m, f})
	return err == nil && s.form == filter.False
}

// fileTable is the spans file of a block while it is scanned.
type fileTable struct {
	r    *reader
	page int // the one that rows are numbered in
}

func (t *fileTable) sources(l *leaf) ([]source, error) {
	if l.Field.Fact == 0 {
		return t.attributeSources(l)
	}
	if l.Field.Fact == filter.ParentID {
		return []source{&parentSource{t, l, l.spanID()}}, nil
	}
	col := columnOf(l.Field.Fact)
	at := t.r.f.byID[col]
	if at < 0 {
		return nil, nil
	}
	s := &columnSource{t: t, at: at}
	c := &t.r.f.columns[at]
	switch c.kind {
	case kindTraceID:
		return []source{t.traceSource(l)}, nil
	case kindID8:
		is := l.spanID()
		s.value = func(v *values, i int) filter.Verdict { return is(v.data[8*i : 8*i+8]) }
	case kindJSON:
		s.value = nestedValue(l, col == colLinks)
	case kindEnum:
		word := l.wordsOf(col, c.names)
		s.value = func(v *values, i int) filter.Verdict { return word(v.text(i)) }
	case kindText:
		s.value = func(v *values, i int) filter.Verdict { return l.known(v.text(i)) }
	case kindDuration:
		s.value = func(v *values, i int) filter.Verdict { return l.number(filter.TypeDuration, v.ints[i]) }
	case kindTime:
		s.value = func(v *values, i int) filter.Verdict { return l.number(filter.TypeTime, v.ints[i]) }
	default:
		s.value = func(v *values, i int) filter.Verdict { return l.number(filter.TypeInt, v.ints[i]) }
	}
	return s.prepared(l)
}

// attributeSources are the columns in which an attribute may be.
func (t *fileTable) attributeSources(l *leaf) ([]source, error) {
	var out []source
	add := func(at int, value func(v *values, i int) filter.Verdict) error {
		if at < 0 {
			return nil
		}
		src, err := (&columnSource{t: t, at: at, value: value}).prepared(l)
		out = append(out, src...)
		return err
	}
	f := t.r.f
	if l.Field.Scopes&filter.InSpan != 0 {
		if at, ok := f.byAttr[l.Field.Key]; ok {
			typ := filter.Type(f.columns[at].kind.attrType())
			value := func(v *values, i int) filter.Verdict { return l.Value(typ, nil, uint64(v.ints[i])) }
			if typ == filter.TypeText {
				value = func(v *values, i int) filter.Verdict { return l.text(v.text(i)) }
			}
			if err := add(at, value); err != nil {
				return nil, err
			}
		}
		if err := add(f.byID[colAttributes], objectValue(l)); err != nil {
			return nil, err
		}
	}
	for _, x := range [...]struct {
		scope filter.Scopes
		col   int
		value func(v *values, i int) filter.Verdict
	}{{filter.InResource, colResource, objectValue(l)}, {filter.InEvent, colEvents, nestedValue(l, false)}, {filter.InLink, colLinks, nestedValue(l, true)}} {
		if l.Field.Scopes&x.scope != 0 {
			if err := add(f.byID[x.col], x.value); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
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

// objectValue looks for an attribute in an object of attributes.
func objectValue(l *leaf) func(v *values, i int) filter.Verdict {
	// The key as it is written in every object that has it: where it is not found, nothing need be read.
	var w jsonWriter
	w.key([]byte(l.Field.Key))
	w.b = append(w.b, ':')
	return func(v *values, i int) filter.Verdict {
		text := v.text(i)
		if !bytes.Contains(text, w.b) {
			return filter.NoValue
		}
		return l.object(&jsonReader{in: text})
	}
}

// object reads an object of attributes.
func (l *leaf) object(r *jsonReader) filter.Verdict {
	sum := filter.NoValue
	r.attrs(func(key []byte, t telemetry.AttrType, text []byte, bits uint64) {
		if string(key) == l.Field.Key {
			sum |= l.Value(filter.Type(t), text, bits)
		}
	})
	return most(sum)
}

// nestedValue looks through a list of events or links, for an attribute or a fact.
func nestedValue(l *leaf, links bool) func(v *values, i int) filter.Verdict {
	var key jsonWriter
	if l.Field.Fact == 0 {
		key.key([]byte(l.Field.Key))
		key.b = append(key.b, ':')
	}
	return func(v *values, i int) filter.Verdict {
		text := v.text(i)
		if !bytes.Contains(text, key.b) {
			return filter.NoValue
		}
		if links {
			return l.links(&jsonReader{in: text})
		}
		return l.events(&jsonReader{in: text})
	}
}

func (l *leaf) events(r *jsonReader) filter.Verdict {
	sum := filter.NoValue
	r.list(func() {
		r.expect(`{"time":`)
		_, _, at := r.value()
		r.expect(`,"name":`)
		_, name, _ := r.value()
		r.expect(`,"attributes":`)
		switch l.Field.Fact {
		case filter.EventTime:
			sum |= l.number(filter.TypeTime, int64(at))
			r.raw()
		case filter.EventName:
			sum |= l.known(name)
			r.raw()
		default:
			sum |= l.object(r)
		}
		r.expect("}")
	})
	return most(sum)
}

func (l *leaf) links(r *jsonReader) filter.Verdict {
	sum := filter.NoValue
	r.list(func() {
		r.expect(`{"trace_id":`)
		trace := r.str()
		r.expect(`,"span_id":`)
		span := r.str()
		r.expect(`,"attributes":`)
		switch l.Field.Fact {
		case filter.LinkTraceID:
			sum |= l.Value(filter.TypeText, trace, 0)
			r.raw()
		case filter.LinkSpanID:
			sum |= l.Value(filter.TypeText, span, 0)
			r.raw()
		default:
			sum |= l.object(r)
		}
		r.expect("}")
	})
	return most(sum)
}

// columnSource is a column of a file.
type columnSource struct {
	t        *fileTable
	at       int                                   // index in the file
	value    func(v *values, i int) filter.Verdict // of value i of a page or a dictionary
	verdicts []filter.Verdict                      // by entry of the dictionary
	verdict  filter.Verdict                        // the sum of all that may occur
	cost     int
	holds    float64
}

// prepared asks the statistics and the dictionary, each entry once. Where no row has a value it is no source.
func (s *columnSource) prepared(l *leaf) ([]source, error) {
	c := &s.t.r.f.columns[s.at]
	var nulls filter.Verdict
	if !c.required {
		if c.nulls == s.t.r.f.rows {
			return nil, nil
		}
		if c.nulls != 0 {
			nulls = filter.NoValue
		}
	}
	s.verdict, s.holds = anyVerdict, 0.5
	switch c.kind {
	case kindJSON:
		s.cost = priceDecoding
	case kindText, kindEnum:
		s.cost = priceText
	default:
		s.cost = priceNumber
		if l.ranged && c.bounded {
			s.verdict = l.within(c.least, c.most) | nulls
			if s.verdict == filter.Misses || s.verdict == filter.Holds || !l.not && s.verdict&filter.Holds == 0 {
				return []source{s}, nil // decided: nobody will ask of a row
			}
		}
	}
	d, err := s.t.r.dictionary(s.at)
	if err != nil {
		return nil, err
	}
	n := d.count()
	if n == 0 {
		return []source{s}, nil
	}
	var sum filter.Verdict
	hits := 0
	s.verdicts = make([]filter.Verdict, n)
	for i := range n {
		v := s.value(d, i)
		s.verdicts[i] = v
		sum |= v
		if v == filter.Holds {
			hits++
		}
	}
	s.cost, s.holds = priceCoded, float64(hits)/float64(n)
	if c.whole(n) {
		s.verdict &= sum | nulls
	}
	return []source{s}, nil
}

// whole says that all values of the column are among the n of its dictionary: a fuller one is followed by pages without.
func (c *fileColumn) whole(n int) bool { return n > 0 && n <= maxDict && !c.mixed }

func (s *columnSource) can() filter.Verdict   { return s.verdict }
func (s *columnSource) price() (int, float64) { return s.cost, s.holds }

func (s *columnSource) keep(want filter.Verdict, sel []uint16) (int, error) {
	v, err := s.t.r.load(s.at, s.t.page)
	if err != nil {
		return 0, err
	}
	k := 0
	switch {
	case v.indexes != nil && v.levels == nil:
		for i, row := range sel {
			if s.verdicts[v.indexes[row]]&want != 0 {
				sel[i], sel[k] = sel[k], row
				k++
			}
		}
	case v.indexes != nil:
		for i, row := range sel {
			is := filter.NoValue
			if pos := v.rank[row]; pos >= 0 {
				is = s.verdicts[v.indexes[pos]]
			}
			if is&want != 0 {
				sel[i], sel[k] = sel[k], row
				k++
			}
		}
	case v.levels == nil:
		for i, row := range sel {
			if s.value(&v.values, int(row))&want != 0 {
				sel[i], sel[k] = sel[k], row
				k++
			}
		}
	default:
		for i, row := range sel {
			is := filter.NoValue
			if pos := v.pos(int(row)); pos >= 0 {
				is = s.value(&v.values, pos)
			}
			if is&want != 0 {
				sel[i], sel[k] = sel[k], row
				k++
			}
		}
	}
	return k, nil
}

// traceSource is the column of trace ids, whose pages have bounds.
type traceSource struct {
	columnSource
	id    telemetry.TraceID
	exact bool
}

func (t *fileTable) traceSource(l *leaf) source {
	s := &traceSource{}
	s.columnSource = columnSource{t: t, verdict: anyVerdict &^ filter.NoValue, cost: priceNumber}
	s.id, s.exact = l.traceID()
	s.value = func(v *values, i int) filter.Verdict {
		if l.Op == filter.Present || s.exact && telemetry.TraceID(v.data[16*i:16*i+16]) == s.id {
			return filter.Holds
		}
		return filter.Misses
	}
	return s
}

func (s *traceSource) keep(want filter.Verdict, sel []uint16) (int, error) {
	if b := &s.t.r.f.bounds[s.t.page]; s.exact && (bytes.Compare(s.id[:], b[0][:]) < 0 || bytes.Compare(s.id[:], b[1][:]) > 0) {
		if want&filter.Misses == 0 {
			return 0, nil
		}
		return len(sel), nil
	}
	return s.columnSource.keep(want, sel)
}

// parentSource is the parent's id: in a column of its own, or as the row of the parent.
type parentSource struct {
	t  *fileTable
	l  *leaf
	is func(id []byte) filter.Verdict
}

var errParent = errors.New("a row names a parent that is not in the file")

func (s *parentSource) can() filter.Verdict   { return anyVerdict }
func (s *parentSource) price() (int, float64) { return priceNumber, 0.5 }

func (s *parentSource) keep(want filter.Verdict, sel []uint16) (int, error) {
	f, page := s.t.r.f, s.t.page
	is := make([]filter.Verdict, f.pageLen(page)) // by row
	type reference struct {
		at  int // the parent's row in the file
		row uint16
	}
	var refs []reference
	if at := f.byID[colParentSpanID]; at >= 0 {
		v, err := s.t.r.load(at, page)
		if err != nil {
			return 0, err
		}
		for _, row := range sel {
			if pos := v.pos(int(row)); pos >= 0 {
				is[row] = s.is(v.bytesAt(pos))
			}
		}
	}
	if at := f.byID[colParentRow]; at >= 0 {
		v, err := s.t.r.load(at, page)
		if err != nil {
			return 0, err
		}
		for _, row := range sel {
			if pos := v.pos(int(row)); pos >= 0 {
				refs = append(refs, reference{f.pageFirst(page) + int(row) + int(v.intAt(pos)), row})
			}
		}
	}
	if s.l.Op == filter.Present {
		for _, r := range refs {
			is[r.row] = filter.Holds
		}
		refs = nil
	}
	slices.SortFunc(refs, func(a, b reference) int { return cmp.Compare(a.at, b.at) }) // each page once
	for _, r := range refs {
		if r.at < 0 || r.at >= int(f.rows) {
			return 0, errParent
		}
		p := f.pageOf(r.at)
		v, err := s.t.r.load(f.byID[colSpanID], p)
		if err != nil {
			return 0, err
		}
		is[r.row] = s.is(v.bytesAt(r.at - f.pageFirst(p)))
	}
	k := 0
	for i, row := range sel {
		if max(is[row], filter.NoValue)&want != 0 {
			sel[i], sel[k] = sel[k], row
			k++
		}
	}
	return k, nil
}
