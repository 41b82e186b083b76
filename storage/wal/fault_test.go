package wal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/internal/disk"
	"github.com/binnacle-mesh/binnacle/internal/disk/faulty"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// hasty is a log that tries again at once.
func hasty() timing {
	return timing{retry: time.Millisecond, slow: time.Hour, hang: time.Hour, giveUp: time.Hour, look: 0}
}

func openFaulty(t testing.TB, fsys disk.FS, timing timing, dir string) *Log {
	t.Helper()
	cfg := small()
	cfg.NoSync = false
	l, err := openOn(fsys, timing, dir, cfg, 0, func(*telemetry.Batch) {}, quiet(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// soundAgain waits until the log takes records again.
func soundAgain(l *Log) {
	for l.Err() != nil {
		time.Sleep(100 * time.Microsecond)
	}
}

// Under any sequence of faults and crashes what was acknowledged is there, at its position, once and in order, for who follows
// and after each start. What was refused is not there, unless the disk did not let it be taken back; and nothing else is.
func TestFaultModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		fsys := faulty.New(rapid.Uint64().Draw(rt, "seed"))
		const dir = "/wal"
		l := openFaulty(t, fsys, hasty(), dir)
		defer func() { fsys.Set(faulty.Faults{}); _ = l.Close() }()
		var (
			acked   []string
			refused = map[string]bool{} // true: it may be there all the same
			seen    []string
			f       *Follower
			faults  faulty.Faults
			n       int
		)
		follow := func() {
			var err error
			if f, err = l.Follow("reader", 0, essential()); err != nil {
				rt.Fatal(err)
			}
			seen = nil
		}
		follow()
		read := func() {
			for {
				e, ok, err := f.Next()
				if err != nil {
					rt.Fatal(err)
				}
				if !ok {
					return
				}
				seen = append(seen, told(e))
			}
		}
		// check compares what is given with what was acknowledged.
		check := func(when string) {
			read()
			i := 0
			for _, s := range seen {
				if i < len(acked) && s == acked[i] {
					i++
					continue
				}
				_, body, _ := strings.Cut(s, ":")
				may, was := refused[body]
				if !was || !may {
					rt.Fatalf("%s: %q was given (refused: %v); next acknowledged is %d of %d", when, s[:min(20, len(s))], was, i, len(acked))
				}
			}
			if i < len(acked) {
				rt.Fatalf("%s: %d of %d acknowledged were given", when, i, len(acked))
			}
		}
		// adopt takes what a start found, though it was refused, as acknowledged.
		adopt := func() {
			acked = append([]string(nil), seen...)
			for _, s := range seen {
				_, body, _ := strings.Cut(s, ":")
				delete(refused, body)
			}
			for body := range refused {
				refused[body] = false // it did not outlive the crash
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(rt *rapid.T) {
				var wg sync.WaitGroup
				var mu sync.Mutex
				bodies := map[string]telemetry.Position{}
				for range rapid.IntRange(1, 4).Draw(rt, "senders") {
					n++
					body := fmt.Sprint(n, strings.Repeat("x", rapid.IntRange(0, 100<<10).Draw(rt, "size")))
					wg.Go(func() {
						p, err := l.Append(context.Background(), batchOf(body))
						mu.Lock()
						defer mu.Unlock()
						var fault *Fault
						switch {
						case err == nil:
							bodies[body] = p
						case errors.As(err, &fault):
							// A disk that is only full lets what is refused be taken back at once.
							refused[body] = faults.FailSync || faults.ReadOnly || faults.FailWrite
						default:
							rt.Errorf("append: %v", err)
						}
					})
				}
				wg.Wait()
				for len(bodies) > 0 {
					least := ""
					for b, p := range bodies {
						if least == "" || p < bodies[least] {
							least = b
						}
					}
					acked = append(acked, fmt.Sprintf("%d:%s", bodies[least], least))
					delete(bodies, least)
				}
			},
			"full": func(rt *rapid.T) {
				faults = faulty.Faults{Full: true, Room: rapid.Int64Range(0, 300<<10).Draw(rt, "room")}
				fsys.Set(faults)
			},
			"fail": func(rt *rapid.T) {
				faults = rapid.SampledFrom([]faulty.Faults{{FailWrite: true}, {FailSync: true}, {FailSync: true, Drop: true}, {ReadOnly: true}}).Draw(rt, "fault")
				fsys.Set(faults)
			},
			"mend": func(*rapid.T) {
				faults = faulty.Faults{}
				fsys.Set(faults)
				soundAgain(l)
			},
			"read": func(*rapid.T) { check("while it runs") },
			"crash": func(*rapid.T) {
				f.Close()
				_ = l.Close() // it writes nothing, and could otherwise write to what the crash left
				fsys.Crash()
				faults = faulty.Faults{}
				l = openFaulty(t, fsys, hasty(), dir)
				follow()
				check("after a crash")
				adopt()
			},
		})
		fsys.Set(faulty.Faults{})
		soundAgain(l)
		check("at the end")
		f.Close()
	})
}

// A disk that hangs: who waits and who comes is refused, and told why, until it answers; what it was at is then acknowledged.
func TestHangingDisk(t *testing.T) {
	t.Parallel()
	fsys := faulty.New(1)
	timing := hasty()
	timing.hang = 20 * time.Millisecond
	l := openFaulty(t, fsys, timing, "/wal")
	if _, err := l.Append(t.Context(), batchOf("before")); err != nil {
		t.Fatal(err)
	}
	hang := make(chan struct{})
	fsys.Set(faulty.Faults{Hang: hang})
	var wg sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		wg.Go(func() { _, errs[i] = l.Append(context.Background(), batchOf(strconv.Itoa(i))) })
	}
	for l.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	if _, err := l.Append(t.Context(), batchOf("late")); !errors.As(err, new(*Fault)) || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("while the disk hangs: %v", err)
	}
	close(hang)
	wg.Wait()
	soundAgain(l)
	acked := 0
	for _, err := range errs {
		switch {
		case err == nil:
			acked++
		case !errors.As(err, new(*Fault)):
			t.Error(err)
		}
	}
	if acked == 0 {
		t.Error("what was written when the disk answered was not acknowledged")
	}
	p, err := l.Append(t.Context(), batchOf("after"))
	if err != nil || int(p) != acked+2 {
		t.Errorf("position %d, %v; %d were acknowledged before", p, err, acked+1)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// A disk that stands still makes the log unready before anybody is refused, and ready again when it answers; what waited is acknowledged.
func TestStandingDiskIsNotReady(t *testing.T) {
	t.Parallel()
	fsys := faulty.New(1)
	timing := hasty()
	timing.slow = 20 * time.Millisecond
	l := openFaulty(t, fsys, timing, "/wal")
	if err := l.Ready(); err != nil {
		t.Errorf("a sound log: %v", err)
	}
	hang := make(chan struct{})
	fsys.Set(faulty.Faults{Hang: hang})
	var wg sync.WaitGroup
	var appended error
	wg.Go(func() { _, appended = l.Append(context.Background(), batchOf("a")) })
	for l.Ready() == nil {
		time.Sleep(time.Millisecond)
	}
	if err := l.Ready(); !errors.As(err, new(*Fault)) || !strings.Contains(err.Error(), "senders with it: the disk does not answer") {
		t.Errorf("while the disk stands still: %v", err)
	}
	if err := l.Err(); err != nil {
		t.Errorf("senders are refused: %v", err)
	}
	close(hang)
	wg.Wait()
	for l.Ready() != nil {
		time.Sleep(time.Millisecond)
	}
	if appended != nil {
		t.Error(appended)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// A log whose disk hangs ends all the same, and says so.
func TestHangingDiskDoesNotHoldClose(t *testing.T) {
	t.Parallel()
	fsys := faulty.New(1)
	timing := hasty()
	timing.hang = 20 * time.Millisecond
	l := openFaulty(t, fsys, timing, "/wal")
	hang := make(chan struct{})
	fsys.Set(faulty.Faults{Hang: hang})
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = l.Append(context.Background(), batchOf("a")) })
	for l.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	if err := l.Close(); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("closed with %v", err)
	}
	close(hang)
	wg.Wait()
	<-l.done
}

// A directory that is gone is waited for, and then given up. Nothing is acknowledged into a file that nobody can find.
func TestDirectoryIsGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/wal"
	timing := hasty()
	timing.giveUp = 20 * time.Millisecond
	l := openFaulty(t, disk.OS{}, timing, dir)
	if _, err := l.Append(t.Context(), batchOf("a")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), batchOf("b")); !errors.Is(err, errRemoved) {
		t.Errorf("append: %v", err)
	}
	if err := <-l.Failed(); !strings.Contains(err.Error(), "is gone") {
		t.Errorf("failed with %v", err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Error("the directory was made anew: what it held would seem never to have been")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// A start on a disk that cannot be written answers, refuses, and takes records once it can.
func TestStartOnAFullDisk(t *testing.T) {
	t.Parallel()
	fsys := faulty.New(1)
	l := openFaulty(t, fsys, hasty(), "/wal")
	if _, err := l.Append(t.Context(), batchOf("a")); err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	for _, faults := range []faulty.Faults{{Full: true}, {ReadOnly: true}, {FailSync: true}} {
		fsys.Set(faults)
		l = openFaulty(t, fsys, hasty(), "/wal")
		if l.Err() == nil {
			t.Fatalf("%+v: the log says that it can be written", faults)
		}
		o := &opened{Log: l}
		if d := cmp.Diff([]string{"1:a"}, o.rest(t, 0)[:1]); d != "" {
			t.Error(d)
		}
		fsys.Set(faulty.Faults{})
		soundAgain(l)
		if _, err := l.Append(t.Context(), batchOf("more")); err != nil {
			t.Error(err)
		}
		_ = l.Close()
	}
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
	l := openFaulty(t, fsys, hasty(), "/wal")
	for i := range 5 {
		if _, err := l.Append(t.Context(), batchOf(strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	_ = l.Close()
	fails := 2 // by which the page is passed
	once := faulty.Over{FS: fsys, Fail: func(op, _ string) error {
		if op != "read" || fails == 0 {
			return nil
		}
		fails--
		return syscall.EIO
	}}
	l = openFaulty(t, once, hasty(), "/wal")
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
	l := openFaulty(t, fsys, hasty(), "/wal")
	if _, err := l.Append(t.Context(), batchOf("a")); err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
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

// A follower gets over a machine that has too many files open, and loses nothing. It does not hold a log that is to close.
func TestFollowerOutlivesTooManyFiles(t *testing.T) {
	t.Parallel()
	fsys := faulty.New(1)
	l := openFaulty(t, fsys, hasty(), "/wal")
	for i := range 3 {
		if _, err := l.Append(t.Context(), batchOf(strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	_ = l.Close()
	var fails atomic.Int64
	l = openFaulty(t, faulty.Over{FS: fsys, Fail: func(op, _ string) error {
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
