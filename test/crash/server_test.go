package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/shelf"
)

// A server is the real binary on a data directory that outlives it.
type server struct {
	cmd            *exec.Cmd
	otlp, rls, web string
	log            bytes.Buffer
	ended          <-chan struct{} // closed when the process is gone; log may be read then
}

// failingBinary is the server to kill, with points at which it kills itself: BINNACLE_FAILPOINTS_BIN, or one built for the test.
func failingBinary(t *testing.T) string {
	t.Helper()
	if b := os.Getenv("BINNACLE_FAILPOINTS_BIN"); b != "" {
		return b
	}
	return build(t, "cmd/binnacle", "failpoints")
}

func build(t *testing.T, program, tags string) string {
	t.Helper()
	b := filepath.Join(t.TempDir(), "server")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-tags", tags, "-o", b, "github.com/binnacle-mesh/binnacle/"+program)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", program, err, out)
	}
	return b
}

// A program is a server and how it is called; --config FILE comes last.
type program []string

// small limits make checkpoints, seals and truncation meet the kills.
const small = `
  checkpoint_interval: 100ms
  wal: {segment_bytes: 1048576, max_bytes: 268435456}
  blocks: {max_head_spans: 1500, head_max_age: 2s}`

// rules limits a key in windows of a minute, an hour and a day; see quota_test.go.
const rules = `
domain: shop
descriptors:
- {key: minute, rate_limit: {unit: minute, requests_per_unit: 300}}
- {key: hour, rate_limit: {unit: hour, requests_per_unit: 300}}
- {key: day, rate_limit: {unit: day, requests_per_unit: 300}}
`

// start runs the server, with storage as the configuration's section has it, until it says that it is ready.
func (p program) start(t *testing.T, dir, storage string) *server {
	t.Helper()
	s := p.launch(t, dir, storage)
	if !s.ready(t) {
		t.Fatalf("the server ended; it said:\n%s", s.log.String())
	}
	return s
}

// launch runs the server with more of an environment, and does not wait for it.
func (p program) launch(t *testing.T, dir, storage string, env ...string) *server {
	t.Helper()
	s := &server{otlp: shelf.FreeAddr(t), rls: shelf.FreeAddr(t), web: shelf.FreeAddr(t)}
	quotas := filepath.Join(dir, "quotas.yaml")
	conf := fmt.Sprintf(`
data: %s
listen: {mesh: "", otlp_grpc: %q, otlp_http: "", rls: %q, web: %q}
collector: {service: {pipelines: {traces/binnacle: {}}}}
storage: %s
aggregator: {flush_interval: 200ms}
quota: {files: [%s], save_interval: %v}
log: {level: warn}
`, filepath.Join(dir, "data"), s.otlp, s.rls, s.web, storage, quotas, saveInterval)
	file := filepath.Join(dir, "binnacle.yaml")
	for name, content := range map[string]string{file: conf, quotas: rules} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.cmd = exec.Command(p[0], append(p[1:len(p):len(p)], "--config", file)...)
	s.cmd.Env = append(os.Environ(), env...)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	s.ended = ended
	go func() { _ = s.cmd.Wait(); close(ended) }()
	return s
}

// ready waits until the server says that it is; it is false where the server ended before.
func (s *server) ready(t *testing.T) bool {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		select {
		case <-s.ended:
			return false
		default:
		}
		if code, _ := get(s.web, "/-/ready"); code == http.StatusOK {
			return true
		}
		if time.Now().After(deadline) {
			s.kill()
			t.Fatalf("the server was not ready after a minute; it said:\n%s", s.log.String())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// kill ends the server as a power cut of the process does.
func (s *server) kill() {
	_ = s.cmd.Process.Signal(syscall.SIGKILL)
	<-s.ended
}

// stop ends the server as an operator does, and waits until it has written what it had in memory.
func (s *server) stop(t *testing.T) {
	t.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(time.Minute):
		s.kill()
		t.Fatalf("the server did not end within a minute of SIGTERM; it said:\n%s", s.log.String())
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("the server ended with %d; it said:\n%s", code, s.log.String())
	}
}

// followers says how far behind each follower of the log is.
func (s *server) followers() (map[string]followerStatus, error) {
	var st struct {
		Log struct{ Followers []followerStatus }
	}
	if err := getJSON(s.web, "/api/v1/status", &st); err != nil {
		return nil, err
	}
	by := map[string]followerStatus{}
	for _, f := range st.Log.Followers {
		by[f.Name] = f
	}
	return by, nil
}

type followerStatus struct {
	Name       string
	LagSeconds float64               `json:"lag_seconds"`
	LagBytes   int64                 `json:"lag_bytes"`
	LeftOut    struct{ Batches int } `json:"left_out"`
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
