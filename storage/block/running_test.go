package block

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/telemetry/filter"
)

// TestRetention deletes by age, then by size, but nothing that is being read.
func TestRetention(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.RetentionAge = time.Hour
	cfg.RetentionBytes = 1 << 40
	dir := t.TempDir()
	s := openTest(t, dir, cfg)
	defer closeStore(t, s)
	m := newMesh(11)
	var entries []telemetry.Entry
	for range 4 {
		m.clock += int64(20 * time.Minute)
		e := copyEntry(t, m.entry(100))
		entries = append(entries, e)
		consume(t, s, e)
		seal(t, s)
	}
	stored := func(i int) bool {
		_, _, err := s.Trace(context.Background(), entries[i].Batch.Spans[0].TraceID)
		return err == nil
	}
	retain := func(now int64) {
		t.Helper()
		if err := s.Retain(time.Unix(0, now)); err != nil {
			t.Fatal(err)
		}
	}
	retain(entries[0].Batch.Received + int64(time.Hour))
	if !stored(0) {
		t.Error("a block was deleted before its time")
	}
	held := s.snapshot()
	retain(entries[0].Batch.Received + int64(time.Hour) + 1)
	if stored(0) || !stored(1) {
		t.Error("the oldest block was to go, alone")
	}
	oldest := filepath.Join(dir, fmt.Sprintf("%016x-%016x", 1, 1))
	if _, err := os.Stat(oldest); err != nil {
		t.Error("a block that is being read was deleted:", err)
	}
	held.done()
	if _, err := os.Stat(oldest); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the block was not deleted after its reader had gone:", err)
	}
	s.SetRetention(time.Hour, s.Stats().Bytes-1)
	retain(entries[3].Batch.Received)
	if stored(1) || !stored(2) || !stored(3) || s.Stats().Blocks != 2 {
		t.Errorf("the oldest block was to go for its size, alone: %+v", s.Stats())
	}
	if s.Applied() != 4 {
		t.Errorf("applied %d", s.Applied())
	}
}

// TestIdleHead has SealIdle seal a head to which nothing comes any more.
func TestIdleHead(t *testing.T) {
	t.Parallel()
	s := openTest(t, t.TempDir(), DefaultConfig())
	defer closeStore(t, s)
	e := newMesh(12).entry(10)
	consume(t, s, e)
	s.SealIdle(time.Unix(0, e.Batch.Received).Add(s.cfg.HeadMaxAge))
	if err := s.awaitSealed(context.Background()); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.Blocks != 1 || st.HeadSpans != 0 || st.Applied != 1 {
		t.Errorf("stats %+v", st)
	}
}

// TestEmptyEntries pass the applied position on when nothing waits before them.
func TestEmptyEntries(t *testing.T) {
	t.Parallel()
	s := openTest(t, t.TempDir(), DefaultConfig())
	defer closeStore(t, s)
	empty := telemetry.NewBatch()
	consume(t, s, telemetry.Entry{Position: 1, Batch: empty})
	if s.Applied() != 1 {
		t.Errorf("applied %d after an entry of nothing", s.Applied())
	}
	m := newMesh(13)
	m.position = 1
	consume(t, s, m.entry(5))
	consume(t, s, telemetry.Entry{Position: 3, Batch: empty})
	if s.Applied() != 1 {
		t.Errorf("applied %d while spans wait", s.Applied())
	}
	seal(t, s)
	if s.Applied() != 3 {
		t.Errorf("applied %d after all is sealed", s.Applied())
	}
}

// TestBackPressure has a disk refuse a block: nothing is lost, Consume waits, and when the
// disk takes it again all goes on.
func TestBackPressure(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.MaxHeadSpans = 20
	var refuses atomic.Bool
	refuses.Store(true)
	s, err := openOver(t.TempDir(), cfg, func(op, _ string) error {
		if op == "rename" && refuses.Load() {
			return syscall.EIO
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, s)
	m := newMesh(14)
	consume(t, s, m.entry(20))
	second := copyEntry(t, m.entry(20))
	done := make(chan error, 1)
	go func() { done <- s.Consume(second) }()
	for testutil.ToFloat64(s.metrics.sealFailures) == 0 {
		time.Sleep(time.Millisecond)
	}
	select {
	case err := <-done:
		t.Fatalf("Consume did not wait: %v", err)
	default:
	}
	refuses.Store(false)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	seal(t, s)
	if st := s.Stats(); st.Blocks != 2 || st.Applied != 2 {
		t.Errorf("stats %+v", st)
	}
}

// TestConcurrent reads while entries come, heads are sealed and blocks deleted; the race
// detector watches.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.MaxHeadSpans = 500
	cfg.RetentionBytes = 100_000
	s := openTest(t, t.TempDir(), cfg)
	defer closeStore(t, s)
	m := newMesh(18)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				found, _, err := s.Search(context.Background(), telemetry.SpanQuery{Filter: []filter.Filter{{}, textIs(filter.Status, "error")}[i%2], Limit: 5})
				if err != nil {
					t.Error(err)
					return
				}
				for _, f := range found {
					if _, _, err := s.Trace(context.Background(), f.TraceID); err != nil && !errors.Is(err, ErrNotFound) {
						t.Error(err)
					}
				}
				if _, err := s.Services(context.Background()); err != nil {
					t.Error(err)
				}
				s.Stats()
			}
		})
	}
	for range 60 {
		consume(t, s, m.entry(100))
		s.SealIdle(time.Unix(0, m.clock))
		if err := s.Retain(time.Unix(0, m.clock)); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
	if n := testutil.CollectAndCount(s.metrics.damaged); n != 0 {
		t.Error("a block was found damaged")
	}
}
