// Package subject runs the server that an exam examines, beside the demo mesh: by the binary that people run, with a folder of its own.
package subject

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/binnacle-mesh/binnacle/internal/demo"
)

// A Server is the Binnacle under examination. One goroutine may use it, and it must be closed.
type Server struct {
	// Mesh and Web are the addresses for the mesh, and of the web view and the API.
	Mesh, Web string

	folder  string
	log     string // the path of what it says
	command *exec.Cmd
	ended   chan struct{} // closed when it has ended
}

// Serve starts a server with the demo's quotas on free loopback ports, and waits until it is ready. The kernel kills it when the thread that called
// ends, lest it outlive an exam that was killed: call runtime.LockOSThread in main.
func Serve(ctx context.Context, binary string) (s *Server, err error) {
	s = &Server{ended: make(chan struct{})}
	if s.folder, err = os.MkdirTemp("", "binnacle-exam"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	s.log = filepath.Join(s.folder, "log")
	for _, at := range []*string{&s.Mesh, &s.Web} {
		if *at, err = freeAddr(ctx); err != nil {
			return nil, err
		}
	}
	rules, file := filepath.Join(s.folder, "quota"), filepath.Join(s.folder, "binnacle.yaml")
	conf := fmt.Sprintf(`data: %q
listen: {mesh: %q, web: %q, otlp_grpc: "", otlp_http: "", rls: ""}
collector: {service: {pipelines: {traces/binnacle: {}}}}
quota: {files: [%q]}
`, filepath.Join(s.folder, "data"), s.Mesh, s.Web, rules)
	if err = os.Mkdir(rules, 0o700); err != nil {
		return nil, err
	}
	if err = errors.Join(os.WriteFile(filepath.Join(rules, "shop.yaml"), demo.QuotaYAML(), 0o600), os.WriteFile(file, []byte(conf), 0o600)); err != nil {
		return nil, err
	}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.command = exec.Command(binary, "serve", "--config", file) //nolint:noctx // it is ended in order, after the mesh
	s.command.Stdout, s.command.Stderr = log, log
	s.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL} // Ctrl-C reaches us only
	if err = s.command.Start(); err != nil {
		s.command = nil
		return nil, fmt.Errorf("start %s: %w (make build builds it)", binary, err)
	}
	go func() {
		_ = s.command.Wait() // ProcessState says how
		close(s.ended)
	}()
	return s, s.ready(ctx)
}

func (s *Server) ready(ctx context.Context) error {
	for deadline := time.Now().Add(time.Minute); ; {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Web+"/-/ready", http.NoBody)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ended:
			return fmt.Errorf("before it was ready: %w", s.Err())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the server was not ready within a minute:\n%s", s.lastWords())
		}
	}
}

// Err says why a server has ended, with its last words.
func (s *Server) Err() error {
	return fmt.Errorf("the server ended (%s):\n%s", s.command.ProcessState, s.lastWords())
}

// lastWords are the last lines of what it said.
func (s *Server) lastWords() string {
	b, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// Ended is closed when the server has ended; Err says why.
func (s *Server) Ended() <-chan struct{} { return s.ended }

// Close ends the server, within 20 s by force, and removes its folder.
func (s *Server) Close() error {
	if s.command != nil {
		_ = s.command.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.ended:
		case <-time.After(20 * time.Second):
			_ = s.command.Process.Kill()
			<-s.ended
		}
	}
	return os.RemoveAll(s.folder)
}

func freeAddr(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
