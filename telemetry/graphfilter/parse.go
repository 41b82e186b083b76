package graphfilter

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Parse reads an expression. Errors are *Error.
func Parse(s string) (*Filter, error) {
	if len(s) > MaxBytes {
		return nil, &Error{0, fmt.Sprintf("it is longer than %d bytes", MaxBytes)}
	}
	p := parser{s: s}
	p.next()
	root, err := p.any()
	if err == nil && p.token != "" {
		err = p.fail(fmt.Sprintf("%q is not expected here: put and or or before it", p.token))
	}
	if err != nil {
		return nil, err
	}
	return &Filter{edges: p.edges, root: root}, nil
}

// A parser reads by recursive descent, as deep as maxDepth.
type parser struct {
	s      string
	at     int // where token ends
	start  int // where it begins
	token  string
	quoted bool
	err    *Error // what is no token

	terms, depth int
	some, edges  bool // a term was read; it was about edges
}

func (p *parser) fail(reason string) error {
	if p.err != nil {
		return p.err
	}
	return &Error{p.start, reason}
}

// operators, the longest first.
var operators = []string{"!*=", "!^=", "!$=", "!=", ">=", "<=", "*=", "^=", "$=", "&&", "||", "=", ">", "<", "!", "(", ")"} //nolint:gochecknoglobals // immutable

func operatorAt(s string) string {
	for _, op := range operators {
		if strings.HasPrefix(s, op) {
			return op
		}
	}
	return ""
}

// next reads a token; "" at the end.
func (p *parser) next() {
	for p.at < len(p.s) && (p.s[p.at] == ' ' || p.s[p.at] == '\t' || p.s[p.at] == '\n' || p.s[p.at] == '\r') {
		p.at++
	}
	p.start, p.token, p.quoted = p.at, "", false
	rest := p.s[p.at:]
	if rest == "" {
		return
	}
	if q := rest[0]; q == '"' || q == '\'' {
		end := strings.IndexByte(rest[1:], q)
		if end < 0 {
			p.err = &Error{p.start, "a text in quotation marks does not end"}
			p.at = len(p.s)
			return
		}
		p.token, p.quoted = rest[1:1+end], true
		p.at += end + 2
		return
	}
	if op := operatorAt(rest); op != "" {
		p.token = op
		p.at += len(op)
		return
	}
	n := 0
	for n < len(rest) && rest[n] != ' ' && rest[n] != '\t' && rest[n] != '\n' && rest[n] != '\r' && rest[n] != '"' && operatorAt(rest[n:]) == "" {
		n++
	}
	p.token = rest[:n]
	p.at += n
}

func (p *parser) is(words ...string) bool {
	return !p.quoted && slices.Contains(words, strings.ToLower(p.token))
}

func (p *parser) any() (expression, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.fail(fmt.Sprintf("it is nested deeper than %d", maxDepth))
	}
	defer func() { p.depth-- }()
	x, err := p.all()
	for err == nil && p.is("or", "||") {
		p.next()
		var y expression
		if y, err = p.all(); err == nil {
			x = either{x, y}
		}
	}
	return x, err
}

func (p *parser) all() (expression, error) {
	x, err := p.term()
	for err == nil && p.is("and", "&&") {
		p.next()
		var y expression
		if y, err = p.term(); err == nil {
			x = both{x, y}
		}
	}
	return x, err
}

func (p *parser) term() (expression, error) {
	opposite := false
	for p.is("not", "!") {
		opposite = !opposite
		p.next()
	}
	var x expression
	var err error
	if p.is("(") {
		p.next()
		if x, err = p.any(); err == nil && !p.is(")") {
			err = p.fail("a parenthesis is not closed")
		}
		p.next()
	} else {
		x, err = p.test()
	}
	if err == nil && opposite {
		x = not{x}
	}
	return x, err
}

func (p *parser) test() (expression, error) {
	if p.token == "" || p.err != nil {
		return nil, p.fail("an operand is missing, such as name or healthy")
	}
	name := strings.ToLower(p.token)
	o, why, ok := operandOf(name)
	switch {
	case why != "":
		return nil, p.fail(fmt.Sprintf("%s cannot be asked: %s", name, why))
	case !ok || p.quoted:
		return nil, p.fail(fmt.Sprintf("%q is no operand; docs/api/http.md lists them", p.token))
	case p.some && p.edges != o.edges:
		return nil, p.fail(fmt.Sprintf("%s is about %s, and what comes before about %s: ask about one of them", name, about(o.edges), about(p.edges)))
	}
	p.some, p.edges = true, o.edges
	if p.terms++; p.terms > maxTerms {
		return nil, p.fail(fmt.Sprintf("it has more than %d terms", maxTerms))
	}
	p.next()
	if o.flag != nil {
		return test{operand: o}, nil
	}
	t := test{operand: o, op: p.token}
	if p.quoted || !slices.Contains([]string{"=", "!=", ">", ">=", "<", "<=", "*=", "^=", "$=", "!*=", "!^=", "!$="}, t.op) {
		return nil, p.fail(name + " is compared with something: = != > >= < <= are missing")
	}
	p.next()
	if p.err != nil || p.token == "" && !p.quoted || !p.quoted && operatorAt(p.token) != "" {
		return nil, p.fail(fmt.Sprintf("what %s is compared with is missing", name))
	}
	if o.number == nil {
		t.text = strings.ToLower(p.token)
		p.next()
		return t, nil
	}
	v, err := strconv.ParseFloat(strings.TrimSuffix(p.token, "%"), 64)
	switch {
	case err != nil || math.IsNaN(v):
		return nil, p.fail(fmt.Sprintf("%s is a number, and %q is none", name, p.token))
	case len(t.op) > 1 && t.op != "!=" && t.op != ">=" && t.op != "<=":
		return nil, p.fail(name + " is a number: compare it by = != > >= < <=")
	}
	t.number = v
	p.next()
	return t, nil
}

func about(edges bool) string {
	if edges {
		return "edges"
	}
	return "nodes"
}
