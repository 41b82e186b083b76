package block

import (
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/filter"
)

// TestPagesThatCannotMatchStayShut: what metadata, the bloom filter, statistics, dictionaries and the bounds of trace ids rule out
// is not decoded, nor is a column of which no row is left in question.
func TestPagesThatCannotMatchStayShut(t *testing.T) {
	t.Parallel()
	s := openTest(t, t.TempDir(), DefaultConfig())
	m := newMesh(7)
	e := m.entry(5*pageRows - 100)
	first := e.Batch.Spans[0]
	service := e.Batch.CopyStr(e.Batch.Resources[first.Resource].Identity.Service)
	spans := len(e.Batch.Spans)
	pages := (spans + pageRows - 1) / pageRows
	consume(t, s, e)
	seal(t, s)
	code := func(op filter.Op, n int64) filter.Filter {
		return filter.Compare(filter.Code.Field(), op, filter.Int(n))
	}
	nobody := textIs(filter.Service, "nobody")
	for _, c := range []struct {
		name   string
		f      filter.Filter
		blocks int
		pages  int // decoded at most: of a trace that is found, ids and starts are
		found  bool
	}{
		{"metadata: duration", lasts(filter.Greater, time.Hour), 0, 0, false},
		{"metadata: either duration", filter.Any(lasts(filter.Greater, time.Hour), lasts(filter.Less, 0)), 0, 0, false},
		{"bloom filter", textIs(filter.TraceID, "1"), 0, 0, false},
		{"bounds of pages", textIs(filter.TraceID, first.TraceID.String()), 1, 4, true},
		{"statistics", code(filter.Greater, 1000), 1, 0, false},
		{"dictionary", nobody, 1, 0, false},
		{"dictionary, of an attribute", filter.Is(filter.Attribute(filter.InSpan, "http.request.method"), filter.Text("PATCH")), 1, 0, false},
		{"dictionary, by an expression", filter.Matches(filter.Name.Field(), "nobody.*"), 1, 0, false},
		{"dictionary of resources", filter.Exists(filter.Attribute(filter.InResource, "zone")), 1, 0, false},
		{"no such column", filter.Exists(filter.StatusMessage.Field()), 1, 4 * pages, true},
		{"no events", filter.Exists(filter.EventName.Field()), 1, 0, false},
		{"opposites", filter.Negate(filter.Exists(filter.Service.Field())), 1, 0, false},
		{"one part of an and", filter.All(attrIs("url.path", "/x"), lasts(filter.Greater, time.Millisecond), nobody), 1, 0, false},
		{"all parts of an or", filter.Any(nobody, code(filter.Less, -1), textIs(filter.Name, "nobody")), 1, 0, false},
		{"one part of an or", filter.Any(nobody, textIs(filter.Service, service)), 1, 3 * pages, true},
		{"what holds of all", filter.Any(lasts(filter.GreaterEqual, 0), attrIs("url.path", "/x")), 1, 2 * pages, true},
		{"rows left", filter.All(textIs(filter.SpanID, "1"), attrIs("url.path", "/x"), filter.Matches(filter.Attribute(filter.InSpan, "client.address"), "x")), 1, 2 * pages, false},
	} {
		found, stats, err := s.Search(t.Context(), telemetry.SpanQuery{Filter: c.f})
		if err != nil {
			t.Fatal(err)
		}
		if stats.Blocks != c.blocks || stats.Pages > c.pages || (len(found) > 0) != c.found {
			t.Errorf("%s: %d blocks and %d pages, want %d and %d; found %d", c.name, stats.Blocks, stats.Pages, c.blocks, c.pages, len(found))
		}
		if c.pages == 0 && stats.Spans != 0 {
			t.Errorf("%s: %d spans were looked at", c.name, stats.Spans)
		}
	}
	closeStore(t, s)
}
