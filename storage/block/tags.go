package block

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/filter"
)

// Which attributes there are, and what values they have, for those who complete what somebody types.
//
// A head tells it exactly of the spans in the range. A block tells what its dictionaries and its footer hold, and reads pages where
// there are none; so of a block that reaches into the range and beyond it, what lies beyond is told too. The newest come
// first, and when as many are known as are wanted the older blocks are not opened.

const (
	// maxTags bounds how many names or values one answer may have.
	maxTags = 10_000
	// maxTagBytes bounds them in bytes: past it the answer ends as if the limit were reached.
	maxTagBytes = 8 << 20
)

// tags gathers distinct things up to a limit.
type tags[T comparable] struct {
	limit int
	bytes int
	seen  map[T]struct{}
}

func newTags[T comparable](limit int) *tags[T] {
	return &tags[T]{limit: max(1, min(limit, maxTags)), seen: map[T]struct{}{}}
}

// full says that there is more than fits.
func (t *tags[T]) full() bool { return len(t.seen) > t.limit || t.bytes > maxTagBytes }

func (t *tags[T]) add(v T, size int) {
	if _, ok := t.seen[v]; !ok && !t.full() {
		t.seen[v] = struct{}{}
		t.bytes += size
	}
}

// sorted is what was gathered, in order.
func (t *tags[T]) sorted(compare func(a, b T) int) (all []T, more bool) {
	all = slices.SortedFunc(maps.Keys(t.seen), compare)
	return all[:min(len(all), t.limit)], t.full()
}

// TagNames is the keys of the attributes that spans have in any of the scopes, each with its one scope, by scope and then key; of spans that began between from
// and to (Unix nanoseconds, to exclusive, 0 is open), and perhaps of others in the same blocks. At most limit, and never
// more than 10,000; more says that there are others, or may be where a block is damaged.
func (s *Store) TagNames(ctx context.Context, scopes filter.Scopes, from, to int64, limit int) (names []telemetry.TagName, more bool, err error) {
	all := newTags[telemetry.TagName](limit)
	lacks, err := s.eachTable(ctx, from, to, all.full, func(v *headView, in func() ([]uint16, *rowChunk, error)) error {
		return headNames(v, scopes, all, in)
	}, func(rd *reader) error { return blockNames(ctx, rd, scopes, all) })
	if err != nil {
		return nil, false, fmt.Errorf("names of attributes: %w", err)
	}
	names, more = all.sorted(func(a, b telemetry.TagName) int {
		return cmp.Or(cmp.Compare(a.Scope, b.Scope), cmp.Compare(a.Key, b.Key))
	})
	return names, more || lacks, nil
}

// TagValues is the values that a field has, by type and then as text; of which spans, and how many, is as for TagNames. A field
// without texts or numbers (ids, times, durations, what is of a trace as a whole) is a *filter.Error.
func (s *Store) TagValues(ctx context.Context, f filter.Field, from, to int64, limit int) (values []telemetry.TagValue, more bool, err error) {
	all := newTags[telemetry.TagValue](limit)
	l, err := listed(f, all)
	if err != nil {
		return nil, false, fmt.Errorf("values of an attribute: %w", err)
	}
	for _, w := range f.Fact.Words() {
		all.add(telemetry.TagValue{Type: filter.TypeText, Text: w}, len(w))
	}
	lacks := false
	if len(all.seen) == 0 {
		lacks, err = s.eachTable(ctx, from, to, all.full, func(v *headView, in func() ([]uint16, *rowChunk, error)) error {
			return headValues(v, l, in)
		}, func(rd *reader) error { return blockValues(ctx, rd, l, all.full) })
	}
	if err != nil {
		return nil, false, fmt.Errorf("values of an attribute: %w", err)
	}
	values, more = all.sorted(func(a, b telemetry.TagValue) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Text, b.Text))
	})
	return values, more || lacks, nil
}

// listed is a leaf that, wherever it is asked for a verdict, notes the value instead.
func listed(f filter.Field, all *tags[telemetry.TagValue]) (*leaf, error) {
	if err := filter.Exists(f).Validate(); err != nil {
		return nil, err
	}
	switch f.Fact {
	case filter.Duration, filter.Start, filter.TraceID, filter.SpanID, filter.ParentID, filter.EventTime, filter.LinkTraceID, filter.LinkSpanID:
		return nil, &filter.Error{Field: f.String(), Reason: "its values are as many as there are spans, and are not listed"}
	}
	if f.Fact.OfTrace() {
		return nil, &filter.Error{Field: f.String(), Reason: "what is of a trace as a whole is not listed"}
	}
	m, err := filter.NewMatcher(filter.Exists(f).Condition())
	if err != nil {
		return nil, err
	}
	return &leaf{Matcher: m, note: func(t filter.Type, text []byte, bits uint64) {
		v := telemetry.TagValue{Type: t}
		switch t {
		case filter.TypeInt:
			v.Text = strconv.FormatInt(int64(bits), 10)
		case filter.TypeFloat:
			v.Text = strconv.FormatFloat(math.Float64frombits(bits), 'g', -1, 64)
		case filter.TypeBool:
			v.Text = strconv.FormatBool(bits != 0)
		case filter.TypeBytes:
			v.Text = base64.StdEncoding.EncodeToString(text)
		default:
			v.Text = string(text)
		}
		all.add(v, len(v.Text))
	}}, nil
}

// eachTable goes through the heads and then the blocks, the latest first, that have spans in the range, until done. Of a head it hands
// on the rows in the range, a chunk at a time: in gives no rows after the last. lacks says that something could not be read.
func (s *Store) eachTable(ctx context.Context, from, to int64, done func() bool, head func(v *headView, in func() ([]uint16, *rowChunk, error)) error, block func(rd *reader) error) (lacks bool, err error) {
	p, err := newPlan(telemetry.SpanQuery{From: from, To: to})
	if err != nil {
		return false, err
	}
	sn := s.snapshot()
	defer sn.done()
	for _, h := range sn.heads {
		v := h.view()
		if done() || p.outside(&v.meta, nil) {
			continue
		}
		t := &headTable{v: &v, defs: spanColumns()}
		root, err := p.root.bind(t)
		if err != nil {
			return false, err
		}
		at, all, sel := 0, rowNumbers(chunkRows), make([]uint16, chunkRows)
		err = head(&v, func() ([]uint16, *rowChunk, error) {
			for ; at < v.spans.n && !done(); at += chunkRows {
				t.chunk = v.spans.chunks[at/chunkRows]
				k, err := root.keep(sel[:copy(sel, all[:min(chunkRows, v.spans.n-at)])])
				if err != nil || k > 0 {
					at += chunkRows
					return sel[:k], t.chunk, cmp.Or(err, ctx.Err())
				}
			}
			return nil, nil, nil
		})
		if err != nil {
			return false, err
		}
	}
	lacks = len(sn.lostSince(from)) > 0
	order := slices.Clone(sn.blocks)
	slices.SortFunc(order, func(a, b *blockRef) int { return cmp.Compare(b.meta.startMax, a.meta.startMax) })
	for _, b := range order {
		if err := ctx.Err(); err != nil || done() {
			return lacks, err
		}
		if p.outside(&b.meta, &b.filters) {
			continue
		}
		if err := s.eachBlock(b, block); err != nil {
			if ctx.Err() != nil {
				return false, ctx.Err()
			}
			s.damage(b, err)
			lacks = true
		}
	}
	return lacks, ctx.Err()
}

func (s *Store) eachBlock(b *blockRef, of func(rd *reader) error) (err error) {
	defer guard(&err)
	rd, err := s.read(b, spansFile, spanColumns())
	if err != nil {
		return err
	}
	defer rd.close()
	return of(rd)
}

// headNames notes the keys of a head's rows, of their resources, events and links.
func headNames(v *headView, scopes filter.Scopes, all *tags[telemetry.TagName], in func() ([]uint16, *rowChunk, error)) error {
	t := &headTable{v: v, defs: spanColumns()}
	var known [filter.InLink + 1][]bool // by scope and key
	note := func(scope filter.Scopes) func(x pair) filter.Verdict {
		known[scope] = make([]bool, len(v.keys))
		return func(x pair) filter.Verdict {
			if k := x.col - colDynamic; k >= 0 && scopes&scope != 0 && !known[scope][k] {
				known[scope][k] = true
				name := string(v.strings.bytes(v.keys[k].name))
				all.add(telemetry.TagName{Scope: scope, Key: name}, len(name))
			}
			return filter.NoValue
		}
	}
	span, shared, event, link := note(filter.InSpan), note(filter.InResource), note(filter.InEvent), note(filter.InLink)
	resources := t.perResource(func(r *resource) filter.Verdict {
		t.run(v.rest.at(r.attrs), shared)
		return filter.NoValue
	})
	none := &leaf{Matcher: &filter.Matcher{}}
	rest := t.inRest(func(x pair) filter.Verdict {
		switch x.col {
		case colEvents:
			return t.nested(none, x, event)
		case colLinks:
			return t.nested(none, x, link)
		}
		return span(x)
	})
	for {
		rows, c, err := in()
		if err != nil || c == nil {
			return err
		}
		for _, row := range rows {
			resources(c, row)
			rest(c, row)
		}
	}
}

// headValues has the leaf see the values of a head's rows.
func headValues(v *headView, l *leaf, in func() ([]uint16, *rowChunk, error)) error {
	t := &headTable{v: v, defs: spanColumns()}
	sources, err := t.sources(l)
	if err != nil {
		return err
	}
	for {
		rows, c, err := in()
		if err != nil || c == nil {
			return err
		}
		t.chunk = c
		for _, src := range sources {
			if _, err := src.keep(anyVerdict, rows); err != nil {
				return err
			}
		}
	}
}

// blockNames notes the keys of a block: of its columns, and of the JSON that the others are in.
func blockNames(ctx context.Context, rd *reader, scopes filter.Scopes, all *tags[telemetry.TagName]) error {
	note := func(scope filter.Scopes) func([]byte, telemetry.AttrType, []byte, uint64) {
		return func(key []byte, _ telemetry.AttrType, _ []byte, _ uint64) {
			all.add(telemetry.TagName{Scope: scope, Key: string(key)}, len(key))
		}
	}
	if scopes&filter.InSpan != 0 {
		for key := range rd.f.byAttr {
			all.add(telemetry.TagName{Scope: filter.InSpan, Key: key}, len(key))
		}
	}
	for _, x := range [...]struct {
		scope filter.Scopes
		col   int
		read  func(r *jsonReader, note func([]byte, telemetry.AttrType, []byte, uint64))
	}{
		{filter.InSpan, colAttributes, (*jsonReader).attrs},
		{filter.InResource, colResource, (*jsonReader).attrs},
		{filter.InEvent, colEvents, (*jsonReader).eventAttrs},
		{filter.InLink, colLinks, (*jsonReader).linkAttrs},
	} {
		if at := rd.f.byID[x.col]; at >= 0 && scopes&x.scope != 0 {
			see := note(x.scope)
			if err := rd.eachText(ctx, at, all.full, func(text []byte) { x.read(&jsonReader{in: text}, see) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// blockValues has the leaf see the values of a block.
func blockValues(ctx context.Context, rd *reader, l *leaf, done func() bool) error {
	t := &fileTable{r: rd}
	sources, err := t.sources(l) // by which the dictionaries are seen
	if err != nil {
		return err
	}
	all, sel := rowNumbers(pageRows), make([]uint16, pageRows)
	for _, src := range sources {
		if s, ok := src.(*columnSource); ok && rd.f.columns[s.at].whole(len(s.verdicts)) {
			continue
		}
		for p := 0; p < len(rd.f.bounds) && !done(); p++ {
			if err := ctx.Err(); err != nil {
				return err
			}
			t.page = p
			if _, err := src.keep(anyVerdict, sel[:copy(sel, all[:rd.f.pageLen(p)])]); err != nil {
				return err
			}
		}
	}
	return nil
}

// eachText hands on the texts of a column, each entry of a dictionary once.
func (r *reader) eachText(ctx context.Context, at int, done func() bool, of func(text []byte)) error {
	d, err := r.dictionary(at)
	if err != nil {
		return err
	}
	n := d.count()
	for i := range n {
		of(d.text(i))
	}
	if r.f.columns[at].whole(n) {
		return nil
	}
	for p := 0; p < len(r.f.bounds) && !done(); p++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		v, err := r.load(at, p)
		if err != nil {
			return err
		}
		for i := 0; v.indexes == nil && i < v.count(); i++ {
			of(v.text(i))
		}
	}
	return nil
}

// eventAttrs reads the attributes of a list of events.
func (r *jsonReader) eventAttrs(put func(key []byte, t telemetry.AttrType, text []byte, bits uint64)) {
	r.list(func() {
		r.expect(`{"time":`)
		r.raw()
		r.expect(`,"name":`)
		r.raw()
		r.expect(`,"attributes":`)
		r.attrs(put)
		r.expect("}")
	})
}

// linkAttrs reads the attributes of a list of links.
func (r *jsonReader) linkAttrs(put func(key []byte, t telemetry.AttrType, text []byte, bits uint64)) {
	r.list(func() {
		r.expect(`{"trace_id":`)
		r.raw()
		r.expect(`,"span_id":`)
		r.raw()
		r.expect(`,"attributes":`)
		r.attrs(put)
		r.expect("}")
	})
}
