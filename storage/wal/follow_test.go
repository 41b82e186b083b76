package wal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// follow makes a follower that the test ends.
func (o *opened) follow(t testing.TB, name string, from telemetry.Position, p Policy) *Follower {
	t.Helper()
	f, err := o.Follow(name, from, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// A follower that stands still costs the memory of the tail and no more, does not keep others from going on, and is given all
// that it missed, from disk and then from memory, once it moves again.
func TestStandingFollowerCostsBoundedMemory(t *testing.T) {
	t.Parallel()
	cfg := small()
	cfg.MaxBytes = 256 << 20
	l := open(t, t.TempDir(), cfg, 0)
	fast, still := l.follow(t, "fast", 0, essential()), l.follow(t, "still", 0, essential())
	const n = 120
	for i := range n {
		l.put(t, fmt.Sprint(i, strings.Repeat("x", 400<<10)))
		if _, ok, err := fast.Next(); !ok || err != nil {
			t.Fatalf("record %d: %v, %v", i, ok, err)
		}
		l.tail.mu.Lock()
		held := l.tail.memory
		l.tail.mu.Unlock()
		if held > tailBytes {
			t.Fatalf("the tail holds %d bytes, more than %d", held, tailBytes)
		}
	}
	st := still.Status()
	if st.Lag.Records != n || st.Lag.Spans != n || st.Lag.Bytes < n*400<<10 || st.Position != 0 {
		t.Errorf("lag %+v at position %d, want all %d records", st.Lag, st.Position, n)
	}
	for i := range n {
		e, ok, err := still.Next()
		if !ok || err != nil || e.Position != telemetry.Position(i+1) || !strings.HasPrefix(told(e), fmt.Sprintf("%d:%dx", i+1, i)) {
			t.Fatalf("record %d: %v, %v, position %d", i, ok, err, e.Position)
		}
		if back := still.Status().Lag.Records; back != uint64(n-i) {
			t.Fatalf("at record %d the lag is %d records, want %d", i, back, n-i)
		}
	}
	for _, f := range []*Follower{fast, still} {
		if _, ok, err := f.Next(); ok || err != nil {
			t.Fatalf("%v, %v at the end", ok, err)
		}
		if st := f.Status(); st.Lag != (Extent{}) || st.Age(time.Now()) != 0 || st.Position != n {
			t.Errorf("at the end: %+v", st)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.released) != n {
		t.Errorf("%d batches were given back, want %d", len(l.released), n)
	}
	for b, times := range l.released {
		if times != 1 {
			t.Fatalf("batch %p was given back %d times", b, times)
		}
	}
}

// Beyond its MaxLag an essential follower holds the senders back; when it moves, they go on.
func TestEssentialFollowerHoldsSendersBack(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir(), small(), 0)
	const size = 10 << 10
	f := l.follow(t, "slow", 0, Policy{Essential: true, MaxLag: 10 * size})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var mu sync.Mutex
	acked := 0
	wg.Go(func() {
		for ctx.Err() == nil {
			if _, err := l.Append(ctx, batchOf(strings.Repeat("x", size))); err == nil {
				mu.Lock()
				acked++
				mu.Unlock()
			}
		}
	})
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return acked
	}
	held := func() bool {
		l.tail.mu.Lock()
		defer l.tail.mu.Unlock()
		return l.tail.waiting
	}
	for !held() {
		time.Sleep(time.Millisecond)
	}
	before := count()
	if before > 12 {
		t.Errorf("%d records of a tenth of MaxLag were acknowledged while the follower stood still", before)
	}
	for count() < before+100 {
		if _, ok, err := f.Next(); err != nil {
			t.Fatal(err)
		} else if !ok {
			<-f.More()
		}
	}
	cancel()
	wg.Wait()
}

// While a follower holds the senders back, what is tiny is acknowledged nevertheless, within a bound; what is not waits until it moves.
func TestTinyRecordsAreNotHeldBack(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir(), small(), 0)
	f := l.follow(t, "slow", 0, Policy{Essential: true, MaxLag: 10 << 10})
	l.put(t, strings.Repeat("x", 20<<10))
	var wg sync.WaitGroup
	defer wg.Wait()
	large := make(chan error, 1)
	wg.Go(func() {
		_, err := l.Append(t.Context(), batchOf(strings.Repeat("x", 2*tinyRecord)))
		large <- err
	})
	for range 100 {
		l.put(t, "tiny")
	}
	select {
	case err := <-large:
		t.Errorf("a record that is not tiny was not held back: %v", err)
	default:
	}
	// Many of them are held as well: within the bound, and what was under way.
	ctx, cancel := context.WithCancel(t.Context())
	tiny := strings.Repeat("x", tinyRecord/2)
	var acked atomic.Int64
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := l.Append(ctx, batchOf(tiny)); err == nil {
					acked.Add(1)
				}
			}
		})
	}
	for before := int64(-1); before != acked.Load(); time.Sleep(100 * time.Millisecond) {
		before = acked.Load()
	}
	if n := acked.Load() * int64(len(tiny)); n > tinyAhead+4*tinyRecord {
		t.Errorf("%d bytes of tiny records were acknowledged while the follower stood still, the bound is %d", n, tinyAhead)
	}
	cancel()
	for done := false; !done; {
		select {
		case err := <-large:
			if done = true; err != nil {
				t.Error(err)
			}
		default:
			if _, _, err := f.Next(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A closing log waits for nobody.
func TestCloseDoesNotWaitForFollowers(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir(), small(), 0)
	l.follow(t, "stands", 0, Policy{Essential: true, MaxLag: 1})
	l.put(t, "a")
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := l.Append(context.Background(), batchOf("b")); err != nil && !errors.Is(err, telemetry.ErrClosed) {
			t.Error(err)
		}
	})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
}

// A state that is ahead of the log, or behind its beginning, is told.
func TestFollowOutsideTheLog(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir(), small(), 0)
	l.put(t, "a")
	if _, err := l.Follow("ahead", 2, essential()); err == nil || !strings.Contains(err.Error(), "mixes files of two servers") {
		t.Errorf("got %v, want a refusal with its likely cause", err)
	}
	if _, err := l.Follow("loose", 0, Policy{}); err == nil {
		t.Error("a best-effort follower without a bound was taken")
	}
	for range 30 {
		l.put(t, strings.Repeat("x", 100<<10))
	}
	if err := l.Truncate(31); err != nil {
		t.Fatal(err)
	}
	f := l.follow(t, "late", 0, essential())
	e, ok, err := f.Next()
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	if left := f.Status().LeftOut.Records; e.Position == 1 || left != uint64(e.Position-1) {
		t.Errorf("first record given is %d, left out are %d", e.Position, left)
	}
}

// What a state had applied and the log has lost is passed over, before and after new records.
func TestHoleInNumbering(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir, small(), 0)
	l.put(t, "a")
	l.put(t, "b")
	_ = l.Close()
	l = open(t, dir, small(), 5)
	l.put(t, "f")
	if d := cmp.Diff([]string{"2:b", "6:f"}, l.rest(t, 1)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"6:f"}, l.rest(t, 3)); d != "" {
		t.Error(d)
	}
}

// Against a slice: followers at any pace, appends, truncations and restarts in any order. An essential follower is given
// every record; of a best-effort one, what it was given and what it left out is every record.
func TestFollowModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "") //nolint:usetesting // one of many of the test
		if err != nil {
			rt.Fatal(err)
		}
		l := open(t, dir, small(), 0)
		defer func() { _ = l.Close() }()
		var model []string
		type reader struct {
			*Follower
			policy  Policy
			passed  telemetry.Position // all up to there were given or left out
			given   uint64
			left    uint64 // by followers before the last restart
			holding bool
		}
		readers := []*reader{{policy: essential()}, {policy: essential()}, {policy: Policy{MaxLag: 1 << 20}}}
		attach := func() {
			for i, r := range readers {
				if r.Follower, err = l.Follow(fmt.Sprint("reader", i), r.passed, r.policy); err != nil {
					rt.Fatal(err)
				}
			}
		}
		attach()
		defer func() {
			for _, r := range readers {
				r.Close()
			}
		}()
		step := func(r *reader) bool {
			e, ok, err := r.Next()
			if err != nil && !errors.Is(err, io.EOF) {
				rt.Fatal(err)
			}
			r.holding = ok
			if !ok {
				r.passed = telemetry.Position(len(model))
				return false
			}
			if got := told(e); got != model[e.Position-1] {
				rt.Fatalf("position %d holds %.20q, want %.20q", e.Position, got, model[e.Position-1])
			}
			if r.policy.Essential && e.Position != r.passed+1 {
				rt.Fatalf("position %d after %d", e.Position, r.passed)
			}
			r.given++
			r.passed = e.Position
			if r.given+r.left+r.Status().LeftOut.Records != uint64(e.Position) {
				rt.Fatalf("at %d: %d given and %d left out", e.Position, r.given, r.left+r.Status().LeftOut.Records)
			}
			return true
		}
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(rt *rapid.T) {
				for range rapid.IntRange(1, 8).Draw(rt, "records") {
					body := fmt.Sprint(len(model), strings.Repeat("x", rapid.IntRange(0, 80<<10).Draw(rt, "size")))
					p := l.put(t, body)
					model = append(model, fmt.Sprintf("%d:%s", p, body))
				}
			},
			"step": func(rt *rapid.T) {
				r := rapid.SampledFrom(readers).Draw(rt, "reader")
				for range rapid.IntRange(1, 20).Draw(rt, "steps") {
					step(r)
				}
			},
			"truncate": func(rt *rapid.T) {
				least := readers[0].passed
				if p := readers[1].passed; p < least {
					least = p
				}
				if err := l.Truncate(least); err != nil {
					rt.Fatal(err)
				}
			},
			"restart": func(rt *rapid.T) {
				if err := l.Close(); err != nil {
					rt.Fatal(err)
				}
				after := telemetry.Position(0)
				for _, r := range readers {
					st := r.Status()
					r.left += st.LeftOut.Records
					r.passed = max(r.passed, st.Position) // what it left out, it has passed
					r.Close()
					after = max(after, r.passed)
				}
				l = open(t, dir, small(), after)
				attach()
			},
		})
		for _, r := range readers {
			for step(r) {
			}
			if r.passed != telemetry.Position(len(model)) {
				rt.Fatalf("a reader ended at %d of %d", r.passed, len(model))
			}
		}
	})
}
