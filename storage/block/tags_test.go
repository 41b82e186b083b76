package block

import (
	"context"
	"encoding/base64"
	"errors"
	"math"
	"strconv"
	"testing"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/filter"
	"pgregory.net/rapid"
)

// tags holds the lists of attributes and values to the oracle's: all that spans in the range have is there, and nothing that no
// stored span has.
func (d *drawer) tags(s *Store, o *oracle) {
	t, ctx := d.t, context.Background()
	from, to := int64(0), int64(0)
	if d.n("time?", 1) == 0 {
		from, to = baseTime+int64(d.n("from", 20)), baseTime+int64(d.n("to", 20))
	}
	limit := rapid.SampledFrom([]int{1, 3, 10_000}).Draw(t, "limit")
	scopes := filter.Scopes(1 + d.n("scopes", 14))
	f := d.field()
	inRange, all := map[telemetry.TagName]bool{}, map[telemetry.TagName]bool{}
	valuesInRange, allValues := map[telemetry.TagValue]bool{}, map[telemetry.TagValue]bool{}
	for _, b := range o.batches() {
		for i := range b.Spans {
			sp := &b.Spans[i]
			in := (from == 0 || sp.Start >= from) && (to == 0 || sp.Start < to)
			eachKey(b, sp, func(n telemetry.TagName) {
				if n.Scope&scopes != 0 {
					all[n], inRange[n] = true, inRange[n] || in
				}
			})
			b.SpanValues(sp, nil, f, func(typ filter.Type, text []byte, bits uint64) {
				v := telemetry.TagValue{Type: typ, Text: writtenAs(typ, text, bits)}
				allValues[v], valuesInRange[v] = true, valuesInRange[v] || in
			})
		}
	}
	names, more, err := s.TagNames(ctx, scopes, from, to, limit)
	if err != nil {
		t.Fatal(err)
	}
	checkTags(t, "names", names, more, limit, inRange, all)
	for _, w := range f.Fact.Words() {
		allValues[telemetry.TagValue{Text: w}] = true
	}
	values, more, err := s.TagValues(ctx, f, from, to, limit)
	var bad *filter.Error
	if errors.As(err, &bad) && f.Fact != 0 {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	checkTags(t, "values of "+f.String(), values, more, limit, valuesInRange, allValues)
}

func checkTags[T comparable](t *rapid.T, what string, got []T, more bool, limit int, inRange, all map[T]bool) {
	t.Helper()
	seen := map[T]bool{}
	for _, n := range got {
		if _, ok := all[n]; !ok || seen[n] {
			t.Fatalf("%s: %v is not stored, or twice in %v", what, n, got)
		}
		seen[n] = true
	}
	if len(got) > limit || more && len(got) != limit {
		t.Fatalf("%s: %d of at most %d, and more is %v", what, len(got), limit, more)
	}
	if more {
		if len(all) <= limit {
			t.Fatalf("%s: more than %d are said to be there; there are %d", what, limit, len(all))
		}
		return
	}
	for n, in := range inRange {
		if in && !seen[n] {
			t.Fatalf("%s: %v is missing from %v", what, n, got)
		}
	}
}

func eachKey(b *telemetry.Batch, s *telemetry.Span, of func(n telemetry.TagName)) {
	run := func(scope filter.Scopes, r telemetry.Range) {
		for _, a := range b.AttrsOf(r) {
			of(telemetry.TagName{Scope: scope, Key: b.CopyStr(a.Key)})
		}
	}
	run(filter.InSpan, s.Attrs)
	run(filter.InResource, b.Resources[s.Resource].Attrs)
	for _, e := range b.Events[s.Events.Start : s.Events.Start+s.Events.Len] {
		run(filter.InEvent, e.Attrs)
	}
	for _, l := range b.Links[s.Links.Start : s.Links.Start+s.Links.Len] {
		run(filter.InLink, l.Attrs)
	}
}

func writtenAs(t filter.Type, text []byte, bits uint64) string {
	switch t {
	case filter.TypeInt:
		return strconv.FormatInt(int64(bits), 10)
	case filter.TypeFloat:
		return strconv.FormatFloat(math.Float64frombits(bits), 'g', -1, 64)
	case filter.TypeBool:
		return strconv.FormatBool(bits == 1)
	case filter.TypeBytes:
		return base64.StdEncoding.EncodeToString(text)
	default:
		return string(text)
	}
}

// TestTagsAreListed is over a block of many pages and a head, with columns of every form.
func TestTagsAreListed(t *testing.T) {
	t.Parallel()
	s := openTest(t, t.TempDir(), DefaultConfig())
	defer closeStore(t, s)
	m := newMesh(5)
	consume(t, s, m.entry(2*pageRows))
	seal(t, s)
	consume(t, s, m.entry(100))
	names, more, err := s.TagNames(t.Context(), filter.InResource, 0, 0, 100)
	if err != nil || more || len(names) != 14 || names[0] != (telemetry.TagName{Scope: filter.InResource, Key: "deployment.environment.name"}) {
		t.Errorf("of resources: %v %v %v", names, more, err)
	}
	methods, more, err := s.TagValues(t.Context(), filter.Attribute(filter.InSpan, "http.request.method"), 0, 0, 100)
	if err != nil || more || len(methods) != 2 || methods[0].Text != "GET" || methods[1].Text != "POST" {
		t.Errorf("methods: %v %v %v", methods, more, err)
	}
	services, more, err := s.TagValues(t.Context(), filter.Service.Field(), 0, 0, 7)
	if err != nil || !more || len(services) != 7 {
		t.Errorf("services: %v %v %v", services, more, err)
	}
	paths, more, err := s.TagValues(t.Context(), filter.Attribute(filter.InSpan, "url.path"), 0, 0, 100_000)
	if err != nil || more || len(paths) < 500 { // a column without a dictionary
		t.Errorf("%d paths, more: %v, %v", len(paths), more, err)
	}
	later, _, err := s.TagNames(t.Context(), 15, m.clock+1e12, 0, 100)
	if err != nil || len(later) != 0 {
		t.Errorf("of the future: %v %v", later, err)
	}
	var bad *filter.Error
	if _, _, err := s.TagValues(t.Context(), filter.TraceID.Field(), 0, 0, 1); !errors.As(err, &bad) || bad.Field != "trace:id" {
		t.Errorf("of trace ids: %v", err)
	}
}
