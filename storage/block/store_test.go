package block

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"go.uber.org/goleak"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func closeStore(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// copyEntry takes an entry out of the generator's hands.
func copyEntry(t *testing.T, e telemetry.Entry) telemetry.Entry {
	t.Helper()
	b := telemetry.NewBatch()
	if err := b.DecodeRecord(e.Record); err != nil {
		t.Fatal(err)
	}
	return telemetry.Entry{Position: e.Position, Batch: b, Record: slices.Clone(e.Record)}
}

// everything is all that a store holds of some entries' traces.
func everything(t *testing.T, s *Store, entries []telemetry.Entry) ([]canonSpan, []canonRequest) {
	t.Helper()
	var spans []canonSpan
	var requests []canonRequest
	seen := map[telemetry.TraceID]bool{}
	for _, e := range entries {
		for _, sp := range e.Batch.Spans {
			if seen[sp.TraceID] {
				continue
			}
			seen[sp.TraceID] = true
			b, _, err := s.Trace(context.Background(), sp.TraceID)
			if err != nil {
				t.Fatal(err)
			}
			spans = append(spans, canonSpans(b)...)
			requests = append(requests, canonRequests(b)...)
		}
	}
	return spans, requests
}

func sent(entries []telemetry.Entry) []canonSpan {
	var spans []canonSpan
	for _, e := range entries {
		spans = append(spans, canonSpans(e.Batch)...)
	}
	return spans
}

// TestManyPages takes blocks of several pages through head, disk and back.
func TestManyPages(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.MaxHeadSpans = 3 * pageRows
	s := openTest(t, t.TempDir(), cfg)
	defer closeStore(t, s)
	m := newMesh(7)
	var entries []telemetry.Entry
	for range 40 {
		e := copyEntry(t, m.entry(512))
		entries = append(entries, e)
		consume(t, s, e)
	}
	seal(t, s)
	if st := s.Stats(); st.Blocks < 2 || st.HeadSpans != 0 || st.Applied != 40 {
		t.Fatalf("stats %+v", st)
	}
	// A few traces, since comparing all takes long.
	spans, _ := everything(t, s, entries[20:22])
	ids := map[telemetry.TraceID]bool{}
	for _, sp := range spans {
		ids[sp.Span.TraceID] = true
	}
	want := slices.DeleteFunc(sent(entries), func(c canonSpan) bool { return !ids[c.Span.TraceID] })
	if diff := gocmp.Diff(inOrder(want), inOrder(spans)); diff != "" {
		t.Fatalf("(-sent +stored):\n%s", diff)
	}
}

// TestOtherReaders reads a block with parquet-go's own reader, which knows nothing
// of ours.
func TestOtherReaders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openTest(t, dir, DefaultConfig())
	defer closeStore(t, s)
	e := newMesh(8).entry(6000)
	consume(t, s, e)
	seal(t, s)
	files, err := filepath.Glob(filepath.Join(dir, "*", spansFile))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}
	type row struct {
		TraceID  [16]byte `parquet:"trace_id"`
		SpanID   [8]byte  `parquet:"span_id"`
		Start    int64    `parquet:"start"`
		Duration int64    `parquet:"duration"`
		Name     string   `parquet:"name"`
		Service  *string  `parquet:"service"`
		Status   string   `parquet:"status"`
		Route    *string  `parquet:"attr.http.route"`
		Code     *int64   `parquet:"attr.http.response.status_code"`
	}
	rows, err := parquet.ReadFile[row](files[0])
	if err != nil {
		t.Fatal(err)
	}
	got := map[telemetry.SpanID]row{}
	for _, r := range rows {
		got[r.SpanID] = r
	}
	if len(got) != len(e.Batch.Spans) {
		t.Fatalf("%d spans read, %d written", len(got), len(e.Batch.Spans))
	}
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	for _, sp := range e.Batch.Spans {
		r := got[sp.SpanID]
		var route string
		var code int64
		for _, a := range e.Batch.AttrsOf(sp.Attrs) {
			switch a.Key {
			case telemetry.KeyHTTPRoute:
				route = e.Batch.Str(a.String())
			case telemetry.KeyHTTPResponseStatusCode:
				code = int64(a.Value)
			}
		}
		if r.Code == nil {
			r.Code = new(int64)
		}
		want := fmt.Sprint(string(sp.TraceID[:]), sp.Start, sp.Duration, e.Batch.Str(sp.Name), e.Batch.Str(e.Batch.Resources[sp.Resource].Identity.Service), sp.Status, route, code)
		have := fmt.Sprint(string(r.TraceID[:]), r.Start, r.Duration, r.Name, text(r.Service), r.Status, text(r.Route), *r.Code)
		if want != have {
			t.Fatalf("span %v:\n written %s\n    read %s", sp.SpanID, want, have)
		}
	}
}

// TestManyFiles has more blocks than files that may be open.
func TestManyFiles(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.MaxOpenFiles = 4
	dir := t.TempDir()
	s := openTest(t, dir, cfg)
	defer closeStore(t, s)
	m := newMesh(15)
	var entries []telemetry.Entry
	for range 12 {
		e := copyEntry(t, m.entry(10))
		entries = append(entries, e)
		consume(t, s, e)
		seal(t, s)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, e := range entries {
				if _, _, err := s.Trace(context.Background(), e.Batch.Spans[0].TraceID); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := s.files.order.Len(); n > 4 {
		t.Errorf("%d files are open", n)
	}
}

// TestCancel has a search and the others stop when they are told to.
func TestCancel(t *testing.T) {
	t.Parallel()
	s := openTest(t, t.TempDir(), DefaultConfig())
	defer closeStore(t, s)
	e := newMesh(16).entry(10)
	consume(t, s, e)
	seal(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := s.Search(ctx, telemetry.SpanQuery{}); !errors.Is(err, context.Canceled) {
		t.Errorf("search: %v", err)
	}
	if _, _, err := s.Trace(ctx, e.Batch.Spans[0].TraceID); !errors.Is(err, context.Canceled) {
		t.Errorf("trace: %v", err)
	}
	if _, err := s.Services(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("services: %v", err)
	}
}

// TestServices finds the same operations in memory, in blocks, and after a restart.
func TestServices(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openTest(t, dir, DefaultConfig())
	m := newMesh(17)
	consume(t, s, m.entry(200))
	list := func() []telemetry.ServiceEntry {
		t.Helper()
		l, err := s.Services(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	first := list()
	if len(first) < 10 || len(first[0].Operations) == 0 || first[0].Namespace != "shop" {
		t.Fatalf("services %+v", first)
	}
	seal(t, s)
	if diff := gocmp.Diff(first, list()); diff != "" {
		t.Errorf("after sealing:\n%s", diff)
	}
	closeStore(t, s)
	s = openTest(t, dir, DefaultConfig())
	defer closeStore(t, s)
	if diff := gocmp.Diff(first, list()); diff != "" {
		t.Errorf("after a restart:\n%s", diff)
	}
}

// A block that cannot be written is not waited for: Seal says why, also while the head is full and Consume waits; Close ends it.
func TestSealDoesNotWaitForWhatCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "blocks")
	cfg := DefaultConfig()
	cfg.MaxHeadSpans = 100
	s := openTest(t, dir, cfg)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	m := newMesh(9)
	first, second := copyEntry(t, m.entry(120)), copyEntry(t, m.entry(120))
	consume(t, s, first)
	if err := s.Seal(context.Background()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("sealed with %v", err)
	}
	waits := make(chan error)
	go func() { waits <- s.Consume(second) }() // holds ingest until Close
	for s.Stats().HeadSpans < 240 {
		time.Sleep(time.Millisecond)
	}
	if err := s.Seal(context.Background()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("sealed with %v", err)
	}
	closeStore(t, s)
	if err := <-waits; !errors.Is(err, telemetry.ErrClosed) {
		t.Errorf("the entry that waited got %v", err)
	}
}
