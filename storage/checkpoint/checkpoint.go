// Package checkpoint keeps the state that sinks derive from the log, so that a
// restart replays seconds of it and not all.
//
// A checkpoint is one file, named by the position up to which all its sections have
// applied the log. All sections of one file are of the same position: the graph
// and the series derive from one another, and a restart must not see one ahead
// of the other (I2). A file is written under another name, synced and renamed,
// so that a crash leaves the one before. The two newest are kept, and the log is
// kept from the older one on: a damaged file then costs a longer replay, and no data.
package checkpoint

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/binnacle-mesh/binnacle/internal/disk"
	"github.com/binnacle-mesh/binnacle/internal/failpoint"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

const (
	magic   = "BNCKPT1\n"
	suffix  = ".ckpt"
	again   = "-again"   // at the end of a second name for the same position
	damaged = ".damaged" // at the end of the name of one that was set aside
	keep    = 2
	// maxSection bounds what a damaged length can make Load allocate.
	maxSection = 1 << 30
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // immutable

// A Section is one state's part of a checkpoint, as it is read.
type Section struct {
	Name string
	Data []byte
}

// A Part is a Section that is to be written.
type Part struct {
	Name string
	Data *Buffer
}

// A Dir is a directory of checkpoints. Its methods are for one goroutine at a time.
type Dir struct {
	path string
	log  *slog.Logger
	fs   disk.FS
}

// Open opens the directory, made if absent, and removes what a crash left half written.
func Open(path string, logger *slog.Logger) (*Dir, error) { return OpenOn(disk.OS{}, path, logger) }

// OpenOn is Open on a file system of the caller's.
func OpenOn(fsys disk.FS, path string, logger *slog.Logger) (*Dir, error) {
	if err := fsys.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("open checkpoints: %w", err)
	}
	names, err := fsys.Names(path)
	if err != nil {
		return nil, fmt.Errorf("open checkpoints: %w", err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, temporary) {
			continue
		}
		if err := fsys.Remove(filepath.Join(path, name)); err != nil {
			// It is in nobody's way, but for its bytes: on a disk that cannot be written the server can still answer.
			logger.Warn("what a crash left half written cannot be removed", "file", filepath.Join(path, name), "err", err)
		}
	}
	return &Dir{path, logger, fsys}, nil
}

// Save makes a checkpoint at pos durable and drops all but the newest two. It
// returns the position from which the log must be kept. A second one at the same position stands beside the first, so
// that a log that is given nothing more need not be kept for an older one.
func (d *Dir) Save(pos telemetry.Position, parts []Part) (oldest telemetry.Position, err error) {
	there, err := d.list()
	if err != nil {
		return 0, err
	}
	name := filepath.Join(d.path, fmt.Sprintf("%020d%s", pos, suffix))
	if slices.ContainsFunc(there, func(f file) bool { return f.path == name }) {
		name = filepath.Join(d.path, fmt.Sprintf("%020d%s%s", pos, again, suffix))
	}
	if err := d.writeDurably(name, func(w io.Writer) error { return write(w, pos, parts) }); err != nil {
		return 0, fmt.Errorf("save checkpoint: %w", err)
	}
	all, err := d.list()
	if err != nil {
		return 0, err
	}
	for len(all) > keep {
		if err := d.fs.Remove(all[0].path); err != nil {
			return 0, fmt.Errorf("drop old checkpoint: %w", err)
		}
		all = all[1:]
		failpoint.Here(failpoint.CheckpointDropped)
	}
	return oldestOf(all), nil
}

// Oldest is the position from which the log must be kept for what is there.
func (d *Dir) Oldest() (telemetry.Position, error) {
	all, err := d.list()
	return oldestOf(all), err
}

func oldestOf(all []file) telemetry.Position {
	if len(all) < keep {
		return 0 // the log from its beginning stands in for the second
	}
	return all[len(all)-keep].pos
}

// write writes a checkpoint's bytes; docs/format/wal.md draws them.
func write(to io.Writer, pos telemetry.Position, parts []Part) error {
	sum := crc32.New(castagnoli)
	w := io.MultiWriter(to, sum)
	head := append([]byte(magic), binary.LittleEndian.AppendUint64(nil, uint64(pos))...)
	for _, p := range parts {
		head = binary.LittleEndian.AppendUint32(head, uint32(len(p.Name)))
		head = append(head, p.Name...)
		head = binary.LittleEndian.AppendUint64(head, uint64(p.Data.Len()))
		if _, err := w.Write(head); err != nil {
			return err
		}
		if _, err := p.Data.WriteTo(w); err != nil {
			return err
		}
		head = head[:0]
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	_, err := to.Write(binary.LittleEndian.AppendUint32(nil, sum.Sum32()))
	return err
}

// An Aside is a checkpoint that was of no use, and its reason.
type Aside struct {
	File   string // its new name
	Reason error
}

// Load reads the newest checkpoint that is whole and that use, which is given its sections and must change nothing where it
// fails, accepts. One that is of no use, be it damaged, written by a newer version or senseless, is set aside under
// another name with a line in the log, and the one before is tried: what derives from the log is worth no refusal to start.
// Position 0 means that there is none.
//
// One that the machine does not let be read (no right to, too many open files, a disk that fails) may be sound, and stays where it is. The one before
// stands in for it; where none can, that is an error: what the log no longer holds would be lost for good.
func (d *Dir) Load(use func(telemetry.Position, []Section) error) (at telemetry.Position, aside []Aside, err error) {
	all, err := d.list()
	if err != nil {
		return 0, nil, err
	}
	var unread error // why the newest that may be sound was passed
	for _, f := range slices.Backward(all) {
		sections, err := d.read(f)
		if disk.Failed(err) {
			d.log.Error("a checkpoint cannot be read, and may be sound; the one before is tried", "file", f.path, "err", err)
			if unread == nil {
				unread = fmt.Errorf("checkpoint %s cannot be read, and may be sound: %w; mend that and start again, or, if the disk has lost it, rename it to %s",
					f.path, err, f.path+damaged)
			}
			continue
		}
		if err == nil {
			err = use(f.pos, sections)
		}
		if err == nil {
			return f.pos, aside, nil
		}
		d.log.Error("a checkpoint is of no use and is set aside; the one before is tried, or else all that the log holds is derived again", "file", f.path, "err", err)
		to, ferr := d.freeName(f.path)
		if ferr == nil {
			ferr = d.fs.Rename(f.path, to)
		}
		if ferr != nil {
			return 0, aside, fmt.Errorf("set checkpoint aside: %w", ferr)
		}
		aside = append(aside, Aside{to, err})
	}
	return 0, aside, unread
}

// freeName is a name to set a checkpoint aside under that nothing has.
func (d *Dir) freeName(path string) (string, error) {
	names, err := d.fs.Names(d.path)
	if err != nil {
		return "", err
	}
	to := path + damaged
	for n := 2; slices.Contains(names, filepath.Base(to)); n++ {
		to = fmt.Sprintf("%s-%d%s", path, n, damaged)
	}
	return to, nil
}

type file struct {
	path string
	pos  telemetry.Position
}

// list is the checkpoints there are, oldest first.
func (d *Dir) list() ([]file, error) {
	names, err := d.fs.Names(d.path)
	if err != nil {
		return nil, fmt.Errorf("list checkpoints: %w", err)
	}
	var all []file
	for _, name := range names {
		base, ok := strings.CutSuffix(name, suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSuffix(base, again), 10, 64)
		if err != nil {
			continue // not ours
		}
		all = append(all, file{filepath.Join(d.path, name), telemetry.Position(n)})
	}
	slices.SortStableFunc(all, func(a, b file) int { return cmp.Compare(a.pos, b.pos) })
	return all, nil
}

var errDamaged = errors.New("it ends early or its checksum is wrong")

func (d *Dir) read(f file) ([]Section, error) {
	b, err := disk.ReadFile(d.fs, f.path)
	if err != nil {
		return nil, err
	}
	return parse(f, b)
}

// parse reads a checkpoint's bytes.
func parse(f file, b []byte) ([]Section, error) {
	if len(b) < len(magic)+8+4 || string(b[:len(magic)]) != magic {
		return nil, errDamaged
	}
	body, sum := b[:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	if crc32.Checksum(body, castagnoli) != sum {
		return nil, errDamaged
	}
	r := bytes.NewReader(body[len(magic):])
	var pos uint64
	if err := binary.Read(r, binary.LittleEndian, &pos); err != nil || telemetry.Position(pos) != f.pos {
		return nil, fmt.Errorf("it is of position %d, not of %d as its name says", pos, f.pos)
	}
	var sections []Section
	for r.Len() > 0 {
		var n uint32
		var size uint64
		if err := binary.Read(r, binary.LittleEndian, &n); err != nil || int(n) > r.Len() {
			return nil, errDamaged
		}
		name := make([]byte, n)
		if _, err := io.ReadFull(r, name); err != nil {
			return nil, errDamaged
		}
		if err := binary.Read(r, binary.LittleEndian, &size); err != nil || size > maxSection || int(size) > r.Len() {
			return nil, errDamaged
		}
		data := make([]byte, size)
		if _, err := io.ReadFull(r, data); err != nil {
			return nil, errDamaged
		}
		sections = append(sections, Section{string(name), data})
	}
	return sections, nil
}

// temporary is the end of the name of a file that is being written.
const temporary = ".tmp"

// writeDurably writes a file such that after a crash either all of it is there
// under its name, or nothing. What an error leaves half written is removed: on a full disk it would take the room that the next try needs.
func (d *Dir) writeDurably(name string, write func(io.Writer) error) (err error) {
	tmp := name + temporary
	f, err := d.fs.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(io.NewOffsetWriter(f, 0), 256<<10)
	if err = write(w); err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		failpoint.Here(failpoint.CheckpointWritten)
		err = d.fs.Rename(tmp, name)
		failpoint.Here(failpoint.CheckpointRenamed)
	}
	if err != nil {
		_ = d.fs.Remove(tmp)
		return err
	}
	return d.fs.SyncDir(d.path)
}
