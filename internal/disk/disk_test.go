package disk

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Directories are made as os makes them, with all that leads to them, and be they there already.
func TestMkdirAll(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	for range 2 {
		if err := (OS{}).MkdirAll(filepath.Join(base, "a", "b", "c")+"/", 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for dir, want := range map[string]string{base: "a", filepath.Join(base, "a"): "b", filepath.Join(base, "a", "b"): "c"} {
		names, err := OS{}.Names(dir)
		if err != nil || !slices.Equal(names, []string{want}) {
			t.Errorf("%s holds %v, %v", dir, names, err)
		}
	}
	if err := os.WriteFile(filepath.Join(base, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (OS{}).MkdirAll(filepath.Join(base, "file", "x"), 0o700); err == nil {
		t.Error("a directory was made in a file")
	}
}
