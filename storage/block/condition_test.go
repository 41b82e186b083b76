package block

import (
	"context"
	"os"
	"testing"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/filter"
	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestEachConditionAlone asks for every field by a condition and its opposite, of spans in a block and in the head. TestModel asks larger
// questions, and so comes by each field seldom.
func TestEachConditionAlone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "block") //nolint:usetesting // one of many of the test
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		s, o, d := openTest(t, dir, DefaultConfig()), &oracle{}, &drawer{t: t}
		for i := range 3 {
			d.batch()
			o.log = append(o.log, d.b.AppendRecord(nil))
			consume(t, s, telemetry.Entry{Position: telemetry.Position(i + 1), Batch: d.b})
			if i == 1 {
				seal(t, s)
			}
		}
		fields := []filter.Field{filter.Attribute(filter.Scopes(1+d.n("scopes", 14)), rapid.SampledFrom(someKeys).Draw(t, "key"))}
		for _, f := range filter.Facts() {
			fields = append(fields, f.Field())
		}
		for _, field := range fields {
			f := d.conditionOn(field)
			for _, f := range [...]filter.Filter{f, filter.Negate(f), filter.Exists(field), filter.Negate(filter.Exists(field))} {
				q := telemetry.SpanQuery{Filter: f, Limit: 20}
				got, _, err := s.Search(context.Background(), q)
				if err != nil {
					t.Fatal(err)
				}
				if diff := gocmp.Diff(o.search(q), got); diff != "" {
					t.Fatalf("search %v (-oracle +store):\n%s", q, diff)
				}
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
