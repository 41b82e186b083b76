package collector

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/binnacle-mesh/binnacle/collector/internal/countertest"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// heldLog counts what it is given, once it is let go.
type heldLog struct {
	pool *Pool
	hold chan struct{}

	mu       sync.Mutex
	requests int
}

func (l *heldLog) Append(_ context.Context, b *telemetry.Batch) (telemetry.Position, error) {
	<-l.hold
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests += len(b.Requests)
	l.pool.Put(b)
	return 1, nil
}

func enqueue(in *Intake, requests int) error {
	const size = 100
	if err := in.Admit(nil, size); err != nil {
		return err
	}
	var f Fill
	in.Begin(&f)
	for range requests {
		f.Batch.Requests = append(f.Batch.Requests, telemetry.Request{})
	}
	return in.enqueue(&f, size, []admitted{{nil, size}})
}

// TestQueue holds the log back: whoever enqueues never waits, what does not fit
// is dropped and counted, and what is queued is written before Close returns.
func TestQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		log := &heldLog{pool: NewPool(), hold: make(chan struct{})}
		c, err := New(DefaultConfig(), nil, log, log.pool, reg, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		in := c.Intake("test")
		const sent = queueLength + appenders + 100
		for i := range sent {
			if err := enqueue(in, 3); err != nil {
				t.Fatal(err)
			}
			if i < appenders {
				synctest.Wait() // each is in the log's hands, none waits in the queue
			}
		}
		if got := countertest.Value(t, reg, "dropped", "queue_full"); got != 300 {
			t.Errorf("%v entries dropped, want 300", got)
		}
		if got, want := c.messages.Used(), int64(100*(sent-100)); got != want {
			t.Errorf("%d bytes in flight, want %d", got, want)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close of a log that hangs: %v, want a deadline", err)
		}
		close(log.hold)
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if want := 3 * (sent - 100); log.requests != want {
			t.Errorf("%d requests written, want %d", log.requests, want)
		}
		if got := c.messages.Used(); got != 0 {
			t.Errorf("%d bytes still in flight", got)
		}
		if err := enqueue(in, 3); !errors.Is(err, telemetry.ErrClosed) {
			t.Errorf("after Close: %v, want ErrClosed", err)
		}
		if got := countertest.Value(t, reg, "dropped", "refused"); got != 3 {
			t.Errorf("%v entries dropped after Close, want 3", got)
		}
	})
}
