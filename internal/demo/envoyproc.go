package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// envoy is one running Envoy process.
type envoy struct {
	name   string
	cmd    *exec.Cmd
	output *tail
	told   atomic.Bool   // to end
	done   chan struct{} // closed when the process has ended
	err    error         // how it ended; read only after done
}

// startEnvoy starts an Envoy with its configuration.
//
// The configuration goes through a pipe, so that no file, and no private key, is left behind by any kind of end. Envoy
// reads a path without a known extension as JSON, and a pipe is read to its end like a file.
//
// The process is ended by the kernel when the thread that started it dies (see dieWithParent), so the caller must hold
// its goroutine on its thread for as long as the Envoy shall live.
func startEnvoy(binary string, name string, bootstrap []byte, environment []string) (*envoy, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start the Envoy of %s: pipe for its configuration: %w", name, err)
	}
	defer read.Close()
	e := &envoy{name: name, output: newTail(40), done: make(chan struct{})}
	e.cmd = exec.Command(binary, //nolint:noctx // ended by stop, which asks first

		"--config-path", "/dev/fd/3",
		"--concurrency", "1",
		"--disable-hot-restart",
		"--log-level", "warning",
		"--log-format", "%l %n: %v",
	)
	e.cmd.Env = append(os.Environ(), environment...)
	e.cmd.ExtraFiles = []*os.File{read}
	e.cmd.Stdout, e.cmd.Stderr = e.output, e.output
	e.cmd.SysProcAttr = dieWithParent()
	if err := e.cmd.Start(); err != nil {
		write.Close()
		return nil, fmt.Errorf("start the Envoy of %s (%s): %w", name, binary, err)
	}
	go func() {
		// An Envoy that dies early closes the pipe; how it died is told by Wait.
		_, _ = write.Write(bootstrap)
		write.Close()
	}()
	go func() {
		e.err = e.cmd.Wait()
		close(e.done)
	}()
	return e, nil
}

// await returns once the Envoy accepts connections on the ports, or with an error that holds its last words.
func (e *envoy) await(ctx context.Context, ports ...int) error {
	for _, port := range ports {
		for {
			d := net.Dialer{Timeout: time.Second}
			conn, err := d.DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err == nil {
				conn.Close()
				break
			}
			select {
			case <-e.done:
				return e.failure()
			case <-ctx.Done():
				return fmt.Errorf("wait for the Envoy of %s to listen on 127.0.0.1:%d: %w; its last words:\n%s", e.name, port, ctx.Err(), e.output)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return nil
}

// failure tells why a process that should run has ended. Call it only after done.
func (e *envoy) failure() error {
	err := e.err
	if err == nil {
		err = errors.New("exit status 0")
	}
	return fmt.Errorf("the Envoy of %s ended: %w; its last words:\n%s", e.name, err, e.output)
}

// stop ends the process, politely for a second and then not, and returns when it is gone.
func (e *envoy) stop() {
	e.told.Store(true)
	terminate(e.cmd.Process)
	select {
	case <-e.done:
	case <-time.After(time.Second):
		_ = e.cmd.Process.Kill() // it may just have ended
		<-e.done
	}
}

// tail keeps the last lines written to it. Safe for concurrent use.
type tail struct {
	mu    sync.Mutex
	limit int
	lines []string // at most limit
	part  string   // what came after the last newline
}

func newTail(limit int) *tail { return &tail{limit: limit} }

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(t.part+string(p), "\n")
	t.part = lines[len(lines)-1]
	if len(t.part) > 4096 {
		t.part = t.part[len(t.part)-4096:]
	}
	t.lines = append(t.lines, lines[:len(lines)-1]...)
	if drop := len(t.lines) - t.limit; drop > 0 {
		t.lines = append(t.lines[:0], t.lines[drop:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(append(t.lines[:len(t.lines):len(t.lines)], t.part), "\n")
}
