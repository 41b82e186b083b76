package series

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
)

// writeFloats gives series from to to-1 a sample.
func writeFloats(t *testing.T, db *DB, at int64, from, to int, v float64) (refused int) {
	t.Helper()
	app := db.AppenderV2(context.Background())
	for i := from; i < to; i++ {
		_, err := app.Append(0, labels.FromStrings(labels.MetricName, "x", "of", strconv.Itoa(i)), 0, at, v, nil, nil, storage.AOptions{})
		if errors.Is(err, ErrFull) {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	return refused
}

// The newest block holds as many series as it may; those it has go on, and those that ended leave
// and make room.
func TestSeriesAreBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := DefaultConfig()
	cfg.MaxSeries = 1000
	openBounded := func() *DB {
		db, err := Open(dir, cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	db := openBounded()
	const start = 1_790_000_000_000
	if n := writeFloats(t, db, start, 0, 1500, 1); n != 500 || db.Series() != 1000 {
		t.Fatalf("%d are refused, %d are held", n, db.Series())
	}
	if n := writeFloats(t, db, start+1000, 0, 1000, 2); n != 0 {
		t.Errorf("of those that it has it refuses %d", n)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openBounded()
	defer func() { _ = db.Close() }() // it was read
	if n := writeFloats(t, db, start+2000, 0, 1000, 3); n != 0 {
		t.Errorf("after a restart it refuses %d of those that it has", n)
	}
	writeFloats(t, db, start+3000, 0, 800, math.Float64frombits(value.StaleNaN))
	if err := db.tsdb.CompactStaleHead(); err != nil { // as the database does each minute
		t.Fatal(err)
	}
	if got := db.Series(); got != 200 {
		t.Errorf("%d series are held after 800 of 1000 ended", got)
	}
	if n := writeFloats(t, db, start+4000, 5000, 5800, 1); n != 0 {
		t.Errorf("%d newcomers are refused although there is room", n)
	}
	q, err := db.Querier(0, math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	n := 0
	for set := q.Select(context.Background(), false, nil, labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, "x")); set.Next(); n++ {
	}
	if n != 1800 {
		t.Errorf("%d series are found of 1800: what ended is in a block", n)
	}
}

// Whatever file is damaged, cut or gone, the store opens, takes samples, and says what is lost.
func TestOpensWhateverIsDamaged(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	db := open(t, base, nil)
	const start = 1_790_000_000_000
	writeFloats(t, db, start, 0, 200, 1)
	writeFloats(t, db, start+1000, 0, 100, math.Float64frombits(value.StaleNaN))
	if err := db.tsdb.CompactStaleHead(); err != nil { // makes a block
		t.Fatal(err)
	}
	for i := range 300 {
		writeFloats(t, db, start+2000+int64(i)*1000, 100, 110, float64(i))
	}
	db.tsdb.ForceHeadMMap()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	var files []string
	if err := filepath.WalkDir(base, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "lock" {
			files = append(files, path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, path := range files {
		name, err := filepath.Rel(base, path)
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, how := range []string{"flipped", "flipped", "flipped", "cut", "empty", "noise"} {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(base)); err != nil {
				t.Fatal(err)
			}
			bad := bytes.Clone(content)
			switch {
			case len(bad) == 0:
				continue
			case how == "flipped":
				bad[r.IntN(len(bad))] ^= 1 << r.IntN(8)
			case how == "cut":
				bad = bad[:r.IntN(len(bad))]
			case how == "empty":
				bad = nil
			case how == "noise":
				for i := range bad {
					bad[i] = byte(r.Uint32())
				}
			}
			if err := os.WriteFile(filepath.Join(dir, name), bad, 0o600); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			db, err := Open(dir, DefaultConfig(), slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewRegistry())
			if err != nil {
				t.Errorf("%s %s: %v\n%s", name, how, err, log.String())
				continue
			}
			writeFloats(t, db, start+1_000_000, 100, 101, 1)
			if err := db.Close(); err != nil {
				t.Errorf("%s %s: %v", name, how, err)
			}
			if strings.HasSuffix(name, "meta.json") && how == "empty" && !strings.Contains(log.String(), "put right") {
				t.Errorf("%s %s: nothing is said of it:\n%s", name, how, log.String())
			}
		}
	}
}

// A directory that another holds is no damage: nothing in it is touched.
func TestHeldDirectoryIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := open(t, dir, nil)
	defer func() { _ = db.Close() }() // it was read
	writeFloats(t, db, 1_790_000_000_000, 0, 10, 1)
	if _, err := Open(dir, DefaultConfig(), slog.New(slog.DiscardHandler), prometheus.NewRegistry()); err == nil {
		t.Fatal("it was opened twice")
	}
	if aside, _ := filepath.Glob(filepath.Join(dir, damagedPrefix+"*")); len(aside) > 0 {
		t.Errorf("set aside: %v", aside)
	}
}

// What a network's file system says when it has lost its server is not a fault of the files either; what content alone brings about is.
func TestMachinesFaultIsNoDamage(t *testing.T) {
	t.Parallel()
	for code, want := range map[syscall.Errno]bool{
		syscall.ENOTCONN: true, syscall.ESTALE: true, syscall.ETIMEDOUT: true, syscall.EMFILE: true, syscall.ENOSPC: true, syscall.ENOENT: false, syscall.EINVAL: false,
	} {
		if err := fmt.Errorf("open block: %w", &os.PathError{Op: "open", Path: "index", Err: code}); environmental(err) != want {
			t.Errorf("%v is taken for the content's: %v", err, want)
		}
	}
}
