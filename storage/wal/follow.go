package wal

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/disk"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A Policy says what the log does for a follower that is behind.
type Policy struct {
	// Essential: the log keeps what the follower has not seen, and gives it every record. Otherwise it is
	// best effort: too far behind it skips forward, and what it left out is counted.
	Essential bool
	// MaxLag is in bytes of the log. An essential follower further behind holds all appends back
	// until it has caught up to there; 0 never does, the log's own size is then the limit. A best-effort follower
	// further behind skips to half of it; 0 is not allowed.
	MaxLag int64
}

// A Follower reads the log from a position on, in order: what is no longer in memory from disk, what is
// from there, without a copy, and new records as they become durable.
//
// Next, More and Close are for one goroutine; Status may be called from any.
//
// A follower is at a record until it asks for the next one: only then has it passed it.
type Follower struct {
	log    *Log
	name   string
	policy Policy
	more   chan struct{} // capacity 1
	disk   reader        // its own

	// Guarded by log.tail.mu.
	next  telemetry.Position // the record that it is at, or waits for
	at    Extent             // of the log before next
	left  Extent             // what it left out
	lost  uint64             // records among those that the log no longer has
	lent  *entry             // the entry of the tail that it is at
	took  Extent             // of the record that it is at, if that came from disk
	stamp int64              // Batch.Received of the record given last
}

// Follow makes a follower of all records after position from. Close it when it is no longer needed: it keeps memory.
//
// Where the log no longer holds the first of them, the follower begins with the oldest there is; what is missing counts as
// left out and is told in one line of the process' log.
func (l *Log) Follow(name string, from telemetry.Position, policy Policy) (*Follower, error) {
	if !policy.Essential && policy.MaxLag <= 0 {
		return nil, fmt.Errorf("follow log as %s: a best-effort follower needs a lag beyond which it skips", name)
	}
	f := &Follower{log: l, name: name, policy: policy, more: make(chan struct{}, 1), next: from + 1}
	t := &l.tail
	t.mu.Lock()
	f.overHole()
	t.mu.Unlock()
	oldest, any := l.holding(f.next, -1)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case from > t.last:
		return nil, fmt.Errorf("follow log as %s: it has applied position %d, but the log ends at %d; "+
			"the data directory mixes files of two servers, or the log was removed: put it back, or remove what %s has stored", name, from, t.last, name)
	case f.next > t.last:
		f.at = t.sum
	case any && oldest.first <= f.next:
		// The records of the segment before next are not told apart: until it has caught up, the lag is up to a segment too large.
		f.at = oldest.base
	default:
		first := t.last + 1
		if any {
			first = oldest.first
			f.at = oldest.base
		} else {
			f.at = t.sum
		}
		missing := uint64(first - f.next)
		f.left.Records += missing
		if policy.Essential {
			f.lost += missing
			l.log.Error("the log no longer holds the first records that a follower needs; they are lost to it", "follower", name, "after", from, "oldest", first, "missing", missing)
		} else {
			l.log.Warn("the log no longer holds the first records that a follower is to be given; it goes on without them",
				"follower", name, "after", from, "oldest", first, "missing", missing)
		}
		f.next = first
	}
	f.overHole()
	t.followers = append(t.followers, f)
	return f, nil
}

// More has a value when there may be more to read. It is not closed.
func (f *Follower) More() <-chan struct{} { return f.more }

func (f *Follower) wake() {
	select {
	case f.more <- struct{}{}:
	default:
	}
}

// Next passes the record that it gave before and gives the one after it. The entry, its batch and its record are
// borrowed until the following call (I3); others may be reading the same batch. It never waits for new records: ok is false where there
// are none now; take from More then.
//
// Errors: io.EOF when the log is closed and all was given; otherwise what is on disk cannot be read, not for some 15 s either, and the same
// record is tried again by the next call.
func (f *Follower) Next() (e telemetry.Entry, ok bool, err error) {
	for passed := true; passed && err == nil; {
		e, ok, passed, err = f.step()
	}
	return e, ok, err
}

// step is Next, but where it passed what the log has lost, and gives nothing yet.
func (f *Follower) step() (e telemetry.Entry, ok, passed bool, err error) {
	t := &f.log.tail
	t.mu.Lock()
	unused := f.pass()
	f.skip()
	lent, behind, ended := t.at(f.next), f.next <= t.last, t.ended
	if lent != nil {
		lent.users++
		f.lent, f.stamp = lent, lent.batch.Received
	}
	unused = append(unused, t.trim()...)
	t.ease()
	t.mu.Unlock()
	for _, u := range unused {
		f.log.recycle(u)
	}
	switch {
	case lent != nil:
		f.disk.close()
		return telemetry.Entry{Position: lent.pos, Batch: lent.batch, Record: lent.rec[headerBytes:]}, true, false, nil
	case behind:
		e, ok, err = f.read()
		return e, ok, !ok, err
	case ended:
		return telemetry.Entry{}, false, false, io.EOF
	default:
		return telemetry.Entry{}, false, false, nil
	}
}

// pass takes the record that the follower is at as done. tail.mu is held.
func (f *Follower) pass() (unused []*entry) {
	if e := f.lent; e != nil {
		f.lent = nil
		f.next, f.at = e.pos+1, e.end
		if e.users--; e.users == 0 {
			unused = []*entry{e}
		}
	}
	if f.took.Records > 0 {
		f.next++
		f.at = f.at.plus(f.took)
		f.took = Extent{}
	}
	f.overHole()
	if f.next > f.log.tail.last {
		f.at = f.log.tail.sum
	}
	return unused
}

// overHole passes positions that no record has. tail.mu is held.
func (f *Follower) overHole() {
	t := &f.log.tail
	if len(t.holes) == 0 {
		return
	}
	beyond, lost := overHole(t.holes, f.next)
	if lost > 0 {
		f.left.Records += lost
		f.lost += lost
		f.log.log.Warn("a follower goes on without records that the log has lost", "follower", f.name, "after", f.next-1, "missing", lost)
	}
	f.next = beyond
}

// skip moves a best-effort follower forward that is too far behind. tail.mu is held.
func (f *Follower) skip() {
	t := &f.log.tail
	if f.policy.Essential || f.behind().Bytes <= f.policy.MaxLag {
		return
	}
	next, at := t.last+1, t.sum
	before := t.front
	for _, e := range t.live() {
		if t.sum.less(before).Bytes <= f.policy.MaxLag/2 {
			next, at = e.pos, before
			break
		}
		before = e.end
	}
	f.leave(next, at)
}

// leave leaves out what lies before next; at is the extent of the log before that. tail.mu is held.
func (f *Follower) leave(next telemetry.Position, at Extent) {
	if next <= f.next {
		return
	}
	skipped := at.less(f.at)
	skipped.Records = uint64(next - f.next)
	f.left = f.left.plus(skipped)
	f.next, f.at = next, at
}

// miss leaves out what lies before next, which the log does not have: it was cut, or it is damaged. tail.mu is held.
func (f *Follower) miss(next telemetry.Position, at Extent) {
	if next <= f.next {
		return
	}
	if f.disk.damaged || f.policy.Essential {
		f.log.tail.lose(f.next, next)
		f.lost += uint64(next - f.next)
		f.log.log.Error("a follower goes on without records that the log has lost", "follower", f.name, "after", f.next-1, "missing", next-f.next)
	}
	f.leave(next, at)
}

// behind is how much of the log the follower has not passed. tail.mu is held.
func (f *Follower) behind() Extent {
	t := &f.log.tail
	if f.next > t.last {
		return Extent{}
	}
	return t.sum.less(f.at)
}

// read gives the record at next from disk. Where it was cut, which is done to those alone that are not essential, it
// gives the oldest there is, or, where all that was on disk is cut, nothing yet; nor does it where the record makes no sense. It is then passed.
func (f *Follower) read() (telemetry.Entry, bool, error) {
	t := &f.log.tail
	pos, base, err := f.seek()
	if errors.Is(err, errGone) {
		t.mu.Lock()
		f.miss(t.last+1-telemetry.Position(len(t.live())), t.front)
		t.mu.Unlock()
		return telemetry.Entry{}, false, nil
	}
	var rec []byte
	if err == nil {
		rec = f.disk.record()
		err = f.disk.batch.DecodeRecord(rec)
		if err != nil && (!f.disk.scan.sealed || !errors.Is(err, telemetry.ErrNewerRecord)) {
			f.disk.undecodable(f.log, err)
			t.mu.Lock()
			f.miss(pos+1, base)
			t.mu.Unlock()
			return telemetry.Entry{}, false, nil
		}
	}
	if err != nil {
		return telemetry.Entry{}, false, fmt.Errorf("read log %s at position %d for %s: %w", f.log.dir, f.next, f.name, err)
	}
	took := Extent{Records: 1, Bytes: framed(len(rec) + headerBytes)}
	if pos > f.log.opened {
		took.Spans, took.Requests = uint64(len(f.disk.batch.Spans)), uint64(len(f.disk.batch.Requests))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	f.miss(pos, base)
	f.took, f.stamp = took, f.disk.batch.Received
	return telemetry.Entry{Position: pos, Batch: f.disk.batch, Record: rec}, true, nil
}

// seek finds the record at next, or the oldest after it. For a while it gets over a machine that does not let files be read, as when too many are
// open: the record is not lost by that, and who follows would have to end.
func (f *Follower) seek() (pos telemetry.Position, base Extent, err error) {
	since := time.Now()
	for tries := 0; ; tries++ {
		pos, base, err = f.disk.seek(f.log, f.next)
		if !disk.Failed(err) || time.Since(since) > f.log.timing.giveUp || f.log.tail.isClosing() {
			return pos, base, err
		}
		if tries == 0 {
			f.log.log.Warn("a follower cannot read the log; it tries again", "follower", f.name, "position", f.next, "err", err)
		}
		time.Sleep(f.log.timing.retry)
	}
}

// Close ends the following. What the follower has not passed is kept on disk for the next start, as far as the log's owner keeps it.
func (f *Follower) Close() {
	f.disk.close()
	t := &f.log.tail
	t.mu.Lock()
	unused := f.pass()
	t.followers = slices.DeleteFunc(t.followers, func(o *Follower) bool { return o == f })
	unused = append(unused, t.trim()...)
	t.waiting = t.waiting && len(t.followers) > 0
	select { // whoever waited for this one waits no longer
	case t.moved <- struct{}{}:
	default:
	}
	t.mu.Unlock()
	for _, u := range unused {
		f.log.recycle(u)
	}
}

// A FollowerStatus says where a follower is.
type FollowerStatus struct {
	Name     string
	Policy   Policy
	Position telemetry.Position // of the record passed last
	Lag      Extent             // how much of the log it has not passed, the record that it is at included
	// Oldest is when the oldest record that it has not passed was received, in Unix nanoseconds; 0 where it has
	// passed all, or the time is not known yet.
	Oldest  int64
	LeftOut Extent // what it was not given, since the start of the process: skipped by a best-effort follower, or lost
	Lost    uint64 // records among those that the log no longer had
}

// Age is how old the oldest record is that the follower has not passed; 0 where it has passed all.
func (s FollowerStatus) Age(now time.Time) time.Duration {
	if s.Oldest == 0 {
		return 0
	}
	return max(0, now.Sub(time.Unix(0, s.Oldest)))
}

// Status says where the follower is.
func (f *Follower) Status() FollowerStatus {
	t := &f.log.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	s := FollowerStatus{Name: f.name, Policy: f.policy, Position: f.next - 1, Lag: f.behind(), LeftOut: f.left, Lost: f.lost}
	if e := t.at(f.next); e != nil {
		s.Oldest = e.batch.Received
	} else if f.next <= t.last {
		s.Oldest = f.stamp
	}
	return s
}

// Followers says where all followers are, in the order in which they came.
func (l *Log) Followers() []FollowerStatus {
	l.tail.mu.Lock()
	fs := slices.Clone(l.tail.followers)
	l.tail.mu.Unlock()
	out := make([]FollowerStatus, len(fs))
	for i, f := range fs {
		out[i] = f.Status()
	}
	return out
}
