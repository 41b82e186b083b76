package ask

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// slice is how long a question may compute while others wait.
const slice = 20 * time.Millisecond

// overdue is how long no place may change hands while others wait: whoever has them computes without a pause, as the
// PromQL engine does.
const overdue = 100 * time.Millisecond

// maxLent is how many places more there may be for those who wait beside such.
const maxLent = 4

// processors are places to compute, given out in the order in which they are asked for. When none has changed hands for long, one more
// is lent, until nobody waits: the scheduler then shares the processors among more, and nobody waits for the end of a heavy question.
type processors struct {
	places  int
	waiting atomic.Int64

	mu    sync.Mutex
	free  int
	lent  int
	moved time.Time       // when a place was given last
	queue []chan struct{} // closed for who is next
}

func newProcessors(n int) *processors {
	n = max(n, 1)
	return &processors{places: n, free: n}
}

// enter waits for a place, or for the end of ctx.
func (p *processors) enter(ctx context.Context) error {
	p.mu.Lock()
	if p.free > 0 {
		p.free--
		p.moved = time.Now()
		p.mu.Unlock()
		return nil
	}
	mine := make(chan struct{})
	p.queue = append(p.queue, mine)
	p.waiting.Add(1)
	p.mu.Unlock()
	look := time.NewTicker(overdue / 2)
	defer look.Stop()
	for waits := true; waits; {
		select {
		case <-mine:
			return nil
		case now := <-look.C:
			p.lend(now)
		case <-ctx.Done():
			waits = false
		}
	}
	p.mu.Lock()
	for i, c := range p.queue {
		if c == mine {
			p.queue = append(p.queue[:i], p.queue[i+1:]...)
			p.waiting.Add(-1)
			p.mu.Unlock()
			return context.Cause(ctx)
		}
	}
	p.mu.Unlock()
	p.leave() // it had been given just then
	return context.Cause(ctx)
}

// leave gives a place to who waits longest.
func (p *processors) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(p.queue) > 0:
		p.next()
	case p.lent > 0:
		p.lent--
	default:
		p.free++
	}
}

// next gives a place to who waits longest. The lock is held.
func (p *processors) next() {
	next := p.queue[0]
	p.queue = p.queue[1:]
	p.waiting.Add(-1)
	p.moved = time.Now()
	close(next)
}

// lend lets one more compute, if somebody waits and no place has changed hands for long.
func (p *processors) lend(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) > 0 && p.lent < maxLent && now.Sub(p.moved) >= overdue {
		p.lent++
		p.next()
	}
}

// Begin waits for a processor. What is computed before is not counted.
func (a *Ask) Begin(ctx context.Context) error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.begin(ctx)
}

func (a *Ask) begin(ctx context.Context) error {
	if a.running {
		return nil
	}
	if err := a.desk.cpu.enter(ctx); err != nil {
		return err
	}
	a.running, a.since = true, time.Now()
	return nil
}

// AtRest has f called when the question is answered and only the sending is left, or when it is closed; once.
func (a *Ask) AtRest(f func()) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.atRest = f
}

// Rest gives the processor to others: what comes now takes none, such as sending the answer.
func (a *Ask) Rest() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.atRest != nil {
		a.atRest()
		a.atRest = nil
	}
	if a.running {
		a.running = false
		a.desk.cpu.leave()
	}
}

// Yield is called between steps of at most a few milliseconds: it lets others go first whose turn it is, and ends what nobody waits
// for any more, by the error of ctx.
func (a *Ask) Yield(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.running || time.Since(a.since) < slice {
		return nil
	}
	a.since = time.Now()
	if a.desk.cpu.waiting.Load() == 0 {
		runtime.Gosched() // whoever decides, receives or acknowledges
		return nil
	}
	a.running = false
	a.desk.cpu.leave()
	return a.begin(ctx)
}

// Parallel is how many goroutines may compute for the question, of n that it could use: one more than there are places, which leave a
// processor to others, while nobody waits for one.
func (a *Ask) Parallel(n int) int {
	if a == nil {
		return n
	}
	places := a.desk.cpu.places
	if a.desk.cpu.waiting.Load() == 0 {
		places++
	}
	return max(1, min(n, places))
}
