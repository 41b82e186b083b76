package wal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// small makes segments so short that a test sees many.
func small() Config { return Config{MaxBytes: 64 << 20, SegmentBytes: 1 << 20, NoSync: true} }

// essential never holds anybody back.
func essential() Policy { return Policy{Essential: true} }

// opened is a log that remembers which batches it has given back.
type opened struct {
	*Log
	mu       sync.Mutex
	released map[*telemetry.Batch]int
}

func open(t testing.TB, dir string, cfg Config, after telemetry.Position) *opened {
	t.Helper()
	o := &opened{released: map[*telemetry.Batch]int{}}
	l, err := Open(dir, cfg, after, func(b *telemetry.Batch) {
		o.mu.Lock()
		o.released[b]++
		o.mu.Unlock()
	}, quiet(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	o.Log = l
	t.Cleanup(func() { _ = l.Close() })
	return o
}

// batchOf is a batch whose one span bears the body as its name.
func batchOf(body string) *telemetry.Batch {
	b := telemetry.NewBatch()
	b.Received = int64(len(body)) + 1
	b.Resources = append(b.Resources, telemetry.Resource{})
	b.Spans = append(b.Spans, telemetry.Span{TraceID: telemetry.TraceID{1}, SpanID: telemetry.SpanID{1}, Name: b.InternString(body)})
	return b
}

func (o *opened) put(t testing.TB, body string) telemetry.Position {
	t.Helper()
	p, err := o.Append(context.Background(), batchOf(body))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func told(e telemetry.Entry) string {
	return fmt.Sprintf("%d:%s", e.Position, e.Batch.CopyStr(e.Batch.Spans[0].Name))
}

// rest is what a new follower is given after position from.
func (o *opened) rest(t testing.TB, from telemetry.Position) (got []string) {
	t.Helper()
	f, err := o.Follow("rest", from, essential())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for {
		e, ok, err := f.Next()
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if !ok {
			return got
		}
		got = append(got, told(e))
	}
}

func TestAppendThenFollow(t *testing.T) {
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
	if d := cmp.Diff([]string{"2:b", "3:c"}, l.rest(t, 1)); d != "" {
		t.Errorf("after position 1 (-want +got):\n%s", d)
	}
	_ = l.Close()
	l = open(t, dir, small(), 1)
	if d := cmp.Diff([]string{"2:b", "3:c"}, l.rest(t, 1)); d != "" {
		t.Errorf("after position 1, opened again (-want +got):\n%s", d)
	}
}

// Many senders at once: positions are dense, each record is given once and in
// order, and all are there after a restart.
func TestGroupCommitKeepsOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir, small(), 0)
	f, err := l.Follow("live", 0, essential())
	if err != nil {
		t.Fatal(err)
	}
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
	for want := telemetry.Position(1); want <= senders*each; {
		e, ok, err := f.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			<-f.More()
			continue
		}
		if e.Position != want {
			t.Fatalf("given position %d, want %d", e.Position, want)
		}
		want++
	}
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := f.Next(); ok || !errors.Is(err, io.EOF) {
		t.Errorf("at the end of a closed log: %v, want io.EOF", err)
	}
	if n := len(l.released); n != senders*each {
		t.Errorf("%d batches were given back, want %d", n, senders*each)
	}
	f.Close()
	if n := len(open(t, dir, small(), 0).rest(t, 0)); n != senders*each {
		t.Errorf("%d records after a restart, want %d", n, senders*each)
	}
}

// Cutting the file at every length of its last record must give back all
// records before it, and the log must work on.
func TestTornTailIsCut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir, small(), 0)
	l.put(t, "first")
	name := filepath.Join(dir, "00000000")
	st, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	l.put(t, strings.Repeat("second", 20))
	whole, err := os.ReadFile(name) // closing would fill the page with zeros
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	for cut := int(st.Size()) + 1; cut < len(whole); cut++ {
		d := t.TempDir()
		if err := os.WriteFile(filepath.Join(d, "00000000"), whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		l := open(t, d, small(), 0)
		if diff := cmp.Diff([]string{"1:first"}, l.rest(t, 0)); diff != "" {
			t.Fatalf("cut at %d:\n%s", cut, diff)
		}
		if p := l.put(t, "third"); p != 2 {
			t.Fatalf("cut at %d: next position %d, want 2", cut, p)
		}
		_ = l.Close()
		again := open(t, d, small(), 0)
		if diff := cmp.Diff([]string{"1:first", "2:third"}, again.rest(t, 0)); diff != "" {
			t.Fatalf("cut at %d, second start:\n%s", cut, diff)
		}
		_ = again.Close()
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
		if p, err = l.Append(context.Background(), batchOf(body)); err != nil {
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
	if d := cmp.Diff([]string{"42:a"}, l.rest(t, 41)); d != "" {
		t.Error(d)
	}
}

// A batch that the log refuses belongs to nobody else: it is given back.
func TestClosedLogRefuses(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir(), small(), 0)
	_ = l.Close()
	b := batchOf("a")
	if _, err := l.Append(context.Background(), b); !errors.Is(err, telemetry.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
	if l.released[b] != 1 {
		t.Errorf("the refused batch was given back %d times, want once", l.released[b])
	}
}

// The cost of a group commit, with a follower that keeps up.
func BenchmarkAppend(b *testing.B) {
	for _, senders := range []int{1, 16} {
		b.Run(fmt.Sprintf("senders=%d", senders), func(b *testing.B) {
			cfg := DefaultConfig()
			cfg.MaxBytes = 1 << 40
			l, err := Open(b.TempDir(), cfg, 0, func(*telemetry.Batch) {}, quiet(), nil)
			if err != nil {
				b.Fatal(err)
			}
			f, err := l.Follow("bench", 0, essential())
			if err != nil {
				b.Fatal(err)
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				for {
					_, ok, err := f.Next()
					if err != nil {
						return
					}
					if !ok {
						<-f.More()
					}
				}
			})
			body := batchOf(strings.Repeat("x", 64<<10))
			b.SetBytes(64 << 10)
			b.SetParallelism(senders)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					p, err := l.Append(context.Background(), body) // read-only, so that it may be appended many times
					if err != nil {
						b.Error(err)
						return
					}
					if p%256 == 0 {
						_ = l.Truncate(p)
					}
				}
			})
			_ = l.Close()
			wg.Wait()
			f.Close()
		})
	}
}
