package wal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// Damage is what the log has lost, as far as is known: when it was opened, and while it was read since.
type Damage struct {
	// Missing is how many positions that were given to records no record has.
	Missing uint64
	// Uncertain is how many records there may have been, at the most, behind the newest that can be read; whether there were
	// any, and whether they were acknowledged, cannot be known.
	Uncertain uint64
	Bytes     int64 // that are no readable record
	Places    int   // runs of such bytes
}

// tellDamage keeps damaged bytes aside and says in one line what is lost.
func (l *Log) tellDamage(damages []damage, holes []hole, uncertain uint64) {
	var told Damage
	told.Uncertain = uncertain
	var files []string
	var cause error
	for _, d := range damages {
		told.Places++
		told.Bytes += d.to - d.from
		if name, err := l.keepAside(d); err != nil {
			l.log.Error("damaged bytes of the log could not be kept aside; they stay in their segment until that is cut", "segment", d.segment, "offset", d.from, "err", err)
		} else {
			files = append(files, name)
		}
		if cause == nil {
			cause = fmt.Errorf("segment %d at byte %d: %w", d.segment, d.from, d.cause)
		}
	}
	var after, next telemetry.Position
	for _, h := range holes {
		if h.lost > 0 {
			told.Missing += h.lost
			if after == 0 {
				after = h.after
			}
			next = h.next
		}
	}
	l.tail.mu.Lock()
	l.tail.damage, l.tail.places = told, damages
	l.tail.mu.Unlock()
	if told == (Damage{}) {
		return
	}
	const most = 8
	l.log.Error("the log is damaged; all that can be read of it is used, and what is missing is lost unless some store has it",
		"missing", told.Missing, "after", after, "next", next, "perhaps_missing_at_the_end", uncertain,
		"damaged_bytes", told.Bytes, "places", told.Places, "kept_in", files[:min(most, len(files))], "cause", cause)
}

// keepAside copies damaged bytes to a file beside their segment, unless that was done before. Nobody removes it.
func (l *Log) keepAside(d damage) (name string, err error) {
	name = fmt.Sprintf("%s.%d.damaged", segmentName(l.dir, d.segment), d.from)
	to, err := l.fs.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return name, nil
	}
	if err != nil {
		return "", err
	}
	defer func() {
		if err = errors.Join(err, to.Close()); err != nil {
			_ = l.fs.Remove(name) // half of it would pass for all of it
		}
	}()
	from, err := l.fs.OpenFile(segmentName(l.dir, d.segment), os.O_RDONLY, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = from.Close() }() // it was only read
	buf := make([]byte, pageBytes)
	for at := d.from; at < d.to; at += int64(len(buf)) {
		part := buf[:min(int64(len(buf)), d.to-at)]
		if n, err := from.ReadAt(part, at); n < len(part) && err != nil && !errors.Is(err, io.EOF) {
			clear(part[n:]) // what the disk does not give is kept as zeros
		}
		if _, err := to.WriteAt(part, at-d.from); err != nil {
			return "", err
		}
	}
	return name, to.Sync()
}

// cameUpon notes a damage that a follower came upon while it read, once.
func (l *Log) cameUpon(d damage) {
	t := &l.tail
	t.mu.Lock()
	known := slices.ContainsFunc(t.places, func(p damage) bool { return p.segment == d.segment && p.from == d.from })
	if !known {
		t.places = append(t.places, d)
		t.damage.Places++
		t.damage.Bytes += d.to - d.from
	}
	t.mu.Unlock()
	if known {
		return
	}
	name, err := l.keepAside(d)
	l.log.Error("the log was damaged while it was in use", "segment", d.segment, "offset", d.from, "damaged_bytes", d.to-d.from, "cause", d.cause, "kept_in", name, "err", err)
}

// Damage says what the log has lost.
func (l *Log) Damage() Damage {
	l.tail.mu.Lock()
	defer l.tail.mu.Unlock()
	return l.tail.damage
}

// overHole passes the positions from next on that no record has; lost are those that had one. holes are in order.
func overHole(holes []hole, next telemetry.Position) (beyond telemetry.Position, lost uint64) {
	i, _ := slices.BinarySearchFunc(holes, next, func(h hole, p telemetry.Position) int {
		if h.next <= p {
			return -1
		}
		return 1
	})
	if i == len(holes) || next <= holes[i].after {
		return next, 0
	}
	h := holes[i]
	if had := h.after + telemetry.Position(h.lost); had >= next {
		lost = uint64(had - next + 1)
	}
	return h.next, lost
}
