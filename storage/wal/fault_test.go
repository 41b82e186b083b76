package wal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
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
