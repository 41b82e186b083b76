package attack

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"
)

// TestProcess stops the process and moves its clock.
func TestProcess(t *testing.T) {
	runAll(t, []attack{
		{name: "stopped and continued", deaths: true, do: stopped},
		{name: "clock stepped", do: steppedClock},
	})
}

// stopped stops the process for as long as a laptop's lid is closed, in short; clients wait.
func stopped(_ context.Context, w *world, h *honest, _ *tally) (string, error) {
	length := time.Duration(sized(5, 20)) * time.Second
	for range sized(1, 3) {
		if err := errors.Join(syscall.Kill(w.pid(), syscall.SIGSTOP)); err != nil {
			return "", err
		}
		time.Sleep(length)
		if err := syscall.Kill(w.pid(), syscall.SIGCONT); err != nil {
			return "", err
		}
		time.Sleep(2 * time.Second)
	}
	c := h.counts()
	return fmt.Sprintf("stopped for %v; %d exports without an answer", length, c.unknown), nil
}

// steppedClock steps the server's clock of the day, there and back. What it takes stays exact; a quota used up stays used up, in whatever direction
// the clock steps within its window.
func steppedClock(ctx context.Context, w *world, _ *honest, _ *tally) (string, error) {
	clock, err := takeClock(w.pid())
	if err != nil {
		return "", err
	}
	cc, err := dial(w.rls)
	if err != nil {
		return "", err
	}
	defer cc.Close()
	granted := 0
	ask := func(times int) error {
		for range times {
			reply, err := call(ctx, cc, quotaMethod, question("honest", "exact", "stepped"))
			if err != nil {
				return err
			}
			if allowed(reply) {
				granted++
			}
		}
		return nil
	}
	// Steps within the day on which the test runs; a limit a day is granted once.
	midnight := time.Now().UTC().Truncate(24 * time.Hour)
	back := min(time.Hour, time.Since(midnight)/2)
	ahead := min(time.Hour, time.Until(midnight.Add(24*time.Hour))/2)
	for _, step := range []time.Duration{0, ahead, -back, 0, 2 * time.Second, -2 * time.Second, 0} {
		if err := clock.set(step); err != nil {
			return "", err
		}
		if err := ask(20); err != nil {
			return "", fmt.Errorf("a quota question with the clock stepped by %v: %w", step, err)
		}
		time.Sleep(700 * time.Millisecond)
	}
	saw := fmt.Sprintf("stepped by %v, %v, 2 s and back: a quota of 50 a day granted %d of 140", ahead.Round(time.Minute), -back.Round(time.Minute), granted)
	if granted != 50 {
		return saw, fmt.Errorf("a quota of 50 a day granted %d while the clock stepped within the day", granted)
	}
	return saw, nil
}
