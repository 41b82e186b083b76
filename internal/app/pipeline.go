package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/storage/checkpoint"
	"github.com/binnacle-mesh/binnacle/storage/wal"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// What is stateful is saved in checkpoints.
type stateful interface {
	Applied() telemetry.Position
	Save(w io.Writer) error
	Load(r io.Reader) error
}

// A durable sink keeps its own state on disk and says how far it is there.
type durable interface {
	telemetry.Sink
	Applied() telemetry.Position
}

// A section is a state under the name that checkpoints know it by.
type section struct {
	name string
	sink stateful
}

// The pipeline is the path from an admitted batch to the sinks.
//
// The problem: a sender waits for durability, and for nothing else; sinks must
// each see every batch once, in log order, whatever fails; what they derive must survive
// a crash without being counted twice; and nothing may queue without bound.
//
//	Append encodes the batch on its caller's goroutine and hands it to the log.
//	The log delivers what is durable, in order, into a short channel.
//	One goroutine takes batches off it and calls the sinks one after another,
//	and between batches it ticks, flushes and checkpoints, so that sinks need no locks of
//	their own and a checkpoint holds all of them at one position.
//	A full channel blocks the log, the log blocks its senders, and admission refuses.
//
// One goroutine a sink was not chosen: all sinks together take about 2 µs a
// span, the graph feeds the signals, and one position for both is what makes a
// checkpoint simple.
type pipeline struct {
	log      *slog.Logger
	wal      *wal.Log
	ckpt     *checkpoint.Dir
	derive   func(telemetry.Entry) error // brings the sections' states one entry on
	sections []section                   // saved together
	blocks   durable
	release  func(*telemetry.Batch)
	every    time.Duration // between checkpoints

	items   chan item
	running bool
	broken  bool          // a sink has failed
	done    chan struct{} // closed when run has returned
	scratch sync.Pool     // *[]byte, to encode into
	saving  sync.WaitGroup
	busy    chan struct{} // capacity 1: a checkpoint is being written
	failed  chan error    // capacity 1

	saved   telemetry.Position // of the newest checkpoint
	applied telemetry.Position // of the entry consumed last
	m       pipelineMetrics
}

type item struct {
	pos   telemetry.Position
	batch *telemetry.Batch
	rec   []byte
}

// queued is how many durable batches may wait for the sinks.
const queued = 32

type pipelineMetrics struct {
	spans, requests, checkpoints prometheus.Counter
	lag                          prometheus.Gauge
	checkpointTime               prometheus.Histogram
}

func newPipeline(log *slog.Logger, reg prometheus.Registerer, every time.Duration, release func(*telemetry.Batch)) *pipeline {
	p := &pipeline{
		log: log, release: release, every: every,
		items: make(chan item, queued), done: make(chan struct{}),
		busy: make(chan struct{}, 1), failed: make(chan error, 1),
	}
	p.scratch.New = func() any { b := make([]byte, 0, 64<<10); return &b }
	p.m = pipelineMetrics{
		spans:       prometheus.NewCounter(prometheus.CounterOpts{Name: "binnacle_pipeline_spans_total", Help: "Spans given to the sinks."}),
		requests:    prometheus.NewCounter(prometheus.CounterOpts{Name: "binnacle_pipeline_requests_total", Help: "Request log entries given to the sinks."}),
		checkpoints: prometheus.NewCounter(prometheus.CounterOpts{Name: "binnacle_pipeline_checkpoints_total", Help: "Checkpoints written."}),
		lag:         prometheus.NewGauge(prometheus.GaugeOpts{Name: "binnacle_pipeline_lag_seconds", Help: "Age of the batch that the sinks saw last, when they saw it."}),
		checkpointTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "binnacle_pipeline_checkpoint_duration_seconds", Help: "Time for which the sinks stood still for a checkpoint.",
			NativeHistogramBucketFactor: 1.1,
		}),
	}
	reg.MustRegister(p.m.spans, p.m.requests, p.m.checkpoints, p.m.lag, p.m.checkpointTime)
	return p
}

// Append makes a batch durable and returns its position; see collector.Appender.
// It takes the batch over in every case.
func (p *pipeline) Append(ctx context.Context, b *telemetry.Batch) (telemetry.Position, error) {
	buf := p.scratch.Get().(*[]byte) //nolint:forcetypeassert // New makes nothing else
	enc := b.AppendRecord(append((*buf)[:0], make([]byte, wal.HeaderBytes)...))
	// A sink may keep the record for minutes: exactly its size.
	rec := append(make([]byte, 0, len(enc)), enc...)
	*buf = enc[:0]
	p.scratch.Put(buf)
	pos, err := p.wal.Append(ctx, rec, func(pos telemetry.Position) {
		p.items <- item{pos, b, rec[wal.HeaderBytes:]}
	})
	if err != nil {
		// After ctx's error the record may still be on its way to the sinks, which
		// then release the batch; what the log refused is ours to give back.
		if ctx.Err() == nil {
			p.release(b)
		}
		return 0, fmt.Errorf("append: %w", err)
	}
	return pos, nil
}

// restore brings the sinks to where the log ends: checkpoint first, then what
// the log holds after it. Nothing else may run yet.
func (p *pipeline) restore(openLog func(after telemetry.Position) (*wal.Log, error)) error {
	pos, saved, err := p.ckpt.Load()
	if err != nil {
		return err
	}
	for _, s := range p.sections {
		if err := load(s, saved); err != nil {
			return fmt.Errorf("checkpoint at %d: %w; a newer version may have written it, or this one reads it wrongly: "+
				"go back to that version, or remove the checkpoints to derive again what the log still holds", pos, err)
		}
	}
	from, after := p.blocks.Applied(), max(pos, p.blocks.Applied())
	for _, s := range p.sections {
		from = min(from, s.sink.Applied())
	}
	if p.wal, err = openLog(after); err != nil {
		return err
	}
	p.saved, p.applied = pos, after
	b := telemetry.NewBatch()
	return p.wal.Replay(from, func(pos telemetry.Position, rec []byte) error {
		if err := b.DecodeRecord(rec); err != nil {
			return err
		}
		return p.consume(item{pos: pos, batch: b, rec: rec})
	})
}

// load gives a sink its part of a checkpoint, if there is one.
func load(s section, saved []checkpoint.Section) error {
	for _, c := range saved {
		if c.Name == s.name {
			if err := s.sink.Load(bytes.NewReader(c.Data)); err != nil {
				return fmt.Errorf("load %s: %w", s.name, err)
			}
		}
	}
	return nil
}

func (p *pipeline) consume(it item) error {
	e := telemetry.Entry{Position: it.pos, Batch: it.batch, Record: it.rec}
	if err := p.derive(e); err != nil {
		return err
	}
	if err := p.blocks.Consume(e); err != nil {
		return fmt.Errorf("blocks: %w", err)
	}
	p.applied = it.pos
	p.m.spans.Add(float64(len(it.batch.Spans)))
	p.m.requests.Add(float64(len(it.batch.Requests)))
	return nil
}

// A periodic is something that the delivery goroutine does between batches.
type periodic struct {
	name  string
	every time.Duration
	do    func(now time.Time) error
}

// beat is how often the delivery goroutine looks at the clock.
const beat = 50 * time.Millisecond

// run delivers until the log is closed and drained.
func (p *pipeline) run(work []periodic) {
	defer close(p.done)
	due := make([]time.Time, len(work))
	tick := time.NewTicker(beat)
	defer tick.Stop()
	var last time.Time
	save := time.Now().Add(p.every)
	for {
		select {
		case it, ok := <-p.items:
			if !ok {
				return
			}
			p.m.lag.Set(time.Since(time.Unix(0, it.batch.Received)).Seconds())
			if err := p.consume(it); err != nil {
				p.fail(fmt.Errorf("deliver position %d: %w", it.pos, err))
				p.release(it.batch)
				p.drain()
				return
			}
			p.release(it.batch)
		case <-tick.C:
		}
		now := time.Now()
		if now.Sub(last) < beat {
			continue
		}
		last = now
		for i, w := range work {
			if now.Before(due[i]) {
				continue
			}
			due[i] = now.Add(w.every)
			if err := w.do(now); err != nil {
				p.log.Error("periodic work failed", "work", w.name, "err", err)
			}
		}
		if now.After(save) {
			save = now.Add(p.every)
			p.checkpoint()
		}
	}
}

// drain keeps the log from waiting for sinks that no longer take anything. What
// it throws away is in the log, for the next start.
func (p *pipeline) drain() {
	for it := range p.items {
		p.release(it.batch)
	}
}

// fail reports a fault after which the sinks' state can not be trusted, nor saved.
func (p *pipeline) fail(err error) {
	p.broken = true
	select {
	case p.failed <- err:
	default:
	}
}

// checkpoint takes all sinks' state at one position, and writes it and cuts
// the log in the background.
func (p *pipeline) checkpoint() {
	if p.applied == p.saved {
		return
	}
	select {
	case p.busy <- struct{}{}:
	default:
		return // the one before is still being written
	}
	start, pos := time.Now(), p.applied
	parts, err := p.parts()
	p.m.checkpointTime.Observe(time.Since(start).Seconds())
	if err != nil {
		p.log.Error("checkpoint failed", "err", err)
		<-p.busy
		return
	}
	p.saved = pos
	p.saving.Go(func() {
		defer func() { <-p.busy }()
		if err := p.write(pos, parts); err != nil {
			p.log.Error("checkpoint failed", "position", pos, "err", err)
		}
	})
}

func (p *pipeline) parts() ([]checkpoint.Section, error) {
	var parts []checkpoint.Section
	for _, s := range p.sections {
		var b bytes.Buffer
		if err := s.sink.Save(&b); err != nil {
			return nil, fmt.Errorf("save %s: %w", s.name, err)
		}
		parts = append(parts, checkpoint.Section{Name: s.name, Data: b.Bytes()})
	}
	return parts, nil
}

func (p *pipeline) write(pos telemetry.Position, parts []checkpoint.Section) error {
	oldest, err := p.ckpt.Save(pos, parts)
	if err != nil {
		return err
	}
	p.m.checkpoints.Inc()
	return p.wal.Truncate(min(oldest, p.blocks.Applied()))
}

// start begins to deliver.
func (p *pipeline) start(work []periodic) {
	p.running = true
	go p.run(work)
}

// close drains the path: no Append may be under way any more.
func (p *pipeline) close() error {
	if p.wal == nil {
		return nil
	}
	err := p.wal.Close()
	if !p.running {
		return err
	}
	close(p.items)
	<-p.done
	p.saving.Wait()
	if !p.broken {
		p.checkpoint()
		p.saving.Wait()
	}
	return err
}
