package block

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/telemetry"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
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
			b, err := s.Trace(context.Background(), sp.TraceID)
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

// TestCrash copies the store's directory at random moments while it is filled and
// its blocks are written, as a kill leaves it, and opens each copy: all blocks in it are
// whole, and with the log from Applied on, every span is there, once.
func TestCrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := DefaultConfig()
	cfg.MaxHeadSpans = 300
	s := openTest(t, dir, cfg)
	m := newMesh(9)
	var entries []telemetry.Entry
	var copies []string
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		r := rand.New(rand.NewPCG(1, 1))
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(r.IntN(3000)) * time.Microsecond):
			}
			to := filepath.Join(filepath.Dir(dir), fmt.Sprintf("copy-%d", i))
			copyTorn(dir, to, r)
			copies = append(copies, to)
		}
	}()
	for range 60 {
		e := copyEntry(t, m.entry(40))
		entries = append(entries, e)
		consume(t, s, e)
	}
	seal(t, s)
	close(stop)
	wg.Wait()
	closeStore(t, s)
	want := inOrder(sent(entries))
	for _, c := range copies[:min(len(copies), 25)] {
		s := openTest(t, c, cfg)
		if n := testutil.CollectAndCount(s.metrics.damaged); n != 0 {
			t.Errorf("%s: a block is damaged", c)
		}
		for _, e := range entries[s.Applied()/2:] { // too early, as a log may begin
			consume(t, s, e)
		}
		if st := s.Stats(); st.Spans != len(want) {
			t.Errorf("%s: %d spans, want %d", c, st.Spans, len(want))
		}
		spans, _ := everything(t, s, entries)
		if diff := gocmp.Diff(want, inOrder(spans)); diff != "" {
			t.Errorf("%s (-sent +stored):\n%s", c, diff)
		}
		closeStore(t, s)
		left, err := filepath.Glob(filepath.Join(c, tempPrefix+"*"))
		if err != nil || len(left) > 0 {
			t.Errorf("%s: %v left, %v", c, left, err)
		}
	}
}

// copyTorn copies what is there. Directories with their final names are whole, by
// the rename; of the others a part is cut off, as a power failure does.
func copyTorn(from, to string, r *rand.Rand) {
	entries, err := os.ReadDir(from)
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		files, err := os.ReadDir(filepath.Join(from, e.Name()))
		if err != nil && errors.Is(err, fs.ErrNotExist) {
			continue // renamed meanwhile: a crash before it left nothing of note
		}
		if err := os.MkdirAll(filepath.Join(to, e.Name()), 0o755); err != nil {
			panic(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(filepath.Join(from, e.Name(), f.Name()))
			if err != nil {
				continue
			}
			if strings.HasPrefix(e.Name(), tempPrefix) {
				b = b[:r.IntN(len(b)+1)]
			}
			if err := os.WriteFile(filepath.Join(to, e.Name(), f.Name()), b, 0o644); err != nil {
				panic(err)
			}
		}
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		panic(err)
	}
}

// TestDamage cuts and turns bytes of blocks: the store opens, says so, and serves the
// rest.
func TestDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openTest(t, dir, DefaultConfig())
	m := newMesh(10)
	var entries []telemetry.Entry
	for range 3 {
		e := copyEntry(t, m.entry(50))
		entries = append(entries, e)
		consume(t, s, e)
		seal(t, s)
	}
	closeStore(t, s)
	path := func(i int) string { return filepath.Join(dir, fmt.Sprintf("%016x-%016x", i, i), spansFile) }
	b, err := os.ReadFile(path(1))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path(1), b[:len(b)/2], 0o644); err != nil { // its footer is gone
		t.Fatal(err)
	}
	if b, err = os.ReadFile(path(2)); err != nil {
		t.Fatal(err)
	}
	for i := 4; i < 4000; i++ { // its first pages have rotted
		b[i] ^= 0x55
	}
	if err := os.WriteFile(path(2), b, 0o644); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, dir, DefaultConfig())
	defer closeStore(t, s)
	if _, err := os.Stat(filepath.Join(dir, damagedPrefix+fmt.Sprintf("%016x-%016x", 1, 1))); err != nil {
		t.Error(err)
	}
	for i, e := range entries {
		_, err := s.Trace(context.Background(), e.Batch.Spans[0].TraceID)
		if want := i < 2; errors.Is(err, ErrNotFound) != want {
			t.Errorf("trace of block %d: %v", i+1, err)
		}
	}
	found, _, err := s.Search(context.Background(), telemetry.SpanQuery{Limit: 100})
	if err != nil || len(found) == 0 {
		t.Errorf("search: %d found, %v", len(found), err)
	}
	if open, read := testutil.ToFloat64(s.metrics.damaged.WithLabelValues("open")), testutil.ToFloat64(s.metrics.damaged.WithLabelValues("read")); open != 1 || read == 0 {
		t.Errorf("counted %v at open, %v on reads", open, read)
	}
	if s.Applied() != 3 {
		t.Errorf("applied %d", s.Applied())
	}
}

// TestRetention deletes by age, then by size, but nothing that is being read.
func TestRetention(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.RetentionAge = time.Hour
	cfg.RetentionBytes = 1 << 40
	dir := t.TempDir()
	s := openTest(t, dir, cfg)
	defer closeStore(t, s)
	m := newMesh(11)
	var entries []telemetry.Entry
	for range 4 {
		m.clock += int64(20 * time.Minute)
		e := copyEntry(t, m.entry(100))
		entries = append(entries, e)
		consume(t, s, e)
		seal(t, s)
	}
	stored := func(i int) bool {
		_, err := s.Trace(context.Background(), entries[i].Batch.Spans[0].TraceID)
		return err == nil
	}
	retain := func(now int64) {
		t.Helper()
		if err := s.Retain(time.Unix(0, now)); err != nil {
			t.Fatal(err)
		}
	}
	retain(entries[0].Batch.Received + int64(time.Hour))
	if !stored(0) {
		t.Error("a block was deleted before its time")
	}
	held := s.snapshot()
	retain(entries[0].Batch.Received + int64(time.Hour) + 1)
	if stored(0) || !stored(1) {
		t.Error("the oldest block was to go, alone")
	}
	oldest := filepath.Join(dir, fmt.Sprintf("%016x-%016x", 1, 1))
	if _, err := os.Stat(oldest); err != nil {
		t.Error("a block that is being read was deleted:", err)
	}
	held.done()
	if _, err := os.Stat(oldest); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the block was not deleted after its reader had gone:", err)
	}
	s.cfg.RetentionBytes = s.Stats().Bytes - 1
	retain(entries[3].Batch.Received)
	if stored(1) || !stored(2) || !stored(3) || s.Stats().Blocks != 2 {
		t.Errorf("the oldest block was to go for its size, alone: %+v", s.Stats())
	}
	if s.Applied() != 4 {
		t.Errorf("applied %d", s.Applied())
	}
}

// TestIdleHead has Retain seal a head to which nothing comes any more.
func TestIdleHead(t *testing.T) {
	t.Parallel()
	s := openTest(t, t.TempDir(), DefaultConfig())
	defer closeStore(t, s)
	e := newMesh(12).entry(10)
	consume(t, s, e)
	if err := s.Retain(time.Unix(0, e.Batch.Received).Add(s.cfg.HeadMaxAge)); err != nil {
		t.Fatal(err)
	}
	if err := s.awaitSealed(context.Background()); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.Blocks != 1 || st.HeadSpans != 0 || st.Applied != 1 {
		t.Errorf("stats %+v", st)
	}
}

// TestEmptyEntries pass the applied position on when nothing waits before them.
func TestEmptyEntries(t *testing.T) {
	t.Parallel()
	s := openTest(t, t.TempDir(), DefaultConfig())
	defer closeStore(t, s)
	empty := telemetry.NewBatch()
	consume(t, s, telemetry.Entry{Position: 1, Batch: empty})
	if s.Applied() != 1 {
		t.Errorf("applied %d after an entry of nothing", s.Applied())
	}
	m := newMesh(13)
	m.position = 1
	consume(t, s, m.entry(5))
	consume(t, s, telemetry.Entry{Position: 3, Batch: empty})
	if s.Applied() != 1 {
		t.Errorf("applied %d while spans wait", s.Applied())
	}
	seal(t, s)
	if s.Applied() != 3 {
		t.Errorf("applied %d after all is sealed", s.Applied())
	}
}

// TestBackPressure has a disk refuse a block: nothing is lost, Consume waits, and when the
// disk takes it again all goes on.
func TestBackPressure(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.MaxHeadSpans = 20
	dir := t.TempDir()
	s := openTest(t, dir, cfg)
	defer closeStore(t, s)
	// A directory that cannot be made: its name is taken by one that is in the way of
	// the rename.
	m := newMesh(14)
	block := filepath.Join(dir, blockName(meta{first: 1, last: 1}))
	if err := os.MkdirAll(filepath.Join(block, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	consume(t, s, m.entry(20))
	second := copyEntry(t, m.entry(20))
	done := make(chan error, 1)
	go func() { done <- s.Consume(second) }()
	for testutil.ToFloat64(s.metrics.sealFailures) == 0 {
		time.Sleep(time.Millisecond)
	}
	select {
	case err := <-done:
		t.Fatalf("Consume did not wait: %v", err)
	default:
	}
	if err := os.RemoveAll(block); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	seal(t, s)
	if st := s.Stats(); st.Blocks != 2 || st.Applied != 2 {
		t.Errorf("stats %+v", st)
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
				if _, err := s.Trace(context.Background(), e.Batch.Spans[0].TraceID); err != nil {
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
	if _, err := s.Trace(ctx, e.Batch.Spans[0].TraceID); !errors.Is(err, context.Canceled) {
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

// TestConcurrent reads while entries come, heads are sealed and blocks deleted; the race
// detector watches.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.MaxHeadSpans = 500
	cfg.RetentionBytes = 100_000
	s := openTest(t, t.TempDir(), cfg)
	defer closeStore(t, s)
	m := newMesh(18)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				found, _, err := s.Search(context.Background(), telemetry.SpanQuery{Status: []string{"", "error"}[i%2], Limit: 5})
				if err != nil {
					t.Error(err)
					return
				}
				for _, f := range found {
					if _, err := s.Trace(context.Background(), f.TraceID); err != nil && !errors.Is(err, ErrNotFound) {
						t.Error(err)
					}
				}
				if _, err := s.Services(context.Background()); err != nil {
					t.Error(err)
				}
				s.Stats()
			}
		})
	}
	for range 60 {
		consume(t, s, m.entry(100))
		if err := s.Retain(time.Unix(0, m.clock)); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
	if n := testutil.CollectAndCount(s.metrics.damaged); n != 0 {
		t.Error("a block was found damaged")
	}
}
