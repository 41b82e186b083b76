package app

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/internal/api/binnacle"
	"github.com/binnacle-mesh/binnacle/internal/failpoint"
	"github.com/binnacle-mesh/binnacle/storage/checkpoint"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// live is the follower that keeps what is shown now: graph and signals. Their states are saved
// together, in a checkpoint of one position, since they derive from one another.
//
// It is a store as far as the log is concerned: what it has on disk is the older of the two checkpoints. All
// methods but Applied are for one goroutine: the one that follows.
type live struct {
	log      *slog.Logger
	ckpt     *checkpoint.Dir
	derive   func(telemetry.Entry) error // brings the sections' states one entry on
	sections []section                   // saved together
	work     []periodic
	every    time.Duration // between checkpoints
	now      func() time.Time
	// flush writes the series before they are saved: what a checkpoint has, the series store has; see aggregator/replayed.go.
	flush func(now time.Time) error

	restored Restored // how the last start went

	applied telemetry.Position // of the entry taken in last
	saved   telemetry.Position // of the newest checkpoint
	broken  bool               // the states are no function of the log any more
	kept    atomic.Uint64      // the log is needed after this position
	saving  sync.WaitGroup
	busy    chan struct{} // capacity 1: a checkpoint is being written
	m       liveMetrics
}

// A section is a state under the name that checkpoints know it by.
type section struct {
	name  string
	state interface {
		Save(w io.Writer) error
		// Prepare reads and proves what Save wrote, and changes nothing; use takes it over, and cannot fail.
		Prepare(r io.Reader) (use func(), err error)
	}
}

// Restored says with what the states began.
type Restored struct {
	At    telemetry.Position // of the checkpoint; 0: none was of use
	Aside []checkpoint.Aside // those that were not
}

// A periodic is something that is done between entries, on the goroutine that follows, so that
// the states need no locks.
type periodic struct {
	name  string
	every time.Duration
	do    func(now time.Time) error
}

type liveMetrics struct {
	spans, requests, checkpoints prometheus.Counter
	checkpointTime               prometheus.Histogram
}

func newLive(log *slog.Logger, reg prometheus.Registerer, ckpt *checkpoint.Dir, every time.Duration) *live {
	l := &live{log: log, ckpt: ckpt, every: every, now: time.Now, flush: func(time.Time) error { return nil }, busy: make(chan struct{}, 1)}
	l.m = liveMetrics{
		spans:       prometheus.NewCounter(prometheus.CounterOpts{Name: "binnacle_pipeline_spans_total", Help: "Spans that are in the graph and the signals."}),
		requests:    prometheus.NewCounter(prometheus.CounterOpts{Name: "binnacle_pipeline_requests_total", Help: "Request log entries that are in the graph and the signals."}),
		checkpoints: prometheus.NewCounter(prometheus.CounterOpts{Name: "binnacle_pipeline_checkpoints_total", Help: "Checkpoints written."}),
		checkpointTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "binnacle_pipeline_checkpoint_duration_seconds", Help: "Time for which graph and signals stood still for a checkpoint.",
			NativeHistogramBucketFactor: 1.1,
		}),
	}
	reg.MustRegister(l.m.spans, l.m.requests, l.m.checkpoints, l.m.checkpointTime)
	return l
}

// status is what /api/v1/status shows of it.
func (r Restored) status() binnacle.Restored {
	s := binnacle.Restored{Checkpoint: uint64(r.At)}
	for _, a := range r.Aside {
		s.SetAside = append(s.SetAside, binnacle.SetAside{File: a.File, Reason: a.Reason.Error()})
	}
	return s
}

// restore loads the newest checkpoint that is of use. Where none is, the states begin empty, and derive again what the log
// still holds: a fault of what is derived never keeps the server from starting.
func (l *live) restore() error {
	pos, aside, err := l.ckpt.Load(l.load)
	if err != nil {
		return err
	}
	oldest, err := l.ckpt.Oldest()
	if err != nil {
		return err
	}
	l.applied, l.saved = pos, pos
	l.kept.Store(uint64(oldest))
	l.restored = Restored{pos, aside}
	return nil
}

// load gives all states their parts of a checkpoint, those that are there, or none of them any.
func (l *live) load(pos telemetry.Position, saved []checkpoint.Section) error {
	var uses []func()
	for _, s := range l.sections {
		for _, c := range saved {
			if c.Name != s.name {
				continue
			}
			use, err := prepare(s, c.Data)
			if err != nil {
				return fmt.Errorf("checkpoint at %d: load %s: %w", pos, s.name, err)
			}
			uses = append(uses, use)
		}
	}
	for _, use := range uses {
		use()
	}
	return nil
}

// prepare holds a fault of a reader, which was not written for these bytes, to be one of the bytes.
func prepare(s section, data []byte) (use func(), err error) {
	defer func() {
		if p := recover(); p != nil {
			use, err = nil, fmt.Errorf("reading it panics: %v", p)
		}
	}()
	return s.state.Prepare(bytes.NewReader(data))
}

// Consume implements telemetry.Sink.
func (l *live) Consume(e telemetry.Entry) error {
	if err := l.derive(e); err != nil {
		l.broken = true
		return err
	}
	l.applied = e.Position
	l.m.spans.Add(float64(len(e.Batch.Spans)))
	l.m.requests.Add(float64(len(e.Batch.Requests)))
	return nil
}

// Applied implements Store: the position from which a restart may have to replay.
func (l *live) Applied() telemetry.Position { return telemetry.Position(l.kept.Load()) }

// lookEvery is how often the clock is looked at.
const lookEvery = 50 * time.Millisecond

// runLive follows like runStore, and does what is due between entries.
func (p *pipeline) runLive(f *follower) {
	l := p.live
	defer l.saving.Wait()
	// Later than the flush before by as much as lies between two at least, whenever that was.
	defer func() { l.save(l.now().Add(10 * time.Millisecond)) }()
	due := make([]time.Time, len(l.work))
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var looked time.Time
	save := l.now().Add(l.every)
	for {
		more, err := f.step()
		if err != nil {
			p.end(f, err)
			return
		}
		if p.halted() {
			return
		}
		if !more {
			select {
			case <-f.at.More():
			case <-tick.C:
			case <-p.halt:
				return
			}
		}
		now := l.now()
		if now.Sub(looked) < lookEvery {
			continue
		}
		looked = now
		for i, w := range l.work {
			if now.Before(due[i]) {
				continue
			}
			due[i] = now.Add(w.every)
			if err := w.do(now); err != nil {
				p.log.Error("periodic work failed", "work", w.name, "err", err)
			}
		}
		if now.After(save) {
			save = now.Add(l.every)
			l.save(now)
		}
	}
}

// save flushes, and takes a checkpoint.
func (l *live) save(now time.Time) {
	if err := l.flush(now); err != nil {
		l.log.Error("the series were not written before a checkpoint", "err", err)
	}
	l.checkpoint()
}

// checkpoint takes all states at one position, and writes them in the background. Where nothing came since, it does so once
// more, for the log is kept for the older of two: full, it would never empty, since nothing more could come.
func (l *live) checkpoint() {
	if l.broken || l.applied == l.saved && l.Applied() == l.saved {
		return
	}
	select {
	case l.busy <- struct{}{}:
	default:
		return // the one before is still being written
	}
	start, pos := time.Now(), l.applied
	parts, err := l.parts()
	l.m.checkpointTime.Observe(time.Since(start).Seconds())
	if err != nil {
		l.log.Error("checkpoint failed", "err", err)
		<-l.busy
		return
	}
	l.saved = pos
	failpoint.Here(failpoint.CheckpointTaken)
	l.saving.Go(func() {
		defer func() { <-l.busy }()
		oldest, err := l.ckpt.Save(pos, parts)
		if err != nil {
			l.log.Error("checkpoint failed", "position", pos, "err", err)
			return
		}
		l.m.checkpoints.Inc()
		l.kept.Store(uint64(oldest))
	})
}

func (l *live) parts() ([]checkpoint.Part, error) {
	var parts []checkpoint.Part
	for _, s := range l.sections {
		b := new(checkpoint.Buffer)
		if err := s.state.Save(b); err != nil {
			return nil, fmt.Errorf("save %s: %w", s.name, err)
		}
		parts = append(parts, checkpoint.Part{Name: s.name, Data: b})
	}
	return parts, nil
}
