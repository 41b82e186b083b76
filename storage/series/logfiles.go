package series

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/tsdb/wlog"
)

// A logFile is a file of the write-ahead log.
type logFile struct {
	path    string
	missing bool // it should be there
}

// name is that under which the file is set aside: wal-00000003, wal-checkpoint.00000002-00000000.
func (f logFile) name() string {
	name := filepath.Base(f.path)
	for dir := filepath.Dir(f.path); ; dir = filepath.Dir(dir) {
		name = filepath.Base(dir) + "-" + name
		if !strings.HasPrefix(filepath.Base(dir), "checkpoint.") {
			return name
		}
	}
}

// logFiles are those of a log that the database would read, in order: the newest checkpoint's, and what comes after.
func logFiles(dir string) (files []logFile, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	number, checkpoint := -1, ""
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Name(), "checkpoint.")
		if n, err := strconv.Atoi(name); ok && e.IsDir() && err == nil && n > number {
			number, checkpoint = n, filepath.Join(dir, e.Name())
		}
	}
	if checkpoint == "" {
		own, err := segments(dir, entries, -1)
		if err != nil || len(own) == 0 || filepath.Base(dir) == wlog.WblDirName {
			return own, err // that log has no checkpoints, and may begin anywhere
		}
		if first, _ := strconv.Atoi(filepath.Base(own[0].path)); first > 0 {
			// The checkpoint is gone: one that is empty has the log begin where it does.
			files = []logFile{{wlog.SegmentName(wlog.CheckpointDir(dir, first-1), 0), true}}
		}
		return append(files, own...), nil
	}
	inside, err := os.ReadDir(checkpoint)
	if err != nil {
		return nil, err
	}
	if files, err = segments(checkpoint, inside, 0); err != nil {
		return nil, err
	}
	own, err := segments(dir, entries, number+1)
	return append(files, own...), err
}

// mostMissing is the most files in a row that are thought to be missing.
const mostMissing = 1000

// segments are the files of a directory that bear numbers of at least first, which is one of them, and those missing between; from the least there is where first is -1.
func segments(dir string, entries []os.DirEntry, first int) (files []logFile, err error) {
	var numbers []int
	names := map[int]string{}
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil && n >= first && !e.IsDir() {
			numbers = append(numbers, n)
			names[n] = e.Name()
		}
	}
	slices.Sort(numbers)
	if first >= 0 && len(numbers) == 0 {
		return []logFile{{wlog.SegmentName(dir, first), true}}, nil
	}
	for _, n := range numbers {
		if first < 0 {
			first = n
		}
		if n-first > mostMissing {
			return nil, fmt.Errorf("%s: %d files are missing before %s", dir, n-first, names[n])
		}
		for ; first < n; first++ {
			files = append(files, logFile{wlog.SegmentName(dir, first), true})
		}
		files = append(files, logFile{filepath.Join(dir, names[n]), false})
		first = n + 1
	}
	return files, nil
}

// newestFile is the last of the files that has anything in it: the one that may be torn.
func newestFile(files []logFile) string {
	for i := len(files) - 1; i >= 0; i-- {
		if st, err := os.Stat(files[i].path); err == nil && st.Size() > 0 {
			return files[i].path
		}
	}
	return ""
}
