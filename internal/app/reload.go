package app

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/binnacle-mesh/binnacle/internal/config"
	"github.com/binnacle-mesh/binnacle/quota/rule"
)

// How the configuration changes while the server runs.
//
//   - It is read whole and checked whole, as at a start.
//   - Each reloader (reloaders.go) prepares what it will do, which may fail and changes
//     nothing. Where one refuses, everything stays as it was.
//   - Then all of them put it in force, which cannot fail.
//   - Settings that no reloader takes need a restart; each reload lists them until there is one.
//
// What runs is never simply what was read, but reloads.running: the configuration of
// the start, with what was applied since.

// A Reload is what came of reading the configuration again.
type Reload struct {
	Applied      []config.Change `json:"applied"`
	NeedsRestart []config.Change `json:"needs_restart"`
	Unchanged    []string        `json:"unchanged"` // names of reloaders
}

// reloads is the state of reloading.
type reloads struct {
	from config.Source

	mu      sync.Mutex // held for a whole reload
	running config.Config
	checked config.Config // what was last read and found right
	rules   []rule.File   // in force
	refused string        // why what was read last was refused, "" where it was not

	retentionInterval chan time.Duration // capacity 1: the newest

	successful, succeeded prometheus.Gauge
}

func (r *reloads) init(cfg config.Config, now time.Time, reg prometheus.Registerer) {
	r.running, r.checked = cfg, cfg
	r.retentionInterval = make(chan time.Duration, 1)
	r.successful = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "binnacle_config_last_reload_successful", Help: "Whether the configuration as it was read last is in force (1), or was refused (0).",
	})
	r.succeeded = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "binnacle_config_last_reload_success_timestamp_seconds", Help: "When the configuration was last read and taken, Unix seconds.",
	})
	reg.MustRegister(r.successful, r.succeeded)
	r.successful.Set(1)
	r.succeeded.Set(float64(now.UnixMilli()) / 1000)
}

// retain tells the goroutine that removes old blocks how often to look.
func (r *reloads) retain(every time.Duration) {
	select {
	case <-r.retentionInterval:
	default:
	}
	r.retentionInterval <- every
}

// Who asks for a reload.
const (
	causeSignal  = "SIGHUP"
	causeRequest = "POST /-/reload"
	causeLook    = "a look at the files" // it happens every few seconds, and mostly finds nothing new
)

// reload reads the configuration again and puts in force what it can, or
// nothing. cause is who asked.
func (a *App) reload(ctx context.Context, cause string) (Reload, error) {
	r := &a.reloads
	r.mu.Lock()
	defer r.mu.Unlock()
	done, err := a.tryReload(ctx)
	if err != nil {
		r.successful.Set(0)
		if cause != causeLook || r.refused != err.Error() {
			a.log.Error("configuration refused, everything stays as it was", "asked_by", cause, "err", err)
		}
		r.refused = err.Error()
		return Reload{}, err
	}
	again := r.refused != ""
	r.refused = ""
	r.successful.Set(1)
	r.succeeded.SetToCurrentTime()
	if cause != causeLook || again || len(done.Applied) > 0 {
		a.log.Info("configuration read again", "asked_by", cause, "applied", oneLine(done.Applied), "needs_restart", oneLine(done.NeedsRestart))
	}
	return done, nil
}

// tryReload is reload without its log lines and metrics. mu is held.
func (a *App) tryReload(ctx context.Context) (Reload, error) {
	r := &a.reloads
	next, err := r.read(ctx)
	if err != nil {
		return Reload{}, err
	}
	done := Reload{Applied: []config.Change{}, NeedsRestart: []config.Change{}, Unchanged: []string{}}
	changed := config.Diff(r.running, next)
	var commits []func()
	for _, l := range a.reloaders() {
		var mine []config.Change
		mine, changed = l.split(changed)
		if len(mine) == 0 && !l.looks {
			done.Unchanged = append(done.Unchanged, l.name)
			continue
		}
		commit, also, err := l.prepare(next)
		if err != nil {
			return Reload{}, err
		}
		mine = append(mine, also...)
		if len(mine) == 0 {
			done.Unchanged = append(done.Unchanged, l.name)
		}
		done.Applied = append(done.Applied, mine...)
		commits = append(commits, commit, func() { l.take(&r.running, next) })
	}
	for _, commit := range commits {
		commit()
	}
	r.checked = next
	done.NeedsRestart = append(done.NeedsRestart, changed...)
	return done, nil
}

// read is the configuration as it is now, checked; without a file it is the one of the start.
func (r *reloads) read(ctx context.Context) (config.Config, error) {
	if r.from.File == "" {
		return r.checked, nil
	}
	next, err := r.from.Load()
	if err != nil || reflect.DeepEqual(next, r.checked) {
		return next, err
	}
	if err := Check(ctx, next); err != nil {
		return next, fmt.Errorf("configuration %s: %w", r.from.File, err)
	}
	return next, nil
}

// split parts the changes that l takes from the others.
func (l *reloader) split(changes []config.Change) (mine, others []config.Change) {
	for _, c := range changes {
		under := func(path string) bool { return c.Path == path || strings.HasPrefix(c.Path, path+".") }
		if slices.ContainsFunc(l.settings, under) && !slices.ContainsFunc(l.except, under) {
			mine = append(mine, c)
		} else {
			others = append(others, c)
		}
	}
	return mine, others
}

// take copies what l has put in force.
func (l *reloader) take(running *config.Config, next config.Config) {
	was := *running
	for _, path := range l.settings {
		running.Take(next, path)
	}
	for _, path := range l.except {
		running.Take(was, path)
	}
}

// oneLine lists changes for the log.
func oneLine(changes []config.Change) string {
	words := make([]string, len(changes))
	for i, c := range changes {
		words[i] = c.String()
	}
	return strings.Join(words, "; ")
}

// reloadWhenTold reloads at each SIGHUP, until ctx ends.
func (a *App) reloadWhenTold(ctx context.Context) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-hangup:
			_, _ = a.reload(ctx, causeSignal) // the log says what came of it
		case <-ctx.Done():
			return
		}
	}
}

// reloadWhenChanged reloads when the configuration's file, or one that it
// names, has changed, until ctx ends.
func (a *App) reloadWhenChanged(ctx context.Context) {
	a.watcher.Run(ctx, a.watched, func() { _, _ = a.reload(ctx, causeLook) })
}

// watched are the files that a reload reads.
func (a *App) watched() []string {
	r := &a.reloads
	r.mu.Lock()
	defer r.mu.Unlock()
	files := slices.Clone(r.running.Quota.Files)
	if r.from.File != "" {
		files = append(files, r.from.File)
	}
	return files
}
