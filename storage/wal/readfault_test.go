package wal

import (
	"errors"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/internal/disk"
	"github.com/binnacle-mesh/binnacle/internal/disk/faulty"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// logOf writes a log of so many records: "0", "1" and so on.
func logOf(t *testing.T, fsys disk.FS, records int) {
	t.Helper()
	l := openFaulty(t, fsys, hasty(), "/wal")
	for i := range records {
		if _, err := l.Append(t.Context(), batchOf(strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	_ = l.Close()
}

// What the disk does not give at once is not lost.
func TestReadErrorIsTriedAgain(t *testing.T) {
	t.Parallel()
	fsys := faulty.New(1)
	timing := hasty()
	timing.retry = 20 * time.Millisecond
	l := openFaulty(t, fsys, timing, "/wal")
	for i := range 5 {
		if _, err := l.Append(t.Context(), batchOf(strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	fsys.Set(faulty.Faults{FailRead: true})
	go func() {
		time.Sleep(10 * time.Millisecond)
		fsys.Set(faulty.Faults{})
	}()
	o := &opened{Log: l}
	if d := cmp.Diff([]string{"1:0", "2:1", "3:2", "4:3", "5:4"}, o.rest(t, 0)); d != "" {
		t.Error(d)
	}
	if d := l.Damage(); d != (Damage{}) {
		t.Errorf("told is %+v", d)
	}
	_ = l.Close()
}

// A disk that gives a page at the second try only loses nothing at a start either: what is passed there is passed for good.
func TestReadErrorAtTheStartIsTriedAgain(t *testing.T) {
	t.Parallel()
	fsys := faulty.New(1)
	logOf(t, fsys, 5)
	fails := 2 // by which the page is passed
	once := faulty.Over{FS: fsys, Fail: func(op, _ string) error {
		if op != "read" || fails == 0 {
			return nil
		}
		fails--
		return syscall.EIO
	}}
	l := openFaulty(t, once, hasty(), "/wal")
	o := &opened{Log: l}
	if d := cmp.Diff([]string{"1:0", "2:1", "3:2", "4:3", "5:4"}, o.rest(t, 0)); d != "" {
		t.Error(d)
	}
	if d := l.Damage(); d != (Damage{}) || fails != 0 {
		t.Errorf("told is %+v, %d reads still to fail", d, fails)
	}
	_ = l.Close()
}

// A machine that has no memory, or no right to a file, says nothing of what is in it: the log is not opened, and what it holds not passed.
func TestStartIsRefusedForTheMachinesFault(t *testing.T) {
	t.Parallel()
	fsys := faulty.New(1)
	logOf(t, fsys, 1)
	for _, op := range [...]string{"open", "read"} {
		over := faulty.Over{FS: fsys, Fail: func(o, _ string) error {
			if o == op {
				return syscall.ENOMEM
			}
			return nil
		}}
		if l, err := openOn(over, hasty(), "/wal", small(), 0, func(*telemetry.Batch) {}, quiet(), nil); err == nil {
			t.Errorf("%s fails, and the log is opened; told is %+v", op, l.Damage())
			_ = l.Close()
		}
	}
}

// A follower gets over a machine that has too many files open, and loses nothing. It does not hold a log that is to close.
func TestFollowerOutlivesTooManyFiles(t *testing.T) {
	t.Parallel()
	fsys := faulty.New(1)
	logOf(t, fsys, 3)
	var fails atomic.Int64
	l := openFaulty(t, faulty.Over{FS: fsys, Fail: func(op, _ string) error {
		if op == "open" && fails.Add(-1) >= 0 {
			return syscall.EMFILE
		}
		return nil
	}}, hasty(), "/wal")
	fails.Store(20)
	o := &opened{Log: l}
	if d := cmp.Diff([]string{"1:0", "2:1", "3:2"}, o.rest(t, 0)); d != "" {
		t.Error(d)
	}
	if d := l.Damage(); d != (Damage{}) {
		t.Errorf("told is %+v", d)
	}
	fails.Store(1 << 40)
	f, err := l.Follow("late", 0, essential())
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = l.Close() }()
	if _, ok, err := f.Next(); ok || !errors.Is(err, syscall.EMFILE) {
		t.Errorf("next: %v, %v", ok, err)
	}
	f.Close()
}
