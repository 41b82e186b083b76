package app

import (
	"testing"
	"time"
)

func TestCrowded(t *testing.T) {
	t.Parallel()
	before := work{batches: 1000, questions: 500}
	for _, c := range []struct {
		what               string
		batches, questions uint64
		want               bool
	}{
		{"nothing", 0, 0, false},
		{"questions alone", 0, 10_000, false},
		{"spans alone", 600, 0, false},
		{"questions beside little", 2, 100, false},
		{"questions beside a flood", 150, 1, true},
	} {
		now := work{before.batches + c.batches, before.questions + c.questions}
		if got := crowded(before, now, 250*time.Millisecond); got != c.want {
			t.Errorf("%s: %t, want %t", c.what, got, c.want)
		}
	}
}
