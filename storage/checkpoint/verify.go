package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/binnacle-mesh/binnacle/internal/disk"
	"github.com/binnacle-mesh/binnacle/telemetry"
)

// A Report is what Verify found.
type Report struct {
	Checkpoints int
	Bytes       int64
	Problems    []Problem
}

// A Problem is something that is not as it was written.
type Problem struct {
	File   string
	Reason string
}

// Verify reads all checkpoints in a directory and gives their sections to use, which says whether they make sense. It changes nothing, and a server may be
// at work in the directory. The error says that the directory itself cannot be read; one that is not there holds none.
func Verify(path string, use func(telemetry.Position, []Section) error) (Report, error) {
	var r Report
	d := &Dir{path, slog.New(slog.DiscardHandler), disk.OS{}}
	all, err := d.list()
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("verify checkpoints: %w", err)
	}
	for _, f := range all {
		b, err := disk.ReadFile(d.fs, f.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a newer one has taken its place
		}
		r.Checkpoints++
		r.Bytes += int64(len(b))
		var sections []Section
		if err == nil {
			sections, err = parse(f, b)
		}
		if err == nil {
			err = use(f.pos, sections)
		}
		if err != nil {
			r.Problems = append(r.Problems, Problem{f.path, err.Error()})
		}
	}
	names, err := d.fs.Names(path)
	if err != nil {
		return r, fmt.Errorf("verify checkpoints: %w", err)
	}
	for _, n := range names {
		if strings.HasSuffix(n, damaged) {
			r.Problems = append(r.Problems, Problem{filepath.Join(path, n), "it was set aside as being of no use; remove it when it is of none to you"})
		}
	}
	return r, nil
}
