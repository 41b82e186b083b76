package ask

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// account is memory of a fixed size.
type account struct{ held, limit atomic.Int64 }

func (a *account) Take(n int64) bool {
	if a.held.Add(n) > a.limit.Load() {
		a.held.Add(-n)
		return false
	}
	return true
}

func (a *account) Give(n int64) { a.held.Add(-n) }

func desk(t *testing.T, l Limits, memory int64, processors int) (*Desk, *account) {
	t.Helper()
	a := &account{}
	a.limit.Store(memory)
	d, err := New(l, Places{UnderWay: 100, Waiting: 100}, a, processors, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return d, a
}

func TestWhatAQuestionHolds(t *testing.T) {
	t.Parallel()
	d, memory := desk(t, Limits{Bytes: 10_000, Series: 3, Answer: 500}, 15_000, 1)
	ctx, a := d.Open(context.Background())
	if Of(ctx) != a {
		t.Fatal("the question is not in its context")
	}
	var limit *LimitError
	var busy *BusyError
	if err := a.Take(9000); err != nil {
		t.Fatal(err)
	}
	if err := a.Take(2000); !errors.As(err, &limit) {
		t.Errorf("more than one question may have is answered %v", err)
	}
	_, b := d.Open(context.Background())
	if err := b.Take(7000); !errors.As(err, &busy) || b.Refusal() == nil || a.Refusal() != nil {
		t.Errorf("more than all may have is answered %v", err)
	}
	a.Give(4000)
	if err := b.Take(7000); err != nil {
		t.Errorf("what was given back is not there: %v", err)
	}
	b.Keep(100)
	if b.Held() != 100 || memory.held.Load() != 5100 {
		t.Errorf("b holds %d, all %d", b.Held(), memory.held.Load())
	}
	if err := a.Answer(400, 101); !errors.As(err, &limit) {
		t.Errorf("an answer that is too long is answered %v", err)
	}
	a.Close()
	a.Close()
	b.Close()
	if n := memory.held.Load(); n != 0 {
		t.Errorf("%d bytes are held by nobody", n)
	}
	for reason, want := range map[string]float64{"bytes": 1, "memory": 1, "answer": 1, "series": 0} {
		if n := testutil.ToFloat64(d.refused.WithLabelValues(reason)); n != want {
			t.Errorf("%s: counted %v, want %v", reason, n, want)
		}
	}
}

func TestSeries(t *testing.T) {
	t.Parallel()
	d, _ := desk(t, Limits{Bytes: 1 << 30, Series: 3, Answer: 1}, 1<<30, 1)
	_, a := d.Open(context.Background())
	defer a.Close()
	a.Shape(4, 50, 100, 2000)
	var limit *LimitError
	for n := range 5 {
		err := a.Series(10, 16)
		if (n >= 3) != errors.As(err, &limit) {
			t.Errorf("series %d is answered %v", n+1, err)
		}
	}
	// Of each 200, its labels grown to 90, and samples of 1600 until all have 2000.
	if want := int64(3*(200+90) + 2000); a.Held() != want {
		t.Errorf("holds %d, want %d", a.Held(), want)
	}
}

// Who is no client is neither counted nor kept waiting.
func TestNobodysQuestion(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	a := Of(ctx)
	a.Shape(1, 1, 1, 1)
	if err := errors.Join(a.Take(1<<60), a.Series(1<<60, 1), a.Answer(1, 1<<60), a.Begin(ctx), a.Heavy(ctx), a.Yield(ctx)); err != nil {
		t.Error(err)
	}
	if a.Parallel(7) != 7 || a.Held() != 0 || a.Refusal() != nil {
		t.Error("nobody's question is bounded")
	}
	a.Keep(1)
	a.Rest()
	a.Close()
}

// Many questions that compute for long, and one that is short: at no time do more compute than there are processors, and the short one
// is not kept until a long one ends.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := desk(t, Limits{Bytes: 1, Series: 1, Answer: 1}, 1, 2)
		var at, most atomic.Int64
		compute := func(ctx context.Context, a *Ask, steps int) {
			if err := a.Begin(ctx); err != nil {
				t.Error(err)
				return
			}
			for range steps {
				most.Store(max(most.Load(), at.Add(1)))
				time.Sleep(5 * time.Millisecond)
				at.Add(-1)
				if err := a.Yield(ctx); err != nil {
					t.Error(err)
				}
			}
			a.Close()
		}
		var wg sync.WaitGroup
		for range 8 {
			ctx, a := d.Open(context.Background())
			wg.Go(func() { compute(ctx, a, 2000) }) // 10 s each, 40 s together
		}
		time.Sleep(time.Second)
		begin := time.Now()
		ctx, a := d.Open(context.Background())
		compute(ctx, a, 1)
		if took := time.Since(begin); took > time.Second {
			t.Errorf("a short question waited %s", took)
		}
		wg.Wait()
		if most.Load() > 2 {
			t.Errorf("%d computed at once", most.Load())
		}
		// Who leaves while it waits takes nothing with it.
		ctx1, first := d.Open(context.Background())
		ctx2, second := d.Open(context.Background())
		if err := errors.Join(first.Begin(ctx1), second.Begin(ctx2)); err != nil {
			t.Fatal(err)
		}
		gone, cancel := context.WithTimeout(context.Background(), overdue/2-time.Millisecond)
		defer cancel()
		_, third := d.Open(gone)
		if err := third.Begin(gone); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who waits for ever is told %v", err)
		}
		third.Close()
		first.Rest()
		_, fourth := d.Open(context.Background())
		if err := fourth.Begin(context.Background()); err != nil {
			t.Errorf("the processor of one that rests is not free: %v", err)
		}
		for _, a := range []*Ask{first, second, fourth} {
			a.Close()
		}
		if d.cpu.free != 2 || d.cpu.waiting.Load() != 0 {
			t.Errorf("%d processors are free, %d wait", d.cpu.free, d.cpu.waiting.Load())
		}
	})
}

// Two compute without a pause on the only place; whoever comes beside them does not wait for their end, and no more compute than may.
func TestPlacesAreLent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := desk(t, Limits{Bytes: 1, Series: 1, Answer: 1}, 1, 1)
		var wg sync.WaitGroup
		for range 2 {
			ctx, a := d.Open(context.Background())
			wg.Go(func() {
				if err := a.Begin(ctx); err != nil {
					t.Error(err)
				}
				time.Sleep(30 * time.Second)
				a.Close()
			})
		}
		time.Sleep(time.Second)
		for range 10 {
			begin := time.Now()
			ctx, a := d.Open(context.Background())
			if err := a.Begin(ctx); err != nil {
				t.Error(err)
			}
			if took := time.Since(begin); took > 2*overdue {
				t.Errorf("a short question waited %s", took)
			}
			a.Close()
		}
		wg.Wait()
		p := d.cpu
		if p.free != 1 || p.lent != 0 || p.waiting.Load() != 0 {
			t.Errorf("at the end %d places are free, %d lent, and %d wait", p.free, p.lent, p.waiting.Load())
		}
	})
}
