package series

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// stored is what was written: by series and time in ms. A histogram is its count.
type stored map[string]map[int64]float64

// A logWriter writes to a database, and to stored.
type logWriter struct {
	t    *testing.T
	rnd  *rand.Rand
	all  stored
	next int64
}

func (w *logWriter) put(app storage.AppenderV2, ls labels.Labels, v float64, h *histogram.Histogram) {
	w.t.Helper()
	if _, err := app.Append(0, ls, 0, w.next, v, h, nil, storage.AOptions{}); err != nil {
		w.t.Fatal(err)
	}
	if h != nil {
		v = float64(h.Count)
	}
	if w.all[ls.String()] == nil {
		w.all[ls.String()] = map[int64]float64{}
	}
	w.all[ls.String()][w.next] = v
}

// round writes a sample of each series from to to-1, and one of histograms.
func (w *logWriter) round(db *DB, from, to int) {
	w.t.Helper()
	app := db.AppenderV2(context.Background())
	for i := from; i < to; i++ {
		v := float64(w.next % 100) // some records become shorter by compression,
		if i%2 == 0 {
			v = w.rnd.Float64() // some do not
		}
		w.put(app, labels.FromStrings(labels.MetricName, "x", "of", strconv.Itoa(i)), v, nil)
	}
	n := uint64(w.next/1000) % 1_000_000
	w.put(app, labels.FromStrings(labels.MetricName, "h", "of", strconv.Itoa(from)), 0, &histogram.Histogram{
		Schema: 3, ZeroThreshold: 1e-9, Count: n, Sum: float64(n), PositiveSpans: []histogram.Span{{Offset: 1, Length: 2}}, PositiveBuckets: []int64{1, int64(n) - 2},
	})
	if err := app.Commit(); err != nil {
		w.t.Fatal(err)
	}
	w.next += 15_000
}

const firstSample = 1_790_000_000_000 / 7_200_000 * 7_200_000

// logDirectory is a directory as a kill leaves it: a block, a checkpoint, segments of several lives, files of chunks, and the newest segment, which
// has no end; with what was written to it.
func logDirectory(t *testing.T) (dir string, w *logWriter) {
	t.Helper()
	live := t.TempDir()
	w = &logWriter{t: t, rnd: rand.New(rand.NewPCG(1, 2)), all: stored{}, next: firstSample} //nolint:gosec // a test's chance
	var db *DB
	for life := range 6 {
		db = openLog(t, live, nil)
		switch life {
		case 0, 1, 2:
			for range 3 {
				w.round(db, 0, 4)
			}
		case 3:
			for w.next < firstSample+7_200_000+600_000 {
				w.round(db, 2, 6)
			}
			// The first two hours become a block, and what remains of the first segments a checkpoint.
			if err := db.tsdb.CompactHead(tsdb.NewRangeHead(db.tsdb.Head(), firstSample, firstSample+7_200_000-1)); err != nil {
				t.Fatal(err)
			}
			w.round(db, 2, 8)
		case 4:
			for range 130 { // more than a chunk
				w.round(db, 2, 5)
			}
			db.tsdb.ForceHeadMMap()
		case 5:
			for range 130 {
				w.round(db, 3, 7)
			}
			w.round(db, 100, 3400) // a record that goes on over pages
			for range 3 {
				w.round(db, 5, 9)
			}
			app := db.AppenderV2(context.Background())
			w.put(app, labels.FromStrings(labels.MetricName, "x", "of", "8"), math.Float64frombits(value.StaleNaN), nil)
			if err := app.Commit(); err != nil {
				t.Fatal(err)
			}
			db.tsdb.ForceHeadMMap()
		}
		if life < 5 {
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(live)); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(dir, "lock"))
	return dir, w
}

func openLog(t *testing.T, dir string, log *bytes.Buffer) *DB {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	if log != nil {
		logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	db, err := Open(dir, DefaultConfig(), logger, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// ask asks for all there is.
func ask(t *testing.T, db *DB) (got stored, warnings string) {
	t.Helper()
	q, err := db.Querier(firstSample, math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	got = stored{}
	set := q.Select(t.Context(), false, nil, labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, "x|h"))
	var it chunkenc.Iterator
	for set.Next() {
		s := set.At()
		of := map[int64]float64{}
		it = s.Iterator(it)
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			switch kind {
			case chunkenc.ValFloat:
				at, v := it.At()
				of[at] = v
			default:
				at, h := it.AtFloatHistogram(nil)
				of[at] = h.Count
			}
		}
		if err := it.Err(); err != nil {
			t.Fatal(err)
		}
		got[s.Labels().String()] = of
	}
	if err := set.Err(); err != nil {
		t.Fatal(err)
	}
	return got, fmt.Sprint(set.Warnings().AsErrors())
}

// against says how many samples are missing, and whether one is there that was not written.
func (want stored) against(got stored) (missing int, wrong string) {
	for name, of := range got {
		for at, v := range of {
			if was, ok := want[name][at]; !ok || was != v && math.Float64bits(was) != math.Float64bits(v) {
				wrong = fmt.Sprintf("%s at %d is %v, and was %v (%v)", name, at, v, was, ok)
			}
		}
	}
	for name, of := range want {
		for at := range of {
			if _, ok := got[name][at]; !ok {
				missing++
			}
		}
	}
	return missing, wrong
}

// Each byte of the write-ahead log and of the chunks of the newest block is changed in turn; they are cut off at places, and are zeros for a stretch. What the
// store then answers is right, or lacks something and says so with the file's name; and it is so after the next start, when series that are new have
// samples too.
func TestEveryByteOfTheSeriesLog(t *testing.T) {
	t.Parallel()
	base, w := logDirectory(t)
	db := openLog(t, copyOf(t, base), nil)
	got, warnings := ask(t, db)
	if missing, wrong := w.all.against(got); missing > 0 || wrong != "" || warnings != "[]" || db.Close() != nil {
		t.Fatalf("undamaged: %d are missing, %s, %s", missing, wrong, warnings)
	}
	if r, err := Verify(t.Context(), base); err != nil || len(r.Problems) > 0 {
		t.Fatalf("undamaged: %+v, %v", r, err)
	}
	var files []string
	for _, of := range []string{"wal/*", "wal/checkpoint.*/*", "chunks_head/*"} {
		found, err := filepath.Glob(filepath.Join(base, of))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, slices.DeleteFunc(found, func(f string) bool { st, err := os.Stat(f); return err != nil || st.IsDir() || st.Size() == 0 })...)
	}
	if len(files) < 7 {
		t.Fatalf("there are only %v", files)
	}
	every := os.Getenv(everyByte) != ""
	rnd := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // a test's chance
	h := &logHarm{t: t, base: base, w: w}
	for _, path := range files {
		rel, err := filepath.Rel(base, path)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		end := len(bytes.TrimRight(whole, "\x00")) // behind it there is padding
		tries := 3
		if every {
			tries = end
		}
		for n := range tries {
			at := n
			if !every {
				at = rnd.IntN(end)
			}
			h.try(rel, fmt.Sprintf("byte %d changed", at), whole, func(b []byte) []byte { b[at] ^= byte(1 + rnd.IntN(255)); return b })
		}
		// Heads of frames are few, and say how the rest is read.
		heads := framesOf(whole)
		for n, at := range heads {
			bits := []int{0, 1, 2, 3, 4, 5, 6, 7}
			switch {
			case every:
			case n == 0 || n == len(heads)-1:
				bits = []int{rnd.IntN(3), 3, 4}
			default:
				continue
			}
			for _, bit := range bits {
				h.try(rel, fmt.Sprintf("bit %d of the head at byte %d of %d flipped", bit, at, len(whole)), whole, func(b []byte) []byte { b[at] ^= 1 << bit; return b })
			}
		}
		// What a kill leaves may lack its end.
		newest := rel == filepath.Join("wal", "00000006")
		for range max(1, tries/50) {
			at := rnd.IntN(end)
			h.try(rel, fmt.Sprintf("512 zeros from byte %d of %d", at, len(whole)), whole, func(b []byte) []byte { clear(b[at:min(len(b), at+512)]); return b })
			if !newest {
				h.try(rel, fmt.Sprintf("cut off at byte %d of %d", at, len(whole)), whole, func(b []byte) []byte { return b[:at] })
			}
			if end < len(whole) {
				pad := end + rnd.IntN(len(whole)-end)
				h.try(rel, fmt.Sprintf("byte %d of %d, which is padding, changed", pad, len(whole)), whole, func(b []byte) []byte { b[pad] ^= byte(1 + rnd.IntN(255)); return b })
			}
		}
		if !newest {
			h.try(rel, "gone", whole, func([]byte) []byte { return nil })
		}
	}
	t.Logf("of %d harms %d left all right, %d were told", h.tried, h.right, h.told)
	if h.told < h.tried/4 || h.right < h.tried/10 {
		t.Error("the harms are not of both kinds")
	}
}

// framesOf are the places at which the frames of a log's file begin.
func framesOf(b []byte) (at []int) {
	for page := 0; page < len(b); page += pageBytes {
		p := b[page:min(len(b), page+pageBytes)]
		for i := 0; i < len(p); {
			end, ok := frameAt(p, i)
			if !ok {
				break
			}
			at = append(at, page+i)
			i = end
		}
	}
	return at
}

type logHarm struct {
	t                  *testing.T
	base               string
	w                  *logWriter
	tried, right, told int
}

func (h *logHarm) try(rel, how string, whole []byte, harm func([]byte) []byte) {
	h.t.Helper()
	h.tried++
	dir := copyOf(h.t, h.base)
	defer os.RemoveAll(dir)
	fail := func(format string, args ...any) { h.t.Errorf("%s, %s: %s", rel, how, fmt.Sprintf(format, args...)) }
	path := filepath.Join(dir, rel)
	if bad := harm(bytes.Clone(whole)); bad == nil {
		_ = os.Remove(path)
	} else if err := os.WriteFile(path, bad, 0o600); err != nil {
		h.t.Fatal(err)
	}
	seen := h.verified(dir)
	var log bytes.Buffer
	db := openLog(h.t, dir, &log)
	got, warnings := ask(h.t, db)
	missing, wrong := h.w.all.against(got)
	told := strings.Contains(warnings, filepath.Base(rel)) && len(db.Damaged(time.UnixMilli(h.w.next))) > 0
	switch {
	case wrong != "":
		fail("%s", wrong)
	case missing > 0 && !told:
		fail("%d samples are missing, and nothing is told: %s\n%.3000s", missing, warnings, log.String())
	case missing > 0 && !seen:
		fail("%d samples are missing, and verify saw nothing", missing)
	case missing > 0:
		h.told++
	case log.Len() == 0:
		// Nothing was amiss, so that the next start is any other.
		h.right++
		if err := db.Close(); err != nil {
			fail("%v", err)
		}
		return
	default:
		h.right++
	}
	// Series that are new must not be taken for those that are lost.
	w := logWriter{t: h.t, rnd: h.w.rnd, all: stored{}, next: h.w.next}
	for range 3 {
		w.round(db, 5000, 5008)
	}
	if err := db.Close(); err != nil {
		fail("%v", err)
	}
	db = openLog(h.t, dir, &log)
	defer func() { _ = db.Close() }() // it was read
	again, warnings := ask(h.t, db)
	for name, of := range w.all {
		if n, wrong := (stored{name: of}).against(stored{name: again[name]}); n > 0 || wrong != "" {
			fail("after the next start, of what is new %d are missing, %s", n, wrong)
		}
		delete(again, name)
	}
	switch more, wrong := h.w.all.against(again); {
	case wrong != "":
		fail("after the next start %s", wrong)
	case more > missing || more > 0 && !strings.Contains(warnings, filepath.Base(rel)):
		fail("after the next start %d are missing, before %d: %s\n%.3000s", more, missing, warnings, log.String())
	}
}

// verified says whether verify finds anything.
func (h *logHarm) verified(dir string) bool {
	r, err := Verify(h.t.Context(), dir)
	if err != nil {
		h.t.Fatal(err)
	}
	return len(r.Problems) > 0
}

func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}
