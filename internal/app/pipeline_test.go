package app

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/binnacle-mesh/binnacle/storage/checkpoint"
	"github.com/binnacle-mesh/binnacle/storage/wal"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counter is the least stateful sink: how many spans it saw, and up to where.
type counter struct {
	mu      sync.Mutex
	applied telemetry.Position
	spans   uint64
	fail    error
	block   chan struct{} // while open, Consume waits
}

func (c *counter) Consume(e telemetry.Entry) error {
	if c.block != nil {
		<-c.block
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Position <= c.applied {
		return nil
	}
	if e.Position != c.applied+1 {
		return fmt.Errorf("position %d after %d", e.Position, c.applied)
	}
	c.applied = e.Position
	c.spans += uint64(len(e.Batch.Spans))
	return c.fail
}

func (c *counter) Applied() telemetry.Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.applied
}

func (c *counter) Save(w io.Writer) error {
	return binary.Write(w, binary.LittleEndian, []uint64{uint64(c.applied), c.spans})
}

func (c *counter) Load(r io.Reader) error {
	var v [2]uint64
	err := binary.Read(r, binary.LittleEndian, &v)
	c.applied, c.spans = telemetry.Position(v[0]), v[1]
	return err
}

// rig is a pipeline over a real log and real checkpoints.
type rig struct {
	*pipeline
	graph, store *counter
	mu           sync.Mutex
	released     map[*telemetry.Batch]int
}

func newRig(t *testing.T, dir string, store *counter) *rig {
	t.Helper()
	r := &rig{graph: &counter{}, store: store, released: map[*telemetry.Batch]int{}}
	log, reg := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	r.pipeline = newPipeline(log, reg, 20*time.Millisecond, func(b *telemetry.Batch) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.released[b]++
	})
	r.sections = []section{{"graph", r.graph}}
	r.derive = r.graph.Consume
	r.blocks = store
	var err error
	if r.ckpt, err = checkpoint.Open(dir+"/checkpoints", log); err != nil {
		t.Fatal(err)
	}
	cfg := wal.Config{MaxBytes: 8 << 20, SegmentBytes: 1 << 20, NoSync: true}
	if err := r.restore(func(after telemetry.Position) (*wal.Log, error) {
		return wal.Open(dir+"/wal", cfg, after, log, reg)
	}); err != nil {
		t.Fatal(err)
	}
	return r
}

func batch(spans int) *telemetry.Batch {
	b := telemetry.NewBatch()
	b.Received = time.Now().UnixNano()
	b.Resources = append(b.Resources, telemetry.Resource{})
	for i := range spans {
		b.Spans = append(b.Spans, telemetry.Span{TraceID: telemetry.TraceID{byte(i)}, SpanID: telemetry.SpanID{1}})
	}
	return b
}

func TestPipelineReleasesEachBatchOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir(), &counter{})
	r.start(nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if _, err := r.Append(t.Context(), batch(3)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	if len(r.released) != 400 {
		t.Errorf("%d batches were released, want 400", len(r.released))
	}
	for b, n := range r.released {
		if n != 1 {
			t.Fatalf("batch %p was released %d times", b, n)
		}
	}
	if r.graph.spans != 1200 || r.store.spans != 1200 {
		t.Errorf("sinks saw %d and %d spans, want 1200", r.graph.spans, r.store.spans)
	}
}

// What a sink has applied is not counted again after a restart, and what it has
// not is, whether it keeps its state in checkpoints (graph) or by itself (store).
func TestPipelineReplaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := &counter{}
	var want uint64
	for round := range 4 {
		r := newRig(t, dir, store)
		if r.graph.spans != want || store.spans != want {
			t.Fatalf("round %d begins with %d and %d spans, want %d", round, r.graph.spans, store.spans, want)
		}
		r.start(nil)
		for range 30 {
			if _, err := r.Append(t.Context(), batch(2)); err != nil {
				t.Fatal(err)
			}
			want += 2
		}
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
		if round%2 == 0 { // the store loses what it had in memory alone
			store = &counter{applied: store.applied - 10, spans: store.spans - 20}
		}
	}
}

// A batch that the log refuses belongs to nobody else: it is given back.
func TestPipelineGivesRefusedBatchesBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir(), &counter{})
	r.start(nil)
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	b := batch(1)
	if _, err := r.Append(t.Context(), b); !errors.Is(err, telemetry.ErrClosed) {
		t.Fatalf("got %v, want ErrClosed", err)
	}
	if r.released[b] != 1 {
		t.Errorf("released %d times, want once", r.released[b])
	}
}

// A sink that fails ends the process' work: its state is no function of the log
// any more, and must not be saved; senders are not left waiting for it.
func TestPipelineReportsASinkThatFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := newRig(t, dir, &counter{fail: errors.New("broken")})
	r.start(nil)
	for range 3 * queued {
		if _, err := r.Append(t.Context(), batch(1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-r.failed; err == nil {
		t.Error("the fault was not reported")
	}
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	again := newRig(t, dir, &counter{})
	again.start(nil)
	if err := again.close(); err != nil {
		t.Fatal(err)
	}
	if again.graph.spans != 3*queued || again.store.spans != 3*queued {
		t.Errorf("after a restart the sinks have %d and %d spans, want %d", again.graph.spans, again.store.spans, 3*queued)
	}
}

// A sink that stands still holds senders back: neither memory nor the queue grows.
func TestPipelineSlowSinkHoldsSendersBack(t *testing.T) {
	t.Parallel()
	store := &counter{block: make(chan struct{})}
	r := newRig(t, t.TempDir(), store)
	r.start(nil)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	acked := 0
	for ctx.Err() == nil {
		if _, err := r.Append(ctx, batch(1)); err == nil {
			acked++
		}
	}
	if limit := queued + 2; acked > limit {
		t.Errorf("%d batches were acknowledged while no sink took any; the queue holds %d", acked, queued)
	}
	close(store.block)
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
}
