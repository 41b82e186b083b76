package block

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/filter"
)

// An answer is all that a test asks of a store.
type answer struct {
	Traces   []traceAnswer
	Searches [][]telemetry.TraceSummary
}

type traceAnswer struct {
	There    bool
	Spans    int
	Requests int
	Record   string
}

// askAll asks a store everything, and says whether it says of each part that it may lack something.
func askAll(t *testing.T, s *Store, ids []telemetry.TraceID, searches []telemetry.SpanQuery) (all answer, lacksTrace, lacksSearch []bool) {
	t.Helper()
	for _, id := range ids {
		b, damaged, err := s.Trace(context.Background(), id)
		a := traceAnswer{There: err == nil}
		if err != nil && !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		if err == nil {
			a.Spans, a.Requests, a.Record = len(b.Spans), len(b.Requests), string(b.AppendRecord(nil))
		}
		for _, d := range damaged {
			if d.File == "" || d.Reason == "" {
				t.Errorf("damage without a name or a reason: %+v", d)
			}
		}
		all.Traces, lacksTrace = append(all.Traces, a), append(lacksTrace, len(damaged) > 0)
	}
	for _, q := range searches {
		found, stats, err := s.Search(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		all.Searches, lacksSearch = append(all.Searches, found), append(lacksSearch, len(stats.Damaged) > 0)
	}
	return all, lacksTrace, lacksSearch
}

// TestFlippedBytes turns bytes of a block, one at a time, anywhere in its files. Whatever is asked then, the answer is the right
// one, or says that something is missing; Verify finds every one of them. With BINNACLE_EVERY_BYTE set each byte has its turn.
// A file of long texts is of another format, and has its turn too.
func TestFlippedBytes(t *testing.T) {
	t.Parallel()
	t.Run("ordinary", func(t *testing.T) {
		t.Parallel()
		testFlippedBytes(t, withRequests(copyEntry(t, newMesh(21).entry(60))), "1", 11, 1000)
	})
	t.Run("long texts", func(t *testing.T) {
		t.Parallel()
		testFlippedBytes(t, withRequests(longNames(copyEntry(t, newMesh(21).entry(30)), 100_000)), "2", 4, 200)
	})
}

// withRequests adds a request to every third span.
func withRequests(e telemetry.Entry) telemetry.Entry {
	for i := range e.Batch.Spans {
		if sp := &e.Batch.Spans[i]; i%3 == 0 {
			e.Batch.Requests = append(e.Batch.Requests, telemetry.Request{
				TraceID: sp.TraceID, SpanID: sp.SpanID, Start: sp.Start, Duration: sp.Duration, Resource: sp.Resource,
				Method: e.Batch.InternString("GET"), Path: e.Batch.InternString("/cart"), Code: 200,
			})
		}
	}
	return e
}

// longNames gives each span a name of its own, of more than so many bytes, which is small once it is compressed.
func longNames(e telemetry.Entry, bytes int) telemetry.Entry {
	for i := range e.Batch.Spans {
		e.Batch.Spans[i].Name = e.Batch.InternString(fmt.Sprintf("%d %s", i, strings.Repeat("name", bytes/4)))
	}
	return e
}

// testFlippedBytes turns so many bytes of the block that e makes, whose spans are of a format, and asks for so many of its traces each time.
func testFlippedBytes(t *testing.T, e telemetry.Entry, format string, traces, flips int) {
	t.Helper()
	dir := t.TempDir()
	s := openTest(t, dir, DefaultConfig())
	consume(t, s, e)
	seal(t, s)
	ids := []telemetry.TraceID{{0xff}} // one that is not there
	seen := map[telemetry.TraceID]bool{{0xff}: true}
	for i := range e.Batch.Spans {
		if id := e.Batch.Spans[i].TraceID; !seen[id] && len(ids) <= traces {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	searches := []telemetry.SpanQuery{
		{Limit: 100},
		{Limit: 100, Filter: filter.Compare(filter.Duration.Field(), filter.GreaterEqual, filter.Elapsed(1e6))},
		{Limit: 100, Filter: filter.Is(filter.Status.Field(), filter.Text("error"))},
		{Limit: 100, Filter: filter.Exists(filter.Attribute(filter.InSpanOrResource, "http.route"))},
	}
	want, _, lacks := askAll(t, s, ids, searches)
	closeStore(t, s)
	for _, l := range lacks {
		if l {
			t.Fatal("a whole block is said to be damaged")
		}
	}
	if r, err := Verify(dir); err != nil || len(r.Problems) > 0 || r.Blocks != 1 || r.Unchecked != 0 || r.Rows == 0 {
		t.Fatalf("a whole block is reported as %+v, %v", r, err)
	}
	name := blockName(meta{first: 1, last: 1})
	files := map[string][]byte{}
	size := 0
	for _, f := range [...]string{spansFile, requestsFile} {
		b, err := os.ReadFile(filepath.Join(dir, name, f))
		if err != nil {
			t.Fatal(err)
		}
		files[f] = b
		size += len(b)
	}
	if v := formatOf(t, filepath.Join(dir, name, spansFile)); v != format {
		t.Fatalf("the spans are of format %s, not %s", v, format)
	}
	r := rand.New(rand.NewPCG(7, 7))
	every := os.Getenv("BINNACLE_EVERY_BYTE") != "" // each byte in its turn, and not some by chance
	if every {
		flips = size
	}
	refused, marked, right := 0, 0, 0
	for n := range flips {
		f := spansFile
		if n%4 == 3 {
			f = requestsFile
		}
		at, with := r.IntN(len(files[f])), byte(1+r.IntN(255))
		if n%3 == 0 { // the end, where the indexes and the footer are, is as much at risk as the pages
			at = len(files[f]) - 1 - r.IntN(min(len(files[f]), 9000))
		}
		if every {
			f, at = spansFile, n
			if spans := len(files[spansFile]); n >= spans {
				f, at = requestsFile, n-spans
			}
		}
		damaged := t.TempDir()
		if err := os.Mkdir(filepath.Join(damaged, name), 0o700); err != nil {
			t.Fatal(err)
		}
		for g, b := range files {
			if g == f {
				b = append([]byte(nil), b...)
				b[at] ^= with
			}
			if err := os.WriteFile(filepath.Join(damaged, name, g), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if r, err := Verify(damaged); err != nil || len(r.Problems) == 0 {
			t.Errorf("%s: byte %d ^ %#x is not found: %v", f, at, with, err)
		}
		s, err := Open(damaged, DefaultConfig(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		if err != nil {
			refused++
			continue
		}
		got, lacksTrace, lacksSearch := askAll(t, s, ids, searches)
		closeStore(t, s)
		whole := true
		for i := range got.Traces {
			if !lacksTrace[i] && got.Traces[i] != want.Traces[i] {
				t.Errorf("%s: byte %d of %d ^ %#x: trace %s is answered wrong: %d spans and %d requests instead of %d and %d", f, at, len(files[f]), with, ids[i],
					got.Traces[i].Spans, got.Traces[i].Requests, want.Traces[i].Spans, want.Traces[i].Requests)
			}
			whole = whole && !lacksTrace[i]
		}
		for i := range got.Searches {
			if diff := gocmp.Diff(want.Searches[i], got.Searches[i]); diff != "" && !lacksSearch[i] {
				t.Errorf("%s: byte %d ^ %#x: search %d is answered wrong (-want +got):\n%s", f, at, with, i, diff)
			}
			whole = whole && !lacksSearch[i]
		}
		if whole {
			right++
		} else {
			marked++
		}
	}
	t.Logf("%d bytes turned, one at a time, of %d: %d times all was right, %d times the answer said what it lacked, %d times the store was not opened", flips, size, right, marked, refused)
	if marked < flips/3 {
		t.Errorf("only %d answers said that they lack something: is this test blind?", marked)
	}
}
