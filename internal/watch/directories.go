package watch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fsnotify/fsnotify"
)

// directories are those that are watched.
type directories struct {
	fs     *fsnotify.Watcher
	failed map[string]bool // those that could not be when last looked at
}

// set watches what shows a change of names and nothing else. It returns whether
// that is more than before, and what cannot be watched.
func (d *directories) set(names []string) (more bool, failed map[string]error) {
	want := make(map[string]bool)
	for _, name := range names {
		for _, path := range match(name) {
			follow(path, want)
		}
	}
	have := d.fs.WatchList()
	for _, dir := range have {
		if !want[dir] {
			_ = d.fs.Remove(dir) // if it is gone, so is its watch
		}
	}
	failed = make(map[string]error)
	for dir := range want {
		// Where a directory was made anew under its old name, the old one's watch is gone.
		if slices.Contains(have, dir) {
			continue
		}
		if err := d.fs.Add(dir); err != nil {
			failed[dir] = err
		} else {
			more = true
		}
	}
	return more, failed
}

// match returns name itself, and what it matches if it is a pattern, with the
// folders in which more may come to match.
func match(name string) []string {
	all := []string{name}
	if _, err := os.Stat(name); err == nil || !strings.ContainsAny(name, `*?[`) {
		return all
	}
	for p := name; strings.ContainsAny(p, `*?[`); p = filepath.Dir(p) {
		found, _ := filepath.Glob(p) // a pattern that is wrong is its reader's to refuse
		all = append(all, found...)
		parents, _ := filepath.Glob(filepath.Dir(p))
		all = append(all, parents...)
	}
	return all
}

const maxLinks = 40 // on one way, as the kernel has it

// follow adds the directories in which a change can change what path leads to:
// that of each link on the way, and that of the end, or the end itself if it is a
// directory. Where the way breaks off, it is the last directory that is there.
func follow(path string, into map[string]bool) {
	path, err := filepath.Abs(path)
	if err != nil {
		return
	}
	at := string(filepath.Separator)
	todo := split(path)
	for links := 0; len(todo) > 0; {
		next := filepath.Join(at, todo[0])
		info, err := os.Lstat(next)
		if err != nil {
			into[at] = true // it may come
			return
		}
		if info.Mode()&os.ModeSymlink == 0 {
			if at, todo = next, todo[1:]; len(todo) == 0 && !info.IsDir() {
				at = filepath.Dir(at)
			}
			continue
		}
		into[at] = true
		target, err := os.Readlink(next)
		if links++; err != nil || links > maxLinks {
			return
		}
		if filepath.IsAbs(target) {
			at = string(filepath.Separator)
		}
		todo = slices.Concat(split(target), todo[1:])
	}
	into[at] = true
}

func split(path string) []string {
	return slices.DeleteFunc(strings.Split(path, string(filepath.Separator)), func(s string) bool { return s == "" || s == "." })
}
