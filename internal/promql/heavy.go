package promql

import (
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// longRange is the longest range of a selector that is no sign of a heavy query.
const longRange = 6 * time.Hour

// Heavy says that an expression may go through much: it has a subquery, a selector that names no metric or a long range, or joins many
// series to one. The engine computes without a pause where others could go first, so that few of these may be under way at once (ask.Ask.Heavy).
// What is refused or cannot be parsed is not heavy.
func (e *Engine) Heavy(text string) (heavy bool) {
	if checkText(text, e.Config.MaxExpressionBytes) != nil {
		return false
	}
	expr, err := e.Parser.ParseExpr(text)
	if err != nil {
		return false
	}
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.SubqueryExpr:
			heavy = true
		case *parser.MatrixSelector:
			heavy = heavy || n.Range > longRange
		case *parser.VectorSelector:
			heavy = heavy || !namesMetric(n.LabelMatchers)
		case *parser.BinaryExpr:
			heavy = heavy || n.VectorMatching != nil && n.VectorMatching.Card != parser.CardOneToOne
		}
		return nil
	})
	return heavy
}

func namesMetric(matchers []*labels.Matcher) bool {
	for _, m := range matchers {
		if m.Name == labels.MetricName && m.Type == labels.MatchEqual {
			return true
		}
	}
	return false
}
