package block

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/disk"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// What cannot be read is left out of answers, and every answer that may lack something for it says so, by the file's name.
//
// A block whose footer cannot be read is set aside at the start (blocks.go): nothing is known of it but its name and when
// it was written, so that any answer that reaches as far back may lack what it held. Of a block that is listed only those answers lack
// something that came upon what cannot be read.

// A fileError is what was wrong with one file of a block.
type fileError struct {
	file string
	err  error
}

func (e *fileError) Error() string { return e.file + ": " + e.err.Error() }
func (e *fileError) Unwrap() error { return e.err }

// A lostBlock is one that was set aside.
type lostBlock struct {
	telemetry.Damage
	written time.Time
}

// maxAhead is how far ahead of the clock a span may have begun when it was stored, generously.
const maxAhead = 25 * time.Hour

// mayReach says whether the block may hold spans that began at from (Unix nanoseconds) or later.
func (l *lostBlock) mayReach(from int64) bool {
	return from == 0 || l.written.Add(maxAhead).UnixNano() >= from
}

// lose notes a block that is set aside.
func (s *Store) lose(dir, reason string) {
	l := lostBlock{Damage: telemetry.Damage{File: filepath.Base(dir), Reason: reason}, written: time.Now()}
	if info, err := os.Stat(dir); err == nil {
		l.written = info.ModTime()
	}
	s.lost = append(s.lost, l)
}

// damage notes that a block could not be read, logs it once, and says what an answer lacks.
func (s *Store) damage(b *blockRef, err error) telemetry.Damage {
	s.metrics.damaged.WithLabelValues("read").Inc()
	d := telemetry.Damage{File: filepath.Join(filepath.Base(b.dir), spansFile), Reason: err.Error()}
	var of *fileError
	if errors.As(err, &of) {
		d.File, d.Reason = filepath.Join(filepath.Base(b.dir), of.file), of.err.Error()
	}
	s.mu.Lock()
	known := b.damage != nil
	if !known {
		b.damage, b.unopened = &d, disk.Failed(err) && !errors.Is(err, syscall.EIO)
	}
	s.mu.Unlock()
	if !known {
		s.log.Error("block has a part that cannot be read; answers leave it out, and say so", "block", b.dir, "err", err)
	}
	return d
}

// Damaged is what is known not to be readable: blocks that were set aside, and those of which a reader came upon such a part since
// the start; by name. [Verify] looks at all there is. A block that could not be opened is tried again: it was perhaps not its fault.
func (s *Store) Damaged() []telemetry.Damage {
	s.tryUnopened()
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []telemetry.Damage
	for _, l := range s.lost {
		out = append(out, l.Damage)
	}
	for _, b := range s.blocks {
		if b.damage != nil {
			out = append(out, *b.damage)
		}
	}
	return sortDamage(out)
}

// tryUnopened forgets the damage of blocks that could not be opened, and now can. What the disk does not give is another matter: it stays
// so.
func (s *Store) tryUnopened() {
	sn := s.snapshot()
	defer sn.done()
	for _, b := range sn.blocks {
		s.mu.Lock()
		tried := b.unopened
		s.mu.Unlock()
		if !tried {
			continue
		}
		if _, err := readBlock(s.fs, b.dir); err != nil {
			continue
		}
		s.mu.Lock()
		b.damage, b.unopened = nil, false
		s.mu.Unlock()
	}
}

// sortDamage puts damage in order, each file once.
func sortDamage(all []telemetry.Damage) []telemetry.Damage {
	slices.SortFunc(all, func(a, b telemetry.Damage) int { return strings.Compare(a.File, b.File) })
	return slices.CompactFunc(all, func(a, b telemetry.Damage) bool { return a.File == b.File })
}

// forgetLost drops lost blocks that retention would have deleted by now. The caller holds mu.
func (s *Store) forgetLost(now time.Time, age time.Duration) {
	s.lost = slices.DeleteFunc(s.lost, func(l lostBlock) bool { return age > 0 && now.Sub(l.written) > age })
}

// loadLost finds the blocks that an earlier start has set aside.
func (s *Store) loadLost(name string) {
	if isBlockName(asideOf(name)) {
		s.lose(filepath.Join(s.dir, name), "it was set aside at an earlier start")
	}
}

// freeName is path, or, where something is there, path with a number behind it under which nothing is.
func freeName(path string) (string, error) {
	free := path
	for n := 2; ; n++ {
		_, err := os.Lstat(free)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return free, nil
		case err != nil:
			return "", err
		}
		free = fmt.Sprintf("%s-%d", path, n)
	}
}

// asideOf is the name of the block that was set aside under a name.
func asideOf(name string) string {
	block := strings.TrimPrefix(name, damagedPrefix)
	if at := strings.LastIndexByte(block, '-'); at > 0 && isBlockName(block[:at]) {
		return block[:at]
	}
	return block
}

// lostSince is the damage of blocks that were set aside and may hold spans that began at from or later; 0: any.
func (sn *snapshot) lostSince(from int64) []telemetry.Damage {
	var out []telemetry.Damage
	for i := range sn.lost {
		if sn.lost[i].mayReach(from) {
			out = append(out, sn.lost[i].Damage)
		}
	}
	return out
}
