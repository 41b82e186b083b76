package wal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// small makes segments so short that a test sees many.
func small() Config { return Config{MaxBytes: 64 << 20, SegmentBytes: 1 << 20, NoSync: true} }

func record(body string) []byte { return append(make([]byte, HeaderBytes), body...) }

// opened is a log and what its replay gave.
type opened struct {
	*Log
	replayed []string
	mu       sync.Mutex
	got      []telemetry.Position
}

func open(t testing.TB, dir string, cfg Config, from telemetry.Position) *opened {
	t.Helper()
	l, err := Open(dir, cfg, from, quiet(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	o := &opened{Log: l}
	err = l.Replay(from, func(p telemetry.Position, rec []byte) error {
		o.replayed = append(o.replayed, fmt.Sprintf("%d:%s", p, rec))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return o
}

func (o *opened) put(t testing.TB, body string) telemetry.Position {
	t.Helper()
	p, err := o.Append(context.Background(), record(body), func(p telemetry.Position) {
		o.mu.Lock()
		o.got = append(o.got, p)
		o.mu.Unlock()
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAppendThenReplay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir, small(), 0)
	l.put(t, "a")
	l.put(t, "b")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir, small(), 0)
	l.put(t, "c")
	_ = l.Close()
	l = open(t, dir, small(), 1)
	if d := cmp.Diff([]string{"2:b", "3:c"}, l.replayed); d != "" {
		t.Errorf("replay after position 1 (-want +got):\n%s", d)
	}
}

// Many senders at once: positions are dense, each is delivered once and in
// order, and all are there after a restart.
func TestGroupCommitKeepsOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir, small(), 0)
	const senders, each = 16, 200
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			var last telemetry.Position
			for i := range each {
				p := l.put(t, strings.Repeat("x", 100*(1+(s+i)%50)))
				if p <= last {
					t.Errorf("sender %d: position %d after %d", s, p, last)
				}
				last = p
			}
		})
	}
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for i, p := range l.got {
		if p != telemetry.Position(i+1) {
			t.Fatalf("delivery %d is of position %d", i, p)
		}
	}
	if n := len(open(t, dir, small(), 0).replayed); n != senders*each {
		t.Errorf("replayed %d records, want %d", n, senders*each)
	}
}

// Cutting the file at every length of its last record must give back all
// records before it, and the log must work on.
func TestTornTailIsCut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir, small(), 0)
	l.put(t, "first")
	l.put(t, strings.Repeat("second", 20))
	_ = l.Close()
	name := filepath.Join(dir, "00000000")
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	end := 7 + 8 + len("first")
	last := end + 7 + 8 + 6*20
	for cut := end + 1; cut < last; cut++ {
		d := t.TempDir()
		if err := os.WriteFile(filepath.Join(d, "00000000"), whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		l := open(t, d, small(), 0)
		if diff := cmp.Diff([]string{"1:first"}, l.replayed); diff != "" {
			t.Fatalf("cut at %d:\n%s", cut, diff)
		}
		if p := l.put(t, "third"); p != 2 {
			t.Fatalf("cut at %d: next position %d, want 2", cut, p)
		}
		_ = l.Close()
		again := open(t, d, small(), 0)
		if diff := cmp.Diff([]string{"1:first", "2:third"}, again.replayed); diff != "" {
			t.Fatalf("cut at %d, second start:\n%s", cut, diff)
		}
		_ = again.Close()
	}
}

// Damage before the tail is not repaired by throwing acknowledged records away.
func TestDamageInTheMiddleIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir, small(), 0)
	l.put(t, "first")
	_ = l.Close()
	l = open(t, dir, small(), 0) // opens a second segment
	l.put(t, "second")
	_ = l.Close()
	name := filepath.Join(dir, "00000000")
	b, _ := os.ReadFile(name)
	b[16] ^= 0xff
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Open(dir, small(), 0, quiet(), nil)
	if err != nil {
		t.Fatal(err)
	}
	err = d.Replay(0, func(telemetry.Position, []byte) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "restore segment 0") {
		t.Fatalf("got %v, want a refusal that names the segment and the remedy", err)
	}
	after, _ := os.ReadFile(name)
	if !cmp.Equal(b, after) {
		t.Error("the damaged segment was changed")
	}
}

func TestFullLogRefusesAndTruncateMakesRoom(t *testing.T) {
	t.Parallel()
	cfg := small()
	cfg.MaxBytes = 2 << 20
	l := open(t, t.TempDir(), cfg, 0)
	body := strings.Repeat("x", 100<<10)
	var last telemetry.Position
	var err error
	for range 100 {
		var p telemetry.Position
		if p, err = l.Append(context.Background(), record(body), func(telemetry.Position) {}); err != nil {
			break
		}
		last = p
	}
	if !errors.Is(err, telemetry.ErrOverloaded) {
		t.Fatalf("got %v, want ErrOverloaded", err)
	}
	if err := l.Truncate(last); err != nil {
		t.Fatal(err)
	}
	if p := l.put(t, body); p != last+1 {
		t.Errorf("position %d after truncation, want %d: the refused append must not take one", p, last+1)
	}
}

// A log cut to nothing goes on numbering after what its readers have applied.
func TestNumberingOutlivesTheRecords(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir(), small(), 41)
	if p := l.put(t, "a"); p != 42 {
		t.Errorf("position %d, want 42", p)
	}
}

func TestClosedLogRefuses(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir(), small(), 0)
	_ = l.Close()
	if _, err := l.Append(context.Background(), record("a"), nil); !errors.Is(err, telemetry.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

// Against a slice: appends, truncations and restarts in any order leave what a
// slice would hold, less what was truncated in whole segments.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "") //nolint:usetesting // one of many of the test
		if err != nil {
			rt.Fatal(err)
		}
		l := open(t, dir, small(), 0)
		defer func() { _ = l.Close() }()
		var model []string
		var applied telemetry.Position
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(rt *rapid.T) {
				n := rapid.IntRange(0, 200<<10).Draw(rt, "size")
				body := make([]byte, n+8)
				binary.LittleEndian.PutUint64(body, uint64(len(model)))
				l.put(t, string(body))
				model = append(model, fmt.Sprintf("%d:%s", len(model)+1, body))
			},
			"truncate": func(rt *rapid.T) {
				if len(model) == 0 {
					rt.Skip()
				}
				applied = max(applied, telemetry.Position(rapid.IntRange(0, len(model)).Draw(rt, "applied")))
				if err := l.Truncate(applied); err != nil {
					rt.Fatal(err)
				}
			},
			"restart": func(rt *rapid.T) {
				if err := l.Close(); err != nil {
					rt.Fatal(err)
				}
				l = open(t, dir, small(), applied)
				if d := cmp.Diff(model[applied:], l.replayed, cmp.Transformer("len", func(s string) string { return s[:min(len(s), 12)] })); d != "" && len(model[applied:])+len(l.replayed) > 0 {
					rt.Fatalf("replay after %d:\n%s", applied, d)
				}
			},
		})
	})
}

// The cost of a group commit beside the cost of its fsync alone.
func BenchmarkAppend(b *testing.B) {
	for _, senders := range []int{1, 16} {
		b.Run(fmt.Sprintf("senders=%d", senders), func(b *testing.B) {
			cfg := DefaultConfig()
			cfg.MaxBytes = 1 << 40
			l := open(b, b.TempDir(), cfg, 0)
			body := strings.Repeat("x", 64<<10)
			b.SetBytes(int64(len(body)))
			b.SetParallelism(senders)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					p, err := l.Append(context.Background(), record(body), func(telemetry.Position) {})
					if err != nil {
						b.Error(err)
						return
					}
					if p%256 == 0 {
						_ = l.Truncate(p)
					}
				}
			})
		})
	}
}
