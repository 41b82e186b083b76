package collector

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/internal/ledger"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// An Appender makes batches durable.
//
// Append returns when the batch is on disk (I1), or with the reason why it is
// not: telemetry.ErrOverloaded, telemetry.ErrClosed, the context's error, or the
// disk's. It takes the batch over in every case: the caller must not touch it
// after the call, and the appender gives it back to the [Pool] when the last sink
// has returned. It is safe for concurrent use.
type Appender interface {
	Append(ctx context.Context, b *telemetry.Batch) (telemetry.Position, error)
}

// A Collector is what all receivers share: the log behind them, the bytes in
// flight, and the counters. It is safe for concurrent use.
type Collector struct {
	cfg      Config
	limits   atomic.Pointer[Limits] // those in force: a reload may change them
	log      Appender
	pool     *Pool
	now      func() time.Time
	messages *ledger.Account // bytes in flight
	streams  *ledger.Account // of streams that stay, between messages
	vectors  *vectors
	queue    queue
	lanes    lanes
	serial   atomic.Uint64
}

// New makes a collector that appends to log. now is the wall clock, by which batches are
// stamped with the time of their arrival (Batch.Received). Bytes in flight are counted in the ledger's account "messages"; a nil
// ledger is one of their own. Close ends it.
func New(cfg Config, memory *ledger.Ledger, log Appender, pool *Pool, reg prometheus.Registerer, now func() time.Time) (*Collector, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	if memory == nil {
		memory = ledger.New(cfg.MaxInflightBytes, nil)
	}
	c := &Collector{
		cfg: cfg, messages: memory.Account("messages", cfg.MaxInflightBytes), streams: memory.Account("streams", memory.Limit()/streamsShare),
		log: log, pool: pool, now: now,
	}
	c.SetLimits(cfg.Limits)
	v, err := newVectors(reg, func() float64 { return float64(c.messages.Used()) })
	if err != nil {
		return nil, err
	}
	c.vectors = v
	c.queue.start()
	return c, nil
}

// SetLimits puts other limits in force, for the messages that begin from now on.
// They must be valid, see [Config.Validate].
func (c *Collector) SetLimits(l Limits) { c.limits.Store(&l) }

// Intake returns the way in for the receiver of one protocol, whose name is the label
// protocol of the counters.
func (c *Collector) Intake(protocol string) *Intake {
	return &Intake{c: c, counters: c.vectors.of(protocol)}
}

// An Intake is the collector as one protocol's receiver uses it: Admit, Fill,
// decode, Append, Leave. It is safe for concurrent use.
type Intake struct {
	c        *Collector
	counters counters
}

// Config is what the collector was made with. Its limits may have changed since:
// those of a message are in its [Fill].
func (in *Intake) Config() *Config { return &in.c.cfg }

// Admit reserves n bytes for a message, or refuses it: the server holds too much, or too much of this sender's (see [Sender.Hold]), who
// may be nil. Each admission must be followed by a Leave of as many bytes by the same sender.
func (in *Intake) Admit(from *Sender, n int) error {
	a := in.c.messages
	if from.Hold(a, int64(n)) {
		return nil
	}
	share := ""
	if from != nil {
		share = fmt.Sprintf(", of which a sender may have as much as is free, and this one has %d", from.Held())
	}
	return in.Refuse(&Refusal{
		Reason:     Overloaded,
		RetryAfter: in.c.cfg.RetryDelay,
		Err: fmt.Errorf("%w: %d bytes more would be in flight beside %d, the limit is %d (receive.max_inflight_bytes)%s",
			telemetry.ErrOverloaded, n, a.Used(), a.Limit(), share),
	})
}

// Leave gives back what Admit reserved.
func (in *Intake) Leave(from *Sender, n int) { from.Release(in.c.messages, int64(n)) }

// streamsShare is the part of the memory for clients that streams may hold which stay though nothing comes by them: one in so many.
const streamsShare = 8

// streamBytes is what such a stream holds: what gRPC lets its client send before it is read, a goroutine, and what is known of who sends.
const streamBytes = 64<<10 + 16<<10

// OpenStream admits a stream that stays, or refuses it: as Admit does a message, a sender may have as many as are free. It is to be followed
// by a CloseStream.
func (in *Intake) OpenStream(from *Sender) error {
	a := in.c.streams
	if from == nil && a.Take(streamBytes) || from != nil && hold(&from.streams, a, streamBytes) {
		return nil
	}
	return in.Refuse(&Refusal{
		Reason: Overloaded, RetryAfter: in.c.cfg.RetryDelay,
		Err: fmt.Errorf("%w: too many streams are open, of this connection or in all; each counts as %d bytes of memory.limit_bytes", telemetry.ErrOverloaded, streamBytes),
	})
}

// CloseStream gives back what OpenStream admitted.
func (in *Intake) CloseStream(from *Sender) {
	if from != nil {
		from.streams.Add(-streamBytes)
	}
	in.c.streams.Give(streamBytes)
}

// Inflight is how many bytes are admitted now, over all protocols.
func (in *Intake) Inflight() int64 { return in.c.messages.Used() }

// Refuse counts a refusal, and returns it.
func (in *Intake) Refuse(r *Refusal) *Refusal {
	in.counters.refused[r.Reason].Inc()
	return r
}

// Begin prepares f for the content of a message: an empty batch out of the pool, the
// limits in force, and all counts at zero.
func (in *Intake) Begin(f *Fill) {
	*f = Fill{Batch: in.c.pool.Get(), Limits: in.c.limits.Load(), Serial: in.c.serial.Add(1), in: in, messages: 1}
	f.Batch.Received = in.c.now().UnixNano()
}

// Abandon gives the batch back unused: the message was malformed.
func (in *Intake) Abandon(f *Fill) {
	in.c.pool.Put(f.Batch)
	f.Batch = nil
}

// Append makes what f holds durable, and counts it; size is the message's, in
// bytes. The error is a *Refusal, already counted. Either way f's batch is gone.
//
// What was dropped and repaired is counted only where the message was taken,
// since a sender that is refused will send the same again.
func (in *Intake) Append(ctx context.Context, f *Fill, size int) error {
	b := f.Batch
	f.Batch = nil
	spans, requests := len(b.Spans), len(b.Requests)
	if spans+requests == 0 {
		in.c.pool.Put(b)
	} else if _, err := in.c.log.Append(ctx, b); err != nil {
		return in.Refuse(appendRefusal(err, in.c.cfg.RetryDelay))
	}
	in.counters.messages.Add(float64(f.messages))
	in.counters.bytes.Add(float64(size))
	in.counters.spans.Add(float64(spans))
	in.counters.requests.Add(float64(requests))
	in.count(f)
	return nil
}

func (in *Intake) count(f *Fill) {
	for i, n := range f.dropped {
		if n != 0 {
			in.counters.dropped[i].Add(float64(n))
		}
	}
	for i, n := range f.omitted {
		if n != 0 {
			in.counters.omitted[i].Add(float64(n))
		}
	}
	for i, n := range f.repaired {
		if n != 0 {
			in.counters.repaired[i].Add(float64(n))
		}
	}
}

// Dropped counts n access log entries that were lost though nothing was wrong with
// them: there was no room, or the log could not be written.
func (in *Intake) Dropped(d Drop, n int) { in.counters.dropped[d].Add(float64(n)) }
