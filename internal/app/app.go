// Package app is the one place that wires the rooms together.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/binnacle-mesh/binnacle/aggregator"
	"github.com/binnacle-mesh/binnacle/collector"
	"github.com/binnacle-mesh/binnacle/collector/embedded"
	"github.com/binnacle-mesh/binnacle/collector/frames"
	"github.com/binnacle-mesh/binnacle/internal/clock"
	"github.com/binnacle-mesh/binnacle/internal/config"
	"github.com/binnacle-mesh/binnacle/internal/door"
	"github.com/binnacle-mesh/binnacle/internal/ledger"
	"github.com/binnacle-mesh/binnacle/internal/promql"
	"github.com/binnacle-mesh/binnacle/internal/watch"
	"github.com/binnacle-mesh/binnacle/quota"
	"github.com/binnacle-mesh/binnacle/storage/block"
	"github.com/binnacle-mesh/binnacle/storage/checkpoint"
	"github.com/binnacle-mesh/binnacle/storage/series"
	"github.com/binnacle-mesh/binnacle/storage/wal"
	"github.com/binnacle-mesh/binnacle/telemetry"
	"github.com/binnacle-mesh/binnacle/topology"
)

// grace is how long a stopping server waits for what is under way.
const grace = 5 * time.Second

// An App is a server whose state is restored and whose ports are open, but on
// which nothing runs yet.
type App struct {
	cfg     config.Config
	version string
	started time.Time
	log     *slog.Logger
	level   *slog.LevelVar
	reg     *prometheus.Registry
	ledger  *ledger.Ledger // of all that clients can make the server hold

	directory *directory
	door      *door.Door
	pool      *collector.Pool
	collector *collector.Collector
	frames    *frames.Watch
	embedded  *embedded.Collector
	pipeline  *pipeline
	topology  *topology.Topology
	signals   *aggregator.Aggregator
	blocks    *block.Store
	series    *series.DB
	clock     *clock.Clock
	received  int64 // Unix ns: of the newest entry that graph and signals have had; for the goroutine that derives
	quota     *quota.Engine
	watcher   *watch.Watcher
	past      *aggregator.GraphReader
	promql    *promql.Engine
	listeners []*listener
	reloads   reloads
}

// gcPercent is Go's GOGC unless the environment sets it. Most of the heap is
// large arrays without pointers (waiting halves, the head of the trace store), which
// cost memory but next to nothing to mark: collecting more often is cheaper than holding twice.
const gcPercent = 40

// Serve runs a server until ctx ends.
func Serve(ctx context.Context, from config.Source, version string) error {
	cfg, err := from.Load()
	if err != nil {
		return err
	}
	a, err := New(ctx, cfg, version, NewLogger(cfg.Log, os.Stderr))
	if err != nil {
		return err
	}
	a.reloads.from = from
	beside, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { a.spareWhileCrowded(beside) })
	err = a.Run(ctx)
	stop()
	wg.Wait()
	return err
}

// New opens the stores, restores what was derived from the log, and opens the
// ports. The order is that of the data's way: stores, followers, path, receivers, API. Stores beyond those of the
// configuration may be given; whoever made them closes them, after Run.
func New(ctx context.Context, cfg config.Config, version string, log *Logger, more ...Follower) (_ *App, err error) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	a := &App{cfg: cfg, version: version, started: time.Now(), clock: clock.New(), log: log.Logger, level: log.Level, reg: prometheus.NewRegistry()}
	a.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	a.boundMemory()
	defer func() {
		if err != nil {
			err = errors.Join(err, a.closeAll())
		}
	}()
	a.reloads.init(cfg, a.started, a.reg)
	if a.door, err = door.New(cfg.Door, a.ledger.Account("connections", a.ledger.Limit()/connectionsShare), a.reg); err != nil {
		return nil, err
	}
	if err := a.openStores(); err != nil {
		return nil, err
	}
	if a.watcher, err = watch.New(a.log.With("room", "watch"), a.reg); err != nil {
		return nil, err
	}
	if err := a.openQuota(time.Now()); err != nil {
		return nil, err
	}
	if err := a.restore(more); err != nil {
		return nil, err
	}
	if err := a.openReceivers(ctx); err != nil {
		return nil, err
	}
	// The one engine of the process: whoever evaluates an expression is handed it.
	if a.promql, err = promql.New(cfg.PromQL, log.With("room", "promql"), a.reg); err != nil {
		return nil, err
	}
	return a, a.openAPI(ctx)
}

func (a *App) path(elem ...string) string {
	return filepath.Join(append([]string{a.cfg.Data}, elem...)...)
}

// openStores opens what is on disk, apart from the log.
func (a *App) openStores() (err error) {
	if a.directory, err = openDirectory(a.cfg.Data, a.log); err != nil {
		return err
	}
	if a.series, err = series.Open(a.path("series"), a.cfg.Storage.Series, a.log.With("room", "series"), a.reg); err != nil {
		return err
	}
	a.blocks, err = block.Open(a.path("blocks"), a.cfg.Storage.Blocks, a.log.With("room", "blocks"), a.reg)
	return err
}

// restore makes all who follow the log, and brings them to its end.
func (a *App) restore(more []Follower) error {
	log := a.log.With("room", "pipeline")
	a.pool = collector.NewPool()
	a.signals = aggregator.New(a.cfg.Aggregator, a.reg)
	a.topology = topology.New(a.cfg.Topology)
	if err := a.topology.Register(a.reg); err != nil {
		return err
	}
	ckpt, err := checkpoint.Open(a.path("checkpoints"), log)
	if err != nil {
		return err
	}
	live := newLive(log, a.reg, ckpt, a.cfg.Storage.CheckpointInterval)
	live.sections = []section{{"topology", a.topology}, {"annals", a.topology.Annals()}, {"findings", a.topology.Doubts()}, {"aggregator", a.signals}}
	live.derive, live.work, live.now = a.derive, a.periodic(), a.clock.Now
	live.flush = func(now time.Time) error { return a.signals.Flush(context.Background(), now, a.series) }
	if err := live.restore(); err != nil {
		return err
	}
	a.pipeline = newPipeline(log, live)
	for _, f := range append([]Follower{{Name: "blocks", Policy: wal.Policy{Essential: true}, Store: a.blocks}}, more...) {
		a.pipeline.follow(f)
	}
	if err := a.pipeline.open(a.path("wal"), a.cfg.Storage.WAL, a.pool.Put, a.reg); err != nil {
		return err
	}
	if err := a.pipeline.catchUp(); err != nil {
		return err
	}
	a.pipeline.wal.SetClock(a.clock.Now)
	a.clock.NotBefore(a.series.Newest())
	a.clock.NotBefore(time.Unix(0, a.received))
	// From the first flush on the aggregator knows new series to be new. What the graph has to tell since the log's end the process
	// before may have told, and flushed: it is no news.
	now := a.clock.Now()
	a.signals.Observe(a.topology.Tick(now.UnixNano()))
	return a.signals.Flush(context.Background(), now, a.series)
}

// derive is the way of an entry from the log on: graph, then signals.
func (a *App) derive(e telemetry.Entry) error {
	a.received = max(a.received, e.Batch.Received)
	seen := a.topology.Consume(e)
	if err := a.signals.Consume(e); err != nil {
		return fmt.Errorf("signals: %w", err)
	}
	a.signals.Observe(seen)
	return nil
}

// Run serves until ctx ends or something fails, then stops in order: no new
// data, then what is under way, then what it wrote.
func (a *App) Run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	fail := func(what string, err error) {
		if err != nil {
			stop(fmt.Errorf("%s: %w", what, err))
		}
	}
	a.pipeline.start()
	a.quota.StartSaving()
	wg.Go(func() {
		select {
		case err := <-a.pipeline.failed:
			fail("pipeline", err)
		case <-ctx.Done():
		}
	})
	wg.Go(func() { a.quota.Run(ctx) })
	wg.Go(func() { a.reloadWhenChanged(ctx) })
	wg.Go(func() { a.retain(ctx, a.blocks) })
	wg.Go(func() { a.reloadWhenTold(ctx) })
	// The web port, which says whether the server is ready, is served when all ports are open.
	if err := a.embedded.Start(ctx); err != nil {
		stop(err)
	}
	for _, l := range a.listeners {
		wg.Go(func() { fail(l.field, l.serve()) })
		a.log.Info("listening", "address", l.Addr().String(), "speaks", l.speaks)
	}
	for _, l := range a.embedded.Listeners() {
		a.log.Info("listening", "address", l.Address, "speaks", l.Speaks)
	}
	wg.Go(func() {
		select {
		case <-a.embedded.Ended():
			fail("collector", a.embedded.Err())
		case <-ctx.Done():
		}
	})
	<-ctx.Done()
	a.log.Info("stopping")
	err := a.stop(&wg)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = errors.Join(err, cause) // why it ended is the last that is said
	}
	return err
}

// stopReceiving lets what is under way be answered and written, and cuts what
// is not when ctx ends.
func (a *App) stopReceiving(ctx context.Context) error {
	err := a.embedded.Stop(ctx)
	var wg sync.WaitGroup
	for _, l := range a.listeners {
		wg.Go(func() { l.stop(ctx) })
	}
	wg.Wait()
	a.listeners = nil
	return errors.Join(err, a.collector.Close(ctx))
}

// closeAll closes what is open, last opened first. It is what a failed New and
// a stopping Run have in common.
func (a *App) closeAll() error {
	var errs []error
	for _, l := range a.listeners {
		errs = append(errs, l.Close())
	}
	if a.quota != nil {
		errs = append(errs, a.quota.Close()) // nobody is answered any more
	}
	if a.frames != nil {
		a.frames.Close()
	}
	if a.pipeline != nil {
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		errs = append(errs, a.pipeline.close(ctx))
		cancel()
	}
	if a.blocks != nil {
		errs = append(errs, a.sealBlocks(), a.blocks.Close())
	}
	if a.pipeline != nil {
		a.pipeline.wait()
	}
	if a.promql != nil {
		errs = append(errs, a.promql.Close())
	}
	if a.series != nil {
		errs = append(errs, a.series.Close())
	}
	errs = append(errs, a.directory.close())
	return errors.Join(errs...)
}

// sealTimeout is how long a stopping server takes to write the newest spans as a
// block. What is not written is in the log, and only makes the next start longer.
const sealTimeout = 20 * time.Second

func (a *App) sealBlocks() error {
	ctx, cancel := context.WithTimeout(context.Background(), sealTimeout)
	defer cancel()
	return a.blocks.Seal(ctx)
}
