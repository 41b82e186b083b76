package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A bench holds what the measurements share.
type bench struct {
	dir, binnacle string
	length        time.Duration
}

// build makes the generators in a folder of their own.
func (b *bench) build(ctx context.Context, harness string) error {
	if _, err := os.Stat(filepath.Join(harness, "go.mod")); err != nil {
		return fmt.Errorf("the load generators are not at %s (%w); name their folder with -harness", harness, err)
	}
	src := filepath.Join(b.dir, "harness")
	if err := os.CopyFS(src, os.DirFS(harness)); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(b.dir, "bin")+"/", "./cmd/...") //nolint:gosec // our own folder
	cmd.Dir = src
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build load generators: %w\n%s", err, out)
	}
	return nil
}

// result is the line of JSON that a generator prints.
type result map[string]any

// num is the number at a path like "target.cpu_us_per_span".
func (r result) num(path string) float64 {
	var v any = map[string]any(r)
	for p := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return 0
		}
		v = m[p]
	}
	f, _ := v.(float64)
	return f
}

// generate runs a generator and returns what it measured.
func (b *bench) generate(ctx context.Context, name string, args ...string) (result, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(b.dir, "bin", name), args...) //nolint:gosec // built above
	cmd.Stderr = nil
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var r result
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
		return nil, fmt.Errorf("%s printed %q: %w", name, out, err)
	}
	if e, ok := r["last_error"]; ok {
		fmt.Printf("  note: %s met an error: %v\n", name, e)
	}
	return r, nil
}

// floor starts the server that does nothing.
func (b *bench) floor(ctx context.Context, mode, addr string) (*process, error) {
	return startProcess(ctx, addr, filepath.Join(b.dir, "bin", "floor"), "-mode", mode, "-addr", addr)
}

// diskUse adds up the files below a folder.
func diskUse(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}

func heading(s string) { fmt.Printf("\n%s\n%s\n", s, strings.Repeat("-", len(s))) }
