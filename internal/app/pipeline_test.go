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

// counter is the least state: how many spans it saw, and up to where. It is a Store, and a section.
type counter struct {
	mu      sync.Mutex
	applied telemetry.Position
	spans   uint64
	fail    error
	block   chan struct{} // while open, Consume waits
	flushed telemetry.Position
	early   bool // it was saved before it was flushed
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

func (c *counter) seen() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spans
}

func (c *counter) Save(w io.Writer) error {
	c.early = c.early || c.flushed != c.applied
	return binary.Write(w, binary.LittleEndian, []uint64{uint64(c.applied), c.spans})
}

func (c *counter) Prepare(r io.Reader) (use func(), err error) {
	var v [2]uint64
	if err := binary.Read(r, binary.LittleEndian, &v); err != nil {
		return nil, err
	}
	if v[1] == senseless {
		return nil, errors.New("it holds a value that makes no sense")
	}
	return func() { c.applied, c.spans = telemetry.Position(v[0]), v[1] }, nil
}

// senseless is a count that Prepare refuses, as a reader refuses what a version with a fault, or a newer one, wrote.
const senseless = 1<<64 - 1

// rig is a pipeline over a real log and real checkpoints.
type rig struct {
	*pipeline
	graph, store *counter
	mu           sync.Mutex
	released     map[*telemetry.Batch]int
}

func newRig(t *testing.T, dir string, store *counter, policy wal.Policy) *rig {
	t.Helper()
	r := &rig{graph: &counter{}, store: store, released: map[*telemetry.Batch]int{}}
	log, reg := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	ckpt, err := checkpoint.Open(dir+"/checkpoints", log)
	if err != nil {
		t.Fatal(err)
	}
	l := newLive(log, reg, ckpt, 20*time.Millisecond)
	l.sections, l.derive = []section{{"graph", r.graph}}, r.graph.Consume
	l.flush = func(time.Time) error { r.graph.flushed = r.graph.applied; return nil }
	if err := l.restore(); err != nil {
		t.Fatal(err)
	}
	r.pipeline = newPipeline(log, l)
	r.follow(Follower{"store", policy, store})
	cfg := wal.Config{MaxBytes: 8 << 20, SegmentBytes: 1 << 20, NoSync: true}
	err = r.open(dir+"/wal", cfg, func(b *telemetry.Batch) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.released[b]++
	}, reg)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.catchUp(); err != nil {
		t.Fatal(err)
	}
	return r
}

// stop ends the pipeline as the app does.
func (r *rig) stop(t *testing.T) {
	t.Helper()
	if err := r.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.wait()
	if r.graph.early {
		t.Error("a checkpoint was taken of what was not flushed: see aggregator/replayed.go")
	}
}

func essential() wal.Policy { return wal.Policy{Essential: true} }

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
	r := newRig(t, t.TempDir(), &counter{}, essential())
	r.start()
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
	r.stop(t)
	if len(r.released) != 400 {
		t.Errorf("%d batches were released, want 400", len(r.released))
	}
	for b, n := range r.released {
		if n != 1 {
			t.Fatalf("batch %p was released %d times", b, n)
		}
	}
	if r.graph.spans != 1200 || r.store.spans != 1200 {
		t.Errorf("followers saw %d and %d spans, want 1200", r.graph.spans, r.store.spans)
	}
}

// What a follower has applied is not counted again after a restart, and what it has
// not is, whether its state is in checkpoints (graph) or it keeps it by itself (store).
func TestPipelineReplaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := &counter{}
	var want uint64
	for round := range 4 {
		r := newRig(t, dir, store, essential())
		if r.graph.spans != want || store.spans != want {
			t.Fatalf("round %d begins with %d and %d spans, want %d", round, r.graph.spans, store.spans, want)
		}
		r.start()
		for range 30 {
			if _, err := r.Append(t.Context(), batch(2)); err != nil {
				t.Fatal(err)
			}
			want += 2
		}
		r.stop(t)
		if round%2 == 0 { // the store loses what it had in memory alone
			store = &counter{applied: store.applied - 10, spans: store.spans - 20}
		}
	}
}

// A follower that fails ends the process' work: its state is no function of the log
// any more, and must not be saved; the others and the senders go on meanwhile.
func TestPipelineReportsAFollowerThatFails(t *testing.T) {
	t.Parallel()
	const n = 100
	dir := t.TempDir()
	r := newRig(t, dir, &counter{}, essential())
	r.graph.fail = errors.New("broken")
	r.start()
	for range n {
		if _, err := r.Append(t.Context(), batch(1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-r.failed; err == nil {
		t.Error("the fault was not reported")
	}
	r.stop(t)
	if r.store.spans != n {
		t.Errorf("the other follower saw %d spans, want %d", r.store.spans, n)
	}
	again := newRig(t, dir, r.store, essential())
	if again.graph.spans != n || again.store.spans != n {
		t.Errorf("after a restart the followers have %d and %d spans, want %d", again.graph.spans, again.store.spans, n)
	}
	again.start()
	again.stop(t)
}

// A store that stands still costs nobody anything but itself: the graph goes on, and senders are
// acknowledged until the log is full, which refuses and loses nothing. When the store moves again there is room again, by itself.
func TestPipelineStandingStoreStallsNobody(t *testing.T) {
	t.Parallel()
	store := &counter{block: make(chan struct{})}
	r := newRig(t, t.TempDir(), store, essential())
	r.start()
	var acked uint64
	for {
		_, err := r.Append(t.Context(), batch(2000))
		if errors.Is(err, telemetry.ErrOverloaded) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		acked += 2000
	}
	for r.graph.seen() < acked {
		time.Sleep(time.Millisecond)
	}
	if st := r.wal.Followers()[1]; st.Name != "store" || st.Lag.Spans != acked || st.Age(time.Now()) == 0 {
		t.Errorf("the store's lag is told as %+v, want %d spans", st, acked)
	}
	close(store.block)
	for {
		_, err := r.Append(t.Context(), batch(2000))
		if err == nil {
			acked += 2000
			break
		}
		if !errors.Is(err, telemetry.ErrOverloaded) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.stop(t)
	if r.graph.spans != acked || store.spans != acked {
		t.Errorf("the followers have %d and %d spans, %d were acknowledged", r.graph.spans, store.spans, acked)
	}
}

// A best-effort store that stands still does not even fill the log; what it left out is counted.
func TestPipelineBestEffortStoreSkips(t *testing.T) {
	t.Parallel()
	store := &skipper{block: make(chan struct{}, 1)}
	r := newRig(t, t.TempDir(), &counter{}, essential())
	_ = r.close(t.Context())
	log := slog.New(slog.DiscardHandler)
	r.pipeline = newPipeline(log, r.live)
	r.follow(Follower{"mirror", wal.Policy{MaxLag: 1 << 20}, store})
	if err := r.open(t.TempDir(), wal.Config{MaxBytes: 8 << 20, SegmentBytes: 1 << 20, NoSync: true}, func(*telemetry.Batch) {}, prometheus.NewRegistry()); err != nil {
		t.Fatal(err)
	}
	r.start()
	const n = 500
	for range n {
		for {
			if _, err := r.Append(t.Context(), batch(2000)); err == nil {
				break
			} else if !errors.Is(err, telemetry.ErrOverloaded) {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond) // until the next cut
		}
	}
	close(store.block)
	for r.wal.Followers()[1].Lag.Records > 0 {
		time.Sleep(time.Millisecond)
	}
	left := r.wal.Followers()[1].LeftOut
	r.stop(t)
	if left.Records == 0 || left.Records+store.entries != n || left.Spans != 2000*left.Records {
		t.Errorf("%+v left out and %d entries given, want %d in all", left, store.entries, n)
	}
}

// skipper is a store that takes what it is given.
type skipper struct {
	entries uint64
	block   chan struct{}
}

func (s *skipper) Consume(telemetry.Entry) error {
	<-s.block
	s.entries++
	return nil
}

func (s *skipper) Applied() telemetry.Position { return 0 }

// A follower that stands still does not keep the server from stopping.
func TestPipelineStopsBesideAStandingStore(t *testing.T) {
	t.Parallel()
	store := &counter{block: make(chan struct{})}
	r := newRig(t, t.TempDir(), store, essential())
	r.start()
	if _, err := r.Append(t.Context(), batch(1)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := r.close(ctx); err != nil {
		t.Fatal(err)
	}
	close(store.block) // as closing the store does
	r.wait()
}
