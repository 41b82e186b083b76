package ask

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// An Account is a part of the server's memory; *ledger.Account is one.
type Account interface {
	Take(n int64) bool
	Give(n int64)
}

// Limits bound one question.
type Limits struct {
	Bytes  int64 // that it may hold
	Series int64 // that it may touch, those of views counted each
	Answer int64 // bytes of its answer
}

// A Desk is where questions are opened. It is safe for concurrent use.
type Desk struct {
	limits  Limits
	memory  Account
	turns   line // of questions under way
	heavy   line // of those of them that go through much
	cpu     *processors
	refused *prometheus.CounterVec
}

// New is a desk whose questions hold memory of an account, of which so many may be under way, and which compute on so many processors
// at once, at least one.
func New(limits Limits, places Places, memory Account, processors int, reg prometheus.Registerer) (*Desk, error) {
	d := &Desk{limits: limits, memory: memory, turns: newLine(places.UnderWay, places.Waiting), heavy: newLine(places.Heavy, places.Waiting), cpu: newProcessors(processors), refused: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "binnacle_query_refused_total",
		Help: "Questions that were ended for what they cost: bytes, series and answer (beyond what one question may have), memory (beyond what all may hold).",
	}, []string{"reason"})}
	for _, c := range []prometheus.Collector{d.refused, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "binnacle_query_waiting", Help: "Questions that wait for a processor.",
	}, func() float64 { return float64(d.cpu.waiting.Load()) })} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("questions: register metrics: %w", err)
		}
	}
	return d, nil
}

// Limits is what bounds one question.
func (d *Desk) Limits() Limits { return d.limits }

// A LimitError says that a question is more than one question may be. It is safe to show.
type LimitError struct{ Detail string }

// Error says which limit was met, and how to ask for less.
func (e *LimitError) Error() string { return e.Detail }

// A BusyError says that there is no room for the question now. It is safe to show.
type BusyError struct {
	Detail string
	Reason string // queue (as many wait as may), busy (its turn did not come in time), memory
	cause  error
}

// Unwrap is why it was not waited for any longer, nil where it was not waited for.
func (e *BusyError) Unwrap() error { return e.cause }

// Error says what is full.
func (e *BusyError) Error() string { return e.Detail }

// An Ask is one question under way. It is safe for concurrent use; a nil one counts nothing.
type Ask struct {
	desk    *Desk
	held    atomic.Int64
	series  atomic.Int64
	closed  atomic.Bool
	refusal atomic.Pointer[BusyError]

	mu      sync.Mutex // held by who waits on the question's behalf
	turn    standing
	heavy   standing
	running bool          // it has a processor
	got     time.Time     // when it got it
	used    time.Duration // of its slice, before that
	old     bool          // it has computed for a moment
	kept    bool          // who is new does not interrupt it

	shape  shape
	points atomic.Int64 // bytes taken for samples
}

// shape is what a series costs beside its labels as they are read.
type shape struct {
	by, plus  float64 // a series of n bytes of labels becomes one of by*n + plus
	steps     int64   // samples of each
	maxPoints int64   // bytes of samples that the engine lets a query have; 0 is none
}

type key struct{}

// Open opens a question. Close must be called.
func (d *Desk) Open(ctx context.Context) (context.Context, *Ask) {
	if d == nil {
		return ctx, nil
	}
	a := &Ask{desk: d, shape: shape{by: 1}}
	return context.WithValue(ctx, key{}, a), a
}

// Of is the question that ctx belongs to, nil where it belongs to none.
func Of(ctx context.Context) *Ask {
	a, _ := ctx.Value(key{}).(*Ask)
	return a
}

// Close gives back all that the question holds.
func (a *Ask) Close() {
	if a == nil || a.closed.Swap(true) {
		return
	}
	a.Rest()
	if n := a.held.Swap(0); n > 0 {
		a.desk.memory.Give(n)
	}
}

// Take counts n bytes that are about to be made. An error is a *LimitError or a *BusyError.
func (a *Ask) Take(n int64) error {
	if a == nil || n <= 0 {
		return nil
	}
	d := a.desk
	if a.held.Add(n) > d.limits.Bytes {
		a.held.Add(-n)
		d.refused.WithLabelValues("bytes").Inc()
		return &LimitError{fmt.Sprintf("the question needs more than the %s of memory that one may have (api.max_query_bytes); ask for fewer series, a shorter range or less at a time", size(d.limits.Bytes))}
	}
	if !d.memory.Take(n) {
		a.held.Add(-n)
		d.refused.WithLabelValues("memory").Inc()
		return a.refuse(&BusyError{Reason: "memory", Detail: "there is no memory left for it beside the other questions under way (memory.limit_bytes bounds all); ask again later, or for less"})
	}
	return nil
}

// Give gives back n bytes that were taken before.
func (a *Ask) Give(n int64) {
	if a == nil || n <= 0 {
		return
	}
	a.held.Add(-n)
	a.desk.memory.Give(n)
}

// Keep gives back all but n bytes: what is left when the answer is there and all that it was made of is not needed any more.
func (a *Ask) Keep(n int64) { a.Give(a.Held() - n) }

// Held is how many bytes the question holds.
func (a *Ask) Held() int64 {
	if a == nil {
		return 0
	}
	return a.held.Load()
}

// Refusal is why the question was ended for the sake of others, nil where it was not.
func (a *Ask) Refusal() *BusyError {
	if a == nil {
		return nil
	}
	return a.refusal.Load()
}

// Shape says what becomes of series: labels of n bytes grow to by*n + plus, each has so many samples, and all samples together take
// at most maxPoints bytes. It is called before the first series is counted.
func (a *Ask) Shape(by, plus float64, steps, maxPoints int64) {
	if a != nil {
		a.shape = shape{max(by, 1), plus, steps, maxPoints}
	}
}

// seriesBytes is what a series takes beside labels and samples, in the store's reader and in the engine.
const seriesBytes = 200

// Series counts a series that is about to be made, by the bytes of its labels and of one of its samples.
func (a *Ask) Series(labels, sample int64) error {
	if a == nil {
		return nil
	}
	d := a.desk
	if n := a.series.Add(1); n > d.limits.Series {
		if n == d.limits.Series+1 {
			d.refused.WithLabelValues("series").Inc()
		}
		return &LimitError{fmt.Sprintf("the question touches more than the %d series that one may (promql.max_series); name a metric and more labels, or ask for a part at a time", d.limits.Series)}
	}
	points := sample * a.shape.steps
	if left := a.shape.maxPoints - a.points.Load(); points > left {
		points = max(left, 0)
	}
	a.points.Add(points)
	grown := float64(labels)*a.shape.by + a.shape.plus
	return a.Take(seriesBytes + int64(min(grown, math.MaxInt64/4)) + points)
}

// Answer counts n bytes of the answer, of which before were counted already.
func (a *Ask) Answer(before, n int64) error {
	if a == nil {
		return nil
	}
	if most := a.desk.limits.Answer; before+n > most {
		a.desk.refused.WithLabelValues("answer").Inc()
		return &LimitError{fmt.Sprintf("the answer would be longer than %s (api.max_answer_bytes); ask for fewer series, a longer step, a shorter range or fewer traces", size(most))}
	}
	return a.Take(n)
}

// size writes a number of bytes.
func size(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}
