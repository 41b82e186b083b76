package series

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// blockDirectory is a database of one block.
func blockDirectory(t *testing.T) string {
	t.Helper()
	db, err := Open(t.TempDir(), DefaultConfig(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	app := db.AppenderV2(context.Background())
	for s := range 5 {
		for i := range 50 {
			if _, err := app.Append(0, labels.FromStrings("__name__", "m", "s", string(rune('a'+s))), 0, int64(1_790_000_000_000+i*1000), float64(i*s), nil, nil, storage.AOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := db.tsdb.Snapshot(dir, true); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestVerifyFindsDamagedBlocks(t *testing.T) {
	t.Parallel()
	dir := blockDirectory(t)
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	chunks, err := filepath.Glob(filepath.Join(dir, "*", "chunks", "*"))
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(append(files, chunks...), func(f string) bool { st, err := os.Stat(f); return err != nil || st.IsDir() })
	if r, err := Verify(t.Context(), dir); err != nil || len(r.Problems) > 0 || r.Blocks != 1 || r.Series != 5 {
		t.Fatalf("a sound block: %+v, %v", r, err)
	}
	sound, _, err := readMeta(filepath.Dir(files[0]))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	rnd := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test's chance
	for range 500 {
		name := files[rnd.IntN(len(files))]
		was, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		is := slices.Clone(was)
		at := rnd.IntN(len(is))
		is[at] ^= byte(1 + rnd.IntN(255))
		if err := os.WriteFile(name, is, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Verify(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		// A space that is another, or a letter of a field's name that is large, has the description say what it said.
		same := false
		if filepath.Base(name) == metaName {
			m, _, err := readMeta(filepath.Dir(name))
			same = err == nil && equal(m, sound)
		}
		if len(r.Problems) == 0 && !same {
			t.Errorf("byte %d of %s (%d): %q became %q", at, name, len(is), was[at], is[at])
		}
		if len(r.Problems) > 0 {
			found++
		}
		if err := os.WriteFile(name, was, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if found < 450 {
		t.Errorf("%d of 500 changes were found", found)
	}
}
