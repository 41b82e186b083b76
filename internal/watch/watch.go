// Package watch tells when files may have changed.
//
// It tells that something happened, not what: its caller reads the files again
// and compares contents. So it may tell too often, and must never miss a change:
//
//   - Directories are watched, not files: a file is usually replaced, not
//     written to. Where a name leads through links (a mounted ConfigMap does), the
//     directory of each link is watched too, since links are what is exchanged.
//   - After each change the directories are worked out anew.
//   - Every ten seconds it tells without cause, for what no event tells. Where the
//     system cannot watch (no more inotify instances, a network file system), every two.
package watch

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	settled   = 50 * time.Millisecond // without an event: an editor or the kubelet does several things at once
	enough    = time.Second           // of waiting for that, where events do not end
	pollSeen  = 10 * time.Second
	pollBlind = 2 * time.Second
)

// A Watcher watches the files of one reader.
type Watcher struct {
	log    *slog.Logger
	errors *prometheus.CounterVec
}

// New makes a watcher, which does nothing until it is run, and registers its metric.
func New(log *slog.Logger, reg prometheus.Registerer) (*Watcher, error) {
	w := &Watcher{log: log, errors: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "binnacle_watch_errors_total",
		Help: "Troubles of watching files, by reason: cannot_watch (a directory; looked at every 2 s instead), events_lost (looked at once).",
	}, []string{"reason"})}
	w.errors.WithLabelValues("cannot_watch")
	w.errors.WithLabelValues("events_lost")
	if err := reg.Register(w.errors); err != nil {
		return nil, fmt.Errorf("watch: register metrics: %w; make one watcher a registry", err)
	}
	return w, nil
}

// Run calls changed once it watches, so that what happened before is not missed,
// and again whenever a file may have changed, until ctx ends. It calls changed in
// its own goroutine, so never twice at once.
//
// names returns what to watch: files, directories or patterns, which need not
// exist. It is asked after each call of changed, since what was read may name other files.
func (w *Watcher) Run(ctx context.Context, names func() []string, changed func()) {
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		w.errors.WithLabelValues("cannot_watch").Inc()
		w.log.Warn("files cannot be watched, they are looked at every 2 s instead", "err", err)
		w.run(ctx, source{look: func() (bool, bool) { return false, false }}, changed)
		return
	}
	defer func() { _ = fs.Close() }() // nothing depends on its ending well
	d := directories{fs: fs, failed: make(map[string]bool)}
	w.run(ctx, source{fs.Events, fs.Errors, func() (more, all bool) { return w.look(&d, names()) }}, changed)
}

// source is where events come from.
type source struct {
	events <-chan fsnotify.Event
	errors <-chan error
	// look finds out what to watch. more: something is watched that was not before. all: everything is.
	look func() (more, all bool)
}

func (w *Watcher) run(ctx context.Context, src source, changed func()) {
	for ctx.Err() == nil {
		changed()
		more, all := src.look()
		if more {
			continue // what was changed there before it was watched gave no event
		}
		poll := pollSeen
		if !all {
			poll = pollBlind
		}
		w.wait(ctx, src, poll)
	}
}

// wait waits for an event, and then until they settle; at most poll.
func (w *Watcher) wait(ctx context.Context, src source, poll time.Duration) {
	until := time.NewTimer(poll)
	defer until.Stop()
	var quiet <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-until.C:
			return
		case <-quiet:
			return
		case err := <-src.errors:
			w.errors.WithLabelValues("events_lost").Inc()
			w.log.Warn("events of watched files were lost, looking now", "err", err)
			return
		case <-src.events:
			if quiet == nil {
				until.Reset(enough)
			}
			quiet = time.After(settled)
		}
	}
}

// look watches the directories of names and no others.
func (w *Watcher) look(d *directories, names []string) (more, all bool) {
	more, failed := d.set(names)
	for dir, err := range failed {
		if !d.failed[dir] { // told and counted once
			w.errors.WithLabelValues("cannot_watch").Inc()
			w.log.Warn("a directory cannot be watched, it is looked at every 2 s instead", "directory", dir, "err", err)
		}
	}
	clear(d.failed)
	for dir := range failed {
		d.failed[dir] = true
	}
	return more, len(failed) == 0
}
