package ask

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
)

// Places say how many questions there may be at once.
type Places struct {
	UnderWay int // that have computed for more than a moment, at least 1
	Heavy    int // of them that go through much, at least 1
	Waiting  int // that wait for that, and as many again that go through much; further ones are refused
}

// A line is places that are taken in the order in which they are asked for, and those who wait for one.
type line struct {
	taken   chan struct{}
	most    int64 // that may wait
	waiting atomic.Int64
}

func newLine(places, waiting int) line {
	return line{taken: make(chan struct{}, max(places, 1)), most: int64(waiting)}
}

// try takes a place that is free. Nobody overtakes those who wait: while one waits none is free.
func (l *line) try() bool {
	select {
	case l.taken <- struct{}{}:
		return true
	default:
		return false
	}
}

// join makes one more wait, if as many may. Whoever has joined calls take or part.
func (l *line) join() bool {
	if l.waiting.Add(1) > l.most {
		l.waiting.Add(-1)
		return false
	}
	return true
}

func (l *line) part() { l.waiting.Add(-1) }

// take waits for a place, or for the end of ctx.
func (l *line) take(ctx context.Context) bool {
	select {
	case l.taken <- struct{}{}:
		l.part()
		return true
	case <-ctx.Done():
		return false // and goes on to wait until it parts
	}
}

func (l *line) leave() { <-l.taken }

// A standing is what a question has of a line.
type standing uint8

const (
	outside standing = iota
	queued           // it has joined
	inside           // it has a place
)

// enter takes a place of the line, or joins it. It is false where no more may wait.
func (s *standing) enter(l *line) bool {
	switch {
	case *s != outside:
	case l.try():
		*s = inside
	case l.join():
		*s = queued
	default:
		return false
	}
	return true
}

// wait waits for a place, for who has joined.
func (s *standing) wait(ctx context.Context, l *line) bool {
	if *s == queued {
		if !l.take(ctx) {
			return false
		}
		*s = inside
	}
	return true
}

// leave gives up what there is.
func (s *standing) leave(l *line) {
	switch *s {
	case inside:
		l.leave()
	case queued:
		l.part()
	}
	*s = outside
}

// crowded is the refusal of who may not even wait.
func (d *Desk) crowded() *BusyError {
	return &BusyError{Reason: "queue", Detail: fmt.Sprintf(
		"%d searches are under way and %d wait, of those that go through much %d and %d; ask again later, or raise api.max_waiting_queries",
		len(d.turns.taken), d.turns.waiting.Load(), len(d.heavy.taken), d.heavy.waiting.Load())}
}

// late is the error of who waited until ctx ended.
func (d *Desk) late(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return context.Canceled
	}
	return &BusyError{Reason: "busy", cause: context.Cause(ctx), Detail: fmt.Sprintf(
		"no place was free in time (%d searches may be under way, and %d of them that go through much); ask again later, ask for less, or raise api.max_concurrent_queries",
		cap(d.turns.taken), cap(d.heavy.taken))}
}
