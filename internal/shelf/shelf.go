// Package shelf gives tests what is real: payloads of other programs, those programs, and addresses to serve at.
//
// Each conformance test has payloads of our own, written after the specifications, below its
// package's testdata: they prove it in a clone alone. Others' files may not be in the
// repository; where an archive of them lies beside it, in ../shared/data, they are tested as
// well, and where there is none the test says so in its log, and is no less a test.
//
// A program that a test needs (Envoy, Chromium) is installed by make; without it a test is
// skipped, loudly, or fails where BINNACLE_REQUIRE_PARTS says that nothing may be missing.
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

// The archives of others' files.
const (
	Fixtures    = "wire-fixtures.tar.gz" // what senders and other projects' tests put on the wire
	PeerConfigs = "peer-configs.tar.gz"  // configurations and dashboards of others
	NezhaDev    = "nezha-dev.tar.gz"     // traces, logs and metrics of labelled incidents in two systems
)

// Own are the files below the package's folder testdata/dir, by their path in it. It fails
// where there are none.
func Own(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	root := os.DirFS(filepath.Join("testdata", dir))
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		out[name], err = fs.ReadFile(root, name)
		return err
	})
	if err != nil || len(out) == 0 {
		t.Fatalf("%d payloads of our own in testdata/%s: %v", len(out), dir, err)
	}
	return out
}

// Others are the files of an archive that are wanted, by their path in it. ok is false where
// there is no such archive, which the test's log then says.
func Others(t testing.TB, archive string, want func(name string) bool) (files map[string][]byte, ok bool) {
	t.Helper()
	at := filepath.Join(root(t), "..", "shared", "data", archive)
	f, err := os.Open(at)
	if errors.Is(err, fs.ErrNotExist) {
		t.Logf("with our own payloads alone: those of others are not here (%s)", at)
		return nil, false
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // it was only read
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files = map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, true
		}
		if err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		if h.Typeflag != tar.TypeReg || !want(h.Name) {
			continue
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatalf("%s: %s: %v", at, h.Name, err)
		}
	}
}

// Missing ends a test that needs a program which is not installed, for the reason given: it
// skips the test, or fails it where BINNACLE_REQUIRE_PARTS is set, as .ci/run does.
func Missing(t testing.TB, program string, why error) {
	t.Helper()
	if os.Getenv("BINNACLE_REQUIRE_PARTS") != "" {
		t.Fatalf("no %s, and BINNACLE_REQUIRE_PARTS is set: %v", program, why)
	}
	t.Skipf("SKIPPED, AND NOT PROVEN: no %s: %v", program, why)
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
