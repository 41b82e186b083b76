package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/storage/wal"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// The pipeline is the path from an admitted batch to all that is derived from it.
//
// The problem: a sender waits for durability, and for nothing else; whoever derives something from the log must
// see every batch once, in log order, whatever fails; one that stands still must not stall the others; and
// nothing may queue without bound.
//
//	Append hands the batch to the log, which makes it durable.
//	Each follower reads the log on a goroutine of its own, at its own pace and position.
//	The live follower keeps graph and signals, ticks them, and saves them at one position (live.go).
//	Each store is a follower of its own, and keeps its own state on disk.
//	catchUp brings all that must be whole to the log's end before anything is received.
//	The log is cut behind what every essential follower has on disk.
//
// One goroutine for all was given up (ADR 010): a store that waits for a disk, or for a server, would stall the graph. One
// goroutine each for graph and signals was not chosen: they derive from one another, and one position for both is
// what makes a checkpoint simple.
type pipeline struct {
	log       *slog.Logger
	wal       *wal.Log
	turn      *turn
	live      *live
	followers []*follower
	failed    chan error    // capacity 1
	halt      chan struct{} // closed when followers are to stop where they are
	following sync.WaitGroup
	cutting   sync.WaitGroup
}

// A Store keeps what it derives from the log by itself, on disk or elsewhere.
type Store interface {
	telemetry.Sink
	// Applied is the position up to which it keeps all that it is to keep. It follows from there after a restart; the log may be
	// cut there. It may be called at any time, from any goroutine.
	Applied() telemetry.Position
}

// A Follower is a store that follows the log, under the name that metrics and status know.
type Follower struct {
	Name   string
	Policy wal.Policy
	Store  Store
}

// follower is a Follower and its place in the log.
type follower struct {
	Follower
	run  func(*follower)
	at   *wal.Follower
	turn *turn
}

func newPipeline(log *slog.Logger, live *live) *pipeline {
	p := &pipeline{log: log, live: live, turn: newTurn(runtime.GOMAXPROCS(0)), failed: make(chan error, 1), halt: make(chan struct{})}
	p.followers = []*follower{{Follower: Follower{graphFollower, wal.Policy{Essential: true, MaxLag: graphLag}, live}, run: p.runLive, turn: p.turn}}
	return p
}

// graphFollower is the live follower's name in metrics and status.
const graphFollower = "graph"

// graphLag is how many bytes of the log the graph may be behind before appends wait for it: about a
// twentieth of a second of full load. The graph is to be fresh, and waits for no disk.
const graphLag = 2 << 20

// follow adds a store. To be called before open.
func (p *pipeline) follow(f Follower) {
	p.followers = append(p.followers, &follower{Follower: f, run: p.runStore, turn: p.turn})
}

// open opens the log where the furthest state ends, and has all follow it from where they are.
func (p *pipeline) open(dir string, cfg wal.Config, release func(*telemetry.Batch), reg prometheus.Registerer) (err error) {
	after := p.live.applied
	for _, f := range p.followers {
		after = max(after, f.Store.Applied())
	}
	if p.wal, err = wal.Open(dir, cfg, after, release, p.log, reg); err != nil {
		return err
	}
	for _, f := range p.followers {
		from := f.Store.Applied()
		if f.Store == Store(p.live) {
			from = p.live.applied // the log is kept for an older checkpoint as well
		}
		if f.at, err = p.wal.Follow(f.Name, from, f.Policy); err != nil {
			return err
		}
	}
	return nil
}

// catchUp brings the essential followers to the log's end, all at once. Nothing may be appended yet.
func (p *pipeline) catchUp() error {
	errs := make([]error, len(p.followers))
	var wg sync.WaitGroup
	for i, f := range p.followers {
		if f.Policy.Essential {
			wg.Go(func() { errs[i] = p.catchUpOne(f) })
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (p *pipeline) catchUpOne(f *follower) error {
	start, n := time.Now(), 0
	for {
		more, err := f.step()
		if err != nil {
			return err
		}
		if !more {
			break
		}
		n++
	}
	if n > 0 {
		p.log.Info("log replayed", "follower", f.Name, "records", n, "took", time.Since(start).Round(time.Millisecond))
	}
	return nil
}

// step gives the store the next entry; more is false where there is none now. io.EOF says that there never will be.
func (f *follower) step() (more bool, err error) {
	e, ok, err := f.at.Next()
	if err != nil || !ok {
		return false, err
	}
	taken := f.turn.take()
	err = f.Store.Consume(e)
	f.turn.give(taken)
	if err != nil {
		return false, fmt.Errorf("%s: position %d: %w", f.Name, e.Position, err)
	}
	return true, nil
}

// start has all followers follow, and the log cut behind them. Until then nothing may be appended.
func (p *pipeline) start() {
	for _, f := range p.followers {
		p.following.Go(func() {
			defer f.at.Close()
			f.run(f)
		})
	}
	p.cutting.Go(p.cutBehind)
	p.cutting.Go(p.watchLog)
}

// watchLog ends the process' work when the log cannot be written and never will be. A log that may be written again later is
// waited for: what can be asked is answered meanwhile.
func (p *pipeline) watchLog() {
	select {
	case err := <-p.wal.Failed():
		select {
		case p.failed <- err:
		default:
		}
	case <-p.halt:
	}
}

// gather is how long a store that has caught up waits after it hears of more.
const gather = 20 * time.Millisecond

// runStore follows until the log is closed and drained, or the pipeline halts.
func (p *pipeline) runStore(f *follower) {
	pause := time.NewTimer(gather)
	defer pause.Stop()
	for {
		more, err := f.step()
		if err != nil {
			p.end(f, err)
			return
		}
		if more && !p.halted() {
			continue
		}
		select {
		case <-f.at.More():
		case <-p.halt:
			return
		}
		// Nobody waits for a store as they wait for the graph: it lets a little come together, and so does not take the
		// processors just when the graph, and the next sender's batch, need them.
		pause.Reset(gather)
		select {
		case <-pause.C:
		case <-p.halt:
			return
		}
	}
}

func (p *pipeline) halted() bool {
	select {
	case <-p.halt:
		return true
	default:
		return false
	}
}

// end says why a follower follows no more. A fault means that its state is no function of the log any longer.
func (p *pipeline) end(f *follower, err error) {
	if errors.Is(err, io.EOF) || p.halted() {
		return
	}
	if !f.Policy.Essential {
		p.log.Error("a follower of the log failed and is given nothing more until the next start", "follower", f.Name, "err", err)
		return
	}
	select {
	case p.failed <- fmt.Errorf("follow the log: %w", err):
	default:
	}
}

// Append makes a batch durable and returns its position; see collector.Appender.
// It takes the batch over in every case.
func (p *pipeline) Append(ctx context.Context, b *telemetry.Batch) (telemetry.Position, error) {
	pos, err := p.wal.Append(ctx, b)
	if err != nil {
		return 0, fmt.Errorf("append: %w", err)
	}
	return pos, nil
}

// cutEvery is how often the log is cut.
const cutEvery = time.Second

// cutBehind cuts the log behind what all essential followers have on disk, until the pipeline halts.
func (p *pipeline) cutBehind() {
	tick := time.NewTicker(cutEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-p.halt:
			return
		}
		if err := p.cut(); err != nil {
			p.log.Error("the log cannot be cut and grows", "err", err)
		}
	}
}

func (p *pipeline) cut() error {
	kept := p.wal.Last()
	for _, f := range p.followers {
		if f.Policy.Essential {
			kept = min(kept, f.Store.Applied())
		}
	}
	return p.wal.Truncate(kept)
}

// close ends the path: no Append may be under way any more. Followers get until ctx ends to take
// in what is durable; what they do not take is in the log, for the next start. Call wait when the stores are closed.
func (p *pipeline) close(ctx context.Context) error {
	if p.wal == nil {
		return nil
	}
	err := p.wal.Close()
	drained := make(chan struct{})
	go func() { p.following.Wait(); close(drained) }()
	select {
	case <-drained:
	case <-ctx.Done():
		for _, s := range p.wal.Followers() {
			p.log.Warn("a follower of the log was still behind; the next start goes on from there", "follower", s.Name, "records", s.Lag.Records, "bytes", s.Lag.Bytes)
		}
	}
	close(p.halt)
	p.cutting.Wait()
	return err
}

// leave is how long a follower that stands still on a disk that hangs is waited for.
const leave = 20 * time.Second

// wait returns when nobody follows any more: a follower that stands still in its store moves when that is closed. One that a disk
// holds is left behind.
func (p *pipeline) wait() {
	gone := make(chan struct{})
	go func() { p.following.Wait(); close(gone) }()
	patience := time.NewTimer(leave)
	defer patience.Stop()
	select {
	case <-gone:
	case <-patience.C:
		p.log.Error("a follower of the log does not end, most likely since a disk does not answer; the process ends without it")
	}
}
