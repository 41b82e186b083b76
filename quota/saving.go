package quota

import (
	"fmt"
	"iter"
	"maps"
	"sync/atomic"
	"time"

	"github.com/binnacle-mesh/binnacle/quota/window"
)

// How counters outlive the process.
//
// The problem: a limit a day that a restart forgets is granted twice.
//
// Invariants:
//   - After Close nothing is forgotten, in windows of whatever length.
//   - A process that is killed forgets at most what was admitted since the last saving that succeeded began: one interval's worth, of
//     windows of a minute and longer. (A window of seconds ends before a restart is over, or nearly.)
//   - Nothing is admitted that should not be because of what was read: a record is the counters' values and not what was added to them.
//
// Algorithm: each interval the counters that changed are collected, shard by shard, and appended to the journal; when that has grown, and
// once after each start, it is written anew with all. A saving that fails is told and counted, and tried again with what changed
// meanwhile, at growing intervals; decisions go on.
//
// Not chosen: writing before answering, which would cost each decision an fsync for a bound that a second of traffic already is; writing
// all each time, which is tens of megabytes a second with a million keys.

// Journal keeps records over a restart; storage/journal's is one.
type Journal interface {
	// Spent says that the next records must be a Rewrite.
	Spent() bool
	// Append adds records, Rewrite puts them in the place of all that there are. They are durable if the error is nil, and not written
	// otherwise.
	Append(records iter.Seq[[]byte]) error
	Rewrite(records iter.Seq[[]byte]) error
	Close() error
}

// savedLength is the shortest window that is saved at intervals, in seconds.
const savedLength = 60

// recordBytes is about how large a record may get before the next begins.
const recordBytes = 1 << 20

// saver writes the counters down. Its fields are for one goroutine; the statistics may be read by any.
type saver struct {
	engine  *Engine
	journal Journal
	begun   bool            // the journal was written anew by this process, so that its tags are ours
	named   map[uint32]bool // tags whose names are in the journal
	counter []window.Saved  // buffers that serve again
	record  []byte

	started bool
	stop    chan struct{}
	stopped chan struct{}

	saves, failures atomic.Uint64
	savedAt         atomic.Int64 // Unix nanoseconds by the wall clock; 0 before the first
	failing         atomic.Pointer[failing]
}

// failing is that saving fails.
type failing struct {
	err   error
	since time.Time
}

// StartSaving begins to write down the counters at intervals, on a goroutine that Close ends.
func (e *Engine) StartSaving() {
	s := e.saver
	if s.journal == nil || s.started {
		return
	}
	s.started = true
	go s.run()
}

// Close ends the saving, and writes down all counters, so that nothing is forgotten. No decision may be under way.
func (e *Engine) Close() error {
	s := e.saver
	if s.journal == nil {
		return nil
	}
	var err error
	if s.started {
		close(s.stop)
		<-s.stopped
		s.started = false
		if err = s.save(time.Now(), true); err != nil {
			err = fmt.Errorf("quota: save the counters: %w; what was used since they were last saved will be granted again", err)
		}
	}
	if shut := s.journal.Close(); err == nil {
		err = shut
	}
	return err
}

// longestRetry is how long at most a saving that failed waits for the next, if the interval is not longer.
const longestRetry = 30 * time.Second

func (s *saver) run() {
	defer close(s.stopped)
	interval := func() time.Duration { return s.engine.current.Load().cfg.SaveInterval }
	wait := interval()
	for {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-s.stop:
			timer.Stop()
			return
		}
		begun := time.Now()
		err := s.save(begun, false)
		s.tell(err, begun)
		if err != nil {
			wait = max(interval(), min(2*wait, longestRetry))
			continue
		}
		// From the beginning of one to that of the next: what a saving takes is not added to what a crash may forget.
		wait = max(interval()-time.Since(begun), interval()/10)
	}
}

// tell says in the log that saving fails, once, and that it succeeds again.
func (s *saver) tell(err error, now time.Time) {
	was := s.failing.Load()
	switch {
	case err != nil && was != nil:
		s.failing.Store(&failing{err, was.since})
	case err != nil:
		s.failing.Store(&failing{err, now})
		s.engine.log.Error("quota counters cannot be saved: a restart would grant again what is used from now on; it is tried again", "err", err)
	case was != nil:
		s.failing.Store(nil)
		s.engine.log.Info("quota counters are saved again")
	}
}

// save writes down what changed, or with final all that is in use, whatever its window's length.
func (s *saver) save(now time.Time, final bool) error {
	if keys, floors := s.engine.table.Len(); !s.begun && keys+floors == 0 {
		return nil // where nothing was ever counted there is no file
	}
	anew := final || !s.begun || s.journal.Spent()
	write := s.journal.Append
	if anew {
		write = s.journal.Rewrite
	}
	wrote := false
	if err := write(s.records(now, anew, final, &wrote)); err != nil {
		s.failures.Add(1)
		s.begun = false // names and counters are to be written again
		s.engine.table.Unsave()
		return err
	}
	s.begun = true
	if wrote {
		s.saves.Add(1)
	}
	s.savedAt.Store(now.UnixNano())
	return nil
}

// records collects the counters, a record for about each recordBytes of them.
func (s *saver) records(now time.Time, all, final bool, wrote *bool) iter.Seq[[]byte] {
	shortest := uint32(savedLength)
	if final {
		shortest = 0
	}
	return func(yield func([]byte) bool) {
		if all {
			s.named = make(map[uint32]bool)
		}
		unix := s.engine.clock.at(now)
		sec := floorSeconds(unix)
		news := false // for the record that is being made
		begin := func() {
			s.record, news = appendHead(s.record[:0], s.engine.secret, unix, s.newNames()), false
		}
		begin()
		for shard := range s.engine.table.Shards() {
			var changed bool
			s.counter, changed = s.engine.table.Save(shard, all, shortest, sec, s.counter[:0])
			for i := range s.counter {
				s.record = appendSaved(s.record, &s.counter[i], sec)
			}
			news = news || changed || len(s.counter) > 0
			if len(s.record) >= recordBytes {
				*wrote = true
				if !yield(s.record) {
					return
				}
				begin()
			}
		}
		if news || all {
			*wrote = true
			yield(s.record)
		}
	}
}

// newNames is the identifiers of rules, by tag, that are not in the journal yet.
func (s *saver) newNames() map[uint32]string {
	names := map[uint32]string{}
	e := s.engine
	e.mu.Lock()
	all := maps.Clone(e.stats)
	e.mu.Unlock()
	for id, stats := range all {
		if !s.named[stats.tag] {
			s.named[stats.tag] = true
			names[stats.tag] = id
		}
	}
	return names
}
