package app

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/config"
)

// A server whose disk does not work ends, and says why in one line, though something in it never does.
func TestStopDoesNotWaitForADiskThatDoesNotWork(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Data = filepath.Join(t.TempDir(), "data")
	cfg.Listen = config.Listen{OTLPHTTP: "127.0.0.1:0"}
	cfg.Collector = map[string]any{"receivers": map[string]any{}}
	quiet := slog.New(slog.DiscardHandler)
	a, err := New(t.Context(), cfg, "test", &Logger{Logger: quiet, Level: new(slog.LevelVar)})
	if err != nil {
		t.Fatal(err)
	}
	a.pipeline.start()
	var held sync.WaitGroup
	held.Add(1)
	away := cfg.Data + "-away"
	if err := os.Rename(cfg.Data, away); err != nil {
		t.Fatal(err)
	}
	listeners := a.listeners
	err = a.stop(&held)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "stopped without writing what was in memory") || strings.Contains(err.Error(), "\n") {
		t.Errorf("it ended with %q", err)
	}
	if err := os.Rename(away, cfg.Data); err != nil {
		t.Fatal(err)
	}
	held.Done()
	for { // until all is closed, the directory's lock last
		d, err := openDirectory(cfg.Data, quiet)
		if err == nil {
			_ = d.close()
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, l := range listeners {
		_ = l.Close()
	}
}

// A disk that works is found to, and the file by which it is found does not stay.
func TestDiskAnswers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := answers(dir, time.Minute); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
