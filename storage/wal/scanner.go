package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A scanner reads the records of one segment, and gets over what is damaged.
//
// The problem: a byte rots, a block of the disk reads as zeros, or the last write was cut short. What cannot be read is to be
// told from what merely ends, all that can be read is to be given, once and in order, and nothing else.
//
// Invariants: a record is given only if all its frames are whole and follow one another, and its position is one that can
// stand there; every byte is part of a record, of padding, or of a damage that is told.
//
//	Read frames one after another; first, middle and last make a record.
//	Where a frame is not whole, or not what can come here, a damage begins.
//	Look for a whole frame at each of the following bytes of the page, then at the next page's beginning.
//	At the next frame that begins a record the damage ends: tell it, then go on.
//	Zeros longer than padding are a damage as well, and so are positions that the bytes between cannot have held.
//	Where the file ends within a frame that is otherwise sound the write was cut short: torn.
//
// Not chosen: a marker that is looked for, escaped where data contain it, as it costs each byte of each record. A frame's checksum, which holds
// its place, is as certain.
type scanner struct {
	src  io.ReaderAt
	size int64 // what may be read; may grow
	off  int64 // of the next frame

	last   telemetry.Position // of the record before, 0 for the first of the file
	begin  int64              // where that began
	end    int64              // where that ended
	sealed bool               // a frame of version 2 was seen
	sound  bool               // any frame was seen to be whole

	page   [pageBytes]byte
	pageAt int64
	pageN  int // bytes of the page that are there; 0: none was read

	rec  []byte // the record given last, with its position
	mark mark   // of the segment; zero without
	dmg  damage // told last

	unread error // why the disk did not give a page since the last damage
}

// A damage is a run of bytes that are no readable record.
type damage struct {
	segment  int
	from, to int64
	cause    error
	torn     bool  // it is what a write leaves that was cut short: it was never acknowledged
	unread   error // why the disk did not give some of it; nil where it gave all
}

// most is how many records a damage can have held.
func (d damage) most() uint64 { return uint64(d.to-d.from)/minRecord + 1 }

// What a scanner finds.
type found int

const (
	foundEnd found = iota
	foundRecord
	foundDamage
)

// padMost is how long padding is at the most.
const padMost = minRecord - 1

var (
	errZeros  = errors.New("zeros where records were")
	errUnread = errors.New("the disk does not give it")
)

func newScanner(src io.ReaderAt, size int64) *scanner { return &scanner{src: src, size: size} }

// next finds the next record (rec) or damage (dmg). At the end it may be called again once size has grown.
func (s *scanner) next() found {
	var (
		rec   = s.rec[:0]
		start = int64(-1) // of the record that is being read
		bad   = int64(-1) // of the damage that is being passed
		cause error
	)
	damaged := func(from int64, err error) {
		if start >= 0 {
			from = start
		}
		if bad < 0 {
			bad, cause = from, err
		}
		start, rec = -1, rec[:0]
	}
	for {
		f := s.frame(s.off)
		if f.err != nil {
			if f.torn {
				torn := bad < 0
				damaged(s.off, f.err)
				return s.tell(damage{from: bad, to: s.size, cause: cause, torn: torn}, s.size)
			}
			damaged(s.off, f.err)
			s.off = s.resync(s.off)
			continue
		}
		switch f.kind {
		case kindPad:
			if f.next > s.off+padMost {
				damaged(s.off, errZeros)
			}
			s.off = f.next
			continue
		case kindMark:
			if s.off != 0 {
				damaged(s.off, errors.New("a mark that is not at the segment's beginning"))
			} else if m, ok := parseMark(f.payload); ok {
				s.mark, s.end = m, f.next
			}
			s.off = f.next
			continue
		case endOfFile:
			switch {
			case bad >= 0 && errors.Is(cause, errZeros) && !s.sealed && s.sound && s.size%pageBytes == 0 && s.size-bad < pageBytes:
				return foundEnd // version 1 padded the last page of a segment that was closed, which has a frame at least
			case bad >= 0:
				return s.tell(damage{from: bad, to: s.size, cause: cause}, s.size)
			case start >= 0:
				return s.tell(damage{from: start, to: s.size, cause: errors.New("the file ends within a record"), torn: true}, s.size)
			}
			return foundEnd
		case kindFull, kindFirst:
			if start >= 0 {
				damaged(start, errors.New("a record without its end"))
			}
			if len(f.payload) >= headerBytes {
				if err := s.plausible(positionOf(f.payload), s.off); err != nil {
					damaged(s.off, err)
					s.off = f.next
					continue
				}
			}
			if bad >= 0 {
				return s.tell(damage{from: bad, to: s.off, cause: cause}, s.off)
			}
			start = s.off
		default:
			if start < 0 {
				damaged(s.off, errors.New("a record without its beginning"))
				s.off = f.next
				continue
			}
		}
		rec = append(rec, f.payload...)
		s.off = f.next
		if f.kind != kindFull && f.kind != kindLast {
			continue
		}
		if len(rec) <= headerBytes {
			damaged(start, fmt.Errorf("a record of %d bytes", len(rec)))
			continue
		}
		pos := positionOf(rec)
		if err := s.plausible(pos, start); err != nil {
			damaged(start, err)
			continue
		}
		s.rec, s.last, s.begin, s.end = rec, pos, start, s.off
		return foundRecord
	}
}

func (s *scanner) tell(d damage, off int64) found {
	d.unread, s.unread = s.unread, nil
	s.dmg, s.off = d, off
	return foundDamage
}

// plausible says whether a record at offset at may have this position: one behind the last, or as many more as the bytes
// between can have held.
func (s *scanner) plausible(pos telemetry.Position, at int64) error {
	switch {
	case pos == 0, pos <= s.last:
		return fmt.Errorf("a record of position %d after one of %d", pos, s.last)
	case s.last == 0 && s.mark.next > 0 && pos < s.mark.next:
		return fmt.Errorf("a record of position %d where the segment begins with %d", pos, s.mark.next)
	}
	before := s.last
	if before == 0 {
		if s.mark.next == 0 {
			return nil // nothing is known of what came before
		}
		before = s.mark.next - 1
	}
	if uint64(pos-before) > uint64(at-s.end)/minRecord+1 {
		return fmt.Errorf("a record of position %d only %d bytes after one of %d", pos, at-s.end, before)
	}
	return nil
}

// A frame as it was read.
type frame struct {
	kind    byte // without kindSealed
	payload []byte
	next    int64 // where the next one is
	err     error // it is not whole
	torn    bool  // because the file ends
}

const endOfFile = 0xff // a kind: there is no frame

// frame reads the frame at off.
func (s *scanner) frame(off int64) frame {
	if off >= s.size {
		return frame{kind: endOfFile}
	}
	buf, err := s.at(off)
	if err != nil {
		return frame{err: err}
	}
	left := pageBytes - int(off%pageBytes) // of the page, be the file as long or not
	if left < frameBytes || buf[0] == kindPad {
		for _, c := range buf {
			if c != 0 {
				return frame{err: errors.New("padding that is not zeros")}
			}
		}
		return frame{kind: kindPad, next: off + int64(len(buf))}
	}
	if len(buf) < frameBytes {
		return frame{err: errors.New("the file ends within a frame's header"), torn: true}
	}
	kind, sealed := buf[0]&^kindSealed, buf[0]&kindSealed != 0
	if kind > kindMark || kind == kindPad || kind == kindMark && !sealed || s.sealed && !sealed {
		return frame{err: fmt.Errorf("a frame of kind %#x", buf[0])}
	}
	n := frameBytes + int(binary.BigEndian.Uint16(buf[1:]))
	if n > left {
		return frame{err: fmt.Errorf("a frame of %d bytes where the page has %d left", n, left)}
	}
	if n > len(buf) {
		return s.short(buf, off, n)
	}
	if !whole(buf[:n], off, sealed) {
		return frame{err: errors.New("a checksum does not match")}
	}
	s.sealed, s.sound = s.sealed || sealed, true
	return frame{kind: kind, payload: buf[frameBytes:n], next: off + int64(n)}
}

// short says of a frame that reaches beyond the file's end whether it was cut short, or is another one whose length is damaged.
func (s *scanner) short(buf []byte, off int64, n int) frame {
	err := fmt.Errorf("the file ends %d bytes before a frame does", n-len(buf))
	for p := off + 1; p+minRecord <= s.size; p++ {
		if s.begins(p) {
			return frame{err: err}
		}
	}
	is := binary.BigEndian.Uint16(buf[1:])
	binary.BigEndian.PutUint16(buf[1:], uint16(len(buf)-frameBytes))
	ends := whole(buf, off, buf[0]&kindSealed != 0)
	binary.BigEndian.PutUint16(buf[1:], is)
	return frame{err: err, torn: !ends}
}

func whole(frame []byte, at int64, sealed bool) bool {
	sum := binary.BigEndian.Uint32(frame[3:])
	if sealed {
		return checksum(frame, at) == sum
	}
	return crc32.Checksum(frame[frameBytes:], castagnoli) == sum
}

// resync is where, after the frame at off, which is damaged, the next one may be.
func (s *scanner) resync(off int64) int64 {
	next := off - off%pageBytes + pageBytes
	if _, err := s.at(off); err != nil {
		return min(next, s.size) // the disk does not give the page
	}
	for p := off + 1; p+minRecord <= min(next, s.size); p++ {
		if s.begins(p) {
			return p
		}
	}
	return min(next, s.size)
}

// begins says that a whole frame is at off, which is not known to be the beginning of one.
func (s *scanner) begins(off int64) bool {
	buf, err := s.at(off)
	if err != nil || len(buf) < minRecord {
		return false
	}
	kind, sealed := buf[0]&^kindSealed, buf[0]&kindSealed != 0
	n := frameBytes + int(binary.BigEndian.Uint16(buf[1:]))
	if n > len(buf) || n < minRecord && kind != kindLast || n == frameBytes {
		return false
	}
	switch kind {
	case kindFull, kindFirst:
		if !sealed && (s.sealed || s.plausible(positionOf(buf[frameBytes:]), off) != nil) {
			return false
		}
	case kindLast, kindMiddle:
		if !sealed {
			return false
		}
	default:
		return false
	}
	return whole(buf[:n], off, sealed)
}

// at is what the file has from off to the end of off's page. A page that the disk does not give is damaged, as is the rest of a file
// that is shorter than it is known to be.
func (s *scanner) at(off int64) ([]byte, error) {
	page := off - off%pageBytes
	want := int(min(pageBytes, s.size-page))
	if s.pageN == 0 || s.pageAt != page || s.pageN < want {
		n, err := s.src.ReadAt(s.page[:want], page)
		if n < want {
			s.pageN = 0
			if err == nil || errors.Is(err, io.EOF) {
				return nil, io.ErrUnexpectedEOF
			}
			s.unread = fmt.Errorf("%w: %w", errUnread, err)
			return nil, s.unread
		}
		s.pageAt, s.pageN = page, n
	}
	return s.page[off-page : s.pageN], nil
}
