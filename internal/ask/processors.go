package ask

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// moment is how long a question counts as new: what most questions need in all.
	moment = 5 * time.Millisecond
	// slice is how long one that is not new may compute while others like it wait.
	slice = 20 * time.Millisecond
	// inARow is how many new ones go before one that is not, which then has its slice undisturbed.
	inARow = 4
	// overdue is how long no place may change hands while others wait: whoever has them computes without a pause, as the
	// PromQL engine does.
	overdue = 100 * time.Millisecond
	// maxLent is how many places more there may be for those who wait beside such.
	maxLent = 4
)

// processors are places to compute.
//
// The problem: a question that takes a millisecond asked beside twenty that take twelve waited for all twenty: none of them had
// computed for long, and all were served as they came.
//
// The rule: who is new goes before who has computed for a moment already, and interrupts it at its next pause; but after a few of them one of
// the others has its slice, so that those go on however many are new. When no place has changed hands for long, one more is
// lent, since whoever has them makes no pause: the scheduler then shares the processors among more, and nobody waits for the
// end of a heavy question. It is taken back when one that made no pause has ended.
type processors struct {
	places    int
	waiting   atomic.Int64 // all
	newcomers atomic.Int64 // of them those that are new

	mu    sync.Mutex
	free  int
	lent  int
	moved time.Time // when a place was given last
	fresh []*waiter // who is new
	old   []*waiter // who is not
	row   int       // how many new ones went before old ones
}

// A waiter waits for a place.
type waiter struct {
	given chan struct{} // closed when it has one
	kept  bool          // it has it for a slice, whoever is new; read after given
}

func newProcessors(n int) *processors {
	n = max(n, 1)
	return &processors{places: n, free: n}
}

// enter waits for a place, or for the end of ctx, and says whether it is kept. ahead is for who was interrupted.
func (p *processors) enter(ctx context.Context, fresh, ahead bool) (kept bool, err error) {
	p.mu.Lock()
	if p.free > 0 {
		p.free--
		p.moved = time.Now()
		p.mu.Unlock()
		return false, nil
	}
	w := &waiter{given: make(chan struct{})}
	switch {
	case fresh:
		p.fresh = append(p.fresh, w)
		p.newcomers.Add(1)
	case ahead:
		p.old = slices.Insert(p.old, 0, w)
	default:
		p.old = append(p.old, w)
	}
	p.waiting.Add(1)
	p.mu.Unlock()
	look := time.NewTicker(overdue / 2)
	defer look.Stop()
	for waits := true; waits; {
		select {
		case <-w.given:
			return w.kept, nil
		case now := <-look.C:
			p.lend(now)
		case <-ctx.Done():
			waits = false
		}
	}
	if !p.forget(w) {
		p.leave(0) // it had been given just then
	}
	return false, context.Cause(ctx)
}

// forget takes back a waiter that has no place yet.
func (p *processors) forget(w *waiter) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.fresh, w); i >= 0 {
		p.fresh = slices.Delete(p.fresh, i, i+1)
		p.newcomers.Add(-1)
	} else if i := slices.Index(p.old, w); i >= 0 {
		p.old = slices.Delete(p.old, i, i+1)
	} else {
		return false
	}
	p.waiting.Add(-1)
	return true
}

// leave gives a place on, after it was held for so long.
func (p *processors) leave(held time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch waits := len(p.fresh)+len(p.old) > 0; {
	case p.lent > 0 && (!waits || held >= overdue):
		p.lent--
	case waits:
		p.next()
	default:
		p.free++
	}
}

// next gives a place to whose turn it is, of those who wait. The lock is held.
func (p *processors) next() {
	from := &p.fresh
	switch {
	case len(p.fresh) == 0:
		from = &p.old
	case len(p.old) == 0:
		p.row = 0
	case p.row == inARow:
		p.row, from = 0, &p.old
		p.old[0].kept = true
	default:
		p.row++
	}
	w := (*from)[0]
	(*from)[0] = nil
	*from = (*from)[1:]
	if from == &p.fresh {
		p.newcomers.Add(-1)
	}
	p.waiting.Add(-1)
	p.moved = time.Now()
	close(w.given)
}

// lend lets one more compute, if somebody waits and no place has changed hands for long.
func (p *processors) lend(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.fresh)+len(p.old) > 0 && p.lent < maxLent && now.Sub(p.moved) >= overdue {
		p.lent++
		p.next()
	}
}
