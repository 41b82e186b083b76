package ask

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// A client is one question of the model: when it comes, what it costs, and how it ends.
type client struct {
	At, Leaves time.Duration // Leaves: after At, the client is gone; 0 is never
	Heavy      bool
	Steps      int
	Step       time.Duration // it pauses after each
	End        string        // answered; panics; wrong, which is found when it is parsed
	Sends      time.Duration // the answer, to a client who reads slowly
}

var errGone = errors.New("panicked")

func drawClient(t *rapid.T) client {
	c := client{
		At:    time.Duration(rapid.IntRange(0, 50).Draw(t, "at")) * 100 * time.Millisecond, // so that much happens at the same moment
		Heavy: rapid.IntRange(0, 2).Draw(t, "kind") == 0,
		End:   rapid.SampledFrom([]string{"answered", "answered", "panics", "wrong"}).Draw(t, "end"),
	}
	if rapid.IntRange(0, 3).Draw(t, "goes") == 0 {
		c.Leaves = time.Duration(rapid.IntRange(1, 30).Draw(t, "leaves")) * 100 * time.Millisecond
	}
	if rapid.IntRange(0, 3).Draw(t, "reads") == 0 {
		c.Sends = 20 * time.Second
	}
	switch {
	case c.Heavy: // without a pause
		c.Steps, c.Step = 1, time.Duration(rapid.IntRange(1, 400).Draw(t, "computes"))*100*time.Millisecond
	case rapid.Bool().Draw(t, "short"):
		c.Steps, c.Step = 1, time.Millisecond
	default:
		c.Steps, c.Step = rapid.IntRange(2, 500).Draw(t, "steps"), 4*time.Millisecond
	}
	return c
}

// gateWatch is what the model sees of all questions at once.
type gateWatch struct {
	d                *Desk
	places           Places
	computing, heavy atomic.Int64
	mu               sync.Mutex
	faults           []string
}

func (g *gateWatch) fault(format string, args ...any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults = append(g.faults, fmt.Sprintf(format, args...))
}

// look holds the gate to its bounds. A question that computes as it leaves is counted for an instant too long by nobody: counts are
// taken around what is computed alone.
func (g *gateWatch) look() {
	p := g.d.cpu
	p.mu.Lock()
	most := int64(p.places + p.lent)
	p.mu.Unlock()
	if n := g.computing.Load(); n > most {
		g.fault("%d compute on %d places", n, most)
	}
	if n := len(g.d.turns.taken); n > g.places.UnderWay {
		g.fault("%d are under way, %d may be", n, g.places.UnderWay)
	}
	if n := g.heavy.Load(); n > int64(g.places.Heavy) {
		g.fault("%d that go through much compute", n)
	}
	for _, l := range []*line{&g.d.turns, &g.d.heavy} {
		if n := l.waiting.Load(); n > l.most {
			g.fault("%d wait, %d may", n, l.most)
		}
	}
}

// serve is what the web port does with a question.
func (g *gateWatch) serve(ctx context.Context, c client) (err error) {
	ctx, a := g.d.Open(ctx)
	defer func() {
		if v := recover(); v != nil {
			err = errGone
		}
	}()
	defer a.Close()
	if err := a.Begin(ctx); err != nil {
		return err
	}
	if c.End == "wrong" {
		return nil
	}
	if c.Heavy {
		if err := a.Heavy(ctx); err != nil {
			return err
		}
		g.heavy.Add(1)
		defer g.heavy.Add(-1)
	}
	for range c.Steps {
		g.computing.Add(1)
		g.look()
		select {
		case <-time.After(c.Step):
		case <-ctx.Done(): // the engine looks at its context
		}
		g.computing.Add(-1)
		if err := a.Yield(ctx); err != nil {
			return err
		}
	}
	if c.End == "panics" {
		panic("off by one")
	}
	if c.Heavy {
		g.heavy.Add(-1)
		defer g.heavy.Add(1)
	}
	a.Rest()
	time.Sleep(c.Sends)
	return nil
}

// Whatever questions come, and however they end: no more compute, are under way, go through much or wait than may; who is short is
// answered soon or refused at once; nobody waits for ever; and at the end every place is free.
func TestGateModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		places := Places{UnderWay: rapid.SampledFrom([]int{1, 2, 4, 16}).Draw(rt, "under way"), Waiting: rapid.SampledFrom([]int{0, 1, 3, 64}).Draw(rt, "waiting")}
		places.Heavy = max(1, places.UnderWay/8)
		processors := rapid.IntRange(1, 3).Draw(rt, "processors")
		clients := rapid.SliceOfN(rapid.Custom(drawClient), 1, 40).Draw(rt, "clients")
		const timeout = 30 * time.Second
		var faults []string
		synctest.Test(t, func(t *testing.T) {
			d, memory := desk(t, Limits{Bytes: 1 << 20, Series: 1, Answer: 1}, 1<<30, processors)
			d.turns, d.heavy = newLine(places.UnderWay, places.Waiting), newLine(places.Heavy, places.Waiting)
			g := &gateWatch{d: d, places: places}
			var wg sync.WaitGroup
			for _, c := range clients {
				wg.Go(func() {
					time.Sleep(c.At)
					ctx, cancel := context.WithTimeout(context.Background(), timeout)
					defer cancel()
					if c.Leaves > 0 {
						defer time.AfterFunc(c.Leaves, cancel).Stop()
					}
					began := time.Now()
					err := g.serve(ctx, c)
					took := time.Since(began)
					if err == nil {
						took -= c.Sends
					}
					var busy *BusyError
					switch {
					case err == nil, errors.Is(err, errGone):
						if c.Sends == 0 && !c.Heavy && c.Steps == 1 && took > time.Second {
							g.fault("%+v took %s", c, took)
						}
					case errors.As(err, &busy) && busy.Reason == "queue":
						if !c.Heavy && took > 0 {
							g.fault("%+v was refused after %s", c, took)
						}
					case errors.As(err, &busy) && busy.Reason == "busy":
						if took < timeout {
							g.fault("%+v was given up after %s", c, took)
						}
						if !c.Heavy && c.Steps == 1 {
							g.fault("%+v never had its turn", c)
						}
					case ctx.Err() == nil:
						g.fault("%+v ended with %v", c, err)
					}
				})
			}
			wg.Wait() // for ever, and so a deadlock that synctest tells, where a place is lost
			if p := d.cpu; p.free != p.places || p.lent != 0 || p.waiting.Load() != 0 || p.newcomers.Load() != 0 || len(p.fresh)+len(p.old) != 0 {
				g.fault("at the end %d of %d processors are free, %d lent, %d wait", p.free, p.places, p.lent, p.waiting.Load())
			}
			for _, l := range []*line{&d.turns, &d.heavy} {
				if len(l.taken) != 0 || l.waiting.Load() != 0 {
					g.fault("at the end %d places of a line are taken, %d wait", len(l.taken), l.waiting.Load())
				}
			}
			if n := memory.held.Load(); n != 0 {
				g.fault("%d bytes are held by nobody", n)
			}
			faults = g.faults
		})
		for _, f := range faults {
			rt.Error(f)
		}
	})
}

// running is a desk with questions that compute in steps of so long, so often, each on a goroutine of its own.
type running struct {
	t  *testing.T
	d  *Desk
	wg sync.WaitGroup
}

func (r *running) ask(heavy bool, steps int, step time.Duration) {
	r.wg.Go(func() {
		ctx, a := r.d.Open(context.Background())
		defer a.Close()
		if err := a.Begin(ctx); err != nil {
			r.t.Error(err)
			return
		}
		if heavy {
			if err := a.Heavy(ctx); err != nil {
				r.t.Error(err)
			}
		}
		for range steps {
			time.Sleep(step)
			if err := a.Yield(ctx); err != nil {
				r.t.Error(err)
			}
		}
	})
}

// timed is how long such a question takes.
func (r *running) timed(steps int, step time.Duration) time.Duration {
	began := time.Now()
	one := running{t: r.t, d: r.d}
	one.ask(false, steps, step)
	one.wg.Wait()
	return time.Since(began)
}

// Those that wait to go through much hold no place that others wait for.
func TestHeavyWaitOutside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := desk(t, Limits{Bytes: 1, Series: 1, Answer: 1}, 1, 1)
		d.turns, d.heavy = newLine(4, 64), newLine(1, 64)
		r := running{t: t, d: d}
		for range 8 {
			r.ask(true, 1, 10*time.Second)
		}
		time.Sleep(time.Second)
		if took := r.timed(20, 5*time.Millisecond); took > time.Second {
			t.Errorf("a search of 100 ms beside eight heavy ones took %s", took)
		}
		r.wg.Wait()
	})
}

// However many new ones come, who is not new goes on.
func TestNewOnesStarveNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := desk(t, Limits{Bytes: 1, Series: 1, Answer: 1}, 1, 1)
		r := running{t: t, d: d}
		for range 50 { // of whom each comes again at once
			r.wg.Go(func() {
				for range 100 {
					r.timed(1, 4*time.Millisecond)
				}
			})
		}
		time.Sleep(time.Second)
		if took := r.timed(100, 4*time.Millisecond); took > 2*time.Second {
			t.Errorf("a search of 400 ms beside nothing but new ones took %s", took)
		}
		r.wg.Wait()
	})
}

// A place that was lent is taken back when the one that made no pause has ended, though others still wait.
func TestWhatIsLentIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := desk(t, Limits{Bytes: 1, Series: 1, Answer: 1}, 1, 1)
		r := running{t: t, d: d}
		r.ask(false, 1, 2*time.Second)
		time.Sleep(time.Millisecond)
		for range 8 {
			r.ask(false, 1000, 4*time.Millisecond)
		}
		lent := func() int {
			d.cpu.mu.Lock()
			defer d.cpu.mu.Unlock()
			return d.cpu.lent
		}
		time.Sleep(time.Second)
		if n := lent(); n != 1 {
			t.Errorf("%d places are lent beside one that makes no pause", n)
		}
		time.Sleep(2 * time.Second)
		if n := lent(); n != 0 || d.cpu.waiting.Load() == 0 {
			t.Errorf("%d places are lent when it has ended", n)
		}
		r.wg.Wait()
	})
}

// A place that is given just when its waiter leaves is not lost.
func TestGivenAndGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 100 { // which of the two the waiter sees is chance
			p := newProcessors(1)
			if _, err := p.enter(context.Background(), true, false); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			got := make(chan error)
			go func() {
				_, err := p.enter(ctx, true, false)
				got <- err
			}()
			synctest.Wait()
			p.leave(0)
			cancel()
			if err := <-got; err == nil {
				p.leave(0)
			}
			if p.free != 1 {
				t.Fatal("a place was lost")
			}
		}
	})
}
