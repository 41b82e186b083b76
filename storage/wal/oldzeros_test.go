package wal

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// oldLog is a log of version 1: positions 1 to 3 in a segment, and 4 to 6 in another. The last segment is as a kill leaves it where it is not padded.
func oldLog(t *testing.T, padded bool) (dir string) {
	t.Helper()
	dir = t.TempDir()
	pos := byte(0)
	for range 2 {
		wl, err := wlog.NewSize(slog.New(slog.DiscardHandler), nil, dir, 1<<20, compression.None)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			pos++
			if err := wl.Log(batchOf("some").AppendRecord(append([]byte{pos}, make([]byte, headerBytes-1)...))); err != nil {
				t.Fatal(err)
			}
		}
		if err := wl.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !padded {
		if err := os.Truncate(segmentName(dir, 1), places(t, dir)[6].to); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// zeroFrom has a segment be zeros from a record on, and adds more.
func zeroFrom(t *testing.T, dir string, at place, more int) {
	t.Helper()
	name := filepath.Join(dir, at.segment)
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	clear(b[at.from:])
	if err := os.WriteFile(name, append(b, make([]byte, more)...), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Zeros at the end of a segment of version 1 pass for its padding. What they were is told all the same by what comes after it: the next segment's first position, the
// mark of a segment that was begun since, or what some state has already. Only of a log that no start of a later version has seen, at its very
// end, and beyond all that states have, nothing tells of them.
func TestZerosAtTheEndOfVersionOne(t *testing.T) {
	t.Parallel()
	told := func(dir string, after telemetry.Position) Damage {
		l := open(t, dir, small(), after)
		defer func() { _ = l.Close() }() // it was read
		return l.Damage()
	}
	t.Run("a segment follows", func(t *testing.T) {
		t.Parallel()
		dir := oldLog(t, true)
		zeroFrom(t, dir, places(t, dir)[2], 0)
		if d := told(dir, 0); d.Missing != 2 {
			t.Errorf("%+v", d)
		}
	})
	t.Run("a later version began a segment", func(t *testing.T) {
		t.Parallel()
		dir := oldLog(t, true)
		at := places(t, dir)[5]
		if d := told(dir, 0); d != (Damage{}) {
			t.Fatalf("%+v", d)
		}
		zeroFrom(t, dir, at, 0)
		if d := told(dir, 0); d.Missing != 2 {
			t.Errorf("%+v", d)
		}
	})
	t.Run("a state has more", func(t *testing.T) {
		t.Parallel()
		dir := oldLog(t, true)
		zeroFrom(t, dir, places(t, dir)[5], 0)
		if d := told(dir, 5); d.Missing != 1 {
			t.Errorf("%+v", d)
		}
	})
	t.Run("it was never padded", func(t *testing.T) {
		t.Parallel()
		dir := oldLog(t, false)
		zeroFrom(t, dir, places(t, dir)[6], 0)
		if d := told(dir, 0); d.Places != 1 || d.Uncertain == 0 {
			t.Errorf("%+v", d)
		}
	})
	t.Run("a page of nothing else", func(t *testing.T) {
		t.Parallel()
		dir := oldLog(t, true)
		zeroFrom(t, dir, place{"00000001", pageBytes, pageBytes}, pageBytes)
		if d := told(dir, 0); d.Places != 1 || d.Uncertain == 0 {
			t.Errorf("%+v", d)
		}
	})
}
