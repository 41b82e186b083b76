package series

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/util/compression"
)

// A reader of one file of the database's write-ahead log that goes on behind what is damaged.
//
// The problem: the database's own reader ends at the first damage, and all behind it is deleted. And some damage it does not see: a
// frame's checksum covers its bytes and neither its kind nor its length, so that a record whose bit "compressed" is flipped
// passes for one of a kind that this version does not know, which is left out without a word; and zeros are padding wherever they begin.
//
// What holds of a file that the database wrote: it is pages of 32 KiB, of which only the last has padding of 7 bytes or more, and none has nothing
// else; a frame does not cross pages; a record is one frame, or a first that ends with its page, middles that fill theirs, and a last that begins one; it is
// compressed only where that is shorter.
//
// The algorithm: read frame by frame. Where none is, go to the next byte of the page at which one is, or else to the next page; tell the bytes between, and leave out the
// record that they were of. A record that is whole says by itself whether it is compressed. What ends within a frame at the end of the file that was written last is torn, and not damaged.
//
// Not seen: frames at a file's end that became zeros from the first byte of one on, or were cut off there. Nothing says how long the file was.

const (
	pageBytes  = 32 << 10
	frameBytes = 7 // kind and flags, length, checksum

	kindMask   = 7
	packedMask = 1 << 3 // by snappy, which is all that Open asks for
	otherMask  = 1 << 4 // by zstd
	unusedMask = 7 << 5
)

// Kinds of frames.
const (
	kindPadding = iota
	kindWhole
	kindFirst
	kindMiddle
	kindLast
)

// A flaw is a place that is not as it was written.
type flaw struct {
	at     int64 // in the file
	bytes  int64
	reason string
	lost   bool // a record went with it
}

func (f flaw) String() string { return fmt.Sprintf("byte %d: %s", f.at, f.reason) }

// frames reads one file.
type frames struct {
	give  func(rec []byte) error // each record, in order; it is valid for the call
	mayBe bool                   // the file may be torn: none with anything in it follows
	flaws []flaw

	size, at int64 // of the file, and of the page
	page     [pageBytes]byte
	n        int // bytes of the page

	pending  []byte // frames of a record
	from     int64  // where it begins
	says     byte   // how it is compressed, as its newest frame says
	open     bool   // more of it is to come
	held     bool   // it is whole if what follows is none of it: its last frame ends with its page
	skipping bool   // a frame of it is lost

	buffer  compression.DecodeBuffer
	records decoded
}

// readFrames reads a file of the log, and says what is wrong with it. The error is one of reading, or of give.
func readFrames(path string, newest bool, give func(rec []byte) error) (flaws []flaw, torn bool, err error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	st, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	r := newFrames(st.Size(), newest, give)
	torn, err = r.read(f)
	return r.flaws, torn, err
}

func newFrames(size int64, newest bool, give func(rec []byte) error) *frames {
	return &frames{give: give, mayBe: newest, size: size, buffer: compression.NewSyncDecodeBuffer(), records: newDecoded()}
}

// read reads the file, and says whether it ends in a torn record.
func (r *frames) read(f io.Reader) (torn bool, err error) {
	for ; r.at < r.size && !torn; r.at += pageBytes {
		r.n, err = io.ReadFull(f, r.page[:min(pageBytes, r.size-r.at)])
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			r.size = r.at + int64(r.n) // it became shorter
		} else if err != nil {
			return false, err
		}
		if torn, err = r.readPage(); err != nil {
			return false, err
		}
	}
	if err := r.release(); err != nil {
		return false, err
	}
	if r.open && !torn {
		if torn = r.mayBe; !torn {
			r.flaw(r.from, r.size-r.from, "the record is cut short", true)
		}
	}
	return torn, nil
}

func (r *frames) flaw(at, n int64, reason string, lost bool) {
	r.flaws = append(r.flaws, flaw{at, n, reason, lost})
	if lost {
		r.drop()
	}
}

// drop leaves out the record that is being put together, and what is still to come of it.
func (r *frames) drop() { r.open, r.held, r.skipping, r.pending = false, false, true, r.pending[:0] }

func (r *frames) lastPage() bool { return r.at+pageBytes >= r.size }

// readPage reads the frames of a page.
func (r *frames) readPage() (torn bool, err error) {
	b := r.page[:r.n]
	for i := 0; i < len(b); {
		if end, ok := frameAt(b, i); ok {
			if err := r.frame(i, end); err != nil {
				return false, err
			}
			i = end
			continue
		}
		if err := r.release(); err != nil {
			return false, err
		}
		if next, ok := r.padding(i); ok {
			i = next
			continue
		}
		next := r.next(i)
		if next == len(b) && r.lastPage() && r.mayBe && tornAt(b, i) {
			return true, nil
		}
		r.flaw(r.at+int64(i), int64(next-i), "no record can be read", true)
		i = next
	}
	return false, nil
}

// padding says whether the rest of the page is padding, and where to go on.
func (r *frames) padding(i int) (next int, ok bool) {
	rest := r.page[i:r.n]
	small := len(rest) < frameBytes && r.n == pageBytes
	if rest[0]&kindMask != kindPadding && !small {
		return i, false
	}
	set := 0
	for _, c := range rest {
		if c != 0 {
			set++
		}
	}
	switch {
	case set > 1 && !small || set > 0 && r.next(i) < r.n:
		return i, false
	case set > 0:
		r.flaws = append(r.flaws, flaw{r.at + int64(i), int64(len(rest)), "padding is not zero", false})
	case small:
	case i == 0:
		r.flaw(r.at, int64(r.n), "a page is nothing but zeros", true)
	case !r.lastPage():
		r.flaw(r.at+int64(i), int64(len(rest)), "the page's end is zeros", true)
	}
	return r.n, true
}

// frameAt says whether a frame begins at i, and where it ends. One that is empty is the first of a record for which the page has no room.
func frameAt(b []byte, i int) (end int, ok bool) {
	if len(b)-i < frameBytes {
		return 0, false
	}
	kind := b[i] & kindMask
	end = i + frameBytes + int(binary.BigEndian.Uint16(b[i+1:]))
	switch {
	case kind == kindPadding, kind > kindLast, end > len(b),
		end == i+frameBytes && (kind != kindFirst || end != pageBytes),
		(kind == kindFirst || kind == kindMiddle) && end != pageBytes,
		(kind == kindMiddle || kind == kindLast) && i != 0:
		return 0, false
	}
	return end, crc32.Checksum(b[i+frameBytes:end], castagnoli()) == binary.BigEndian.Uint32(b[i+3:])
}

// castagnoli is made once, by the library.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// next is where to go on behind the place i, at which no frame is. The length that is said there may be what is damaged.
func (r *frames) next(i int) int {
	b := r.page[:r.n]
	for p := i + 1; p < len(b); p++ {
		if _, ok := frameAt(b, p); ok {
			return p
		}
	}
	return len(b)
}

// tornAt says whether the page ends within the frame at i. One whose length alone is wrong does not.
func tornAt(b []byte, i int) bool {
	if len(b) == pageBytes {
		return false
	}
	if len(b)-i < frameBytes {
		return true
	}
	return i+frameBytes+int(binary.BigEndian.Uint16(b[i+1:])) > len(b) && crc32.Checksum(b[i+frameBytes:], castagnoli()) != binary.BigEndian.Uint32(b[i+3:])
}

// frame takes a frame.
func (r *frames) frame(i, end int) error {
	at, kind := r.at+int64(i), r.page[i]&kindMask
	begins := kind == kindWhole || kind == kindFirst
	switch {
	case r.held && !begins:
		r.flaw(r.from, at-r.from, "the record ends before its last frame", true)
	case r.open && begins:
		// One of the two frames is of another kind than it says.
		r.flaw(r.from, at+int64(end-i)-r.from, "the record has no end", true)
		r.skipping = kind == kindFirst
		return nil
	case !begins && !r.open && !r.skipping:
		r.flaw(at, int64(end-i), "the record has no beginning", true)
	}
	if err := r.release(); err != nil {
		return err
	}
	if begins {
		r.skipping, r.from, r.pending = false, at, r.pending[:0]
	} else if r.skipping {
		r.skipping = kind != kindLast
		return nil
	}
	flags := r.page[i] & (packedMask | otherMask)
	if r.page[i]&unusedMask != 0 || !begins && flags != r.says {
		r.flaws = append(r.flaws, flaw{at, 1, "the frame has flags that the database does not give", false})
	}
	r.pending, r.says = append(r.pending, r.page[i+frameBytes:end]...), flags
	r.open = kind == kindFirst || kind == kindMiddle
	r.held = !r.open
	if r.held && end < pageBytes {
		return r.release()
	}
	return nil
}

// release gives the record that was held, if any, compressed or not as it is and not as it says.
func (r *frames) release() error {
	if !r.held {
		return nil
	}
	r.held = false
	rec, packed, fault := r.unpack()
	if fault != "" {
		r.flaws = append(r.flaws, flaw{r.from, int64(len(r.pending)), fault, true})
		return nil
	}
	is := byte(0)
	if packed {
		is = packedMask
	}
	if r.says != is {
		r.flaws = append(r.flaws, flaw{r.from, int64(len(r.pending)), "the record says wrongly whether it is compressed", false})
	}
	return r.give(rec)
}

// unpack tells by the record itself whether it is compressed. One that is not begins with its kind, a number of at
// most 13; as the beginning of a compressed one that would be its length, and the database compresses nothing that does not become shorter.
func (r *frames) unpack() (rec []byte, packed bool, fault string) {
	if n, w := binary.Uvarint(r.pending); w > 0 && n > uint64(len(r.pending)) && n <= mostShrunk*uint64(len(r.pending)) {
		if rec, err := compression.Decode(compression.Snappy, r.pending, r.buffer); err == nil && r.records.kind(rec) != record.Unknown {
			return rec, true, ""
		}
	}
	if err := r.records.check(r.pending); err != nil {
		return nil, false, err.Error()
	}
	return r.pending, false, ""
}

// mostShrunk is more than what compression can shrink a record by: 64 bytes become 3.
const mostShrunk = 32

// decoded looks into records.
type decoded struct{ dec record.Decoder }

func newDecoded() decoded {
	return decoded{record.NewDecoder(labels.NewSymbolTable(), slog.New(slog.DiscardHandler))}
}

func (d *decoded) kind(rec []byte) record.Type { return d.dec.Type(rec) }

// check says why a record is none.
func (d *decoded) check(rec []byte) error {
	var s seen
	return d.look(rec, &s)
}

// look adds what a record names, and says why it is none.
func (d *decoded) look(rec []byte, s *seen) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	switch d.kind(rec) {
	case record.Series:
		all, err := d.dec.Series(rec, nil)
		for i := range all {
			s.ref = max(s.ref, uint64(all[i].Ref))
		}
		return err
	case record.Samples, record.SamplesV2:
		all, err := d.dec.Samples(rec, nil)
		for i := range all {
			s.add(uint64(all[i].Ref), all[i].T)
		}
		return err
	case record.HistogramSamples, record.HistogramSamplesV2, record.CustomBucketsHistogramSamples:
		all, err := d.dec.HistogramSamples(rec, nil)
		for i := range all {
			s.add(uint64(all[i].Ref), all[i].T)
		}
		return err
	case record.FloatHistogramSamples, record.FloatHistogramSamplesV2, record.CustomBucketsFloatHistogramSamples:
		all, err := d.dec.FloatHistogramSamples(rec, nil)
		for i := range all {
			s.add(uint64(all[i].Ref), all[i].T)
		}
		return err
	case record.Tombstones:
		all, err := d.dec.Tombstones(rec, nil)
		for i := range all {
			s.ref = max(s.ref, uint64(all[i].Ref))
		}
		return err
	case record.Exemplars:
		_, err := d.dec.Exemplars(rec, nil)
		return err
	case record.MmapMarkers:
		_, err := d.dec.MmapMarkers(rec, nil)
		return err
	case record.Metadata:
		_, err := d.dec.Metadata(rec, nil)
		return err
	default:
		return errors.New("a record is of a kind that is not known")
	}
}

// seen is the greatest number of a series, and the times of samples, in ms.
type seen struct {
	ref            uint64
	oldest, newest int64
}

func newSeen() seen { return seen{oldest: math.MaxInt64, newest: math.MinInt64} }

func (s *seen) add(ref uint64, t int64) {
	s.ref, s.oldest, s.newest = max(s.ref, ref), min(s.oldest, t), max(s.newest, t)
}
