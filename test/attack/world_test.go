package attack

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
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/shelf"
)

// memoryLimit is what the servers may use: memory.limit_bytes of their configuration, and the bound of what is resident.
const memoryLimit = 1_000_000_000

// A world is a server under attack and its directory, which outlives it.
type world struct {
	t      *testing.T
	dir    string // configuration, rules; and the data unless said otherwise
	data   string
	extra  string   // of the configuration
	within []string // a command that starts the server, in surroundings of its own
	inside string   // where the server's files are seen from outside of them
	disk   *device  // that the data is on, where the attack wants one

	mesh, otlp, http, rls, web, zipkin, thrift, jaeger string // addresses

	mu      sync.Mutex
	cmd     *exec.Cmd
	gone    <-chan struct{} // closed when the process has ended
	said    *output
	peak    int64
	process int           // of a server that another process has started; 0 otherwise
	stop    chan struct{} // of who looks at what is resident
}

// prepare makes the world without starting its server.
func prepare(t *testing.T, extra string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), extra: extra, said: &output{}}
	w.data = filepath.Join(w.dir, "data")
	for _, at := range w.ports() {
		*at.addr = shelf.FreeAddr(t)
	}
	t.Cleanup(w.kill)
	return w
}

type port struct {
	name string
	addr *string
}

func (w *world) ports() []port {
	return []port{
		{"mesh", &w.mesh},
		{"otlp_grpc", &w.otlp},
		{"otlp_http", &w.http},
		{"rls", &w.rls},
		{"web", &w.web},
		{"zipkin", &w.zipkin},
		{"jaeger_http", &w.thrift},
		{"jaeger_grpc", &w.jaeger},
	}
}

// rules are of the honest asker, of the audit, and of the attacker.
const rules = `domain: honest
descriptors:
  - key: tenant
    rate_limit: {unit: minute, requests_per_unit: 100000000}
  - key: exact
    rate_limit: {unit: day, requests_per_unit: 50}
`

const junkRules = `domain: bench
descriptors:
  - key: tenant
    rate_limit: {unit: hour, requests_per_unit: 1000}
`

func (w *world) configure() (string, error) {
	quotas := filepath.Join(w.dir, "quotas")
	file := filepath.Join(w.dir, "binnacle.yaml")
	conf := fmt.Sprintf(`data: %q
listen: {mesh: %q, otlp_grpc: %q, otlp_http: %q, rls: %q, web: %q}
collector:
  receivers:
    zipkin: {endpoint: %q}
    jaeger: {protocols: {thrift_http: {endpoint: %q}, grpc: {endpoint: %q}}}
  service: {pipelines: {traces/binnacle: {receivers: [zipkin, jaeger]}}}
topology: {pair_wait: 1s}
aggregator: {flush_interval: 1s}
quota: {files: [%q]}
memory: {limit_bytes: %d}
log: {level: info}
%s
`, w.data, w.mesh, w.otlp, w.http, w.rls, w.web, w.zipkin, w.thrift, w.jaeger, quotas, memoryLimit, w.extra)
	return file, errors.Join(
		os.MkdirAll(quotas, 0o755),
		os.WriteFile(filepath.Join(quotas, "honest.yaml"), []byte(rules), 0o600),
		os.WriteFile(filepath.Join(quotas, "bench.yaml"), []byte(junkRules), 0o600),
		os.WriteFile(file, []byte(conf), 0o600),
	)
}

// errEnded is a server that ended before it was ready.
var errEnded = errors.New("the server ended before it was ready")

// start starts the server, again after a kill, and waits until it is ready.
func (w *world) start() error {
	binary, err := builtOnce()
	if err != nil {
		return err
	}
	file, err := w.configure()
	if err != nil {
		return err
	}
	args := append(append([]string{}, w.within...), binary, "serve", "--config", file)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = w.said, w.said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	gone := make(chan struct{})
	go func() { _ = cmd.Wait(); close(gone) }()
	stop := make(chan struct{})
	w.mu.Lock()
	w.cmd, w.gone, w.stop = cmd, gone, stop
	w.mu.Unlock()
	go w.watchMemory(stop)
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if code, _ := w.get("/-/ready", time.Second); code == http.StatusOK {
			return nil
		}
		if w.ended() {
			return fmt.Errorf("%w: %s", errEnded, w.said.tail(600))
		}
	}
	return fmt.Errorf("the server was not ready within a minute: %s", w.said.tail(600))
}

func (w *world) ended() bool {
	select {
	case <-w.gone:
		return true
	default:
		return false
	}
}

func (w *world) pid() int {
	if w.process != 0 {
		return w.process
	}
	return w.cmd.Process.Pid
}

// kill ends the server at once, if it lives.
func (w *world) kill() {
	if w.cmd == nil {
		return
	}
	w.noteMemory()
	_ = w.cmd.Process.Signal(syscall.SIGCONT)
	_ = w.cmd.Process.Kill()
	<-w.gone
	w.endWatch()
}

// end asks the server to end, and kills it where it does not within so long.
func (w *world) end(within time.Duration) error {
	w.noteMemory()
	_ = w.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-w.gone:
		w.endWatch()
		return nil
	case <-time.After(within):
		w.kill()
		return fmt.Errorf("the server did not end within %v of a SIGTERM", within)
	}
}

func (w *world) endWatch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stop != nil {
		close(w.stop)
		w.stop = nil
	}
}

// watchMemory notes the most that was ever resident, for as long as the process lives: afterwards nobody can tell.
func (w *world) watchMemory(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(50 * time.Millisecond):
			w.noteMemory()
		}
	}
}

func (w *world) noteMemory() {
	w.mu.Lock()
	defer w.mu.Unlock()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.pid()))
	if err != nil {
		return
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	var kb int64
	if _, err := fmt.Sscan(rest, &kb); err == nil {
		w.peak = max(w.peak, kb<<10)
	}
}

// resident is the most that was resident so far, of all servers of this world.
func (w *world) resident() int64 {
	w.noteMemory()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.peak
}

// cpu is the CPU time of the process so far.
func (w *world) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", w.pid()))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// get asks the web port; 0 is no answer.
func (w *world) get(path string, within time.Duration) (int, []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.web+path, nil)
	if err != nil {
		return 0, nil
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil
	}
	return resp.StatusCode, b
}

func (w *world) getJSON(path string, into any) error {
	code, b := w.get(path, 30*time.Second)
	if code != http.StatusOK {
		return fmt.Errorf("GET %s: %d %.300s", path, code, b)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("GET %s: %w in %.300s", path, err, b)
	}
	return nil
}

// output is what the servers of a world said, of which the end is kept.
type output struct {
	mu sync.Mutex
	b  []byte
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.b = append(o.b, p...); len(o.b) > 4<<20 {
		o.b = append([]byte(nil), o.b[len(o.b)-1<<20:]...)
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.b)
}

func (o *output) tail(n int) string {
	s := o.String()
	return s[max(0, len(s)-n):]
}
