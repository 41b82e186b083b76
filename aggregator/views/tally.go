package views

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/binnacle-mesh/binnacle/internal/ask"
)

// A tally counts what a selection makes, for the question that it is made for.
type tally struct {
	ctx   context.Context //nolint:containedctx // lives as long as the selection
	ask   *ask.Ask        // nil: somebody asks who is no client
	names bool            // no samples are wanted: the labels themselves become the answer
	steps int             // of work since the last time that others could go first
}

func newTally(ctx context.Context, hints *storage.SelectHints) *tally {
	return &tally{ctx: ctx, ask: ask.Of(ctx), names: hints != nil && hints.Func == "series"}
}

// What things take in memory beside the text that they hold, in bytes.
const (
	candidateBytes = 600 // with its facts
	groupBytes     = 300
	floatBytes     = 16  // a sample of one number
	histogramBytes = 400 // a sample that is a native histogram
)

// yieldAfter is how many series are made between two looks at the time.
const yieldAfter = 256

func (c *tally) yield() error {
	if c.steps++; c.steps%yieldAfter != 0 {
		return nil
	}
	return c.ask.Yield(c.ctx)
}

// hold counts n bytes.
func (c *tally) hold(n int64) error {
	if c == nil || c.ask == nil {
		return nil
	}
	if err := c.yield(); err != nil {
		return err
	}
	return c.ask.Take(n)
}

// rows counts decoded samples of n bytes, and lets others go first.
func (c *tally) rows(n int64) error {
	if c.ask == nil {
		return nil
	}
	if err := c.ask.Yield(c.ctx); err != nil {
		return err
	}
	return c.ask.Take(n)
}

// candidate counts a canonical series with labels of n bytes.
func (c *tally) candidate(n int64) error { return c.hold(candidateBytes + n) }

// series counts a series of a view, which adds n bytes to the labels ls.
func (c *tally) series(ls labels.Labels, n int) error { return c.one(ls, n, floatBytes) }

func (c *tally) one(ls labels.Labels, n int, sample int64) error {
	if c.ask == nil {
		return nil
	}
	if err := c.yield(); err != nil {
		return err
	}
	size := int64(ls.ByteSize()) + int64(n)
	if c.names {
		size += jsonBytes(ls) + int64(n)
		sample = 0
	}
	return c.ask.Series(size, sample)
}

// jsonBytes is what labels take in JSON.
func jsonBytes(ls labels.Labels) (n int64) {
	ls.Range(func(l labels.Label) {
		n += int64(len(l.Name)+len(l.Value)) + 6
		for i := range len(l.Value) {
			if b := l.Value[i]; b < ' ' || b == '"' || b == '\\' || b == '<' || b == '>' || b == '&' || b >= 0x80 {
				n += 5
			}
		}
	})
	return n
}

// countedSet is stored series, counted as they are handed on.
type countedSet struct {
	storage.SeriesSet
	count *tally
	err   error
}

func (s *countedSet) Next() bool {
	if s.err != nil || !s.SeriesSet.Next() {
		return false
	}
	s.err = s.count.one(s.SeriesSet.At().Labels(), 0, histogramBytes)
	return s.err == nil
}

func (s *countedSet) Err() error {
	if s.err != nil {
		return s.err
	}
	return s.SeriesSet.Err()
}
