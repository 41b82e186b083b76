package series

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/tsdb"
)

// A kill may come when a block is made of others and before it is sealed: they are all still there. Nothing is missing then, nothing is there twice, and the
// database tidies up by itself.
func TestBlockIsProvenBesideThoseItIsMadeOf(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	db := open(t, h.dir, nil)
	h.write(t, db, dawn, dawn+5*hour+hour/2)
	if err := db.tsdb.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	parts := t.TempDir()
	for _, b := range db.tsdb.Blocks() {
		if err := os.CopyFS(filepath.Join(parts, b.Meta().ULID.String()), os.DirFS(b.Dir())); err != nil {
			t.Fatal(err)
		}
	}
	h.write(t, db, dawn+5*hour+hour/2, until)
	if err := db.tsdb.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	made := ""
	for _, b := range db.tsdb.Blocks() {
		if m := b.Meta(); m.Compaction.Level == 2 && len(m.Compaction.Parents) > 0 {
			made = b.Dir()
		}
	}
	closeDB(t, db)
	replaced, err := os.ReadDir(parts)
	if err != nil || made == "" || len(replaced) < 2 {
		t.Fatalf("no block was made of others: %q, %v, %v", made, replaced, err)
	}
	for _, p := range replaced {
		if err := os.CopyFS(filepath.Join(h.dir, p.Name()), os.DirFS(filepath.Join(parts, p.Name()))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(made, sealName)); err != nil {
		t.Fatal(err)
	}
	db = open(t, h.dir, nil)
	defer closeDB(t, db)
	for _, when := range []string{"after the start", "after a compaction"} {
		for _, q := range questions() {
			got, _, err := q.ask(t.Context(), db, q.from, q.to)
			if err != nil {
				t.Fatal(err)
			}
			if want := h.want(q); !maps.EqualFunc(want, got, slices.Equal) {
				t.Errorf("%s, %s (-want +got):\n%.1500s", when, q.name, cmp.Diff(want, got))
			}
		}
		if err := db.tsdb.Compact(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range replaced {
		if _, err := os.Stat(filepath.Join(h.dir, p.Name())); err == nil {
			t.Errorf("%s is still there", p.Name())
		}
	}
	if r, err := Verify(t.Context(), h.dir); err != nil || len(r.Problems) > 0 {
		t.Errorf("verify says %v, %v", r.Problems, err)
	}
}

// A description that is damaged while the server runs cuts nothing off when its block is made one with others.
func TestDamagedDescriptionCutsNothingOff(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	db := open(t, h.dir, nil)
	defer closeDB(t, db)
	h.write(t, db, dawn, dawn+5*hour+hour/2)
	if err := db.tsdb.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, b := range db.tsdb.Blocks() {
		m := b.Meta()
		m.MinTime, m.MaxTime = m.MinTime+hour, m.MaxTime-hour/2
		if err := os.WriteFile(filepath.Join(b.Dir(), metaName), encoded(m), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h.write(t, db, dawn+5*hour+hour/2, until)
	if err := db.tsdb.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(db.BlockMetas(), func(m tsdb.BlockMeta) bool { return m.Compaction.Level == 2 }) {
		t.Fatal("no block was made of others")
	}
	for _, q := range questions() {
		got, _, err := q.ask(t.Context(), db, q.from, q.to)
		if err != nil {
			t.Fatal(err)
		}
		if want := h.want(q); !maps.EqualFunc(want, got, slices.Equal) {
			t.Errorf("%s (-want +got):\n%.1500s", q.name, cmp.Diff(want, got))
		}
	}
}
