// Package journal keeps the newest state of many small things in one file: what changed is appended at intervals, and when the file
// has grown all is written anew.
//
// The problem: a server that is killed is to forget as little as possible, and what it has to remember is too much to be written
// whole every second.
//
// Invariants:
//   - A record that Append or Rewrite wrote without an error is on disk, and Open hands it on whole, or says that it cannot.
//   - A new file takes the old one's place in one step (renamed over it), so that a crash leaves one or the other.
//   - Nothing damaged is removed: it is set aside under the name PATH.damaged when the file is written anew.
//   - Open takes whatever is on the disk: a server must start with it. It fails where the machine does not let the file be read, which may be
//     sound: it would be written anew by what the server has seen since.
//
// A file is a head of 8 bytes and frames. A frame has a mark, its length, a checksum of both, the record and a checksum of that;
// docs/format/quota.md draws it. So what a crash cut off (the last frame is announced, and the file ends within it) is told from what was
// damaged later, and what lies behind the damage is found again by its mark.
//
// Not chosen: storage/wal, which orders what everybody sends and acknowledges it; here one goroutine writes, and the last word on a
// thing is all that counts.
package journal

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/binnacle-mesh/binnacle/internal/disk"
	"github.com/binnacle-mesh/binnacle/internal/failpoint"
)

const (
	head      = "BINJRNL\x01"
	mark      = "\xf7JR\x01"
	frameHead = 12 // mark, length, checksum of both
	frameTail = 4  // checksum of the record
	// MaxRecord bounds a record, in bytes.
	MaxRecord = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // immutable

// A Journal is one file of records. Its methods are for one goroutine at a time.
type Journal struct {
	path    string
	file    *os.File // where records are appended; nil where the file must be written anew first
	size    int64    // of the file, as far as it is whole
	first   int64    // of the file when it was written anew
	damaged bool     // what is at path is to be set aside
}

// Found is what Open read.
type Found struct {
	Records int
	// Torn is how many bytes at the end belong to a record that was being written when the server ended.
	Torn int64
	// Damage is what could not be read and why; nil where all could. What could be read was handed on.
	Damage error
}

// Open reads the file at path, if there is one, and gives each record to visit, oldest first. A record is borrowed for the call; one
// that visit refuses is as good as damaged. Nothing is written before the first Append or Rewrite.
//
// The error says that the file is there and cannot be read, through no fault of its content (see disk.Failed).
func Open(path string, visit func(record []byte) error) (*Journal, Found, error) {
	return openOn(disk.OS{}, path, visit)
}

// openOn is Open, reading from a file system of the caller's.
func openOn(fsys disk.FS, path string, visit func(record []byte) error) (*Journal, Found, error) {
	content, err := disk.ReadFile(fsys, path)
	if disk.Failed(err) {
		return nil, Found{}, fmt.Errorf("what was kept cannot be read, and may be sound: %w; mend that and start again, or move the file away to start without it", err)
	}
	j := &Journal{path: path}
	return j, j.begin(content, err, visit), nil
}

// begin takes in what the file holds, or why nothing of it is known.
func (j *Journal) begin(content []byte, unread error, visit func(record []byte) error) Found {
	switch {
	case errors.Is(unread, fs.ErrNotExist):
		return Found{}
	case unread != nil:
		j.damaged = true
		return Found{Damage: unread}
	}
	found, whole := read(content, visit)
	if found.Damage != nil {
		found.Damage = fmt.Errorf("%s: %w", j.path, found.Damage)
		j.damaged = true
		return found
	}
	f, err := os.OpenFile(j.path, os.O_RDWR, 0)
	if err != nil {
		return found // written anew, which says what is wrong if that fails too
	}
	if _, err = f.Seek(whole, 0); err == nil {
		err = f.Truncate(whole)
	}
	if err != nil {
		_ = f.Close()
		return found
	}
	j.file, j.size, j.first = f, whole, whole
	return found
}

// read hands on what is whole and returns where that ends.
func read(b []byte, visit func([]byte) error) (found Found, whole int64) {
	fault := func(from int, why string) {
		found.Damage = errors.Join(found.Damage, fmt.Errorf("byte %d: %s", from, why))
	}
	if len(b) < len(head) && bytes.HasPrefix([]byte(head), b) {
		return Found{Torn: int64(len(b))}, 0
	}
	at := len(head)
	if !bytes.HasPrefix(b, []byte(head)) {
		fault(0, "the head is damaged, or of a version that this server does not know")
		at = next(b, 0)
	}
	for at < len(b) {
		size, ok := length(b[at:])
		switch end := at + frameHead + size + frameTail; {
		case !ok && len(b)-at < frameHead && bytes.HasPrefix(b[at:], []byte(mark)[:min(len(mark), len(b)-at)]):
			found.Torn = int64(len(b) - at)
			return found, int64(at)
		case !ok:
			fault(at, "a frame is damaged")
			at = next(b, at+1)
		case end > len(b):
			found.Torn = int64(len(b) - at)
			return found, int64(at)
		default:
			record := b[at+frameHead : end-frameTail]
			if crc32.Checksum(record, castagnoli) != binary.LittleEndian.Uint32(b[end-frameTail:]) {
				fault(at, "a record's checksum is wrong")
			} else if err := visit(record); err != nil {
				fault(at, err.Error())
			} else {
				found.Records++
			}
			at = end
		}
	}
	return found, int64(at)
}

// length reads the head of a frame.
func length(b []byte) (size int, ok bool) {
	if len(b) < frameHead || string(b[:len(mark)]) != mark || crc32.Checksum(b[:8], castagnoli) != binary.LittleEndian.Uint32(b[8:]) {
		return 0, false
	}
	n := binary.LittleEndian.Uint32(b[4:])
	return int(n), n <= MaxRecord
}

// next is where a frame begins at or after from; the end where none does.
func next(b []byte, from int) int {
	for at := from; at < len(b); at++ {
		k := bytes.Index(b[at:], []byte(mark))
		if k < 0 {
			break
		}
		at += k
		if _, ok := length(b[at:]); ok {
			return at
		}
	}
	return len(b)
}

// Spent says that the next records belong into a Rewrite: there is no file to append to, somebody took it away, or it holds much more
// than when it was written anew.
func (j *Journal) Spent() bool {
	const least = 4 << 20 // below it a file is not worth writing anew
	if j.file == nil || j.size > least+2*j.first {
		return true
	}
	there, err := os.Stat(j.path)
	if err != nil {
		return true
	}
	ours, err := j.file.Stat()
	return err != nil || !os.SameFile(there, ours)
}

// Append makes records durable behind those that are there. After an error none of them counts as written, and all that was not is to
// be given again.
func (j *Journal) Append(records iter.Seq[[]byte]) error {
	if j.file == nil {
		return fmt.Errorf("append to %s: it must be written anew first", j.path)
	}
	size, err := write(j.file, records)
	failpoint.Here(failpoint.JournalWritten)
	if err == nil && size > 0 {
		err = j.file.Sync()
	}
	if err == nil {
		failpoint.Here(failpoint.JournalSynced)
		j.size += size
		return nil
	}
	err = fmt.Errorf("append to %s: %w", j.path, err)
	// What came through in part must not stand before what comes next.
	_, seek := j.file.Seek(j.size, 0)
	if undo := errors.Join(j.file.Truncate(j.size), seek); undo != nil {
		err = errors.Join(err, undo, j.Close())
	}
	return err
}

// Rewrite makes a file of the records alone and puts it in the place of the one before.
func (j *Journal) Rewrite(records iter.Seq[[]byte]) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s anew: %w", j.path, err)
		}
	}()
	if err := (disk.OS{}).MkdirAll(filepath.Dir(j.path), 0o700); err != nil {
		return err
	}
	temp := j.path + ".tmp"
	f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	size := int64(len(head))
	_, err = f.WriteString(head)
	if err == nil {
		var n int64
		n, err = write(f, records)
		size += n
	}
	if err == nil {
		err = f.Sync()
	}
	failpoint.Here(failpoint.JournalRename)
	if err == nil {
		err = j.setAside()
	}
	if err == nil {
		err = os.Rename(temp, j.path)
	}
	if err != nil {
		return errors.Join(err, f.Close(), os.Remove(temp))
	}
	failpoint.Here(failpoint.JournalRenamed)
	// From here on the file in place is the new one, whatever fails.
	old := j.file
	j.file, j.size, j.first, j.damaged = f, size, size, false
	if old != nil {
		_ = old.Close()
	}
	return syncDir(filepath.Dir(j.path))
}

// setAside gives a damaged file a second name, under which it stays. The one before of that name goes: one is enough to look into.
func (j *Journal) setAside() error {
	if !j.damaged {
		return nil
	}
	aside := j.path + ".damaged"
	if err := os.Remove(aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := os.Link(j.path, aside)
	if err == nil || errors.Is(err, fs.ErrNotExist) { // somebody took it away
		return nil
	}
	return os.Rename(j.path, aside) // a file system without links: a crash right now loses the file's place
}

// write writes frames and returns their size.
func write(f *os.File, records iter.Seq[[]byte]) (size int64, err error) {
	w := bufio.NewWriterSize(f, 64<<10)
	var frame [frameHead]byte
	copy(frame[:], mark)
	for r := range records {
		if len(r) > MaxRecord {
			return size, fmt.Errorf("a record of %d bytes is above %d", len(r), MaxRecord)
		}
		binary.LittleEndian.PutUint32(frame[4:], uint32(len(r)))
		binary.LittleEndian.PutUint32(frame[8:], crc32.Checksum(frame[:8], castagnoli))
		_, _ = w.Write(frame[:]) // the writer keeps its first error
		_, _ = w.Write(r)
		if _, err := w.Write(binary.LittleEndian.AppendUint32(nil, crc32.Checksum(r, castagnoli))); err != nil {
			return size, err
		}
		size += int64(frameHead + len(r) + frameTail)
	}
	return size, w.Flush()
}

// Size is the file's size in bytes.
func (j *Journal) Size() int64 { return j.size }

// Close closes the file. What was written stays.
func (j *Journal) Close() error {
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Verify reads the file at path as Open does, and changes nothing. One that is not there is whole. A server may be at work on it.
func Verify(path string, visit func(record []byte) error) Found {
	content, err := os.ReadFile(filepath.Clean(path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Found{}
	case err != nil:
		return Found{Damage: err}
	}
	found, _ := read(content, visit)
	return found
}
