package filter

// Simplify is a tree that says the same of every span, in the form that an evaluator likes: constants stand at the
// root alone, no And is part of an And and no Or of an Or, none has a part twice, none has fewer than two, and Not stands over
// conditions alone.
//
// The last makes evaluation simple: And and Or only ever turn more truth into more truth, so that an evaluator may take unknown for
// false wherever it meets it, and need not tell them apart.
func (f Filter) Simplify() Filter { return f.simplify(false) }

// simplify is f, or its opposite.
func (f Filter) simplify(not bool) Filter {
	form := f.Form()
	switch form {
	case True, False:
		if (form == True) != not {
			return Everything()
		}
		return Nothing()
	case Test:
		if not {
			return Negate(f)
		}
		return f
	case Not:
		return f.n.parts[0].simplify(!not)
	}
	if not { // de Morgan
		form = And + Or - form
	}
	s := &simplifier{form: form, seen: map[string]bool{}}
	for _, p := range f.n.parts {
		if p = p.simplify(not); p.Form() == form {
			for _, q := range p.n.parts {
				s.add(q)
			}
		} else {
			s.add(p)
		}
	}
	switch {
	case s.decided && form == And || !s.decided && len(s.parts) == 0 && form == Or:
		return Nothing()
	case s.decided || len(s.parts) == 0:
		return Everything()
	case len(s.parts) == 1:
		return s.parts[0]
	}
	return branch(form, s.parts)
}

// simplifier gathers the parts of an And or an Or.
type simplifier struct {
	form    Form
	parts   []Filter
	seen    map[string]bool
	decided bool // a part decides all: false in an And, true in an Or
}

func (s *simplifier) add(p Filter) {
	switch p.Form() {
	case True, False:
		s.decided = s.decided || (p.Form() == True) == (s.form == Or)
	default:
		if key := p.String(); !s.seen[key] {
			s.seen[key] = true
			s.parts = append(s.parts, p)
		}
	}
}
