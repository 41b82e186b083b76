package promql

import (
	"fmt"
	"regexp/syntax"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/strutil"
)

// A text that a client sends is looked at before it is parsed.
//
// The problem: the parser asks each node for its type, which asks the nodes below, so that its work grows with the square of
// the depth: 400 kB of parentheses keep a processor busy for minutes, and nothing can interrupt it. A regular
// expression of ten bytes may compile to a hundred megabytes.
//
// The rule: one walk of the lexer, whose work grows with the length alone, counts what makes the parser's work grow: brackets that are open
// at once, operators and brackets in all (a chain of operators is a deep tree as well), and what each regular expression
// would compile to. What is within the limits is parsed in milliseconds.
//
// Not chosen: to parse in a goroutine and to leave it behind when its time is up. It would go on.

const (
	// maxDepth is how many brackets may be open at once.
	maxDepth = 100
	// maxOperators is how many operators and brackets one expression may have.
	maxOperators = 1000
	// maxRegexSteps is how many instructions a regular expression may compile to.
	maxRegexSteps = 32 << 10
	// maxSelectors is how many selectors one request may name.
	maxSelectors = 100
)

// A RefusedError says that a question would cost more than is allowed, before anything was spent on it. It is safe to show.
type RefusedError struct {
	Reason string // the label of the metric
	Detail string // what is too much, the limit, and how to ask instead
}

// Error is the detail.
func (e *RefusedError) Error() string { return e.Detail }

// CheckText looks at an expression before it is parsed. The error is a *RefusedError, and counted.
func (e *Engine) CheckText(text string) error {
	if err := checkText(text, e.Config.MaxExpressionBytes); err != nil {
		e.refused.WithLabelValues(err.Reason).Inc()
		return err
	}
	return nil
}

// CheckSelectors looks at the selectors of one request, which count together.
func (e *Engine) CheckSelectors(texts []string) error {
	refuse := func(err *RefusedError) error {
		e.refused.WithLabelValues(err.Reason).Inc()
		return err
	}
	if len(texts) > maxSelectors {
		return refuse(&RefusedError{"selectors", fmt.Sprintf("%d selectors are named, at most %d may be; ask for fewer at a time", len(texts), maxSelectors)})
	}
	left := e.Config.MaxExpressionBytes
	for _, t := range texts {
		if err := checkText(t, left); err != nil {
			return refuse(err)
		}
		left -= len(t)
	}
	return nil
}

func checkText(text string, most int) *RefusedError {
	if len(text) > most {
		return &RefusedError{"length", fmt.Sprintf("the expression has %d bytes, at most %d are read; ask for less at a time, or raise promql.max_expression_bytes", len(text), most)}
	}
	depth, operators := 0, 0
	lexer := parser.Lex(text)
	var item parser.Item
	for {
		lexer.NextItem(&item)
		switch item.Typ {
		case parser.EOF, parser.ERROR: // the parser says what is wrong, at its place
			return nil
		case parser.LEFT_PAREN, parser.LEFT_BRACE, parser.LEFT_BRACKET:
			depth++
			operators++
		case parser.RIGHT_PAREN, parser.RIGHT_BRACE, parser.RIGHT_BRACKET:
			depth--
		case parser.STRING:
			if n := regexSteps(item.Val); n > maxRegexSteps {
				return &RefusedError{"regex", fmt.Sprintf("the regular expression %s is worth %d steps, at most %d are allowed; repeat less, or name fewer alternatives", short(item.Val), n, maxRegexSteps)}
			}
		default:
			if item.Typ.IsOperator() {
				operators++
			}
		}
		switch {
		case depth > maxDepth:
			return &RefusedError{"depth", fmt.Sprintf("more than %d brackets are open at once at byte %d; nest less", maxDepth, item.Pos)}
		case operators > maxOperators:
			return &RefusedError{"operators", fmt.Sprintf("the expression has more than %d operators and brackets; ask in several parts", maxOperators)}
		}
	}
}

// short is a quoted text, cut where it is long.
func short(s string) string {
	const most = 60
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// regexSteps is about how many instructions a quoted string would compile to as a regular expression, at least; 0 for
// what is none. All strings are asked, since label_replace takes one too. A list of plain words is looked up, not run.
func regexSteps(quoted string) int {
	s, err := strutil.Unquote(quoted)
	if err != nil || plainWords(s) {
		return 0
	}
	re, err := syntax.Parse(s, syntax.Perl|syntax.DotNL)
	if err != nil {
		return 0
	}
	return steps(re)
}

func plainWords(s string) bool {
	for i := range len(s) {
		switch s[i] {
		case '\\', '.', '+', '*', '?', '(', ')', '[', ']', '{', '}', '^', '$':
			return false
		}
	}
	return true
}

// steps adds up a tree, whose height the package syntax bounds. What is repeated is compiled as often as it may come.
func steps(re *syntax.Regexp) int {
	n := 1
	switch re.Op {
	case syntax.OpLiteral:
		n = len(re.Rune)
	case syntax.OpCharClass:
		n = 1 + len(re.Rune)/16
	}
	for _, sub := range re.Sub {
		n += steps(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1)
	}
	return n
}
