package collector

import (
	"runtime"
	"sync"
	"time"
)

// The problem: an Envoy flushes its access log once a second or every 16 KiB, some thirty
// entries; a mesh has thousands of them. Each message by itself would be a batch: a record, a
// place in the queue, a wake-up of the log and of the sinks, and the first sight of every string
// in it. That costs more than the entries do.
//
// The form: nobody waits for an answer to them, so messages share batches. A lane is the open
// batch of some of the streams: a message is decoded into it under the lane's lock, and the batch
// goes to the log when it is full, or laneTime after it was opened. A message that turns out to be
// malformed is taken back out. Locks are taken in the order lanes, Lane.mu, queue.mu.
//
// Not chosen: a batch a stream (a sidecar that sends once a second finds no company in it); a
// goroutine that merges batches (each string would be looked up twice).

const (
	// laneTime is how long a batch waits for company. It is part of the time to the graph,
	// which shows changes every 250 ms.
	laneTime    = 10 * time.Millisecond
	laneRecords = 4096
	laneBytes   = 2 << 20
	maxLanes    = 8
)

// A Lane gathers the messages of senders that do not wait for an answer. It is safe for
// concurrent use.
type Lane struct {
	in    *Intake
	timer *time.Timer

	mu   sync.Mutex
	fill Fill
	size int
}

// Lanes are as many lanes as are of use on this machine: streams that decode at the same time
// should not wait for one another.
func (in *Intake) Lanes() []*Lane {
	out := make([]*Lane, min(runtime.GOMAXPROCS(0), maxLanes))
	for i := range out {
		out[i] = in.lane()
	}
	return out
}

// lane makes a lane, of which Close will know.
func (in *Intake) lane() *Lane {
	c, l := in.c, &Lane{in: in}
	l.timer = time.AfterFunc(time.Hour, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		_ = l.flush() // after Close what it held is dropped, and counted
	})
	l.timer.Stop()
	c.lanes.Lock()
	defer c.lanes.Unlock()
	c.lanes.all = append(c.lanes.all, l)
	return l
}

// Add decodes a message of size admitted bytes into the lane's batch. decode must touch
// nothing but what it appends, and must not keep the Fill. Where it fails, the batch is as it was, the admission still
// the caller's, and the error is returned. After Close, Add says so.
func (l *Lane) Add(size int, decode func(*Fill) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fill.Batch == nil {
		l.in.Begin(&l.fill)
		l.fill.messages = 0
		l.timer.Reset(laneTime)
	}
	before, mark := l.fill, l.fill.Batch.Mark()
	l.fill.first, l.fill.offset = "", len(l.fill.Batch.Requests)
	if err := decode(&l.fill); err != nil {
		l.fill = before
		l.fill.Batch.Truncate(mark)
		return err
	}
	l.fill.messages++
	l.size += size
	if l.fill.Batch.Len() >= laneRecords || l.size >= laneBytes {
		return l.flush()
	}
	return nil
}

// flush hands the batch to the queue. The caller holds mu.
func (l *Lane) flush() error {
	if l.fill.Batch == nil {
		return nil
	}
	l.timer.Stop()
	size := l.size
	l.size = 0
	return l.in.Enqueue(&l.fill, size)
}

// lanes is all lanes of a collector.
type lanes struct {
	sync.Mutex
	all []*Lane
}

// flush sends on what all lanes hold.
func (ls *lanes) flush() {
	ls.Lock()
	defer ls.Unlock()
	for _, l := range ls.all {
		l.mu.Lock()
		_ = l.flush() // counted
		l.mu.Unlock()
	}
}
