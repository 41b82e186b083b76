package series

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever byte of a note is changed, and wherever it is cut off: what it says is read as it was written, or samples of any time may be missing. Verify finds each.
func TestEveryByteOfANote(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	aside := filepath.Join(dir, damagedPrefix+"part")
	if err := os.WriteFile(aside, []byte("what is damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	was := note{Reason: "the chunk at byte 8 does not match its checksum", From: 1_790_000_000_000, To: 1_790_000_900_000}
	if err := was.write(aside); err != nil {
		t.Fatal(err)
	}
	read := func() note {
		t.Helper()
		all, err := readNotes(dir)
		if err != nil || len(all) != 1 || all[0].file != filepath.Base(aside) {
			t.Fatalf("%+v, %v", all, err)
		}
		return all[0]
	}
	if n := read(); n.From != was.From || n.To != was.To || n.Reason != was.Reason || n.Whole {
		t.Fatalf("it is read as %+v", n)
	}
	whole, err := os.ReadFile(noteOf(aside))
	if err != nil {
		t.Fatal(err)
	}
	for at := range whole {
		flipped := bytes.Clone(whole)
		flipped[at] ^= 1 << (at % 8)
		for _, bad := range [][]byte{flipped, whole[:at]} {
			if err := os.WriteFile(noteOf(aside), bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if n := read(); n.From != math.MinInt64 || n.To < was.To || n.Whole {
				t.Errorf("byte %d, %q: it is read as %+v", at, bad, n)
			}
			r, err := Verify(t.Context(), dir)
			if err != nil || len(r.Problems) != 2 || !strings.Contains(r.Problems[0].File+r.Problems[1].File, notePrefix) {
				t.Errorf("byte %d: verify says %v, %v", at, r.Problems, err)
			}
		}
	}
}
