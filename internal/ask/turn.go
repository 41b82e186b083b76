package ask

import (
	"context"
	"errors"
	"runtime"
	"time"
)

// Begin waits for a processor. What is computed before is not counted. An error is a *BusyError, or context.Canceled.
//
// Where as many questions are under way as may be, the question computes for a moment and waits for its turn then, if it is not
// answered.
func (a *Ask) Begin(ctx context.Context) error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.turn.enter(&a.desk.turns) {
		return a.refuse(a.desk.crowded())
	}
	return a.run(ctx, false)
}

// Heavy says that the question may go through much and make no pause: it waits among its like first. It is called before it does. The
// errors are those of Begin.
func (a *Ask) Heavy(ctx context.Context) error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.running { // nobody began it
		return nil
	}
	d := a.desk
	a.halt()
	a.turn.leave(&d.turns) // others are not to wait for who waits
	a.old = true
	if !a.heavy.enter(&d.heavy) {
		return a.refuse(d.crowded())
	}
	if !a.heavy.wait(ctx, &d.heavy) {
		return a.refuse(d.late(ctx))
	}
	if !a.turn.enter(&d.turns) {
		return a.refuse(d.crowded())
	}
	if !a.turn.wait(ctx, &d.turns) {
		return a.refuse(d.late(ctx))
	}
	return a.run(ctx, false)
}

// run waits for a processor. ahead is for who was interrupted, and goes on with its slice.
func (a *Ask) run(ctx context.Context, ahead bool) error {
	if a.running {
		return nil
	}
	kept, err := a.desk.cpu.enter(ctx, !a.old, ahead)
	if err != nil {
		return a.refuse(a.desk.late(ctx))
	}
	a.running, a.kept, a.got = true, kept, time.Now()
	if !ahead {
		a.used = 0
	}
	return nil
}

// halt gives up the processor, if there is one.
func (a *Ask) halt() {
	if a.running {
		a.running = false
		held := time.Since(a.got)
		a.used += held
		a.desk.cpu.leave(held)
	}
}

// refuse notes why the question could not go on.
func (a *Ask) refuse(err error) error {
	var busy *BusyError
	if errors.As(err, &busy) {
		a.refusal.Store(busy)
	}
	return err
}

// Rest gives processor and turn to others: what comes now takes none, such as sending the answer.
func (a *Ask) Rest() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.halt()
	a.turn.leave(&a.desk.turns)
	a.heavy.leave(&a.desk.heavy)
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
	if !a.running {
		return nil
	}
	used := a.used + time.Since(a.got)
	cpu := a.desk.cpu
	switch {
	case !a.old && used < moment:
		return nil
	case !a.old:
		a.old = true
		if a.turn == queued {
			a.halt()
			if !a.turn.wait(ctx, &a.desk.turns) {
				return a.refuse(a.desk.late(ctx))
			}
			return a.run(ctx, false)
		}
		if cpu.waiting.Load() == 0 {
			return nil
		}
	case used >= slice && cpu.waiting.Load() == 0:
		a.used, a.got = 0, time.Now()
		runtime.Gosched() // whoever decides, receives or acknowledges
		return nil
	case used >= slice:
	case cpu.newcomers.Load() > 0 && !a.kept:
		a.halt()
		return a.run(ctx, true)
	default:
		return nil
	}
	a.halt()
	return a.run(ctx, false)
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
