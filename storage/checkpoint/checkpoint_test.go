package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

func open(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func save(t *testing.T, d *Dir, pos telemetry.Position, text string) telemetry.Position {
	t.Helper()
	graph := new(Buffer)
	_, _ = graph.Write([]byte(text))
	oldest, err := d.Save(pos, []Part{{"graph", graph}, {"empty", new(Buffer)}})
	if err != nil {
		t.Fatal(err)
	}
	return oldest
}

func load(t *testing.T, d *Dir) (telemetry.Position, string) {
	t.Helper()
	var s []Section
	pos, _, err := d.Load(func(_ telemetry.Position, read []Section) error {
		s = read
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if pos == 0 {
		return 0, ""
	}
	if s[0].Name != "graph" || s[1].Name != "empty" || len(s[1].Data) != 0 {
		t.Fatalf("sections %v", s)
	}
	return pos, string(s[0].Data)
}

func TestNewestIsLoadedAndTwoAreKept(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	d := open(t, path)
	if pos, _ := load(t, d); pos != 0 {
		t.Fatalf("an empty directory gave position %d", pos)
	}
	var oldest []telemetry.Position
	for _, p := range []telemetry.Position{7, 900, 10_000_000_000} {
		oldest = append(oldest, save(t, d, p, "x"))
	}
	if diff := cmp.Diff([]telemetry.Position{0, 7, 900}, oldest); diff != "" {
		t.Errorf("the log must be kept from (-want +got):\n%s", diff)
	}
	save(t, d, 10_000_000_001, "newest")
	if pos, text := load(t, open(t, path)); pos != 10_000_000_001 || text != "newest" {
		t.Errorf("loaded %d %q", pos, text)
	}
	if files, _ := os.ReadDir(path); len(files) != 2 {
		t.Errorf("%d files, want 2", len(files))
	}
}

// Two at one position stand in for one another, and the log is kept for neither.
func TestSamePositionAgain(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	d := open(t, path)
	save(t, d, 1, "older")
	save(t, d, 2, "newest")
	if oldest := save(t, d, 2, "again"); oldest != 2 {
		t.Errorf("the log must be kept from %d, want 2", oldest)
	}
	if oldest := save(t, d, 2, "and again"); oldest != 2 {
		t.Errorf("the log must be kept from %d, want 2", oldest)
	}
	if oldest, err := open(t, path).Oldest(); oldest != 2 || err != nil {
		t.Errorf("opened again, the log must be kept from %d (%v), want 2", oldest, err)
	}
	files, _ := filepath.Glob(filepath.Join(path, "*.ckpt"))
	if len(files) != 2 {
		t.Fatalf("there are %v, want two files", files)
	}
	for _, bad := range files {
		if err := os.Truncate(bad, 20); err != nil {
			t.Fatal(err)
		}
		if pos, _ := load(t, open(t, path)); bad == files[0] && pos != 2 {
			t.Errorf("%s is damaged, and position %d was loaded, want 2 from the other", bad, pos)
		}
	}
	if oldest := save(t, d, 3, "next"); oldest != 0 {
		t.Errorf("both before are damaged, and the log is to be kept from %d, want its beginning", oldest)
	}
}

// Whatever single byte or end of the newest file is damaged, the one before is loaded.
func TestDamageFallsBack(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	d := open(t, path)
	save(t, d, 1, "older")
	save(t, d, 2, "newer")
	name := filepath.Join(path, "00000000000000000002.ckpt")
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		flipped := bytes.Clone(whole)
		flipped[i] ^= 0x10
		for _, bad := range [][]byte{flipped, whole[:i]} {
			if err := os.WriteFile(name, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if pos, text := load(t, d); pos != 1 || text != "older" {
				t.Fatalf("byte %d damaged: loaded %d %q", i, pos, text)
			}
		}
	}
}

// One that is whole and yet of no use is set aside like a damaged one, with its reason, and stays there to be looked at.
func TestWhatIsOfNoUseIsSetAside(t *testing.T) {
	t.Parallel()
	for _, good := range []telemetry.Position{2, 1, 0} {
		path := t.TempDir()
		d := open(t, path)
		save(t, d, 1, "older")
		save(t, d, 2, "newer")
		bad := errors.New("makes no sense")
		pos, aside, err := d.Load(func(pos telemetry.Position, s []Section) error {
			if pos > good {
				return fmt.Errorf("%s: %w", s[0].Data, bad)
			}
			return nil
		})
		if err != nil || pos != good || len(aside) != int(2-good) {
			t.Fatalf("loaded %d, want %d; %d set aside, error %v", pos, good, len(aside), err)
		}
		for i, a := range aside {
			if _, err := os.Stat(a.File); err != nil || !errors.Is(a.Reason, bad) {
				t.Errorf("set aside %d is %+v: %v", i, a, err)
			}
		}
		if pos, _ := load(t, open(t, path)); pos != good {
			t.Errorf("the next start loads %d, want %d", pos, good)
		}
		if oldest := save(t, d, 3, "next"); good < 2 && oldest != 0 && oldest != good {
			t.Errorf("the log must be kept from %d", oldest)
		}
	}
}

func TestHalfWrittenIsRemoved(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	tmp := filepath.Join(path, "00000000000000000009.ckpt.tmp")
	if err := os.WriteFile(tmp, []byte(magic), 0o600); err != nil {
		t.Fatal(err)
	}
	if pos, _ := load(t, open(t, path)); pos != 0 {
		t.Errorf("loaded %d from a half-written file", pos)
	}
	if _, err := os.Stat(tmp); !os.IsNotExist(err) {
		t.Error("the half-written file is still there")
	}
}

// What is written in any pieces is read as it was.
func TestBuffer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var b Buffer
		var want, got bytes.Buffer
		for _, n := range rapid.SliceOfN(rapid.SampledFrom([]int{0, 1, 511, 512, 513, pieceBytes - 1, pieceBytes, 3*pieceBytes + 7}), 0, 6).Draw(t, "writes") {
			p := bytes.Repeat([]byte{byte(n), byte(want.Len())}, (n+1)/2)[:n]
			_, _ = b.Write(p)
			want.Write(p)
		}
		if n, err := b.WriteTo(&got); err != nil || int(n) != b.Len() || !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Fatalf("%d of %d bytes: %v", n, want.Len(), err)
		}
	})
}
