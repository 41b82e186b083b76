package collector

import (
	"context"
	"fmt"
	"sync"
)

const (
	// queueLength is how many messages that nobody waits for may wait for the log;
	// their bytes are admitted, so that max_inflight_bytes bounds them as well.
	queueLength = 1024
	// appenders is how many of them are in the log's hands at once: enough for its
	// group commit to find company while a disk syncs.
	appenders = 32
)

// queue takes the messages of senders that do not wait for an answer to the
// log, so that whoever reads from those senders never waits either.
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
				j.in.Leave(j.size)
			}
		})
	}
}

// Enqueue makes what f holds durable in its own time, for a sender that is not
// answered. It takes f's batch, and the admission of size bytes, and does not
// wait: what does not fit into the queue is dropped, and counted. After Close it
// drops all, and says so.
func (in *Intake) Enqueue(f *Fill, size int) error {
	j := job{in: in, fill: *f, size: size}
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
	in.Leave(size)
	if q.closed {
		in.Dropped(DropRefused, n)
		return in.Refuse(closedRefusal())
	}
	in.Dropped(DropQueueFull, n)
	return nil
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
