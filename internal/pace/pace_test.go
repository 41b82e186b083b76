package pace

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A step of a sender: it sends so many bytes after so long.
type step struct {
	after time.Duration
	bytes int
}

func often(n int, s step) (out []step) {
	for range n {
		out = append(out, s)
	}
	return out
}

// Whoever keeps the pace is heard out, however much comes; whoever does not is cut off when the credit is spent.
func TestPace(t *testing.T) {
	t.Parallel()
	usual := Pace{Grace: 10 * time.Second, Rate: 1000, Most: 2 * time.Minute}
	for name, c := range map[string]struct {
		pace  Pace
		steps []step
		cut   time.Duration // when, or a little earlier (see below); 0: never
	}{
		"at once":                                {usual, []step{{0, 100_000}}, 0},
		"much over a slow line":                  {usual, often(100, step{time.Second, 1100}), 0},
		"just before the grace is over":          {usual, []step{{9 * time.Second, 10}}, 0},
		"nothing at all":                         {usual, []step{{time.Hour, 1}}, 10 * time.Second},
		"a byte a second":                        {usual, often(3600, step{time.Second, 1}), 10 * time.Second},
		"half the rate":                          {usual, often(3600, step{time.Second, 500}), 20 * time.Second},
		"much at once, and then a byte a second": {usual, append([]step{{0, 1_000_000}}, often(3600, step{time.Second, 1})...), 10 * time.Second},
		"a rest shorter than the grace":          {usual, append(often(20, step{time.Second, 2000}), step{9 * time.Second, 1}), 0},
		"at the rate, but for ever":              {usual, often(3600, step{time.Second, 2000}), 2 * time.Minute},
		"a rate of none":                         {Pace{Grace: 10 * time.Second}, often(3600, step{time.Second, 100_000}), 10 * time.Second},
		"no pace":                                {Pace{}, []step{{time.Hour, 1}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				sum, cut := 0, make(chan struct{})
				var sending sync.WaitGroup
				defer sending.Wait()
				defer close(cut)
				sending.Go(func() {
					defer there.Close()
					for _, s := range c.steps {
						select {
						case <-time.After(s.after):
						case <-cut:
						}
						if _, err := there.Write(make([]byte, s.bytes)); err != nil {
							return
						}
					}
				})
				for _, s := range c.steps {
					sum += s.bytes
				}
				began := time.Now()
				b := c.pace.Follow(here, here)
				n, err := io.Copy(io.Discard, b)
				took := time.Since(began)
				here.Close()
				switch {
				case c.cut == 0 && (err != nil || n != int64(sum) || !b.Over()):
					t.Errorf("cut off after %s and %d of %d bytes: %v", took, n, sum, err)
				case c.cut == 0:
				case !errors.Is(err, os.ErrDeadlineExceeded):
					t.Errorf("%d bytes came in %s: %v", n, took, err)
				// The connection's deadline may lag a sixteenth of the grace behind the credit, which half the rate spends in twice that time;
				// and what comes in steps of a second may be a step late.
				case took > c.cut || took < c.cut-c.pace.Grace/8-time.Second:
					t.Errorf("cut off after %s, want %s", took, c.cut)
				}
			})
		})
	}
}

// When the body has come its deadline is gone.
func TestDeadlineGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer here.Close()
		b := Pace{Grace: time.Second, Rate: 1}.Follow(io.NopCloser(io.LimitReader(here, 1)), here)
		go func() {
			_, _ = there.Write([]byte("a"))
			time.Sleep(time.Hour)
			_, _ = there.Write([]byte("b"))
			there.Close()
		}()
		if _, err := io.Copy(io.Discard, b); err != nil {
			t.Fatal(err)
		}
		if _, err := here.Read(make([]byte, 1)); err != nil {
			t.Errorf("what comes after the body is cut off: %v", err)
		}
	})
}
