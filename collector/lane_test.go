package collector

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/collector/internal/countertest"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// openLog is a log that holds nothing back.
type openLog struct{ heldLog }

func (l *openLog) written() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.requests
}

func newLaneRig(t *testing.T) (*Collector, *Intake, *openLog, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	log := &openLog{heldLog: heldLog{pool: NewPool(), hold: make(chan struct{})}}
	close(log.hold)
	c, err := New(DefaultConfig(), nil, log, log.pool, reg, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return c, c.Intake("test"), log, reg
}

// add sends a message of n entries of 100 bytes; with an error it is malformed at its end.
func add(l *Lane, n int, malformed error) error {
	const size = 100
	if err := l.in.Admit(nil, size); err != nil {
		return err
	}
	err := l.Add(nil, size, func(f *Fill) error {
		f.Batch.Resources = append(f.Batch.Resources, telemetry.Resource{})
		for i := range n {
			if f.Requests() != i {
				return errors.New("the message does not begin with its own entries")
			}
			f.Batch.Requests = append(f.Batch.Requests, telemetry.Request{Code: int32(n)})
			f.Batch.Attrs = append(f.Batch.Attrs, telemetry.Attr{})
		}
		path := "/good"
		if malformed != nil {
			f.Repair(RepairUTF8)
			path = "/of the malformed"
		}
		f.Batch.InternString(path)
		return malformed
	})
	if malformed != nil {
		l.in.Leave(nil, size)
	}
	return err
}

// TestLane sends messages that share a batch, one of which is malformed: it leaves nothing
// behind, and the others are written together, a little later.
func TestLane(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, in, log, reg := newLaneRig(t)
		l := in.lane()
		broken := errors.New("broken")
		for i, malformed := range []error{nil, broken, nil} {
			if err := add(l, 3+i, malformed); !errors.Is(err, malformed) {
				t.Fatalf("message %d: %v", i, err)
			}
		}
		good := telemetry.NewBatch()
		good.InternString("/good")
		if b := l.fill.Batch; b.Strings() != good.Strings() || b.InternString("/good") != good.InternString("/good") {
			t.Errorf("%d strings are left, want %d", b.Strings(), good.Strings())
		}
		if b := l.fill.Batch; len(b.Requests) != 8 || len(b.Resources) != 2 || len(b.Attrs) != 8 {
			t.Errorf("the batch holds %d requests, %d resources, %d attributes", len(b.Requests), len(b.Resources), len(b.Attrs))
		}
		synctest.Wait()
		if log.written() != 0 || in.Inflight() != 200 {
			t.Errorf("at once: %d requests written, %d bytes in flight", log.written(), in.Inflight())
		}
		time.Sleep(laneTime)
		synctest.Wait()
		if log.written() != 8 || in.Inflight() != 0 {
			t.Errorf("after %v: %d requests written, %d bytes in flight", laneTime, log.written(), in.Inflight())
		}
		for name, want := range map[string]float64{"messages": 2, "bytes": 200, "requests": 8, "repaired": 0} {
			if got := countertest.Value(t, reg, name, ""); got != want {
				t.Errorf("%s: %v counted, want %v", name, got, want)
			}
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestLaneFull sends a batch on that is full, without waiting for the clock.
func TestLaneFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, in, log, _ := newLaneRig(t)
		l := in.lane()
		for range 3 {
			if err := add(l, laneRecords/2, nil); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if log.written() != laneRecords {
			t.Errorf("%d requests written, want %d", log.written(), laneRecords)
		}
		// Close writes what is still open.
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if want := laneRecords * 3 / 2; log.written() != want {
			t.Errorf("%d requests written at the end, want %d", log.written(), want)
		}
		if err := add(l, laneRecords, nil); !errors.Is(err, telemetry.ErrClosed) {
			t.Errorf("after Close: %v, want ErrClosed", err)
		}
		if in.Inflight() != 0 {
			t.Errorf("%d bytes still in flight", in.Inflight())
		}
	})
}
