package promql

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// Some of what a query costs is seen in its tree, before a sample is read.
//
// The engine's own limit counts samples. It does not see a subquery that goes through ten years by the millisecond and
// finds nothing at each, nor a label that label_replace writes four times over, twenty times in a row: one sample, a
// terabyte of text.

// subqueryStep is the step of a subquery that names none.
const subqueryStep = time.Minute

// A growth bounds the labels of a result: a series whose labels have n bytes becomes one of at most by*n + plus.
type growth struct{ by, plus float64 }

// maxGrowth is more than any memory has room for.
const maxGrowth = 1 << 20

// costOf is how labels grow on their way through a tree, and the most steps that a subquery has. It refuses what has more
// than most.
func costOf(e parser.Expr, span time.Duration, most int) (g growth, steps int64, err *RefusedError) {
	c := costs{most: most}
	g = c.of(e, span)
	if c.err == nil && (g.by > maxGrowth || g.plus > 1<<30) {
		c.err = &RefusedError{"labels", "the expression writes labels into labels so often that they might not fit into memory; nest label_replace and label_join less"}
	}
	return g, c.steps, c.err
}

type costs struct {
	most  int
	steps int64
	err   *RefusedError
}

// of is the growth of an expression that is evaluated over a span of time.
func (c *costs) of(n parser.Expr, span time.Duration) growth {
	switch n := n.(type) {
	case *parser.ParenExpr:
		return c.of(n.Expr, span)
	case *parser.UnaryExpr:
		return c.of(n.Expr, span)
	case *parser.StepInvariantExpr:
		return c.of(n.Expr, span)
	case *parser.SubqueryExpr:
		return c.subquery(n, span)
	case *parser.AggregateExpr:
		g := c.of(n.Expr, span)
		if n.Param != nil {
			p := c.of(n.Param, span)
			g.plus += p.plus
		}
		return g
	case *parser.BinaryExpr:
		l, r := c.of(n.LHS, span), c.of(n.RHS, span)
		if m := n.VectorMatching; m != nil && len(m.Include) > 0 { // labels of the other side are taken over
			return growth{l.by + r.by, l.plus + r.plus}
		}
		return growth{max(l.by, r.by), max(l.plus, r.plus)}
	case *parser.StringLiteral:
		return growth{0, float64(len(n.Val))}
	case *parser.NumberLiteral:
		return growth{}
	case *parser.Call:
		return c.call(n, span)
	default:
		return growth{by: 1}
	}
}

func (c *costs) call(n *parser.Call, span time.Duration) growth {
	g := growth{by: 1}
	for i, a := range n.Args {
		if x := c.of(a, span); i == 0 {
			g = x
		} else {
			g.by, g.plus = max(g.by, x.by), g.plus+x.plus
		}
	}
	switch n.Func.Name {
	case "label_replace":
		if s, ok := text(n.Args, 2); ok {
			refs := float64(strings.Count(s, "$"))
			g.by, g.plus = g.by*(1+refs), g.plus*(1+refs)
		}
	case "label_join":
		sources := float64(max(len(n.Args)-3, 0))
		if s, ok := text(n.Args, 2); ok {
			g.plus += float64(len(s)) * sources
		}
		g.by, g.plus = g.by*(1+sources), g.plus*(1+sources)
	}
	g.by, g.plus = min(g.by, math.MaxFloat32), min(g.plus, math.MaxFloat32)
	return g
}

// text is an argument that is a string.
func text(args parser.Expressions, i int) (string, bool) {
	if i >= len(args) {
		return "", false
	}
	e := args[i]
	for {
		switch x := e.(type) {
		case *parser.ParenExpr:
			e = x.Expr
		case *parser.StepInvariantExpr:
			e = x.Expr
		case *parser.StringLiteral:
			return x.Val, true
		default:
			return "", false
		}
	}
}

func (c *costs) subquery(n *parser.SubqueryExpr, span time.Duration) growth {
	step := n.Step
	if step <= 0 {
		step = subqueryStep
	}
	all := n.Range + span
	if all < span { // beyond what a time.Duration holds
		all = math.MaxInt64
	}
	steps := int64(all / step)
	c.steps = max(c.steps, steps)
	if c.err == nil && steps > int64(c.most) {
		c.err = &RefusedError{"steps", fmt.Sprintf("a subquery of %s by %s has %d steps, at most %d are allowed; make its range shorter or its step longer, or raise promql.max_steps",
			all, step, steps, c.most)}
	}
	return c.of(n.Expr, all)
}
