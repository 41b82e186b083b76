package block

import (
	"encoding/binary"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/filter"
)

// headTable is the spans of a head while they are scanned.
type headTable struct {
	v     *headView
	defs  []columnDef
	chunk *rowChunk // the one that rows are numbered in
}

// headSource is a place in a head: verdict says what row i of a chunk has there.
type headSource struct {
	t       *headTable
	verdict func(c *rowChunk, i uint16) filter.Verdict
	sum     filter.Verdict
	cost    int
}

func (s *headSource) can() filter.Verdict   { return s.sum }
func (s *headSource) price() (int, float64) { return s.cost, 0.5 }

func (s *headSource) keep(want filter.Verdict, sel []uint16) (int, error) {
	k, c := 0, s.t.chunk
	for i, row := range sel {
		if s.verdict(c, row)&want != 0 {
			sel[i], sel[k] = sel[k], row
			k++
		}
	}
	return k, nil
}

func (t *headTable) sources(l *leaf) ([]source, error) {
	if l.Field.Fact == 0 {
		return t.attributeSources(l), nil
	}
	s := &headSource{t: t, sum: anyVerdict, cost: priceArray}
	switch l.Field.Fact {
	case filter.Start:
		s.sum = l.within(t.v.meta.startMin, t.v.meta.startMax)
		s.verdict = func(c *rowChunk, i uint16) filter.Verdict { return l.number(filter.TypeTime, c.start[i]) }
	case filter.Duration:
		s.sum = l.within(t.v.meta.durationMin, t.v.meta.durationMax)
		s.verdict = func(c *rowChunk, i uint16) filter.Verdict { return l.number(filter.TypeDuration, c.duration[i]) }
	case filter.Kind:
		words := l.words(colKind, spanKindNames())
		s.verdict = func(c *rowChunk, i uint16) filter.Verdict { return wordAt(words, uint64(c.bits[i]&15)) }
	case filter.Status:
		words := l.words(colStatus, statusNames())
		s.verdict = func(c *rowChunk, i uint16) filter.Verdict { return wordAt(words, uint64(c.bits[i]>>4)) }
	case filter.TraceID:
		id, ok := l.traceID()
		s.verdict = func(c *rowChunk, i uint16) filter.Verdict {
			if l.Op == filter.Present || ok && c.trace[i] == id {
				return filter.Holds
			}
			return filter.Misses
		}
	case filter.SpanID:
		is := l.spanID()
		s.verdict = func(c *rowChunk, i uint16) filter.Verdict { return is(c.span[i][:]) }
	case filter.ParentID:
		is := l.spanID()
		s.verdict = func(c *rowChunk, i uint16) filter.Verdict {
			if c.parent[i].IsZero() {
				return filter.NoValue
			}
			return is(c.parent[i][:])
		}
	case filter.Name:
		known := t.remembered(l.known)
		s.cost = priceCoded
		s.verdict = func(c *rowChunk, i uint16) filter.Verdict { return known(c.name[i]) }
	case filter.Cluster, filter.Namespace, filter.Workload, filter.Service, filter.App, filter.Version, filter.Instance, filter.Principal:
		part := l.Field.Fact - filter.Cluster
		s.cost = priceCoded
		s.verdict = t.perResource(func(r *resource) filter.Verdict { return l.known(t.v.strings.bytes(r.identity[part])) })
	default:
		s.cost = priceDecoding
		s.verdict = t.inRest(t.restFact(l))
	}
	return []source{s}, nil
}

// wordAt is the verdict on a number that a sender chose.
func wordAt(words []filter.Verdict, n uint64) filter.Verdict {
	if n >= uint64(len(words)) {
		n = 0
	}
	return words[n]
}

// remembered asks for the verdict on each string of the head once.
func (t *headTable) remembered(of func(text []byte) filter.Verdict) func(id uint32) filter.Verdict {
	seen := map[uint32]filter.Verdict{}
	return func(id uint32) filter.Verdict {
		v, ok := seen[id]
		if !ok {
			v = of(t.v.strings.bytes(id))
			seen[id] = v
		}
		return v
	}
}

// perResource asks for the verdict on each resource once.
func (t *headTable) perResource(of func(r *resource) filter.Verdict) func(c *rowChunk, i uint16) filter.Verdict {
	seen := make([]filter.Verdict, len(t.v.resources)) // 0: not yet
	return func(c *rowChunk, i uint16) filter.Verdict {
		v := &seen[c.resource[i]]
		if *v == 0 {
			*v = of(&t.v.resources[c.resource[i]])
		}
		return *v
	}
}

// inRest goes through the pairs of a row and adds up the verdicts; without any, it is that of nothing.
func (t *headTable) inRest(of func(x pair) filter.Verdict) func(c *rowChunk, i uint16) filter.Verdict {
	absent := max(of(pair{col: colEnd}), filter.NoValue)
	return func(c *rowChunk, i uint16) filter.Verdict {
		var sum filter.Verdict
		p := t.v.rest.at(c.rest[i])
		for ok := true; ok && sum&filter.Holds == 0; {
			var x pair
			if x, p, ok = t.v.next(p, t.defs); ok {
				sum |= of(x)
			}
		}
		if sum == 0 {
			return absent
		}
		return most(sum)
	}
}

// restFact is the verdict on a pair, 0 where it is not the fact's. The end stands for a row that has none, since what is
// zero is left out.
func (t *headTable) restFact(l *leaf) func(x pair) filter.Verdict {
	col := columnOf(l.Field.Fact)
	switch def := t.defs[col]; def.kind {
	case kindEnum:
		words := l.words(col, def.names)
		return func(x pair) filter.Verdict {
			switch x.col {
			case col:
				return wordAt(words, x.bits)
			case colEnd:
				return words[0]
			}
			return 0
		}
	case kindText:
		known := t.remembered(l.known)
		return func(x pair) filter.Verdict {
			if x.col != col {
				return 0
			}
			return known(uint32(x.bits))
		}
	case kindJSON:
		return func(x pair) filter.Verdict {
			if x.col != col {
				return 0
			}
			return t.nested(l, x, nil)
		}
	default:
		return func(x pair) filter.Verdict {
			if x.col != col {
				return 0
			}
			return l.number(filter.TypeInt, int64(x.bits))
		}
	}
}

// attributeSources are the resource's attributes, and those of the row, its events and its links.
func (t *headTable) attributeSources(l *leaf) []source {
	// The keys of the head by which the attribute goes, one a type, as column numbers.
	keys := make([]bool, len(t.v.keys))
	found := false
	for i, k := range t.v.keys {
		keys[i] = string(t.v.strings.bytes(k.name)) == l.Field.Key
		found = found || keys[i]
	}
	if !found {
		return nil
	}
	known := t.attribute(l)
	attr := func(x pair) filter.Verdict {
		if x.col >= colDynamic && keys[x.col-colDynamic] {
			return known(x)
		}
		return 0
	}
	var out []source
	if l.Field.Scopes&filter.InResource != 0 {
		out = append(out, &headSource{t: t, sum: anyVerdict, cost: priceCoded, verdict: t.perResource(func(r *resource) filter.Verdict {
			sum, _ := t.run(t.v.rest.at(r.attrs), attr)
			return most(sum)
		})})
	}
	if l.Field.Scopes&(filter.InSpan|filter.InEvent|filter.InLink) != 0 {
		out = append(out, &headSource{t: t, sum: anyVerdict, cost: priceDecoding, verdict: t.inRest(func(x pair) filter.Verdict {
			switch {
			case x.col == colEvents && l.Field.Scopes&filter.InEvent != 0, x.col == colLinks && l.Field.Scopes&filter.InLink != 0:
				return t.nested(l, x, attr)
			case l.Field.Scopes&filter.InSpan != 0:
				return attr(x)
			}
			return 0
		})})
	}
	return out
}

// attribute is the verdict on an attribute; texts are asked once each where that is costly.
func (t *headTable) attribute(l *leaf) func(x pair) filter.Verdict {
	matched := t.remembered(func(text []byte) filter.Verdict { return l.Value(filter.TypeText, text, 0) })
	return func(x pair) filter.Verdict {
		typ := t.v.keys[x.col-colDynamic].typ
		if typ == telemetry.AttrString && l.Op == filter.Match {
			return matched(uint32(x.bits))
		}
		return l.Value(filter.Type(typ), headText(t.v, typ, x.bits), x.bits)
	}
}

// run adds up the verdicts on a run of pairs and returns what follows it.
func (t *headTable) run(p []byte, of func(x pair) filter.Verdict) (filter.Verdict, []byte) {
	var sum filter.Verdict
	for {
		x, rest, ok := t.v.next(p, nil)
		if p = rest; !ok {
			return sum, p
		}
		if of != nil {
			sum |= of(x)
		}
	}
}

// nested adds up the verdicts on a row's events or links: on a fact of each, or on their attributes.
func (t *headTable) nested(l *leaf, x pair, attr func(x pair) filter.Verdict) filter.Verdict {
	var sum, one filter.Verdict
	p := x.data
	for range x.bits {
		if x.col == colLinks {
			switch l.Field.Fact {
			case filter.LinkTraceID:
				sum |= l.Value(filter.TypeText, []byte(telemetry.TraceID(p[:16]).String()), 0)
			case filter.LinkSpanID:
				sum |= l.Value(filter.TypeText, []byte(telemetry.SpanID(p[16:24]).String()), 0)
			}
			p = p[24:]
		} else {
			if l.Field.Fact == filter.EventTime {
				sum |= l.number(filter.TypeTime, int64(binary.LittleEndian.Uint64(p)))
			}
			var name uint64
			name, p = uvarint(p[8:])
			if l.Field.Fact == filter.EventName {
				sum |= l.known(t.v.strings.bytes(uint32(name)))
			}
		}
		one, p = t.run(p, attr)
		sum |= one
	}
	return sum
}
