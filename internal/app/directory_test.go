package app

import (
	"bytes"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/config"
)

// Of two servers on one directory the second is told who has it; when the first has gone, the next one may.
func TestOneServerADirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	quiet := slog.New(slog.DiscardHandler)
	first, err := openDirectory(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	_, err = openDirectory(dir, quiet)
	if err == nil || !strings.Contains(err.Error(), "data: "+dir+" is in use by another Binnacle, process "+strconv.Itoa(os.Getpid())+";") {
		t.Errorf("the second is told: %v", err)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	next, err := openDirectory(dir, quiet)
	if err != nil {
		t.Fatalf("after the first has gone: %v", err)
	}
	if err := next.close(); err != nil {
		t.Fatal(err)
	}
}

// What an older server left for all to read is private after a start, and so is all that this one writes: log, checkpoints, blocks and
// series.
func TestDataIsPrivate(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Data = filepath.Join(t.TempDir(), "data")
	cfg.Listen = config.Listen{OTLPHTTP: "127.0.0.1:0"}
	cfg.Collector = map[string]any{"receivers": map[string]any{}}
	old := filepath.Join(cfg.Data, "blocks", "old")
	if err := os.MkdirAll(old, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]fs.FileMode{old: 0o755, cfg.Data: 0o755, filepath.Join(old, "spans.parquet"): 0o644} {
		if filepath.Ext(name) != "" {
			if err := os.WriteFile(name, []byte("x"), mode); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(name, mode); err != nil { //nolint:gosec // that is what the test is about
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	a, err := New(t.Context(), cfg, "test", &Logger{Logger: slog.New(slog.NewTextHandler(&log, nil)), Level: new(slog.LevelVar)})
	if err != nil {
		t.Fatal(err)
	}
	a.pipeline.start()
	send(t, a, "otlp_http", time.Now())
	closeUnserved(t, a)
	rooms := map[string]bool{}
	err = filepath.WalkDir(cfg.Data, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if mode := info.Mode().Perm(); mode&0o077 != 0 {
			t.Errorf("%s has mode %o", name, mode)
		}
		in, _ := filepath.Rel(cfg.Data, name)
		room, _, _ := strings.Cut(in, string(filepath.Separator))
		rooms[room] = rooms[room] || !e.IsDir()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, room := range []string{"wal", "checkpoints", "blocks", "series", "lock"} {
		if !rooms[room] {
			t.Errorf("there is no file in %s: is this test blind? There are %v", room, rooms)
		}
	}
	if strings.Contains(log.String(), "others on this machine") {
		t.Errorf("it complains of modes that it could change:\n%s", log.String())
	}
}

// send has an HTTP port's handler take a span.
func send(t *testing.T, a *App, field string, at time.Time) {
	t.Helper()
	now := strconv.FormatInt(at.UnixNano(), 10)
	body := `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"cart"}}]},"scopeSpans":[{"spans":[
		{"traceId":"5982fe77008310cc80f1da5e10147517","spanId":"5982fe77008310cc","name":"GET /","kind":2,"startTimeUnixNano":"` + now + `","endTimeUnixNano":"` + now + `"}]}]}]}`
	r := httptest.NewRequest(http.MethodPost, "/v1/traces", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	a.listener(field).handler.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("%s answers %d: %s", field, w.Code, w.Body)
	}
}
