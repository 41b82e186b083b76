package app

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/binnacle-mesh/binnacle/internal/config"
)

// a server on a directory, that listens to nobody.
func serveOn(t *testing.T, dir string, work func(*App)) error {
	t.Helper()
	cfg := config.Default()
	cfg.Data = dir
	cfg.Listen = config.Listen{OTLPHTTP: "127.0.0.1:0"}
	cfg.Collector = map[string]any{"receivers": map[string]any{}}
	a, err := New(t.Context(), cfg, "test", &Logger{Logger: slog.New(slog.DiscardHandler), Level: new(slog.LevelVar)})
	if err != nil {
		return err
	}
	a.pipeline.start()
	work(a)
	listeners := a.listeners
	err = errors.Join(a.stopReceiving(context.Background()), a.closeAll())
	for _, l := range listeners {
		_ = l.Close()
	}
	return err
}

// dataDirectory makes a small data directory in which each kind of file is. The second start writes the series of what the first took.
func dataDirectory(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	for range 2 {
		err := serveOn(t, dir, func(a *App) {
			for range 10 {
				if _, err := a.pipeline.Append(t.Context(), batch(4)); err != nil {
					t.Error(err)
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// files lists what there is below a directory.
func filesBelow(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if info, err := d.Info(); err == nil && d.Type().IsRegular() && info.Size() > 0 {
			all = append(all, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func problems(t *testing.T, dir string) (all []string) {
	t.Helper()
	parts, err := Verify(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range parts {
		for _, p := range v.Problems {
			all = append(all, p.File+": "+p.Reason)
		}
	}
	return all
}

// harmless is what may change unnoticed: nobody reads it, or it is told from its surroundings.
var harmless = regexp.MustCompile(`/(lock|LOCK|binnacle\.lock|server\.lock)$`)

// Whatever byte of whatever file is changed, verify finds it, or it is one that nobody reads. A sound directory has no
// problems, and verifying changes nothing.
func TestVerifyFindsEachByte(t *testing.T) {
	t.Parallel()
	dir := dataDirectory(t)
	files := filesBelow(t, dir)
	if p := problems(t, dir); len(p) > 0 {
		t.Fatalf("a sound directory has problems: %q", p)
	}
	if now := filesBelow(t, dir); !slices.Equal(now, files) {
		t.Errorf("verifying has left %v, there were %v", now, files)
	}
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test's chance
	const cases = 1000
	kinds := map[string]int{}
	for range cases {
		name := files[r.IntN(len(files))]
		was, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		is := slices.Clone(was)
		at := r.IntN(len(is))
		is[at] ^= byte(1 + r.IntN(255))
		if err := os.WriteFile(name, is, 0o600); err != nil {
			t.Fatal(err)
		}
		rel, _ := filepath.Rel(dir, name)
		if p := problems(t, dir); len(p) == 0 && !harmless.MatchString("/"+rel) {
			t.Errorf("byte %d of %s (%d bytes): %#x became %#x, and nothing is found", at, rel, len(is), was[at], is[at])
		}
		kinds[strings.SplitN(rel, "/", 2)[0]]++
		if err := os.WriteFile(name, was, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, kind := range []string{"wal", "checkpoints", "blocks", "series"} {
		if kinds[kind] == 0 {
			t.Errorf("of %s no byte was changed", kind)
		}
	}
}

// Whatever file is damaged, and however, the server starts, or it refuses with the file's name; and it can be stopped and started again.
func TestStartsWhateverIsDamaged(t *testing.T) {
	t.Parallel()
	whole := dataDirectory(t)
	r := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // a test's chance
	for range 15 {
		dir := filepath.Join(t.TempDir(), "data")
		if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
			t.Fatal(err)
		}
		files := filesBelow(t, dir)
		name := files[r.IntN(len(files))]
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		at := r.IntN(len(b))
		how := [...]string{"one byte", "zeros", "cut", "gone"}[r.IntN(4)]
		switch how {
		case "one byte":
			b[at] ^= byte(1 + r.IntN(255))
		case "zeros":
			clear(b[at:min(len(b), at+1+r.IntN(5000))])
		case "cut":
			b = b[:at]
		}
		if err = os.WriteFile(name, b, 0o600); how == "gone" {
			err = os.Remove(name)
		}
		if err != nil {
			t.Fatal(err)
		}
		rel, _ := filepath.Rel(dir, name)
		for start := range 2 {
			err := serveOn(t, dir, func(a *App) {
				if _, err := a.pipeline.Append(t.Context(), batch(1)); err != nil {
					t.Errorf("%s of %s at %d: start %d takes nothing: %v", how, rel, at, start, err)
				}
			})
			if err != nil && !strings.Contains(err.Error(), filepath.Base(name)) {
				t.Errorf("%s of %s at %d: start %d: %v", how, rel, at, start, err)
			} else if err != nil {
				t.Logf("%s of %s at %d: start %d refuses: %v", how, rel, at, start, err)
			}
		}
	}
}
