package series

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/tombstones"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"
)

// Before the database reads its write-ahead log, what is damaged of it is written anew without the damage.
//
// The problem: left to itself the database deletes all of the log that is behind the first damage, or all of it where that is in the checkpoint;
// and it gives the numbers of series that are lost so to new ones, which have the lost ones' chunks (chunks_head) after the next start.
//
// What holds afterwards: the log is one that the database could have written; it has every record that could be read, in the order in which they
// were; no number of a series that it or the chunks name is given again; what is missing is noted.
//
// For each file that is not as it was written:
//
//  1. It is set aside by a second name, with its note.
//  2. What can be read is written to a new file; where a record is lost a last one says, as the database itself does of a
//     series that was deleted, that a number greater than all has been given out.
//  3. That takes the file's place. A process that is killed before finds the damage again, and sets the file aside once more.
//
// A file that is missing between others is made anew. A torn record at the end of what was written last is left out and only logged: a kill leaves one.

// repairDir is where files are written anew; what a process that was killed left there is removed.
const repairDir = "repair.tmp"

// A logRepair repairs the logs of a directory.
type logRepair struct {
	o     *opener
	files []logFile
	flaws map[string][]flaw // by path; also of a torn one, which has none
	lost  bool
	seen  seen
}

// logs repairs the write-ahead logs. It says whether records are lost.
func (o *opener) logs() (lost bool, err error) {
	if err := os.RemoveAll(filepath.Join(o.dir, repairDir)); err != nil {
		return false, err
	}
	r := logRepair{o: o, flaws: map[string][]flaw{}}
	for _, dir := range []string{"wal", wlog.WblDirName} {
		if err := r.look(filepath.Join(o.dir, dir)); err != nil {
			return false, err
		}
	}
	if len(r.flaws) == 0 {
		return false, nil
	}
	if err := r.number(); err != nil {
		return false, err
	}
	for _, f := range r.files {
		if flaws, ok := r.flaws[f.path]; ok {
			if err := r.repair(f, flaws); err != nil {
				return false, fmt.Errorf("repair %s: %w", f.path, err)
			}
		}
	}
	return r.lost, os.RemoveAll(filepath.Join(o.dir, repairDir))
}

// look reads a log.
func (r *logRepair) look(dir string) error {
	files, err := logFiles(dir)
	if err != nil {
		return err
	}
	newest := newestFile(files)
	for _, f := range files {
		if f.missing {
			r.flaws[f.path] = []flaw{{reason: "the file is gone", lost: true}}
			r.lost = true
			continue
		}
		flaws, torn, err := readFrames(f.path, f.path == newest, func([]byte) error { return nil })
		if err != nil {
			return err
		}
		if len(flaws) > 0 || torn {
			r.flaws[f.path] = flaws
		}
		for i := range flaws {
			r.lost = r.lost || flaws[i].lost
		}
	}
	r.files = append(r.files, files...)
	return nil
}

// number looks for the greatest number of a series, and the times of samples.
func (r *logRepair) number() error {
	r.seen = newSeen()
	dec := newDecoded()
	for _, f := range r.files {
		if f.missing {
			continue
		}
		if _, _, err := readFrames(f.path, true, func(rec []byte) error {
			_ = dec.look(rec, &r.seen) // the database reads what it can of it, too
			return nil
		}); err != nil {
			return err
		}
	}
	return eachHeadChunk(filepath.Join(r.o.dir, "chunks_head"), func(ref uint64, from, to int64) {
		r.seen.add(ref, from)
		r.seen.add(ref, to)
	})
}

// repair writes a file anew.
func (r *logRepair) repair(f logFile, flaws []flaw) error {
	lost := false
	for i := range flaws {
		lost = lost || flaws[i].lost
	}
	if len(flaws) > 0 {
		n := note{Reason: reasons(flaws), From: math.MinInt64, To: max(r.seen.newest, r.o.now().UnixMilli()), Whole: !lost}
		if r.seen.oldest < math.MaxInt64 {
			n.From = r.seen.oldest - blockRange.Milliseconds() // a lost record may be somewhat older than what there is
		}
		if err := r.o.keep(f, &n); err != nil {
			return err
		}
	} else {
		r.o.log.Warn("the end of the series' write-ahead log is torn and cut off, as a kill leaves it", "part", f.path)
	}
	tmp := filepath.Join(r.o.dir, repairDir)
	if err := r.write(tmp, f, lost); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return err
	}
	if err := os.Rename(wlog.SegmentName(tmp, 0), f.path); err != nil {
		return err
	}
	return errors.Join(syncDir(filepath.Dir(f.path)), os.RemoveAll(tmp))
}

// write writes what can be read of a file to the first file of a log in tmp.
func (r *logRepair) write(tmp string, f logFile, lost bool) (err error) {
	size := int64(0)
	if !f.missing {
		st, err := os.Stat(f.path)
		if err != nil {
			return err
		}
		size = st.Size()
	}
	w, err := wlog.NewSize(r.o.log, nil, tmp, int(size/pageBytes+8)*pageBytes, compression.Snappy) // room for one file
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if !f.missing {
		if _, _, err := readFrames(f.path, true, func(rec []byte) error { return w.Log(rec) }); err != nil {
			return err
		}
	}
	if lost && !strings.HasPrefix(f.name(), wlog.WblDirName) {
		var enc record.Encoder
		gone := tombstones.Stone{Ref: storage.SeriesRef(r.seen.ref + 1), Intervals: tombstones.Intervals{{Mint: math.MinInt64, Maxt: math.MaxInt64}}}
		return w.Log(enc.Tombstones([]tombstones.Stone{gone}, nil))
	}
	return nil
}

// reasons are those of the first flaws.
func reasons(flaws []flaw) string {
	const most = 3
	var all []string
	for i := range flaws {
		if i == most {
			all = append(all, fmt.Sprintf("and %d places more", len(flaws)-most))
			break
		}
		all = append(all, flaws[i].String())
	}
	return strings.Join(all, "; ")
}

// keep sets a file aside by a second name, or only notes that it is gone.
func (o *opener) keep(f logFile, n *note) error {
	aside, err := o.asideName(f.name())
	if err != nil {
		return err
	}
	if f.missing {
		err = os.WriteFile(aside, nil, 0o600)
	} else if err = os.Link(f.path, aside); err != nil {
		err = copyFile(f.path, aside) // not every file system has links
	}
	if err == nil {
		err = n.write(aside)
	}
	if err != nil {
		return fmt.Errorf("set %s aside: %w", f.path, err)
	}
	o.aside.Inc()
	lost := "nothing"
	if !n.Whole {
		lost = "what was recorded there"
	}
	o.log.Error("a part of the series store is damaged; it is kept, and what can be read of it is written anew", "part", f.path, "kept_as", aside, "lost", lost, "err", n.Reason)
	return nil
}

// asideName is a name that is free, for what is set aside.
func (o *opener) asideName(of string) (string, error) {
	aside := filepath.Join(o.dir, damagedPrefix+of)
	for n := 2; ; n++ {
		_, err := os.Lstat(aside)
		if errors.Is(err, fs.ErrNotExist) {
			return aside, nil
		}
		if err != nil {
			return "", err
		}
		aside = filepath.Join(o.dir, fmt.Sprintf("%s%s-%d", damagedPrefix, of, n))
	}
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(filepath.Clean(from))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(filepath.Clean(to), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Sync()
}

func syncDir(dir string) (err error) {
	d, err := os.Open(filepath.Clean(dir))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return d.Sync()
}
