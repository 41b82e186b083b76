package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A server is the real binary on a data directory that outlives it.
type server struct {
	cmd       *exec.Cmd
	otlp, web string
	log       bytes.Buffer
	ended     <-chan struct{} // closed when the process is gone; log may be read then
}

// serverBinary is the server to kill: BINNACLE_BIN, or one built for the test.
func serverBinary(t *testing.T) string {
	t.Helper()
	if b := os.Getenv("BINNACLE_BIN"); b != "" {
		return b
	}
	b := filepath.Join(t.TempDir(), "binnacle")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", b, "github.com/binnacle-mesh/binnacle/cmd/binnacle")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build binnacle: %v\n%s", err, out)
	}
	return b
}

// start runs the server until it says that it is ready.
func start(t *testing.T, bin, dir string) *server {
	t.Helper()
	s := &server{otlp: freeAddr(t), web: freeAddr(t)}
	// Small limits make checkpoints, seals and truncation meet the kills.
	conf := fmt.Sprintf(`
data: %s
listen: {mesh: "", otlp_grpc: %q, otlp_http: "", rls: "", web: %q}
collector: {service: {pipelines: {traces/binnacle: {}}}}
storage:
  checkpoint_interval: 300ms
  wal: {segment_bytes: 1048576, max_bytes: 268435456}
  blocks: {max_head_spans: 4000, head_max_age: 2s}
aggregator: {flush_interval: 200ms}
log: {level: warn}
`, filepath.Join(dir, "data"), s.otlp, s.web)
	file := filepath.Join(dir, "binnacle.yaml")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command(bin, "serve", "--config", file)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	s.ended = ended
	go func() { _ = s.cmd.Wait(); close(ended) }()
	deadline := time.Now().Add(60 * time.Second)
	for {
		select {
		case <-ended:
			t.Fatalf("the server ended; it said:\n%s", s.log.String())
		default:
		}
		if code, _ := get(s.web, "/-/ready"); code == http.StatusOK {
			return s
		}
		if time.Now().After(deadline) {
			s.kill()
			t.Fatalf("the server was not ready after a minute; it said:\n%s", s.log.String())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// kill ends the server as a power cut of the process does.
func (s *server) kill() {
	_ = s.cmd.Process.Signal(syscall.SIGKILL)
	<-s.ended
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func get(addr, path string) (int, []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return 0, nil
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil
	}
	return resp.StatusCode, b
}

func getJSON(addr, path string, into any) error {
	code, b := get(addr, path)
	if code != http.StatusOK {
		return fmt.Errorf("GET %s: %d %s", path, code, b)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return errors.Join(fmt.Errorf("GET %s: %s", path, b), err)
	}
	return nil
}
