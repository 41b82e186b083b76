package wal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/disk"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// segmentName is the name of a segment's file.
func segmentName(dir string, index int) string { return filepath.Join(dir, fmt.Sprintf("%08d", index)) }

// listSegments lists the segments in dir, oldest first. A number that is missing is no error: what is lost is told by the positions.
func listSegments(fsys disk.FS, dir string) ([]int, error) {
	names, err := fsys.Names(dir)
	if err != nil {
		return nil, err
	}
	var all []int
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil && n >= 0 && name == filepath.Base(segmentName("", n)) {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all, nil
}

// A survey is what a whole log holds, as found by reading it.
type survey struct {
	segments []segment
	first    telemetry.Position // of the oldest record, 0 without
	last     telemetry.Position // of the newest record, and of what marks say that came before their segments
	newest   telemetry.Position // of the newest record
	sum      Extent             // of all records
	holes    []hole
	damages  []damage // those with readable records behind them
	tail     []damage // those behind the newest record, and behind the last mark
	skipped  uint64   // how many positions from newest to last were never given
}

// A hole is positions that no record of the log has: those from after+1 up to next-1. The first lost of them
// had records, as far as can be told, and the others were never given.
type hole struct {
	after, next telemetry.Position
	lost        uint64
}

// look reads the whole log in dir. It changes nothing and decodes nothing.
//
// A page that the disk does not give counts as damaged only when the disk was asked for it again and again, a pause apart, and said that it
// has lost it (EIO): what is passed here is passed by all who follow, and then cut. Any other fault of the machine is an error.
func look(fsys disk.FS, dir string, pause time.Duration) (*survey, error) {
	indexes, err := listSegments(fsys, dir)
	if err != nil {
		return nil, err
	}
	v := &survey{}
	for _, i := range indexes {
		before := *v
		err := v.segment(fsys, dir, i, false)
		for tries := 1; errors.Is(err, errUnread) && tries <= maxTries; tries++ {
			time.Sleep(pause)
			*v = before
			err = v.segment(fsys, dir, i, tries == maxTries && errors.Is(err, syscall.EIO))
		}
		if err != nil {
			return nil, err
		}
	}
	return v, nil
}

// segment adds what a segment holds. A page that the disk does not give is an error, unless it is to be taken for damaged.
func (v *survey) segment(fsys disk.FS, dir string, index int, unread bool) error {
	f, err := fsys.OpenFile(segmentName(dir, index), os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	size, err := f.Size()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	seg := segment{index: index, bytes: size, base: v.sum, empty: true}
	s := newScanner(f, size)
	for marked := false; ; {
		what := s.next()
		if s.mark.next > 0 && !marked {
			// Numbering went on behind whatever the damage before can have held.
			marked = true
			v.damages, v.tail = append(v.damages, v.tail...), nil
		}
		if what == foundEnd {
			break
		}
		if what == foundDamage {
			d := s.dmg
			if d.unread != nil && !unread {
				return errors.Join(fmt.Errorf("segment %d: %w", index, d.unread), f.Close())
			}
			d.segment = index
			v.tail = append(v.tail, d)
			continue
		}
		pos := s.last
		if seg.empty && pos <= v.newest {
			// Its number says that it comes later, its records that they came before: it is a copy, or not of this log. No record is given twice.
			v.tail = append(v.tail, damage{segment: index, from: 0, to: size, cause: fmt.Errorf("it begins with position %d, and the segment before ends with %d", pos, v.newest)})
			break
		}
		skipped := uint64(0)
		if seg.empty {
			seg.first, seg.empty = pos, false
			skipped = s.mark.skipped
		}
		v.record(pos, skipped, s.rec)
	}
	if seg.empty {
		seg.first = max(v.last, v.newest) + 1
		if s.mark.next > 0 {
			seg.first = max(seg.first, s.mark.next)
			v.last, v.skipped = max(v.last, s.mark.next-1), s.mark.skipped
		}
	}
	v.segments = append(v.segments, seg)
	return f.Close()
}

// record notes the next record, before whose segment so many positions were skipped.
func (v *survey) record(pos telemetry.Position, skipped uint64, rec []byte) {
	if gap := uint64(pos - v.newest - 1); v.newest > 0 && gap > 0 {
		v.holes = append(v.holes, hole{after: v.newest, next: pos, lost: gap - min(gap, skipped)})
	}
	v.damages = append(v.damages, v.tail...)
	v.tail = nil
	if v.first == 0 {
		v.first = pos
	}
	v.newest, v.last, v.skipped = pos, max(v.last, pos), 0
	v.sum.Records++
	v.sum.Bytes += framed(len(rec))
}

// torn is the torn record at the log's end, if that is all that there is.
func (v *survey) torn() (damage, bool) {
	if len(v.tail) != 1 || !v.tail[0].torn {
		return damage{}, false
	}
	d := v.tail[0]
	for _, s := range v.segments {
		if s.index > d.segment && s.bytes > markBytes {
			return damage{}, false // it was not the last to be written to
		}
	}
	return d, true
}

// scan reads the whole log: it finds where each segment begins and where the log ends, repairs what can be, and tells what cannot.
func (l *Log) scan(after telemetry.Position) error {
	_ = l.fs.Remove(filepath.Join(l.dir, probeName)) // of a process that was killed; it is in nobody's way
	v, err := look(l.fs, l.dir, l.timing.retry)
	if err != nil {
		return err
	}
	damages, uncertain := v.damages, uint64(0) // how many records there may have been behind the newest
	d, torn := v.torn()
	if torn {
		if err := l.cutTorn(v, d); err != nil {
			l.log.Error("a torn record cannot be cut off; it is passed as what is damaged is", "segment", d.segment, "err", err)
			torn = false
		}
	}
	if !torn {
		for _, d := range v.tail {
			uncertain += d.most()
		}
		damages = append(damages, v.tail...)
	}
	if err := l.syncNewest(v); err != nil {
		l.log.Error("what the log ends with cannot be made durable; if the machine ends now, followers may have been given records that are not there any more", "err", err)
	}
	// Numbering goes on behind all that can have been given: what some state has, and what the damaged end can have held.
	l.last = max(after, v.last+telemetry.Position(uncertain))
	l.opened, l.sum = l.last, v.sum
	known := uint64(v.last-v.newest) - v.skipped
	if after > v.last {
		known += uint64(after - v.last)
	}
	end := hole{after: v.newest, next: l.last + 1, lost: known}
	if v.newest == 0 {
		end.after, end.lost = after, 0 // the log was cut up to there, or what it held is damaged
	}
	if end.next > end.after+1 {
		l.skipped = uint64(end.next-end.after-1) - end.lost
		v.holes = append(v.holes, end)
	}
	l.tail.init(l.last, l.sum, v.holes)
	l.mu.segments = v.segments
	for _, s := range v.segments {
		l.mu.bytes += s.bytes
	}
	l.tellDamage(damages, v.holes, uncertain)
	return nil
}

// syncNewest makes durable what a process wrote and was killed before it had synced it: followers are given it. All before the newest segment
// with records was synced when that was made.
func (l *Log) syncNewest(v *survey) error {
	for _, s := range slices.Backward(v.segments) {
		if s.empty || l.cfg.NoSync {
			continue
		}
		f, err := l.fs.OpenFile(segmentName(l.dir, s.index), os.O_RDONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	}
	return nil
}

// cutTorn cuts a torn record off the end of its segment. It was never acknowledged.
func (l *Log) cutTorn(v *survey, d damage) error {
	f, err := l.fs.OpenFile(segmentName(l.dir, d.segment), os.O_WRONLY, 0)
	if err == nil {
		err = f.Truncate(d.from)
		if err == nil {
			err = f.Sync()
		}
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("cut torn record: %w", err)
	}
	for i := range v.segments {
		if v.segments[i].index == d.segment {
			v.segments[i].bytes = d.from
		}
	}
	l.repairs++
	l.log.Warn("cut a torn record off the end of the log; it was being written when the process died and was not acknowledged",
		"segment", d.segment, "kept_bytes", d.from, "cause", d.cause, "last", v.newest)
	return nil
}
