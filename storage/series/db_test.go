package series

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, dir string, logTo *bytes.Buffer) *DB {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	if logTo != nil {
		logger = slog.New(slog.NewTextHandler(logTo, nil))
	}
	db, err := Open(dir, DefaultConfig(), logger, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func write(t *testing.T, db *DB, at int64, count uint64) {
	t.Helper()
	app := db.AppenderV2(context.Background())
	ls := labels.FromStrings(labels.MetricName, "took_seconds", "of", "it")
	h := &histogram.Histogram{
		Schema: 3, Count: count, Sum: float64(count), ZeroThreshold: 1e-9,
		PositiveSpans: []histogram.Span{{Offset: 0, Length: 1}}, PositiveBuckets: []int64{int64(count)},
	}
	ex := exemplar.Exemplar{Labels: labels.FromStrings("trace_id", strconv.FormatUint(count, 16)), Value: 1, Ts: at, HasTs: true}
	if _, err := app.Append(0, ls, 0, at, 0, h, nil, storage.AOptions{Exemplars: []exemplar.Exemplar{ex}}); err != nil {
		t.Fatal(err)
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
}

func counts(t *testing.T, db *DB) (out []float64) {
	t.Helper()
	q, err := db.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	set := q.Select(context.Background(), false, nil, labels.MustNewMatcher(labels.MatchEqual, "of", "it"))
	for set.Next() {
		for it := set.At().Iterator(nil); it.Next() == chunkenc.ValHistogram; {
			_, h := it.AtFloatHistogram(nil)
			out = append(out, h.Count)
		}
	}
	if set.Err() != nil {
		t.Fatal(set.Err())
	}
	return out
}

func exemplars(t *testing.T, db *DB) int {
	t.Helper()
	q, err := db.ExemplarQuerier(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	res, err := q.Select(0, math.MaxInt64, []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "of", "it")})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range res {
		n += len(r.Exemplars)
	}
	return n
}

func closeDB(t *testing.T, db *DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// What was committed is there after a restart, exemplars too.
func TestReopen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := open(t, dir, nil)
	now := time.Now().UnixMilli()
	for i := range int64(3) {
		write(t, db, now+i*1000, uint64(i+1))
	}
	closeDB(t, db)
	db = open(t, dir, nil)
	defer closeDB(t, db)
	if got := counts(t, db); !slices.Equal(got, []float64{1, 2, 3}) {
		t.Errorf("counts are %v", got)
	}
	if got := exemplars(t, db); got != 3 {
		t.Errorf("%d exemplars", got)
	}
	if db.Series() != 1 || db.Stats("of", 10).NumSeries != 1 {
		t.Errorf("%d series", db.Series())
	}
	if start, err := db.StartTime(); err != nil || start > now {
		t.Errorf("begins at %d, %v", start, err)
	}
	write(t, db, now+5000, 9)
}

// A crash may tear the end of the write-ahead log: the rest is kept, and the log
// says what happened.
func TestTornTail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := open(t, dir, nil)
	now := time.Now().UnixMilli()
	write(t, db, now, 1)
	closeDB(t, db)
	segments, err := filepath.Glob(filepath.Join(dir, "wal", "0*"))
	if err != nil || len(segments) == 0 {
		t.Fatal(segments, err)
	}
	newest := segments[len(segments)-1]
	whole, err := os.ReadFile(newest)
	if err != nil {
		t.Fatal(err)
	}
	torn := append(bytes.TrimRight(whole, "\x00"), 1, 0, 200, 9, 9, 9, 9, 9) // a record that promises more than there is
	if err := os.WriteFile(newest, torn, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	db = open(t, dir, &log)
	defer closeDB(t, db)
	if got := counts(t, db); !slices.Equal(got, []float64{1}) {
		t.Errorf("counts are %v", got)
	}
	if !strings.Contains(log.String(), "torn") {
		t.Errorf("the log does not say so: %s", log.String())
	}
	write(t, db, now+1000, 2)
}

func TestDirectoryIsLocked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := open(t, dir, nil)
	defer closeDB(t, db)
	_, err := Open(dir, DefaultConfig(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second server opened it: %v", err)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Config){
		"retention_age":       func(c *Config) { c.RetentionAge = time.Minute },
		"retention_bytes":     func(c *Config) { c.RetentionBytes = -1 },
		"retention_age: 0":    func(c *Config) { c.RetentionAge, c.RetentionBytes = 0, 0 },
		"max_exemplars":       func(c *Config) { c.MaxExemplars = -1 },
		"out_of_order_window": func(c *Config) { c.OutOfOrderWindow = 3 * time.Hour },
	} {
		c := DefaultConfig()
		change(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	c := DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

func TestLongestBlock(t *testing.T) {
	t.Parallel()
	for retention, want := range map[time.Duration]time.Duration{
		0: 31 * 24 * time.Hour, 2 * time.Hour: 2 * time.Hour, 15 * 24 * time.Hour: 36 * time.Hour, 10000 * time.Hour: 31 * 24 * time.Hour,
	} {
		if got := longestBlock(retention); got != want {
			t.Errorf("%v: %v, want %v", retention, got, want)
		}
	}
}
