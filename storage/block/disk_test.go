package block

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/internal/disk"
	"github.com/binnacle-mesh/binnacle/internal/disk/faulty"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// threeBlocks makes a store of three blocks and closes it.
func threeBlocks(t *testing.T, dir string) (entries []telemetry.Entry) {
	t.Helper()
	s := openTest(t, dir, DefaultConfig())
	m := newMesh(31)
	for range 3 {
		e := copyEntry(t, m.entry(40))
		entries = append(entries, e)
		consume(t, s, e)
		seal(t, s)
	}
	closeStore(t, s)
	return entries
}

func openOver(dir string, cfg Config, fail func(op, name string) error) (*Store, error) {
	return openOn(faulty.Over{FS: disk.OS{}, Fail: fail}, dir, cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
}

func contents(t *testing.T, dir string) string {
	t.Helper()
	names, err := disk.OS{}.Names(dir)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ")
}

// A block that the machine does not let be read may be sound: the store is not opened, says which block and why, and nothing is set aside. With the
// fault gone all is there.
func TestOpenSetsNothingAsideForTheMachinesFault(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	entries := threeBlocks(t, dir)
	before := contents(t, dir)
	second := blockName(meta{first: 2, last: 2})
	for _, op := range [...]string{"open", "read"} {
		for _, cause := range [...]syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.EACCES, syscall.EIO, syscall.ENOMEM} {
			_, err := openOver(dir, DefaultConfig(), func(o, name string) error {
				if o == op && strings.Contains(name, second) {
					return cause
				}
				return nil
			})
			if err == nil || !strings.Contains(err.Error(), second) || !strings.Contains(err.Error(), cause.Error()) {
				t.Errorf("%s fails with %v: opened with %v", op, cause, err)
			}
			if now := contents(t, dir); now != before {
				t.Fatalf("%s fails with %v: there is %s, and there was %s", op, cause, now, before)
			}
		}
	}
	s := openTest(t, dir, DefaultConfig())
	defer closeStore(t, s)
	if spans, _ := everything(t, s, entries); len(spans) != len(sent(entries)) || s.Applied() != 3 || len(s.Damaged()) > 0 {
		t.Errorf("%d spans, applied %d, damaged %v", len(spans), s.Applied(), s.Damaged())
	}
}

// What was set aside stays, also where a block of the same name is set aside later; both are told at each start.
func TestSetAsideTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	threeBlocks(t, dir)
	second := blockName(meta{first: 2, last: 2})
	earlier := filepath.Join(dir, damagedPrefix+second)
	if err := os.Mkdir(earlier, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(earlier, spansFile), []byte("all that is left"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, second, spansFile), 100); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s := openTest(t, dir, DefaultConfig())
		if d := s.Damaged(); len(d) != 2 || d[0].File != damagedPrefix+second || d[1].File != damagedPrefix+second+"-2" {
			t.Errorf("damaged: %+v", d)
		}
		closeStore(t, s)
	}
	if b, err := os.ReadFile(filepath.Join(earlier, spansFile)); err != nil || string(b) != "all that is left" {
		t.Errorf("what was set aside earlier is now %q, %v", b, err)
	}
}

// A block that cannot be read for a while makes answers incomplete for as long, and no longer: it is not taken for damaged for good, and its operations
// are listed as soon as they can be read.
func TestReadsRecover(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	entries := threeBlocks(t, dir)
	var broken atomic.Bool
	s, err := openOver(dir, DefaultConfig(), func(op, _ string) error {
		if op == "open" && broken.Load() {
			return syscall.EMFILE
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, s)
	ctx := context.Background()
	id := entries[1].Batch.Spans[0].TraceID
	broken.Store(true)
	if _, lacks, _ := s.Trace(ctx, id); len(lacks) == 0 {
		t.Error("an answer does not say that it lacks a block")
	}
	if l, err := s.Services(ctx); err != nil || len(l) > 0 {
		t.Errorf("services %v, %v", l, err)
	}
	if len(s.Damaged()) == 0 {
		t.Error("nobody is told of a block that cannot be read")
	}
	broken.Store(false)
	if _, lacks, err := s.Trace(ctx, id); err != nil || len(lacks) > 0 {
		t.Errorf("trace: %v, lacks %v", err, lacks)
	}
	if l, err := s.Services(ctx); err != nil || len(l) == 0 {
		t.Errorf("services %v, %v", l, err)
	}
	if d := s.Damaged(); len(d) > 0 {
		t.Errorf("still damaged: %v", d)
	}
}

// A block that was renamed into place, and whose directory then could not be synced, is written again, and its spans are there once.
func TestBlockIsWrittenAgainAfterItsRename(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var failed atomic.Int32
	s, err := openOver(dir, DefaultConfig(), func(op, name string) error {
		if op == "syncdir" && name == dir && failed.Add(1) == 2 { // the first is Open's
			return syscall.EIO
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, s)
	e := copyEntry(t, newMesh(32).entry(40))
	consume(t, s, e)
	for s.Applied() != 1 {
		if err := s.Seal(context.Background()); err != nil && !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	if spans, _ := everything(t, s, []telemetry.Entry{e}); len(spans) != len(e.Batch.Spans) {
		t.Errorf("%d spans", len(spans))
	}
	if have := contents(t, dir); have != blockName(meta{first: 1, last: 1}) {
		t.Errorf("there is %s", have)
	}
}
