package app

import (
	"runtime"
	"sync/atomic"
	"time"
)

// A turn keeps followers from computing at the same time where processors are few.
//
// The problem: on two processors two followers at work leave none to those who receive and acknowledge, until the runtime
// takes one back, up to 10 ms later. The median of an acknowledgement flat out was 5 % longer for it (ADR 017).
//
// A follower takes the turn for each step, which is a record. One that stands still in its store, on a disk or a server, does not compute:
// after patience nobody waits for it, until it gives the turn back.
//
// Not chosen: one goroutine for all followers (ADR 005): there one that stands still stalls the others.
//
// A nil turn is for machines with processors enough: nobody waits. It is safe for concurrent use.
type turn struct {
	free chan struct{} // holds the turn while nobody has it
	late atomic.Bool   // whoever has it has had it for too long
}

// patience is how long a follower waits for its turn: several steps of records of usual size.
const patience = 5 * time.Millisecond

// newTurn is the turn for a machine with so many processors.
func newTurn(processors int) *turn {
	if processors > 2 {
		return nil
	}
	t := &turn{free: make(chan struct{}, 1)}
	t.free <- struct{}{}
	return t
}

// take waits for the turn, and says whether it is to be given back. Where not, the caller goes on without.
func (t *turn) take() (taken bool) {
	if t == nil {
		return false
	}
	select {
	case <-t.free:
		return true
	default:
	}
	if t.late.Load() {
		return false
	}
	wait := time.NewTimer(patience)
	defer wait.Stop()
	select {
	case <-t.free:
		return true
	case <-wait.C:
		t.late.Store(true)
		return false
	}
}

// give gives the turn back, if it was taken, and lets those go first that receive and answer.
func (t *turn) give(taken bool) {
	if taken {
		t.late.Store(false)
		t.free <- struct{}{}
	}
	runtime.Gosched()
}
