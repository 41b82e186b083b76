package wal

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/disk/faulty"
)

// A follower that opens a segment in the moment in which it is cut goes on behind it, and takes nothing for damaged.
func TestCutUnderAFollower(t *testing.T) {
	t.Parallel()
	fsys := faulty.New(1)
	l := openFaulty(t, fsys, hasty(), "/wal")
	for i := range 40 { // of 200 kB: several segments
		if _, err := l.Append(t.Context(), batchOf(strings.Repeat(strconv.Itoa(i%10), 200_000))); err != nil {
			t.Fatal(err)
		}
	}
	_ = l.Close() // the next one has nothing in memory
	var atCut func()
	over := faulty.Over{FS: fsys, Fail: func(op, name string) error {
		if op == "remove" && atCut != nil {
			if err := fsys.Remove(name); err != nil {
				return err
			}
			atCut()
		}
		return nil
	}}
	l = openFaulty(t, over, hasty(), "/wal")
	f, err := l.Follow("late", 0, Policy{MaxLag: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	var given int
	atCut = func() {
		for range 3 {
			if _, ok, err := f.Next(); err != nil {
				t.Error(err)
			} else if ok {
				given++
			}
		}
	}
	if err := l.Truncate(12); err != nil {
		t.Fatal(err)
	}
	if d := l.Damage(); d != (Damage{}) {
		t.Errorf("a cut is told as damage: %+v", d)
	}
	if given == 0 {
		t.Error("the follower was given nothing: is this test blind?")
	}
	f.Close()
	_ = l.Close()
}

// Two that cut at once cut what one would have.
func TestCutTwiceAtOnce(t *testing.T) {
	t.Parallel()
	fsys := faulty.New(1)
	l := openFaulty(t, faulty.Over{FS: fsys, Fail: func(op, _ string) error {
		if op == "remove" {
			time.Sleep(time.Millisecond) // so that the others come
		}
		return nil
	}}, hasty(), "/wal")
	for i := range 40 {
		if _, err := l.Append(t.Context(), batchOf(strings.Repeat(strconv.Itoa(i%10), 200_000))); err != nil {
			t.Fatal(err)
		}
	}
	var both sync.WaitGroup
	for range 8 {
		both.Go(func() {
			if err := l.Truncate(30); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	names, err := fsys.Names("/wal")
	if err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	known, held := len(l.mu.segments), l.mu.bytes
	for _, s := range l.mu.segments {
		held -= s.bytes
	}
	l.mu.Unlock()
	if known != len(names) || held != 0 {
		t.Errorf("%d segments are known, and there are %d; %d bytes are counted too much", known, len(names), held)
	}
	_ = l.Close()
}
