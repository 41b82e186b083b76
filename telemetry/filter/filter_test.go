package filter_test

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry/filter"
	"pgregory.net/rapid"
)

func attr(key string) filter.Field { return filter.Attribute(filter.InSpan, key) }

// a value of a span in these tests.
type value struct {
	typ  filter.Type
	text string
	bits uint64
}

func text(s string) value   { return value{typ: filter.TypeText, text: s} }
func number(i int64) value  { return value{typ: filter.TypeInt, bits: uint64(i)} }
func float(f float64) value { return value{typ: filter.TypeFloat, bits: math.Float64bits(f)} }

// span has values by key.
type span map[string][]value

func (s span) values(f filter.Field, yield func(filter.Type, []byte, uint64)) {
	for _, v := range s[f.Key] {
		yield(v.typ, []byte(v.text), v.bits)
	}
}

func eval(t fataler, f filter.Filter, s span) filter.Truth {
	t.Helper()
	e, err := filter.NewEvaluator(f)
	if err != nil {
		t.Fatal(err)
	}
	return e.Eval(s.values)
}

type fataler interface {
	Helper()
	Fatal(args ...any)
}

func TestConditions(t *testing.T) {
	t.Parallel()
	a := attr("a")
	is := func(v filter.Value) filter.Filter { return filter.Is(a, v) }
	op := func(o filter.Op, v filter.Value) filter.Filter { return filter.Compare(a, o, v) }
	for _, c := range []struct {
		f    filter.Filter
		of   []value
		want filter.Truth
	}{
		{is(filter.Text("x")), []value{text("x")}, filter.IsTrue},
		{is(filter.Text("x")), []value{text("y"), text("x")}, filter.IsTrue}, // of one value at least
		{is(filter.Text("x")), []value{text("y")}, filter.IsFalse},
		{is(filter.Text("x")), nil, filter.IsUnknown},
		{is(filter.Text("5")), []value{number(5)}, filter.IsUnknown}, // nothing to compare
		{is(filter.Written("5")), []value{number(5)}, filter.IsTrue},
		{is(filter.Written("5")), []value{float(5)}, filter.IsTrue},
		{is(filter.Written("AAE=")), []value{{typ: filter.TypeBytes, text: "\x00\x01"}}, filter.IsTrue},
		{is(filter.Written("true")), []value{{typ: filter.TypeBool, bits: 1}}, filter.IsTrue},
		{is(filter.Written("[1]")), []value{{typ: filter.TypeJSON, text: "[1]"}}, filter.IsTrue},
		{is(filter.Text("[1]")), []value{{typ: filter.TypeJSON, text: "[1]"}}, filter.IsUnknown},
		{is(filter.Bool(false)), []value{{typ: filter.TypeBool, bits: 1}}, filter.IsFalse},
		{is(filter.Int(5)), []value{float(5)}, filter.IsTrue},
		{is(filter.Float(5)), []value{number(5)}, filter.IsTrue},
		{is(filter.Int(math.MaxInt64)), []value{float(1 << 63)}, filter.IsFalse}, // without rounding
		{op(filter.Less, filter.Float(1<<63)), []value{number(math.MaxInt64)}, filter.IsTrue},
		{op(filter.Greater, filter.Float(-1e300)), []value{number(math.MinInt64)}, filter.IsTrue},
		{op(filter.Less, filter.Float(5.5)), []value{number(5)}, filter.IsTrue},
		{op(filter.Greater, filter.Float(-5.5)), []value{number(-5)}, filter.IsTrue},
		{is(filter.Int(5)), []value{float(math.NaN())}, filter.IsUnknown},
		{op(filter.GreaterEqual, filter.Int(5)), []value{number(5)}, filter.IsTrue},
		{op(filter.Greater, filter.Int(5)), []value{number(5)}, filter.IsFalse},
		{op(filter.LessEqual, filter.Text("b")), []value{text("ab")}, filter.IsTrue},
		{filter.Matches(a, "a.c"), []value{text("a\nc")}, filter.IsTrue},
		{filter.Matches(a, "a|b"), []value{text("bb")}, filter.IsFalse}, // the whole text
		{filter.Matches(a, "5"), []value{number(5)}, filter.IsUnknown},
		{op(filter.Match, filter.Written("5..")), []value{number(503)}, filter.IsTrue},
		{filter.Exists(a), []value{text("")}, filter.IsTrue},
		{filter.Exists(a), nil, filter.IsFalse},
		{filter.Negate(filter.Exists(a)), nil, filter.IsTrue},
		{filter.Negate(is(filter.Text("x"))), nil, filter.IsUnknown},
		{filter.Negate(is(filter.Text("x"))), []value{text("y"), text("x")}, filter.IsFalse},
		{filter.All(is(filter.Text("x")), filter.Nothing()), nil, filter.IsFalse},
		{filter.Any(is(filter.Text("x")), filter.Everything()), nil, filter.IsTrue},
		{filter.Any(is(filter.Text("x")), filter.Nothing()), nil, filter.IsUnknown},
	} {
		if got := eval(t, c.f, span{"a": c.of}); got != c.want {
			t.Errorf("%s of %v is %d, want %d", c.f, c.of, got, c.want)
		}
	}
}

func TestStringsAndSimplification(t *testing.T) {
	t.Parallel()
	x, y, z := filter.Is(attr("x"), filter.Int(1)), filter.Exists(filter.Attribute(filter.InSpanOrResource, "y z")), filter.Matches(filter.Name.Field(), "a+")
	late := filter.Compare(filter.Start.Field(), filter.Less, filter.Moment(1_500_000_000))
	for _, c := range []struct {
		f                filter.Filter
		written, simpler string
	}{
		{filter.Filter{}, "true", "true"},
		{filter.All(), "all()", "true"},
		{filter.Any(), "any()", "false"},
		{filter.All(x), "all(span.x = 1)", "span.x = 1"},
		{filter.All(x, filter.All(y, filter.Any(z)), x), `span.x = 1 and (exists ."y z" and (any(span:name =~ "a+"))) and span.x = 1`, `span.x = 1 and exists ."y z" and span:name =~ "a+"`},
		{filter.Any(x, filter.All(y, filter.Nothing())), `span.x = 1 or (exists ."y z" and false)`, "span.x = 1"},
		{filter.Any(x, filter.Everything()), "span.x = 1 or true", "true"},
		{filter.Negate(filter.All(x, filter.Negate(y), filter.Any(z, late))), `not (span.x = 1 and not exists ."y z" and (span:name =~ "a+" or span:start < 1970-01-01T00:00:01.5Z))`, `span.x != 1 or exists ."y z" or (span:name !~ "a+" and not span:start < 1970-01-01T00:00:01.5Z)`},
		{filter.Negate(filter.Negate(filter.Everything())), "not (not (true))", "true"},
		{filter.Compare(filter.Duration.Field(), filter.Greater, filter.Elapsed(5*time.Millisecond)), "span:duration > 5ms", "span:duration > 5ms"},
		{filter.Is(filter.TraceID.Field(), filter.Text("AB")), `trace:id = "000000000000000000000000000000ab"`, `trace:id = "000000000000000000000000000000ab"`},
		{filter.Is(filter.Attribute(filter.InEvent|filter.InLink, "k"), filter.Written("1")), `text(event|link.k) = "1"`, `text(event|link.k) = "1"`},
		{filter.Is(attr("k"), filter.Float(2)), "span.k = 2.0", "span.k = 2.0"},
	} {
		if got := c.f.String(); got != c.written {
			t.Errorf("written %s, want %s", got, c.written)
		}
		if got := c.f.Simplify().String(); got != c.simpler {
			t.Errorf("%s is simply %s, want %s", c.written, got, c.simpler)
		}
	}
}

func TestFaultsAreNamed(t *testing.T) {
	t.Parallel()
	deep, wide := filter.Exists(attr("a")), []filter.Filter{}
	for range 90 { // more than an int could count
		deep = filter.All(deep, deep)
	}
	for range 65 {
		wide = append(wide, filter.Everything())
	}
	long := strings.Repeat("x", 20<<10)
	var texts []filter.Filter
	for range 9 {
		texts = append(texts, filter.Is(attr("a"), filter.Text(long[:16<<10])))
	}
	fact := func(f filter.Fact, op filter.Op, v filter.Value) filter.Filter {
		return filter.Compare(f.Field(), op, v)
	}
	for _, c := range []struct {
		f           filter.Filter
		field, says string
	}{
		{deep, "filter", "flatter"},
		{filter.All(wide...), "filter", "65 conditions"},
		{filter.All(texts...), "filter", "bytes"},
		{filter.Exists(filter.Field{}), `.""`, "scope"},
		{filter.Exists(filter.Attribute(16, "a")), ".a", "scope"},
		{filter.Exists(attr("")), `span.""`, "key"},
		{filter.Exists(filter.Field{Fact: 200}), "filter", "no fact"},
		{filter.Exists(filter.Field{Fact: filter.Name, Key: "k"}), "span:name", "no key"},
		{filter.Exists(attr(long)), `span."` + long[:50], "key has 20480 bytes"},
		{filter.Is(attr("a"), filter.Text(long)), "span.a", "value has 20480 bytes"},
		{fact(filter.Name, filter.Equal, filter.Int(1)), "span:name", "quotes"},
		{fact(filter.Status, filter.Equal, filter.Text("bad")), "span:status", `"bad" is none of ok, error, unset`},
		{fact(filter.Status, filter.Less, filter.Text("ok")), "span:status", "order"},
		{fact(filter.Duration, filter.Less, filter.Int(5)), "span:duration", "5 is no duration"},
		{fact(filter.Start, filter.Less, filter.Text(long[:200])), "span:start", `…" is no time`},
		{fact(filter.Code, filter.Less, filter.Text("5")), "span:code", "no number"},
		{fact(filter.TraceID, filter.Equal, filter.Text("xyz")), "trace:id", "1 to 32 hex digits"},
		{fact(filter.SpanID, filter.Less, filter.Text("1")), "span:id", "order"},
		{fact(filter.SpanID, filter.Match, filter.Text("1")), "span:id", "regular expression"},
		{fact(filter.Name, filter.Match, filter.Int(1)), "span:name", "no regular expression"},
		{fact(filter.Name, filter.Match, filter.Text("(")), "span:name", "missing closing )"},
		{fact(filter.Name, filter.Match, filter.Text(long[:2000])), "span:name", "2000 bytes"},
		{fact(filter.Name, filter.Match, filter.Text("(abcdef){300}(abcdef){300}")), "span:name", "costly"},
		{fact(filter.Name, filter.Match, filter.Text("((a{1000}){1000})")), "span:name", "invalid repeat count"},
		{fact(filter.Name, 40, filter.Text("a")), "span:name", "no operator"},
		{filter.Compare(attr("a"), filter.Present, filter.Int(1)), "span.a", "takes no value"},
		{filter.Is(attr("a"), filter.Elapsed(1)), "span.a", "unit"},
		{filter.Is(attr("a"), filter.Float(math.NaN())), "span.a", "NaN"},
		{filter.Compare(attr("a"), filter.Less, filter.Bool(true)), "span.a", "only be equal"},
		{filter.Negate(filter.Any(filter.Compare(attr("a"), filter.Less, filter.Written("1")))), "span.a", "only be equal"},
	} {
		err := c.f.Validate()
		var fault *filter.Error
		if !errors.As(err, &fault) || !strings.HasPrefix(fault.Field, c.field) || !strings.Contains(fault.Reason, c.says) || len(err.Error()) > 400 {
			t.Errorf("want %s: …%s…, got %v", c.field, c.says, err)
		}
	}
	if err := (filter.Filter{}).Validate(); err != nil {
		t.Error(err)
	}
}

// A drawer draws trees over three keys.
func draw(t *rapid.T, depth int) filter.Filter {
	n := rapid.IntRange(0, 8).Draw(t, "form")
	switch {
	case n == 0:
		return filter.Everything()
	case n == 1:
		return filter.Nothing()
	case n < 4 && depth > 0:
		return filter.Negate(draw(t, depth-1))
	case n < 7 && depth > 0:
		parts := make([]filter.Filter, rapid.IntRange(0, 3).Draw(t, "parts"))
		for i := range parts {
			parts[i] = draw(t, depth-1)
		}
		if n == 4 {
			return filter.Any(parts...)
		}
		return filter.All(parts...)
	}
	f := attr(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key"))
	if rapid.Bool().Draw(t, "exists") {
		return filter.Exists(f)
	}
	return filter.Compare(f, filter.Op(rapid.IntRange(int(filter.Equal), int(filter.GreaterEqual)).Draw(t, "op")), filter.Int(int64(rapid.IntRange(0, 2).Draw(t, "literal"))))
}

// TestSimplifySaysTheSame: of every span the simplified tree is exactly as true, and it is in the form that is promised.
func TestSimplifySaysTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := draw(t, 4)
		s := f.Simplify()
		checkSimple(t, s, true)
		if again := s.Simplify(); !again.Equal(s) {
			t.Fatalf("%s is simplified to %s, and that to %s", f, s, again)
		}
		of := span{}
		for _, k := range []string{"a", "b", "c"} {
			for range rapid.IntRange(0, 2).Draw(t, "values") {
				of[k] = append(of[k], rapid.SampledFrom([]value{number(0), number(1), number(2), text("x")}).Draw(t, "value"))
			}
		}
		if x, y := eval(t, f, of), eval(t, s, of); x != y {
			t.Fatalf("%s is %d of %v, and %s is %d", f, x, of, s, y)
		}
	})
}

func checkSimple(t *rapid.T, f filter.Filter, root bool) {
	t.Helper()
	switch f.Form() {
	case filter.Not:
		if f.Parts()[0].Form() != filter.Test {
			t.Fatalf("not over more than a condition: %s", f)
		}
	case filter.And, filter.Or:
		seen := map[string]bool{}
		for _, p := range f.Parts() {
			checkSimple(t, p, false)
			if seen[p.String()] || p.Form() == f.Form() {
				t.Fatalf("%s is twice in, or alike to, %s", p, f)
			}
			seen[p.String()] = true
		}
		if len(seen) < 2 {
			t.Fatalf("%s has %d parts", f, len(seen))
		}
	case filter.True, filter.False:
		if !root {
			t.Fatal("a constant inside")
		}
	default:
	}
}

// FuzzTrees builds any tree out of bytes. Whatever it is, it is refused with a reason or can be
// written, simplified, made ready and asked.
func FuzzTrees(f *testing.F) {
	f.Add([]byte{2, 2, 5, 1, 2, 1, 'x', 3, 4, 0, 0}, "a.*|b{2}")
	f.Add([]byte{4, 5, 1, 6, 0, 5, 9, 1, 7, 5, 200, 3, 8}, "((a{9}){9}){9}")
	f.Add([]byte{3, 2, 1, 0, 5, 3, 1, 1}, "\xff(?i)ä[^a-z]")
	f.Fuzz(func(t *testing.T, b []byte, text string) {
		tree := (&builder{b, text}).tree(20)
		s := tree.Simplify()
		if tree.String() == "" || s.String() == "" {
			t.Fatal("it cannot be written")
		}
		err := tree.Validate()
		var fault *filter.Error
		if err != nil {
			if !errors.As(err, &fault) || fault.Field == "" || fault.Reason == "" || len(err.Error()) > 2000 {
				t.Fatalf("%s: refused with %v", tree, err)
			}
			return
		}
		if err := s.Validate(); err != nil {
			t.Fatalf("%s is valid, and simplified it is not: %v", tree, err)
		}
		of := span{"": {{typ: filter.TypeText, text: text}, number(int64(len(text)))}}
		if x, y := eval(t, tree, of), eval(t, s, of); x != y {
			t.Fatalf("%s is %d, and %s is %d", tree, x, s, y)
		}
	})
}

type builder struct {
	b    []byte
	text string
}

func (b *builder) byte() int {
	if len(b.b) == 0 {
		return 0
	}
	c := b.b[0]
	b.b = b.b[1:]
	return int(c)
}

func (b *builder) tree(depth int) filter.Filter {
	form := b.byte() % 6
	if depth == 0 && form >= 2 && form <= 4 {
		form = 5
	}
	switch form {
	case 0:
		return filter.Everything()
	case 1:
		return filter.Nothing()
	case 2, 3:
		parts := make([]filter.Filter, b.byte()%5)
		for i := range parts {
			parts[i] = b.tree(depth - 1)
		}
		if form == 2 {
			return filter.All(parts...)
		}
		return filter.Any(parts...)
	case 4:
		return filter.Negate(b.tree(depth - 1))
	}
	field := filter.Field{Fact: filter.Fact(b.byte())}
	if field.Fact%2 == 0 {
		field = filter.Attribute(filter.Scopes(b.byte()), b.text)
	}
	op, n := filter.Op(b.byte()%9), int64(b.byte())
	literals := []filter.Value{{}, filter.Text(b.text), filter.Written(b.text), filter.Int(n), filter.Float(float64(n) / 3), filter.Bool(n > 9), filter.Elapsed(time.Duration(n)), filter.Moment(n), filter.Text(strconv.FormatInt(n, 10))}
	return filter.Compare(field, op, literals[b.byte()%len(literals)])
}
