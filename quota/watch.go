package quota

import (
	"context"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watcher tells when something happened in a directory of rule files. What happened does not matter: the files are read and
// compared by content. Where the system cannot watch (no more inotify instances, a network file system), polling remains.
type watcher struct {
	fs        *fsnotify.Watcher // nil when only polling is possible
	pollEvery int               // seconds
}

const (
	settleFor   = 50 * time.Millisecond // an editor or kubelet does several things at once
	pollWatched = 10                    // seconds between looks while watching, for what no event tells
	pollBlind   = 2
)

func (e *Engine) watch() *watcher {
	if len(e.cfg.Files) == 0 {
		return &watcher{pollEvery: pollWatched}
	}
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		e.log.Warn("quota rule files cannot be watched, looking every 2 s instead", "error", err)
		return &watcher{pollEvery: pollBlind}
	}
	w := &watcher{fs: fs, pollEvery: pollWatched}
	for _, dir := range directories(e.cfg.Files) {
		if err := fs.Add(dir); err != nil {
			e.log.Warn("a directory of quota rule files cannot be watched, looking every 2 s instead", "directory", dir, "error", err)
			w.pollEvery = pollBlind
		}
	}
	return w
}

// changed yields when something happened.
func (w *watcher) changed() <-chan fsnotify.Event {
	if w.fs == nil {
		return nil
	}
	return w.fs.Events
}

// errors yields when events were lost, as when a queue ran over.
func (w *watcher) errors() <-chan error {
	if w.fs == nil {
		return nil
	}
	return w.fs.Errors
}

// settle waits until nothing has happened for a moment, or for a second at most.
func (w *watcher) settle(ctx context.Context) {
	quiet := time.NewTimer(settleFor)
	defer quiet.Stop()
	enough := time.NewTimer(time.Second)
	defer enough.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-quiet.C:
			return
		case <-enough.C:
			return
		case <-w.fs.Errors:
		case <-w.fs.Events:
			quiet.Reset(settleFor)
		}
	}
}

func (w *watcher) close() {
	if w.fs != nil {
		_ = w.fs.Close() // nothing depends on its ending well
	}
}
