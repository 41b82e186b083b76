package wal

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/binnacle-mesh/binnacle/internal/disk/faulty"
)

// A process that is killed between a write and its sync leaves a record that the next one reads, and that a machine's end takes away. What
// followers were given of it is durable all the same.
func TestWhatAKilledProcessWroteIsMadeDurable(t *testing.T) {
	t.Parallel()
	for seed := range uint64(16) { // by which a crash leaves it or not
		fsys := faulty.New(seed)
		at, end := make(chan struct{}), make(chan struct{})
		var armed, killed atomic.Bool
		l := openFaulty(t, faulty.Over{FS: fsys, Fail: func(op, _ string) error {
			if op == "sync" && armed.CompareAndSwap(true, false) {
				close(at)
				<-end
			}
			if killed.Load() {
				return syscall.EIO
			}
			return nil
		}}, hasty(), "/wal")
		armed.Store(true)
		go func() { _, _ = l.Append(context.Background(), batchOf("a")) }()
		<-at
		killed.Store(true)
		next := openFaulty(t, fsys, hasty(), "/wal")
		given := (&opened{Log: next}).rest(t, 0)
		_ = next.Close()
		fsys.Crash()
		next = openFaulty(t, fsys, hasty(), "/wal")
		if d := cmp.Diff(given, (&opened{Log: next}).rest(t, 0)); d != "" {
			t.Errorf("seed %d: what was given is no longer there (-given +there):\n%s", seed, d)
		}
		_ = next.Close()
		close(end)
		_ = l.Close()
	}
}

// A process that is killed while it looks whether there is room again leaves nothing that passes for lost records.
func TestKilledWhileItLooksForRoom(t *testing.T) {
	t.Parallel()
	fsys := faulty.New(1)
	at, end := make(chan struct{}), make(chan struct{})
	var fails, killed atomic.Bool
	var looks sync.Once
	l := openFaulty(t, faulty.Over{FS: fsys, Fail: func(op, name string) error {
		switch {
		case killed.Load():
			return syscall.EIO
		case op == "sync" && fails.CompareAndSwap(true, false):
			return syscall.EIO // and is to be got over
		case op == "sync" && !strings.HasSuffix(name, "00000000"):
			looks.Do(func() { close(at); <-end })
		}
		return nil
	}}, hasty(), "/wal")
	if _, err := l.Append(t.Context(), batchOf("a")); err != nil {
		t.Fatal(err)
	}
	fails.Store(true)
	if _, err := l.Append(t.Context(), batchOf("b")); err == nil {
		t.Fatal("a record that was not synced is acknowledged")
	}
	<-at
	killed.Store(true)
	next := openFaulty(t, fsys, hasty(), "/wal")
	if d := cmp.Diff([]string{"1:a"}, (&opened{Log: next}).rest(t, 0)[:1]); d != "" {
		t.Error(d)
	}
	if d := next.Damage(); d != (Damage{}) {
		t.Errorf("told is %+v", d)
	}
	_ = next.Close()
	close(end)
	_ = l.Close()
}
