package app

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/binnacle-mesh/binnacle/storage/checkpoint"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Whatever of the checkpoints is of no use, damaged or senseless, the server starts: from the one before, or from what the log
// holds. Nothing that the log holds is lost, or counted twice.
func TestPipelineStartsWhateverTheCheckpoints(t *testing.T) {
	t.Parallel()
	truncate := func(t *testing.T, file string) {
		t.Helper()
		if err := os.Truncate(file, 30); err != nil {
			t.Fatal(err)
		}
	}
	senseless := func(t *testing.T, file string) {
		t.Helper()
		rewrite(t, file, &counter{spans: senseless})
	}
	for _, c := range []struct {
		name          string
		older, newest func(*testing.T, string)
		aside         int
	}{
		{"the newest damaged", nil, truncate, 1},
		{"the newest senseless", nil, senseless, 1},
		{"both senseless", senseless, senseless, 2},
		{"one of each", truncate, senseless, 2},
		{"the older alone", senseless, nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir, store := t.TempDir(), &counter{}
			var want uint64
			for range 2 {
				r := newRig(t, dir, store, essential())
				r.start()
				for range 30 {
					if _, err := r.Append(t.Context(), batch(2)); err != nil {
						t.Fatal(err)
					}
					want += 2
				}
				r.stop(t)
			}
			files, err := filepath.Glob(filepath.Join(dir, "checkpoints", "*.ckpt"))
			if err != nil || len(files) != 2 {
				t.Fatalf("checkpoints are %v, error %v", files, err)
			}
			slices.Sort(files)
			for i, damage := range []func(*testing.T, string){c.older, c.newest} {
				if damage != nil {
					damage(t, files[i])
				}
			}
			r := newRig(t, dir, store, essential())
			s := r.live.restored.status()
			if r.graph.spans != want || store.spans != want || len(s.SetAside) != c.aside {
				t.Errorf("%d and %d spans, want %d; began with %+v", r.graph.spans, store.spans, want, s)
			}
			for _, a := range s.SetAside {
				if _, err := os.Stat(a.File); err != nil || a.Reason == "" {
					t.Errorf("set aside: %+v, %v", a, err)
				}
			}
			r.start()
			r.stop(t)
			again := newRig(t, dir, store, essential())
			if again.graph.spans != want || len(again.live.restored.Aside) != 0 {
				t.Errorf("the start after it has %d spans, want %d; set aside %v", again.graph.spans, want, again.live.restored.Aside)
			}
			again.start()
			again.stop(t)
		})
	}
}

// rewrite puts another state into a checkpoint, all sums right.
func rewrite(t *testing.T, file string, state *counter) {
	t.Helper()
	var pos telemetry.Position
	if _, err := fmt.Sscanf(filepath.Base(file), "%d", &pos); err != nil {
		t.Fatal(err)
	}
	path := t.TempDir()
	dir, err := checkpoint.Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	b := new(checkpoint.Buffer)
	if err := state.Save(b); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Save(pos, []checkpoint.Part{{Name: "graph", Data: b}}); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(path, fmt.Sprintf("%020d.ckpt", pos)), file); err != nil {
		t.Fatal(err)
	}
}
