package block

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// TestCrash copies the store's directory at random moments while it is filled and
// its blocks are written, as a kill leaves it, and opens each copy: all blocks in it are
// whole, and with the log from Applied on, every span is there, once.
func TestCrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := DefaultConfig()
	cfg.MaxHeadSpans = 300
	s := openTest(t, dir, cfg)
	m := newMesh(9)
	var entries []telemetry.Entry
	var copies []string
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		r := rand.New(rand.NewPCG(1, 1))
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(r.IntN(3000)) * time.Microsecond):
			}
			to := filepath.Join(filepath.Dir(dir), fmt.Sprintf("copy-%d", i))
			copyTorn(dir, to, r)
			copies = append(copies, to)
		}
	}()
	for range 60 {
		e := copyEntry(t, m.entry(40))
		entries = append(entries, e)
		consume(t, s, e)
	}
	seal(t, s)
	close(stop)
	wg.Wait()
	closeStore(t, s)
	want := inOrder(sent(entries))
	for _, c := range copies[:min(len(copies), 25)] {
		s := openTest(t, c, cfg)
		if n := testutil.CollectAndCount(s.metrics.damaged); n != 0 {
			t.Errorf("%s: a block is damaged", c)
		}
		for _, e := range entries[s.Applied()/2:] { // too early, as a log may begin
			consume(t, s, e)
		}
		if st := s.Stats(); st.Spans != len(want) {
			t.Errorf("%s: %d spans, want %d", c, st.Spans, len(want))
		}
		spans, _ := everything(t, s, entries)
		if diff := gocmp.Diff(want, inOrder(spans)); diff != "" {
			t.Errorf("%s (-sent +stored):\n%s", c, diff)
		}
		closeStore(t, s)
		left, err := filepath.Glob(filepath.Join(c, tempPrefix+"*"))
		if err != nil || len(left) > 0 {
			t.Errorf("%s: %v left, %v", c, left, err)
		}
	}
}

// copyTorn copies what is there. Directories with their final names are whole, by
// the rename; of the others a part is cut off, as a power failure does.
func copyTorn(from, to string, r *rand.Rand) {
	entries, err := os.ReadDir(from)
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		files, err := os.ReadDir(filepath.Join(from, e.Name()))
		if err != nil && errors.Is(err, fs.ErrNotExist) {
			continue // renamed meanwhile: a crash before it left nothing of note
		}
		if err := os.MkdirAll(filepath.Join(to, e.Name()), 0o755); err != nil {
			panic(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(filepath.Join(from, e.Name(), f.Name()))
			if err != nil {
				continue
			}
			if strings.HasPrefix(e.Name(), tempPrefix) {
				b = b[:r.IntN(len(b)+1)]
			}
			if err := os.WriteFile(filepath.Join(to, e.Name(), f.Name()), b, 0o644); err != nil {
				panic(err)
			}
		}
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		panic(err)
	}
}

// TestDamage cuts and turns bytes of blocks: the store opens, says so, and serves the
// rest.
func TestDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openTest(t, dir, DefaultConfig())
	m := newMesh(10)
	var entries []telemetry.Entry
	for range 3 {
		e := copyEntry(t, m.entry(50))
		entries = append(entries, e)
		consume(t, s, e)
		seal(t, s)
	}
	closeStore(t, s)
	path := func(i int) string { return filepath.Join(dir, fmt.Sprintf("%016x-%016x", i, i), spansFile) }
	b, err := os.ReadFile(path(1))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path(1), b[:len(b)/2], 0o644); err != nil { // its footer is gone
		t.Fatal(err)
	}
	if b, err = os.ReadFile(path(2)); err != nil {
		t.Fatal(err)
	}
	for i := 4; i < 4000; i++ { // its first pages have rotted
		b[i] ^= 0x55
	}
	if err := os.WriteFile(path(2), b, 0o644); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, dir, DefaultConfig())
	defer closeStore(t, s)
	if _, err := os.Stat(filepath.Join(dir, damagedPrefix+fmt.Sprintf("%016x-%016x", 1, 1))); err != nil {
		t.Error(err)
	}
	for i, e := range entries {
		_, _, err := s.Trace(context.Background(), e.Batch.Spans[0].TraceID)
		if want := i < 2; errors.Is(err, ErrNotFound) != want {
			t.Errorf("trace of block %d: %v", i+1, err)
		}
	}
	found, _, err := s.Search(context.Background(), telemetry.SpanQuery{Limit: 100})
	if err != nil || len(found) == 0 {
		t.Errorf("search: %d found, %v", len(found), err)
	}
	if open, read := testutil.ToFloat64(s.metrics.damaged.WithLabelValues("open")), testutil.ToFloat64(s.metrics.damaged.WithLabelValues("read")); open != 1 || read == 0 {
		t.Errorf("counted %v at open, %v on reads", open, read)
	}
	if s.Applied() != 3 {
		t.Errorf("applied %d", s.Applied())
	}
}
