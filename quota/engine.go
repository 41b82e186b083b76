package quota

import (
	"context"
	"errors"
	"fmt"
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

// Engine decides by the rules that it was given. All methods are safe for concurrent use.
type Engine struct {
	log    *slog.Logger
	secret Secret
	clock  clock
	saver  *saver

	current   atomic.Pointer[generation]
	counter   Counter
	inspector Inspector
	table     *window.Table // the counters in this process; counter and inspector, unless there is another

	outage     atomic.Pointer[outage] // of counter; nil while it can be reached
	outageTold atomic.Int64           // when the log last told of one, in Unix seconds
	failures   failures

	edges         *top.Sketch // refusals by source, destination and rule
	maxEdges      int
	detailed      atomic.Int64
	droppedDetail atomic.Uint64 // hits that wanted a series of their own when there was no more room
	sharedHits    atomic.Uint64 // decisions made by a shared counter
	fullHits      atomic.Uint64 // decisions refused for want even of a shared counter
	shadowed      atomic.Uint64 // requests that passed because of Config.ShadowMode

	mu       sync.Mutex            // held while a generation is made; nothing else is locked under it but leaves
	stats    map[string]*ruleStats // by rule identifier
	failure  atomic.Pointer[failure]
	reloads  atomic.Uint64 // loadings that succeeded
	refusals atomic.Uint64 // loadings that were refused

	restored int   // keys that were in use before the start
	damage   error // why some of what was saved could not be read
	begun    time.Time
	crowded  atomic.Pointer[crowd]

	tags atomic.Uint32 // tags given out
	keys keyCounts
}

// Deps is what an engine is given by whoever makes it.
type Deps struct {
	Secret Secret
	// Journal keeps the counters over a restart, once StartSaving was called; nil forgets them. Recall is what was read of it, whose
	// secret comes before Secret.
	Journal Journal
	Recall  *Recall
	// Counter counts, and Inspector looks at what it counted. Nil is those in this process.
	Counter    Counter
	Inspector  Inspector
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// New makes an engine of a configuration and its rule files; it fails if any is wrong, with all that is wrong in the error. The
// engine registers its metrics. now is the time of loading.
func New(cfg Config, files []rule.File, d Deps, now time.Time) (*Engine, error) {
	if d.Secret == (Secret{}) {
		return nil, errors.New("quota: make engine: there is no secret; give it RandomSecret, or that of those it shares counters with")
	}
	set, domains, err := check(cfg, files)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		log:      d.Log,
		secret:   d.Secret,
		edges:    top.NewSketch(cfg.MaxEdges),
		maxEdges: cfg.MaxEdges,
		stats:    make(map[string]*ruleStats),
	}
	e.saver = &saver{engine: e, journal: d.Journal, stop: make(chan struct{}), stopped: make(chan struct{})}
	r := d.Recall
	if r == nil {
		r = NewRecall(cfg, now.Unix())
	}
	if e.table = r.table; r.known {
		e.secret = r.secret
	}
	e.clock.begin(now, r.unix)
	e.begun = now
	e.counter, e.inspector = d.Counter, d.Inspector
	if e.counter == nil {
		e.counter = e.table
	}
	if e.inspector == nil {
		e.inspector = e.table
	}
	e.install(e.compile(cfg, files, set, domains, now))
	e.recall(r)
	if err := d.Registerer.Register(e); err != nil {
		return nil, fmt.Errorf("quota: register metrics: %w", err)
	}
	return e, nil
}

// recall finishes restoring and tells what became of it.
func (e *Engine) recall(r *Recall) {
	e.restored = r.restored(e.stats)
	if r.damage != nil {
		e.damage = r.damage
		e.log.Error("saved quota counters are damaged: what was used in windows that cannot be read may be granted again; the file is set aside",
			"err", r.damage, "restored", e.restored)
		return
	}
	if r.torn > 0 {
		e.log.Warn("the last saving of quota counters was cut off: what was admitted since the one before is granted again", "bytes", r.torn)
	}
	if e.restored > 0 {
		e.log.Info("quota counters restored", "keys", e.restored)
	}
}

// Run drops counters of windows that have ended, and takes the samples out of which rates are made. It returns when ctx ends.
func (e *Engine) Run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			e.Tick(now)
		}
	}
}

// Tick does what has to be done about once a second.
func (e *Engine) Tick(now time.Time) {
	e.clock.follow(now)
	e.table.Sweep(e.clock.unix(now), 16)
	e.crowding(now)
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
