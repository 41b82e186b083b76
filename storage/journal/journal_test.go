package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/internal/disk"
	"github.com/binnacle-mesh/binnacle/internal/disk/faulty"
)

type fataler interface {
	Helper()
	Fatal(args ...any)
}

// open reads a journal's records as texts.
func open(t fataler, path string) (*Journal, Found, []string) {
	t.Helper()
	var got []string
	j, found, err := Open(path, func(r []byte) error {
		if string(r) == "refuse" {
			return errors.New("not today")
		}
		got = append(got, string(r))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return j, found, got
}

func records(texts ...string) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for _, s := range texts {
			if !yield([]byte(s)) {
				return
			}
		}
	}
}

// TestModel: whatever is appended, written anew, torn off at the end by a crash and opened again, what is read is what was written,
// but for what was torn off.
func TestModel(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		path := filepath.Join(dir, strconv.Itoa(n), "j")
		j, _, _ := open(t, path)
		defer func() { _ = j.Close() }()
		var want []string
		var sizes []int64 // of the file after each record of want
		for i := range rapid.IntRange(1, 30).Draw(t, "steps") {
			next := []string{fmt.Sprint("r", i), rapid.StringN(0, 50, 200).Draw(t, "text")}
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0:
				if err := j.Rewrite(records(next...)); err != nil {
					t.Fatal(err)
				}
				want, sizes = next, []int64{int64(len(head)) + 16 + int64(len(next[0])), j.Size()}
			case 1, 2, 3:
				if j.Spent() {
					continue
				}
				before := j.Size()
				if err := j.Append(records(next...)); err != nil {
					t.Fatal(err)
				}
				want, sizes = append(want, next...), append(sizes, before+16+int64(len(next[0])), j.Size())
			default:
				_ = j.Close()
				cut := rapid.Int64Range(0, 40).Draw(t, "cut")
				if size := j.Size(); cut > 0 && size > int64(len(head))+cut {
					if err := os.Truncate(path, size-cut); err != nil {
						t.Fatal(err)
					}
					for len(sizes) > 0 && sizes[len(sizes)-1] > size-cut {
						want, sizes = want[:len(want)-1], sizes[:len(sizes)-1]
					}
				}
				var found Found
				var got []string
				j, found, got = open(t, path)
				if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || found.Damage != nil || found.Records != len(want) {
					t.Fatalf("%+v (-want +got):\n%s", found, diff)
				}
			}
		}
	})
}

// TestAnyByteDamaged: a byte that is not what it was is told, costs the record that it lies in and no other, and the file is set aside.
func TestAnyByteDamaged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	j, _, _ := open(t, path)
	all := []string{"first record", "second", "", "the last one"}
	if err := j.Rewrite(records(all...)); err != nil {
		t.Fatal(err)
	}
	_ = j.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		bad := bytes.Clone(whole)
		bad[i] ^= 0x10
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		j, found, got := open(t, path)
		if found.Damage == nil && found.Torn == 0 {
			t.Fatalf("byte %d of %d: nothing is told", i, len(whole))
		}
		lost := 0
		for _, r := range all {
			if !slices.Contains(got, r) {
				lost++
			}
		}
		if lost > 1 || len(got) < len(all)-1 {
			t.Fatalf("byte %d: read %q", i, got)
		}
		if found.Damage == nil {
			_ = j.Close()
			continue
		}
		if !j.Spent() || j.Append(records("x")) == nil {
			t.Fatalf("byte %d: a damaged file is appended to", i)
		}
		if err := j.Rewrite(records("new")); err != nil {
			t.Fatal(err)
		}
		_ = j.Close()
		if aside, err := os.ReadFile(path + ".damaged"); err != nil || !bytes.Equal(aside, bad) {
			t.Fatalf("byte %d: the damaged file is not kept: %v", i, err)
		}
		if j, found, got := open(t, path); found.Damage != nil || !slices.Equal(got, []string{"new"}) {
			t.Fatalf("byte %d: afterwards %+v %q", i, found, got)
		} else {
			_ = j.Close()
		}
	}
}

func TestRefusedRecordIsDamage(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	j, _, _ := open(t, path)
	if err := j.Rewrite(records("a", "refuse", "b")); err != nil {
		t.Fatal(err)
	}
	_ = j.Close()
	if _, found, got := open(t, path); found.Damage == nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%+v %q", found, got)
	}
}

// TestTakenAway: a file that somebody removed, with its folder too, is written anew and not appended to.
func TestTakenAway(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "folder", "j")
	j, _, _ := open(t, path)
	defer func() { _ = j.Close() }()
	if err := j.Rewrite(records("a")); err != nil || j.Spent() {
		t.Fatal(err, j.Spent())
	}
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if !j.Spent() {
		t.Fatal("what is appended now would be in no file")
	}
	if err := j.Rewrite(records("b")); err != nil {
		t.Fatal(err)
	}
	k, _, got := open(t, path)
	defer func() { _ = k.Close() }()
	if !slices.Equal(got, []string{"b"}) {
		t.Errorf("read %q", got)
	}
}

// TestFailedAppend: what could not be written leaves no trace, and the file is good for what comes next.
func TestFailedAppend(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	j, _, _ := open(t, path)
	defer func() { _ = j.Close() }()
	if err := j.Rewrite(records("a")); err != nil {
		t.Fatal(err)
	}
	tooLong := make([]byte, MaxRecord+1)
	if err := j.Append(func(yield func([]byte) bool) { _ = yield(make([]byte, 1<<20)) && yield(tooLong) }); err == nil {
		t.Fatal("a record above the bound was written")
	}
	if err := j.Append(records("b")); err != nil {
		t.Fatal(err)
	}
	_ = j.Close()
	if _, found, got := open(t, path); found.Damage != nil || found.Torn != 0 || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%+v %q", found, got)
	}
}

func TestPrivate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "folder", "j")
	j, _, _ := open(t, path)
	defer func() { _ = j.Close() }()
	if err := j.Rewrite(records("a")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %v, want %v", name, got, want)
		}
	}
}

// A file that the machine does not let be read may be sound: it is not opened as if it were empty, which would have it written anew, and is whole
// when the fault has passed.
func TestMachinesFaultIsNoDamage(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	j, _, _ := open(t, path)
	if err := errors.Join(j.Rewrite(records("used up")), j.Close()); err != nil {
		t.Fatal(err)
	}
	for _, op := range [...]string{"open", "read"} {
		for _, cause := range [...]syscall.Errno{syscall.EMFILE, syscall.EACCES, syscall.EIO} {
			fsys := faulty.Over{FS: disk.OS{}, Fail: func(o, _ string) error {
				if o == op {
					return cause
				}
				return nil
			}}
			if _, found, err := openOn(fsys, path, func([]byte) error { return nil }); !errors.Is(err, cause) {
				t.Errorf("%s fails with %v: opened with %v, %+v", op, cause, err, found)
			}
		}
	}
	j, found, got := open(t, path)
	if found.Damage != nil || !slices.Equal(got, []string{"used up"}) {
		t.Errorf("after that: %q, %+v", got, found)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// Whoever takes a damaged file away while the server runs does not keep it from being written anew.
func TestDamagedFileIsTakenAway(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	if err := os.WriteFile(path, []byte("no journal at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	j, found, _ := open(t, path)
	if found.Damage == nil {
		t.Fatal("a file that is no journal is whole")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(j.Rewrite(records("a")), j.Close()); err != nil {
		t.Fatal(err)
	}
	j, _, got := open(t, path)
	if !slices.Equal(got, []string{"a"}) {
		t.Errorf("read %q", got)
	}
	_ = j.Close()
}
