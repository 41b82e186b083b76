package collector

import (
	"context"
	"fmt"
	"sync"
)

const (
	// queueLength is how many batches of access logs may wait for the log. The bytes of their
	// messages are admitted until they are written, so that max_inflight_bytes bounds them too.
	queueLength = 1024
	// appenders is how many of them are appended at the same time: while the disk syncs one,
	// the others gather, and the log's next group commit syncs them together.
	appenders = 32
)

// queue holds batches of access logs until the log has them. Their senders wait for no
// answer, and drop what they cannot send; so whoever reads from them must not wait for the
// disk either.
type queue struct {
	jobs chan job
	done sync.WaitGroup

	mu     sync.RWMutex
	closed bool // and then so is jobs
}

type job struct {
	in   *Intake
	fill Fill
	size int
	owed []admitted
}

func (q *queue) start() {
	q.jobs = make(chan job, queueLength)
	for range appenders {
		q.done.Go(func() {
			for j := range q.jobs {
				// The sender may have gone; what it sent is wanted all the same.
				n := j.fill.Batch.Len()
				if err := j.in.Append(context.Background(), &j.fill, j.size); err != nil {
					j.in.Dropped(DropRefused, n)
				}
				j.in.leave(j.owed)
			}
		})
	}
}

// enqueue queues f's batch, of size bytes, for the log and returns at once. It takes over the batch, and
// what was admitted for it. A batch that does not fit into the queue is
// dropped, and counted. After Close all are, and the error is a *Refusal.
func (in *Intake) enqueue(f *Fill, size int, owed []admitted) error {
	j := job{in: in, fill: *f, size: size, owed: owed}
	n := f.Batch.Len()
	f.Batch = nil
	q := &in.c.queue
	q.mu.RLock()
	defer q.mu.RUnlock()
	if !q.closed {
		select {
		case q.jobs <- j:
			return nil
		default:
		}
	}
	in.Abandon(&j.fill)
	in.leave(owed)
	if q.closed {
		in.Dropped(DropRefused, n)
		return in.Refuse(closedRefusal())
	}
	in.Dropped(DropQueueFull, n)
	return nil
}

func (in *Intake) leave(owed []admitted) {
	for _, a := range owed {
		in.Leave(a.from, a.n)
	}
}

// Close waits until what is queued has been written, or ctx ends. Receivers
// must have been stopped before: what they enqueue from now on is dropped.
func (c *Collector) Close(ctx context.Context) error {
	c.lanes.flush()
	c.queue.mu.Lock()
	if !c.queue.closed {
		c.queue.closed = true
		close(c.queue.jobs)
	}
	c.queue.mu.Unlock()
	done := make(chan struct{})
	go func() { c.queue.done.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close the collector: %d messages of access logs were not written: %w", len(c.queue.jobs), ctx.Err())
	}
}
