package app

import (
	"sync"
	"testing"
	"time"
)

// TestTurnIsOnes has many take the turn: those who got it must have it alone.
func TestTurnIsOnes(t *testing.T) {
	t.Parallel()
	tn := newTurn(2)
	var alone sync.Mutex // TryLock fails if two have the turn
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 500 {
				taken := tn.take()
				if taken && !alone.TryLock() {
					t.Error("two have the turn")
				} else if taken {
					alone.Unlock()
				}
				tn.give(taken)
			}
		})
	}
	all.Wait()
}

// TestTurnIsNotWaitedForInVain: whoever stands still with the turn costs the others one wait, and not one a step.
func TestTurnIsNotWaitedForInVain(t *testing.T) {
	t.Parallel()
	tn := newTurn(1)
	if !tn.take() {
		t.Fatal("nobody had the turn, and yet it was not given")
	}
	if tn.take() {
		t.Fatal("the turn was given twice")
	}
	const steps = 1000 // with a wait each they would take seconds, and `late` says that none waits
	for range steps {
		if !tn.late.Load() {
			t.Fatal("the one who stands still is still waited for")
		}
		taken := tn.take()
		tn.give(taken)
		if taken {
			t.Fatal("the turn was given twice")
		}
	}
	tn.give(true)
	if taken := tn.take(); !taken || tn.late.Load() {
		t.Fatal("the turn that was given back is not to be had")
	}
}

func TestManyProcessorsHaveNoTurns(t *testing.T) {
	t.Parallel()
	tn := newTurn(8)
	for range 2 * int(patience/time.Millisecond) {
		if tn.take() {
			t.Fatal("a turn was taken")
		}
	}
	tn.give(false)
}
