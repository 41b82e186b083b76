package collector

import (
	"runtime"
	"sync"
	"time"
)

// The problem: an Envoy flushes its access log once a second or every 16 KiB, some thirty
// entries, and a mesh has thousands of Envoys. If each message were a batch of its own, each
// would cost a record, a place in the queue, a wake-up of the log and of those who follow it,
// and an entry in the string table for every string in it: more than its entries cost.
//
// The design: nobody waits for an answer to them, so messages share batches. A lane is the open
// batch of some of the streams: a message is decoded into it under the lane's lock, and the batch
// goes to the log when it is full, or laneTime after it was opened. A message that turns out to be
// malformed is taken back out. Locks are taken in the order lanes, Lane.mu, queue.mu.
//
// Not chosen: one batch for each stream (that of a sidecar that sends once a second would hold one
// message); a goroutine that merges batches (each string would be looked up twice).

const (
	// laneTime is how long a batch stays open for more messages. It adds to the time until a
	// request is seen in the graph, which shows changes every 250 ms.
	laneTime    = 10 * time.Millisecond
	laneRecords = 4096
	laneBytes   = 2 << 20
	maxLanes    = 8
)

// A Lane gathers messages of senders that wait for no answer into one batch. It is safe
// for concurrent use.
type Lane struct {
	in    *Intake
	timer *time.Timer

	mu   sync.Mutex
	fill Fill
	size int        // of its messages, in bytes
	owed []admitted // for them
}

// admitted are bytes that were admitted for a sender.
type admitted struct {
	from *Sender
	n    int
}

// Lanes makes a lane for each processor, at most eight, so that streams that decode at the same
// time seldom wait for one another.
func (in *Intake) Lanes() []*Lane {
	out := make([]*Lane, min(runtime.GOMAXPROCS(0), maxLanes))
	for i := range out {
		out[i] = in.lane()
	}
	return out
}

// lane makes a lane, which Close will flush.
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

// Add decodes a message, for which size bytes of its sender were admitted, into the lane's batch. decode may
// only append to the batch, and must not keep the Fill. Where decode fails, Add returns its error,
// the batch is as it was before, and the caller must still give the admitted bytes back; otherwise
// the lane does. After Close the error is a *Refusal.
func (l *Lane) Add(from *Sender, size int, decode func(*Fill) error) error {
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
	if last := len(l.owed) - 1; last >= 0 && l.owed[last].from == from {
		l.owed[last].n += size
	} else {
		l.owed = append(l.owed, admitted{from, size})
	}
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
	size, owed := l.size, l.owed
	l.size, l.owed = 0, make([]admitted, 0, len(owed))
	return l.in.enqueue(&l.fill, size, owed)
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
