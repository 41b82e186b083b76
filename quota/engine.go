package quota

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/quota/rule"
	"github.com/binnacle-mesh/binnacle/quota/top"
	"github.com/binnacle-mesh/binnacle/quota/window"
)

// shards is how many parts the counters are split into. With many more than there are processors, two decisions at once hardly
// ever want the same lock.
const shards = 64

// Engine decides by the rules of its files. All methods are safe for concurrent use.
type Engine struct {
	cfg   Config
	log   *slog.Logger
	seeds [2]maphash.Seed // secret, so that no client can aim its key at another's counter

	table   *window.Table
	current atomic.Pointer[generation]

	edges         *top.Sketch // refusals by source, destination and rule
	detailed      atomic.Int64
	droppedDetail atomic.Uint64 // hits that wanted a series of their own when there was no more room
	sharedHits    atomic.Uint64 // decisions made by a shared counter
	fullHits      atomic.Uint64 // decisions refused for want even of a shared counter
	shadowed      atomic.Uint64 // requests that passed because of Config.ShadowMode

	mu       sync.Mutex            // held by Reload only; nothing else is locked under it but leaves
	stats    map[string]*ruleStats // by rule identifier
	digest   [32]byte              // of the files last read, good or bad
	failure  atomic.Pointer[failure]
	reloads  atomic.Uint64
	failures atomic.Uint64

	tags atomic.Uint32 // tags given out
	keys keyCounts
}

// generation is what one loading of the rule files made. It is immutable; the statistics it points to are not.
type generation struct {
	number    int
	loadedAt  time.Time
	set       *rule.Set
	rules     []compiled            // by Rule.Index
	overrides map[string]*ruleStats // by domain: limits that requests bring themselves
	domains   []string              // sorted
	files     []FileStatus
}

// compiled is what a decision needs of a rule, worked out beforehand.
type compiled struct {
	rule   *rule.Rule
	stats  *ruleStats
	window uint32
	near   uint64
	shared window.Key
}

// failure is why the newest files were refused.
type failure struct{ err error }

// New makes an engine and loads its rule files; it fails if any is wrong, with all that is wrong in the error. The engine
// registers itself with reg. now is the time of loading.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer, now time.Time) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	e := &Engine{
		cfg:   cfg,
		log:   log,
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		table: window.New(cfg.MaxKeys, shards),
		edges: top.NewSketch(cfg.MaxEdges),
		stats: make(map[string]*ruleStats),
	}
	if err := e.Reload(now); err != nil {
		return nil, err
	}
	if err := reg.Register(e); err != nil {
		return nil, fmt.Errorf("quota: register metrics: %w", err)
	}
	return e, nil
}

// Config returns what the engine was made with.
func (e *Engine) Config() Config { return e.cfg }

// Run reloads rule files as they change, drops counters of windows that have ended, and takes the samples out of which rates are
// made. It returns when ctx ends, with nil.
func (e *Engine) Run(ctx context.Context) error {
	w := e.watch()
	defer w.close()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			e.Tick(now)
			if n%w.pollEvery == 0 {
				_ = e.Reload(now) // logged, and told by Status
			}
		case err := <-w.errors():
			e.log.Warn("quota rule files: the watcher lost events, looking now", "error", err)
			_ = e.Reload(time.Now())
		case <-w.changed():
			w.settle(ctx)
			_ = e.Reload(time.Now())
		}
	}
}

// Tick does what has to be done about once a second.
func (e *Engine) Tick(now time.Time) {
	e.table.Sweep(now.Unix(), 16)
	t := seconds(now)
	g := e.current.Load()
	for i := range g.rules {
		g.rules[i].stats.sample(t)
	}
	for _, s := range g.overrides {
		s.sample(t)
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
