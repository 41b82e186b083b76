// Package rulefile finds and reads the files of rules that a configuration
// names: quotas today, alerting rules next. What is in them is their reader's affair.
//
// A name is that of a file, of a directory (every *.yaml and *.yml in it), or a
// pattern such as /etc/binnacle/*.yaml. Files whose name starts with a dot are
// left out of directories and patterns: editors and the kubelet put theirs there.
package rulefile

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

const (
	maxFile  = 16 << 20 // bytes; keeps a wrong name (a log, a device) from being read into memory
	maxTotal = 64 << 20 // bytes over all files
)

// File is one rule file as it was read.
type File struct {
	Name    string
	Content []byte
}

// Read returns the files that names stand for, in the order of names, those of
// a directory or pattern sorted; a file that is named twice is read once. It
// fails if any cannot be read whole, and where a name other than a directory stands for no file.
func Read(names []string) ([]File, error) {
	var files []File
	seen := make(map[string]bool)
	left := int64(maxTotal)
	for _, name := range names {
		found, err := expand(name)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if seen[f] {
				continue
			}
			seen[f] = true
			content, err := read(f, min(left, maxFile))
			if err != nil {
				return nil, err
			}
			left -= int64(len(content))
			files = append(files, File{Name: f, Content: content})
		}
	}
	return files, nil
}

// expand returns the files that a name stands for.
func expand(name string) ([]string, error) {
	info, err := os.Stat(name)
	switch {
	case err == nil && !info.IsDir():
		return []string{name}, nil
	case err == nil:
		return inDirectory(name)
	case errors.Is(err, os.ErrNotExist) && strings.ContainsAny(name, `*?[`):
		return matching(name)
	}
	return nil, fmt.Errorf("find rule files: %w; correct its name in the configuration, or create it", err)
}

func inDirectory(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list rule files: %w; make the directory readable", err)
	}
	var found []string
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		if ext := filepath.Ext(name); (ext == ".yaml" || ext == ".yml") && visible(name) {
			found = append(found, name)
		}
	}
	return found, nil
}

func matching(pattern string) ([]string, error) {
	all, err := filepath.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("find rule files %s: %w; close its brackets", pattern, err)
	}
	var found []string
	for _, name := range all {
		if visible(name) {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("find rule files: nothing matches %s; correct the pattern in the configuration, or create a file", pattern)
	}
	return found, nil
}

// visible says whether name is a file that its owner means to be found. A
// mounted ConfigMap shows its files as links, so links are followed.
func visible(name string) bool {
	if strings.HasPrefix(filepath.Base(name), ".") {
		return false
	}
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

func read(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read rule file: %w; make it readable", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read rule file %s: %w", name, err)
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("read rule file %s: it is larger than %d MiB, or all are together larger than %d MiB; name rule files only",
			name, maxFile>>20, maxTotal>>20)
	}
	return content, nil
}

// Digest tells two readings apart: it is that of all names and contents.
func Digest(files []File) (digest [32]byte) {
	h := sha256.New()
	for _, f := range files {
		// Lengths stand before texts, so that no two sets of files look alike.
		fmt.Fprintf(h, "%d %s %d ", len(f.Name), f.Name, len(f.Content))
		h.Write(f.Content)
	}
	h.Sum(digest[:0])
	return digest
}
