package block

import (
	"math"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/filter"
	"pgregory.net/rapid"
)

// tree draws a filter of a few conditions, over all fields and with literals that things are likely to have.
func (d *drawer) tree(depth int) filter.Filter {
	form := d.n("form", 9)
	switch {
	case form == 0:
		return rapid.SampledFrom([]filter.Filter{filter.Everything(), filter.Nothing()}).Draw(d.t, "constant")
	case form <= 3 && depth > 0:
		return filter.Negate(d.tree(depth - 1))
	case form <= 6 && depth > 0:
		parts := make([]filter.Filter, d.n("parts", 3))
		for i := range parts {
			parts[i] = d.tree(depth - 1)
		}
		if form == 4 {
			return filter.Any(parts...)
		}
		return filter.All(parts...)
	default:
		return d.condition()
	}
}

func (d *drawer) condition() filter.Filter {
	f := d.field()
	if d.n("exists", 4) == 0 {
		return filter.Exists(f)
	}
	return d.conditionOn(f)
}

// conditionOn draws until the operator and the literal go with the field.
func (d *drawer) conditionOn(f filter.Field) filter.Filter {
	for {
		op := rapid.SampledFrom([]filter.Op{filter.Equal, filter.Equal, filter.Less, filter.LessEqual, filter.Greater, filter.GreaterEqual, filter.Match}).Draw(d.t, "op")
		c := filter.Compare(f, op, d.literal(f, op))
		if c.Validate() == nil {
			return c
		}
	}
}

func (d *drawer) field() filter.Field {
	if d.n("attribute", 1) == 0 {
		return filter.Attribute(filter.Scopes(1+d.n("scopes", 14)), rapid.SampledFrom(someKeys).Draw(d.t, "key"))
	}
	return rapid.SampledFrom(filter.Facts()).Draw(d.t, "fact").Field()
}

func (d *drawer) literal(f filter.Field, op filter.Op) filter.Value {
	switch {
	case op == filter.Match:
		return rapid.SampledFrom([]filter.Value{filter.Text("a|b"), filter.Text(".*"), filter.Text("[a-c].*t?"), filter.Written("-?[0-9.]+"), filter.Text("error|server"), filter.Text("")}).Draw(d.t, "expression")
	case f.Fact == filter.TraceID || f.Fact == filter.LinkTraceID:
		return filter.Text(d.traceID(1).String())
	case f.Fact == filter.SpanID || f.Fact == filter.ParentID || f.Fact == filter.LinkSpanID:
		return filter.Text(d.spanID(1).String())
	case f.Fact != 0 && f.Fact.Words() != nil:
		return filter.Text(rapid.SampledFrom(f.Fact.Words()).Draw(d.t, "word"))
	}
	number := int64(d.n("number", 20))
	switch f.Fact {
	case filter.Duration:
		return filter.Elapsed(time.Duration(number / 4))
	case filter.TraceDuration:
		return filter.Elapsed(time.Duration(number))
	case filter.Start, filter.TraceStart, filter.EventTime:
		return filter.Moment(baseTime + number)
	case filter.TraceSpans, filter.TraceErrors:
		return filter.Int(number / 4)
	case filter.Code:
		return filter.Int(rapid.SampledFrom([]int64{-1, 0, 199, 200, math.MaxInt32}).Draw(d.t, "code"))
	}
	switch d.n("literal", 4) {
	case 0:
		return filter.Int(rapid.SampledFrom([]int64{0, 1, -1, 200, math.MaxInt64, math.MinInt64}).Draw(d.t, "int"))
	case 1:
		return filter.Float(rapid.SampledFrom([]float64{0, 1, 1.5, 200, 9.3e18, -0.5, math.Inf(-1)}).Draw(d.t, "float"))
	case 2:
		return filter.Bool(d.n("bool", 1) == 1)
	case 3:
		return filter.Written(rapid.SampledFrom(append([]string{"-1", "200", "false", "NaN", "/wA="}, someStrings...)).Draw(d.t, "written"))
	default:
		return filter.Text(rapid.SampledFrom(someStrings).Draw(d.t, "text"))
	}
}

func (d *drawer) query() telemetry.SpanQuery {
	q := telemetry.SpanQuery{Filter: d.tree(3), Limit: 1 + d.n("limit", 4)}
	if d.n("time?", 2) == 0 {
		q.From, q.To = baseTime+int64(d.n("from", 20)), baseTime+int64(d.n("to", 20))
	}
	return q
}

// Short words for what many tests ask.

func textIs(f filter.Fact, s string) filter.Filter { return filter.Is(f.Field(), filter.Text(s)) }

func attrIs(key, value string) filter.Filter {
	return filter.Is(filter.Attribute(filter.InSpanOrResource, key), filter.Written(value))
}

func lasts(op filter.Op, d time.Duration) filter.Filter {
	return filter.Compare(filter.Duration.Field(), op, filter.Elapsed(d))
}
