package block

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/internal/disk"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/filter"
)

// longTexts makes traces of eight spans whose name and three attributes are texts of so many bytes, none like another.
type longTexts struct {
	r        *rand.Rand
	bytes    int
	position telemetry.Position
}

func (l *longTexts) text() string {
	b := make([]byte, l.bytes/2)
	for i := 0; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], l.r.Uint64())
	}
	return hex.EncodeToString(b)
}

// entry is the next entry, of one trace.
func (l *longTexts) entry() telemetry.Entry {
	l.position++
	b := floodBatch(8, func(b *telemetry.Batch, span int) {
		for _, key := range [...]string{"url.full", "db.query.text", "user.note"} {
			b.Attrs = append(b.Attrs, text(b, key, l.text()))
		}
		b.Attrs = append(b.Attrs, text(b, "short", fmt.Sprint(l.position, span)))
	})
	for i := range b.Spans {
		s := &b.Spans[i]
		s.Name = b.InternString(l.text())
		binary.BigEndian.PutUint64(s.TraceID[:], uint64(l.position)*0x9e3779b97f4a7c15)
		binary.BigEndian.PutUint64(s.SpanID[:], uint64(l.position)<<8|uint64(i))
	}
	return telemetry.Entry{Position: l.position, Batch: b}
}

// BenchmarkLongTexts asks for traces, and searches, among spans of 40 kB each.
func BenchmarkLongTexts(b *testing.B) {
	s := openTest(b, b.TempDir(), DefaultConfig())
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	l := &longTexts{r: rand.New(rand.NewPCG(5, 6)), bytes: 10_000}
	var ids []telemetry.TraceID
	begin := cpuTime()
	for range 600 {
		e := l.entry()
		ids = append(ids, e.Batch.Spans[0].TraceID)
		consume(b, s, e)
	}
	seal(b, s)
	b.Logf("%d blocks, %d bytes a span, %d us of CPU a span", s.Stats().Blocks, s.Stats().Bytes/int64(8*len(ids)), (cpuTime()-begin).Microseconds()/int64(8*len(ids)))
	b.Run("trace", func(b *testing.B) {
		i := 0
		begin := cpuTime()
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := s.Trace(context.Background(), ids[i*7919%len(ids)]); err != nil {
				b.Fatal(err)
			}
			i++
		}
		b.ReportMetric((cpuTime()-begin).Seconds()*1000/float64(b.N), "cpu-ms/trace")
	})
	b.Run("search", func(b *testing.B) {
		begin := cpuTime()
		for b.Loop() {
			if _, _, err := s.Search(context.Background(), telemetry.SpanQuery{Filter: attrIs("user.note", "none"), Limit: 20}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric((cpuTime()-begin).Seconds()*1000/float64(b.N), "cpu-ms/search")
	})
	b.Run("newest", func(b *testing.B) {
		begin := cpuTime()
		for b.Loop() {
			if _, _, err := s.Search(context.Background(), telemetry.SpanQuery{Filter: textIs(filter.Service, "junk"), Limit: 20}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric((cpuTime()-begin).Seconds()*1000/float64(b.N), "cpu-ms/search")
	})
}

// seldomLong is entries of which a few have long texts, in a name and an attribute that are short and few otherwise, and in events.
func seldomLong(t *testing.T) (entries []telemetry.Entry) {
	t.Helper()
	m, l := newMesh(8), &longTexts{r: rand.New(rand.NewPCG(7, 8)), bytes: 14_000}
	for range 12 {
		e := copyEntry(t, m.entry(400))
		b := e.Batch
		for i := range b.Spans {
			s := &b.Spans[i]
			if i%10 == 0 {
				s.Name = b.InternString(l.text())
			}
			if i%25 == 0 {
				at := uint32(len(b.Events))
				for range 8 {
					b.Events = append(b.Events, telemetry.Event{Time: s.Start, Name: b.InternString("same " + strings.Repeat("x", 20_000))})
				}
				s.Events = telemetry.Range{Start: at, Len: 8}
			}
		}
		entries = append(entries, e)
	}
	return entries
}

// TestPagesBoundedByBytes: whatever comes, a page and a dictionary stay small, traces are read whole, searches and lists of values find
// what is only in pages after a dictionary was given up, and the file says that older readers cannot read it.
func TestPagesBoundedByBytes(t *testing.T) {
	t.Parallel()
	t.Run("seldom long", func(t *testing.T) {
		t.Parallel()
		testLongTexts(t, seldomLong(t), filter.Name.Field(), func(b *telemetry.Batch, s *telemetry.Span) string { return b.CopyStr(s.Name) })
	})
	t.Run("always long", func(t *testing.T) {
		t.Parallel()
		l := &longTexts{r: rand.New(rand.NewPCG(9, 10)), bytes: 12_000}
		var entries []telemetry.Entry
		for range 120 {
			entries = append(entries, l.entry())
		}
		testLongTexts(t, entries, filter.Attribute(filter.InSpan, "short"), func(b *telemetry.Batch, s *telemetry.Span) string {
			attrs := b.AttrsOf(s.Attrs)
			return b.CopyStr(attrs[len(attrs)-1].String())
		})
	})
}

// testLongTexts seals entries, and asks for them by their traces and by a field of each.
func testLongTexts(t *testing.T, entries []telemetry.Entry, field filter.Field, value func(*telemetry.Batch, *telemetry.Span) string) {
	t.Helper()
	dir := t.TempDir()
	cfg := DefaultConfig()
	cfg.MaxHeadBytes = 1 << 30
	s := openTest(t, dir, cfg)
	defer closeStore(t, s)
	for _, e := range entries {
		consume(t, s, e)
	}
	before, _ := everything(t, s, entries)
	seal(t, s)
	after, _ := everything(t, s, entries)
	if n := len(sent(entries)); len(before) != n || len(after) != n {
		t.Fatalf("%d spans before, %d after, of %d", len(before), len(after), n)
	}
	if d := cmp.Diff(before, after); d != "" {
		t.Errorf("traces differ: %.2000s", d)
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*", spansFile))
	if err != nil || len(paths) != 1 {
		t.Fatal(paths, err)
	}
	if r, err := Verify(dir); err != nil || len(r.Problems) > 0 {
		t.Errorf("reported %+v, %v", r, err)
	}
	smallPages(t, paths[0])
	values, _, err := s.TagValues(t.Context(), field, 0, 0, maxTags)
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, v := range values {
		listed[v.Text] = true
	}
	for i, e := range entries {
		if i%(len(entries)/12) > 0 {
			continue
		}
		sp := &e.Batch.Spans[0]
		want := value(e.Batch, sp)
		if !listed[want] {
			t.Errorf("what entry %d has is not listed: %.40s", i, want)
		}
		found, _, err := s.Search(t.Context(), telemetry.SpanQuery{Filter: filter.Is(field, filter.Text(want)), Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(found, func(f telemetry.TraceSummary) bool { return f.TraceID == sp.TraceID }) {
			t.Errorf("what entry %d has is not found: %.40s", i, want)
		}
	}
}

// smallPages looks at the pages and dictionaries of a file.
func smallPages(t *testing.T, path string) {
	t.Helper()
	f, err := openFile(disk.OS{}, path, spanColumns())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.close(); err != nil {
			t.Error(err)
		}
	}()
	if f.version != "2" || len(f.bounds) < 10 {
		t.Errorf("format %s, %d pages", f.version, len(f.bounds))
	}
	z, err := zstdReader()
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	sc := &scratch{zstd: z}
	for i := range f.columns {
		c := &f.columns[i]
		if d, err := f.dictionary(sc, c); err != nil || len(d.data) > maxDictBytes+maxPageBytes {
			t.Errorf("dictionary of %s: %d bytes, %v", c.name, len(d.data), err)
		}
		for p := range c.pages {
			h, _, err := f.readPage(sc, c, c.pages[p], p+1)
			if err != nil {
				t.Fatal(err)
			}
			if h.UncompressedPageSize > 2*maxPageBytes {
				t.Errorf("page %d of %s has %d bytes", p, c.name, h.UncompressedPageSize)
			}
		}
	}
}

// formatOf is the format of a file of spans.
func formatOf(t *testing.T, path string) string {
	t.Helper()
	f, err := openFile(disk.OS{}, path, spanColumns())
	if err != nil {
		t.Fatal(err)
	}
	if err := f.close(); err != nil {
		t.Error(err)
	}
	return f.version
}

// TestReadsFormat1 reads a block that the last binary before format 2 wrote of the same long texts: its pages and dictionaries are
// longer than those of today may be.
func TestReadsFormat1(t *testing.T) {
	t.Parallel()
	e := format1Entry(t)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "format1"))); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, blockName(meta{first: 1, last: 1}), spansFile)
	if v := formatOf(t, path); v != "1" {
		t.Fatalf("the old file is of format %s", v)
	}
	if r, err := Verify(dir); err != nil || len(r.Problems) > 0 || r.Blocks != 1 {
		t.Errorf("the old block is reported as %+v, %v", r, err)
	}
	cfg := DefaultConfig()
	cfg.RetentionAge = 100 * 365 * 24 * time.Hour
	old, now := openTest(t, dir, cfg), openTest(t, t.TempDir(), cfg)
	defer closeStore(t, old)
	defer closeStore(t, now)
	consume(t, now, e)
	seal(t, now)
	wantSpans, wantRequests := everything(t, now, []telemetry.Entry{e})
	spans, requests := everything(t, old, []telemetry.Entry{e})
	if d := cmp.Diff(wantSpans, spans) + cmp.Diff(wantRequests, requests); d != "" || len(spans) == 0 || len(requests) == 0 {
		t.Errorf("%d spans and %d requests of the old block (-now +old): %.2000s", len(spans), len(requests), d)
	}
	for i := range e.Batch.Spans {
		if i%50 > 0 {
			continue
		}
		sp := &e.Batch.Spans[i]
		found, _, err := old.Search(t.Context(), telemetry.SpanQuery{Filter: textIs(filter.Name, e.Batch.CopyStr(sp.Name)), Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		if len(found) != 1 || found[0].TraceID != sp.TraceID {
			t.Errorf("span %d is not found by its name: %d traces", i, len(found))
		}
	}
}

// format1Entry is what testdata/format1 was made of.
func format1Entry(t *testing.T) telemetry.Entry {
	t.Helper()
	return withRequests(longNames(copyEntry(t, newMesh(31).entry(300)), 16_000))
}
