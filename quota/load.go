package quota

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/binnacle-mesh/binnacle/quota/rule"
)

// failure is why the newest configuration or rule files were refused.
type failure struct {
	err   error
	cfg   Config
	files []rule.File
}

// Prepare reads rule files for a configuration and checks both. Nothing changes until the caller commits, which cannot fail: so
// several rooms can change together or not at all. Decisions go on meanwhile.
//
// Where anything is wrong, the error has all of it, and what is in force stays; Status and a metric tell that until a later
// preparation is good. Preparing what is in force already is free of effect, and so is preparing again what was refused.
//
// What cfg cannot change while the engine runs is left as it is; see [Config.NeedsRestart]. cfg.Files is the caller's affair.
// Calls are made one after the other, each with its commit.
func (e *Engine) Prepare(cfg Config, files []rule.File, now time.Time) (commit func(), err error) {
	if g := e.current.Load(); g != nil && same(&g.cfg, g.sources, &cfg, files) {
		return func() { e.failure.Store(nil) }, nil
	}
	if f := e.failure.Load(); f != nil && same(&f.cfg, f.files, &cfg, files) {
		return nil, f.err
	}
	set, domains, err := check(cfg, files)
	if err != nil {
		e.refuse(&failure{err, cfg, files})
		return nil, err
	}
	return func() { e.install(e.compile(cfg, files, set, domains, now)) }, nil
}

// install puts a generation into force.
func (e *Engine) install(g *generation) {
	e.current.Store(g)
	e.failure.Store(nil)
	e.reloads.Add(1)
	e.log.Info("quota rules loaded", "generation", g.number, "files", len(g.files), "rules", len(g.rules))
}

// Refuse tells the engine that newer rule files could not even be read, which Status and a metric then tell.
func (e *Engine) Refuse(err error) {
	if f := e.failure.Load(); f == nil || f.err.Error() != err.Error() {
		e.refuse(&failure{err: err})
	}
}

func (e *Engine) refuse(f *failure) {
	e.refusals.Add(1)
	e.failure.Store(f)
	e.log.Error("quota rules not reloaded, the old ones stay in force", "err", f.err)
}

// Check says all that is wrong with a configuration and its rule files, as Prepare would.
func Check(cfg Config, files []rule.File) error {
	_, _, err := check(cfg, files)
	return err
}

func check(cfg Config, files []rule.File) (*rule.Set, []string, error) {
	if err := cfg.Validate(); err != nil {
		return nil, nil, fmt.Errorf("quota: %w", err)
	}
	set, domains, err := rule.Load(files, rule.Options{MergeDomains: cfg.MergeDomains})
	if err != nil {
		return nil, nil, fmt.Errorf("quota: load rules: %w", err)
	}
	return set, domains, nil
}

func same(c *Config, files []rule.File, cfg *Config, newer []rule.File) bool {
	return reflect.DeepEqual(c, cfg) && slices.EqualFunc(files, newer, func(a, b rule.File) bool {
		return a.Name == b.Name && bytes.Equal(a.Content, b.Content)
	})
}
