// Package shelf reads the archives of real payloads that lie beside the repository, for
// tests. They are others' files, and are not in it.
package shelf

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// The archives.
const (
	Fixtures    = "wire-fixtures.tar.gz" // what senders and other projects' tests put on the wire
	PeerConfigs = "peer-configs.tar.gz"  // configurations and dashboards of others
)

// Files are the files of an archive that are wanted, by their path in it. Where there is no
// such archive the test is skipped, and says so.
func Files(t testing.TB, archive string, want func(name string) bool) map[string][]byte {
	t.Helper()
	at := filepath.Join(root(t), "..", "shared", "data", archive)
	f, err := os.Open(at)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("SKIPPED, AND NOT PROVEN: the real payloads are not here (%s)", at)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // it was only read
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		if h.Typeflag != tar.TypeReg || !want(h.Name) {
			continue
		}
		if out[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatalf("%s: %s: %v", at, h.Name, err)
		}
	}
}

// root is the repository's folder.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for dir != filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal("the test does not run below the repository's folder")
	return ""
}
