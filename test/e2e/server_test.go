package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/demo"
	"github.com/binnacle-mesh/binnacle/internal/shelf"
)

// server is a running binnacle.
type server struct {
	mesh, web string
	output    *syncBuffer
	file      string // its configuration
	zipkin    string
	signal    func(os.Signal) error
}

// buildOnce builds the binary at most once for all tests of the package.
var buildOnce = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("BINNACLE_BIN"); path != "" {
		return path, nil
	}
	dir, err := os.MkdirTemp("", "binnacle-e2e")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "binnacle")
	build := exec.Command("go", "build", "-o", path, "github.com/binnacle-mesh/binnacle/cmd/binnacle")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build binnacle: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if os.Getenv("BINNACLE_BIN") == "" {
		if path, err := buildOnce(); err == nil {
			os.RemoveAll(filepath.Dir(path))
		}
	}
	os.Exit(code)
}

// envoyOrSkip comes first in each test, so that nothing is built where nothing can be tested.
func envoyOrSkip(t *testing.T) string {
	t.Helper()
	path, err := demo.FindEnvoy("")
	if err != nil {
		shelf.Missing(t, "Envoy", err)
	}
	return path
}

// startServer starts binnacle with the demo's quota on free ports, and ends it with the test.
func startServer(t *testing.T) *server {
	t.Helper()
	binary, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	rules := filepath.Join(dir, "quota")
	if err := os.Mkdir(rules, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(rules, "shop.yaml"), demo.QuotaYAML())
	s := &server{
		mesh: shelf.FreeAddr(t), web: shelf.FreeAddr(t), output: &syncBuffer{},
		file: filepath.Join(dir, "binnacle.yaml"), zipkin: shelf.FreeAddr(t),
	}
	write(t, s.file, fmt.Appendf(nil, `
data: %q
listen: {mesh: %q, web: %q, otlp_grpc: "", otlp_http: %q, rls: ""}
collector: {receivers: {zipkin: {endpoint: %q, keep_alives_enabled: true}}, service: {pipelines: {traces/binnacle: {receivers: [zipkin]}}}}
quota: {files: [%q]}
`, filepath.Join(dir, "data"), s.mesh, s.web, shelf.FreeAddr(t), s.zipkin, rules))

	command := exec.Command(binary, "serve", "--config", s.file)
	command.Stdout, command.Stderr = s.output, s.output
	// The kernel ends the server with the thread that started it, should this test be killed.
	runtime.LockOSThread()
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		t.Fatalf("start %s: %v", binary, err)
	}
	s.signal = command.Process.Signal
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	t.Cleanup(func() {
		_ = command.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(15 * time.Second):
			_ = command.Process.Kill()
			<-ended
			t.Error("binnacle did not end within 15 s of an interrupt")
		}
		if t.Failed() {
			t.Logf("binnacle said:\n%s", s.output)
		}
	})
	for deadline := time.Now().Add(time.Minute); ; {
		response, err := http.Get("http://" + s.web + "/-/ready")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return s
			}
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("binnacle ended before it was ready: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("binnacle was not ready within a minute")
		}
	}
}

// startMesh starts the demo mesh against the server, and ends it with the test.
func startMesh(t *testing.T, s *server, cfg demo.Config) *demo.Mesh {
	t.Helper()
	cfg.Mesh, cfg.BasePort = s.mesh, 0
	mesh, err := demo.Start(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("start the demo mesh: %v", err)
	}
	t.Cleanup(mesh.Close)
	return mesh
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// get reads a JSON document of the API.
func (s *server) get(t *testing.T, path string, into any) {
	t.Helper()
	response, err := http.Get("http://" + s.web + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s: %s", path, response.Status, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("GET %s: %v in %s", path, err, body)
	}
}

// syncBuffer is a buffer that a process writes while a test reads.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
