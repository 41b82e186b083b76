package filter

// String writes the tree in one way alone, for logs and tests: not before and before or. There is no parser of it.
//
//	resource:service = "cart" and (span:duration >= 5ms or exists .error) and text(.http.status_code) != "200"
func (f Filter) String() string { return string(f.append(nil)) }

func (f Filter) append(b []byte) []byte {
	switch f.Form() {
	case True:
		return append(b, "true"...)
	case False:
		return append(b, "false"...)
	case Test:
		return f.n.cond.append(b, false)
	case Not:
		if p := f.n.parts[0]; p.Form() == Test {
			return p.n.cond.append(b, true)
		}
		b = append(b, "not ("...)
		return append(f.n.parts[0].append(b), ')')
	}
	word, none := " and ", "all()"
	if f.n.form == Or {
		word, none = " or ", "any()"
	}
	switch len(f.n.parts) {
	case 0:
		return append(b, none...)
	case 1: // All(x) is not x, though it says the same
		b = append(b, none[:len(none)-1]...)
		return append(f.n.parts[0].append(b), ')')
	}
	for i, p := range f.n.parts {
		if i > 0 {
			b = append(b, word...)
		}
		if form := p.Form(); form == And || form == Or {
			b = append(b, '(')
			b = append(p.append(b), ')')
		} else {
			b = p.append(b)
		}
	}
	return b
}

// append writes a condition, or its opposite.
func (c Condition) append(b []byte, not bool) []byte {
	op := "?"
	if int(c.Op) < len(opNames) {
		op = opNames[c.Op]
	}
	switch {
	case not && c.Op == Equal:
		op, not = "!=", false
	case not && c.Op == Match:
		op, not = "!~", false
	}
	if not {
		b = append(b, "not "...)
	}
	if c.Op == Present {
		return append(append(b, "exists "...), c.Field.String()...)
	}
	if c.Value.typ == typeWritten {
		b = append(append(append(b, "text("...), c.Field.String()...), ')')
	} else {
		b = append(b, c.Field.String()...)
	}
	b = append(append(append(b, ' '), op...), ' ')
	return append(b, c.Value.String()...)
}

// String writes the condition.
func (c Condition) String() string { return string(c.append(nil, false)) }
